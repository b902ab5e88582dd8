//! `highwater keys`: creates, lists and revokes API keys.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::builder::NonEmptyStringValueParser;
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use domain::money::Currency;
use domain::zone::Zone;
use event_store::{find_workspace, workspace_names};
use platform::clock::SystemClock;
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::keys::{NewKey, Revocation, create_key, list_keys, revoke_key};
use platform::principal::Scope;
use secrecy::ExposeSecret;
use sqlx::PgPool;
use uuid::Uuid;

use super::database::{DatabaseArgs, EndsAt};
use crate::config::{Config, ConfigSources};
use crate::workspace;

/// The arguments of `keys`.
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    command: KeysCommand,
}

/// The subcommands of `keys`.
#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// Make a key and print it. This is the only time that it is shown.
    Create(Create),
    /// List the keys, without the keys themselves.
    List(List),
    /// Make a key stop working, within five seconds.
    Revoke(Revoke),
}

/// `highwater keys create`.
#[derive(Debug, clap::Args)]
struct Create {
    /// The workspace that the key is for.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    workspace: String,
    /// Open the workspace if it is not there.
    #[arg(long = "create-workspace", requires = "time_zone", requires = "currency")]
    open: bool,
    /// The default time zone of the workspace's reports.
    #[arg(long, value_name = "TZ", requires = "open")]
    time_zone: Option<Zone>,
    /// The workspace's reporting currency.
    #[arg(long, value_name = "CUR", requires = "open")]
    currency: Option<Currency>,
    /// What the key may do: command (send), read, or both.
    #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Vec<Scope>,
    /// What the key is for.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    name: String,
}

/// `highwater keys list`.
#[derive(Debug, clap::Args)]
struct List {
    /// Only those of this workspace.
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
}

/// `highwater keys revoke`.
#[derive(Debug, clap::Args)]
struct Revoke {
    /// The key's id, as `keys list` shows it.
    id: Uuid,
}

/// Runs the command.
pub async fn run(args: KeysArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let KeysArgs { database, command } = args;
    let sources = ConfigSources::of_process(config);
    database.run(sources, EndsAt::FirstSignal, async |config| work(command, config).await).await
}

async fn work(command: KeysCommand, config: Config) -> anyhow::Result<ExitCode> {
    let database = DatabaseConfig { max_connections: 2, ..config.database };
    let admin = connect(&database, DatabaseRole::Admin).await?;
    match command {
        KeysCommand::Create(create) => create_one(&admin, &database, create).await,
        KeysCommand::List(list) => list_all(&admin, list).await,
        KeysCommand::Revoke(revoke) => revoke_one(&admin, revoke.id).await,
    }
}

async fn create_one(admin: &PgPool, database: &DatabaseConfig, create: Create) -> anyhow::Result<ExitCode> {
    let clock = SystemClock::shared();
    let found = match (create.open, create.time_zone, create.currency) {
        (true, Some(time_zone), Some(currency)) => {
            workspace::find_or_open(admin, database, &create.workspace, time_zone, currency, &clock).await?.id
        }
        _ => match find_workspace(admin, &create.workspace).await? {
            Some(workspace) => workspace.id,
            None => bail!(
                "there is no workspace `{}`: --create-workspace --time-zone TZ --currency CUR opens it",
                create.workspace
            ),
        },
    };
    let mut scopes = create.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let new = NewKey { workspace: found, name: &create.name, scopes: &scopes };
    let mut connection = admin.acquire().await?;
    let (id, key) = create_key(&mut connection, new, clock.now()).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "id: {id}\nkey: {}", key.expose_secret())?;
    Ok(ExitCode::SUCCESS)
}

async fn list_all(admin: &PgPool, list: List) -> anyhow::Result<ExitCode> {
    let only = match &list.workspace {
        Some(name) => {
            let found = find_workspace(admin, name).await?;
            Some(found.with_context(|| format!("there is no workspace `{name}`"))?.id)
        }
        None => None,
    };
    let names = workspace_names(admin).await?;
    let mut connection = admin.acquire().await?;
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["id", "workspace", "name", "scopes", "created", "revoked"]);
    for key in list_keys(&mut connection, only).await? {
        let day = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%SZ").to_string();
        table.add_row([
            key.key_id.to_string(),
            names.get(&key.workspace).cloned().unwrap_or_else(|| key.workspace.to_string()),
            key.name,
            key.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(", "),
            day(key.created_at),
            key.revoked_at.map_or_else(|| "-".to_owned(), day),
        ]);
    }
    writeln!(std::io::stdout(), "{table}")?;
    Ok(ExitCode::SUCCESS)
}

async fn revoke_one(admin: &PgPool, id: Uuid) -> anyhow::Result<ExitCode> {
    let mut connection = admin.acquire().await?;
    let result = match revoke_key(&mut connection, id, SystemClock::shared().now()).await? {
        Revocation::Revoked => "revoked; processes that have seen it let it go within five seconds".to_owned(),
        Revocation::AlreadyRevoked { at } => format!("was revoked before, at {}", at.format("%Y-%m-%d %H:%M:%SZ")),
        Revocation::Unknown => bail!("there is no key {id}: `highwater keys list` shows them"),
    };
    writeln!(std::io::stdout(), "{id}: {result}")?;
    Ok(ExitCode::SUCCESS)
}
