//! `highwater dev`: everything on this machine, with a private PostgreSQL and a demo workspace.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeZone as _;
use commands::rejections::RejectionStore;
use event_store::Workspace;
use futures_util::StreamExt;
use platform::clock::{SharedClock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::keys::{NewKey, insert_key, list_keys, revoke_key};
use platform::lifecycle::{Stage, signals};
use platform::local_postgres::{LocalPostgres, LocalPostgresConfig};
use platform::principal::Scope;
use platform::sealing::SealingKey;
use platform::telemetry;
use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::migrate::migrate;
use crate::client::ApiClient;
use crate::config::{ConfigSources, RejectionsConfig};
use crate::demo::scenario::{CURRENCY, TIME_ZONE, WORKSPACE};
use crate::demo::traffic;
use crate::system::{self, Listeners, RunningSystem, SystemConfig};
use crate::workspace;

/// The well-known development key.
const DEVELOPMENT_KEY: &str = "hw_dev";
/// The name of the workspace's key.
const KEY_NAME: &str = "highwater dev";
/// The file of the data directory that seals the keys of rejected items.
const KEY_FILE: &str = "rejections.key";
/// The attempts at the demo's requests, enough for a restart of its database.
const ATTEMPTS: u32 = 8;
/// How long the start waits for the first rows.
const FIRST_ROWS_WITHIN: Duration = Duration::from_secs(30);

/// The filter of log lines. A line for each request of the demo's integrations would hide all others.
const FILTER: &str = "info,highwater::request=warn,sqlx::postgres::notice=warn";

/// The arguments of `dev`.
#[derive(Debug, clap::Args)]
pub struct DevArgs {
    /// Where the private PostgreSQL keeps everything. The next start goes on with it, and operator's commands take it
    /// too. [default: $XDG_DATA_HOME/highwater, or /var/lib/highwater for root]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the command API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    command_addr: Option<SocketAddr>,
    /// Where the read API listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    read_addr: Option<SocketAddr>,
    /// The demo workspace's key.
    #[arg(long, value_name = "KEY", default_value = DEVELOPMENT_KEY)]
    api_key: SecretString,
    /// Observations a second that the demo's integrations send; 0: no campaigns, no sources, no traffic.
    #[arg(
        long,
        value_name = "EVENTS_PER_SECOND",
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(0..=100_000),
    )]
    traffic: u32,
}

/// Runs the command until it is stopped.
pub async fn run(options: DevArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = ConfigSources::of_process(config)
        .default_to("telemetry.filter", FILTER)
        .flag("command.addr", options.command_addr.map(|addr| addr.to_string()))
        .flag("read.addr", options.read_addr.map(|addr| addr.to_string()))
        .load()?;
    telemetry::init(&config.telemetry)?;
    let data_dir = match &options.data_dir {
        Some(directory) => directory.clone(),
        None => default_data_dir().context("there is no home directory to keep the data in: say --data-dir")?,
    };
    let rejections = config.rejections;
    let mut system = SystemConfig {
        command: config.command,
        read: config.read,
        rebuild: config.projector.rebuild.into(),
        command_api: config.links.command_api,
        results_bytes: config.results.max_bytes,
        replay_memory: config.projector.replay_memory(),
        development_key: options.api_key.expose_secret() == DEVELOPMENT_KEY,
        database_wait: Duration::ZERO,
        drain: Duration::from_secs(config.shutdown.drain_s),
        ..SystemConfig::all_roles(config.database)
    };
    let mut stops = signals()?;
    // The addresses come first, so that an address in use fails before the database starts.
    let doors = Listeners::open(&system)?;
    let started = tokio::select! {
        started = start(&options, &data_dir, doors, &rejections, &mut system) => started?,
        // The drop stops what was started.
        _ = stops.next() => return Ok(ExitCode::FAILURE),
    };
    let Started { running, workspace, clock } = started;
    let greeting = greeting(&running, &system, &options.api_key, &data_dir)?;
    let stop = running.lifecycle().token(Stage::Edge);
    let greeted = greet(greeting, system.database.clone(), workspace.id, stop);
    running.lifecycle().spawn(Stage::Edge, "greeting", greeted);
    if options.traffic > 0 {
        let client = ApiClient::new(&url(running.command_addr, &system)?, &options.api_key, ATTEMPTS)?;
        let stop = running.lifecycle().token(Stage::Edge);
        running.lifecycle().spawn(Stage::Edge, "traffic", demo(client, workspace, options.traffic, clock, stop));
    }
    running.run(stops).await?;
    Ok(ExitCode::SUCCESS)
}

struct Started {
    running: RunningSystem,
    workspace: Workspace,
    clock: SharedClock,
}

/// PostgreSQL, the schema, the workspace and its key, and all roles.
async fn start(
    options: &DevArgs,
    data_dir: &Path,
    doors: Listeners,
    rejections: &RejectionsConfig,
    system: &mut SystemConfig,
) -> anyhow::Result<Started> {
    let clock = SystemClock::shared();
    let postgres = LocalPostgres::start(LocalPostgresConfig::new(data_dir)).await?;
    system.database.url = postgres.url();
    let key = match rejections.key()? {
        Some(key) => key,
        None => Arc::new(SealingKey::read_or_create(&data_dir.join(KEY_FILE))?),
    };
    system.rejections = RejectionStore::new(rejections.room(), Some(key));
    migrate(&system.database).await?;
    let workspace = prepare_workspace(&system.database, &options.api_key, &clock).await?;
    let running = system::start_with_listeners(doors, system.clone(), clock.clone()).await?;
    running.lifecycle().spawn(Stage::Base, "PostgreSQL", postgres.run(running.released()));
    Ok(Started { running, workspace, clock })
}

/// Says that everything runs once the first read has an answer: when the workspace's first event is applied. After a
/// kill, that takes until the leases of the killed projector end.
async fn greet(
    greeting: String,
    database: DatabaseConfig,
    workspace: i32,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let is_applied = stop.run_until_cancelled(wait_for_rows(&database, workspace)).await;
    if let Some(Err(error)) = &is_applied {
        tracing::warn!(error = &**error as &dyn std::error::Error, "reads may answer 503 for now");
    }
    if is_applied.is_some() {
        // A closed stdout, as in `highwater dev | head`, is no reason to stop.
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(greeting.as_bytes()).and_then(|()| out.flush());
    }
    stop.cancelled().await;
    Ok(())
}

/// Waits until the workspace's first event is applied.
async fn wait_for_rows(database: &DatabaseConfig, workspace: i32) -> anyhow::Result<()> {
    let pool = connect(&DatabaseConfig { max_connections: 2, ..database.clone() }, DatabaseRole::Read).await?;
    let listening = CancellationToken::new();
    let (progress, _follower) = queries::Progress::start(pool.clone(), listening.clone());
    let _until_the_end = listening.drop_guard();
    let mut applied = progress.watch(workspace);
    let waited = tokio::time::timeout(FIRST_ROWS_WITHIN, applied.reaches(1)).await;
    waited.context("nothing of the workspace is applied yet")
}

/// Prepares the demo workspace with the requested key and no other key of `dev`.
async fn prepare_workspace(
    database: &DatabaseConfig,
    key: &SecretString,
    clock: &SharedClock,
) -> anyhow::Result<Workspace> {
    let admin = connect(&DatabaseConfig { max_connections: 2, ..database.clone() }, DatabaseRole::Admin).await?;
    let currency = CURRENCY.parse()?;
    let zone = domain::zone::Zone(TIME_ZONE);
    let workspace = workspace::find_or_open(&admin, database, WORKSPACE, zone, currency, clock).await?;
    let mut connection = admin.acquire().await?;
    let new = NewKey { workspace: workspace.id, name: KEY_NAME, scopes: &Scope::ALL };
    let ours = insert_key(&mut connection, new, key, clock.now()).await?;
    for other in list_keys(&mut connection, Some(workspace.id)).await? {
        // A key of an earlier start with another `--api-key`.
        if other.name == KEY_NAME && other.key_id != ours && other.revoked_at.is_none() {
            revoke_key(&mut connection, other.key_id, clock.now()).await?;
        }
    }
    drop(connection);
    admin.close().await;
    Ok(workspace)
}

/// Runs the demo. If it fails, everything else continues.
async fn demo(
    client: ApiClient,
    workspace: Workspace,
    rate: u32,
    clock: SharedClock,
    stop: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    if let Err(error) = traffic::run(client, workspace.opened_at, rate, clock, stop.clone()).await {
        tracing::error!(error = &error as &dyn std::error::Error, "the demo workspace could not be set up: no traffic");
        stop.cancelled().await;
    }
    Ok(())
}

/// The default data directory: the system's for root, otherwise in the user's home.
fn default_data_dir() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/highwater"));
    }
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("highwater"))
}

/// The URL of an API for a client on this machine.
fn url(addr: Option<SocketAddr>, system: &SystemConfig) -> anyhow::Result<String> {
    let mut addr = addr.context("an API is not served")?;
    if addr.ip().is_unspecified() {
        let loopback = if addr.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        addr.set_ip(loopback);
    }
    let scheme = if system.command.tls_files().is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{addr}"))
}

fn greeting(
    running: &RunningSystem,
    system: &SystemConfig,
    key: &SecretString,
    data_dir: &Path,
) -> anyhow::Result<String> {
    let (command, read) = (url(running.command_addr, system)?, url(running.read_addr, system)?);
    let (key, data_dir) = (key.expose_secret(), data_dir.display());
    let today = chrono_tz::Tz::from_utc_datetime(&TIME_ZONE, &SystemClock::shared().now().naive_utc()).date_naive();
    Ok(format!(
        "\nHighwater is running; Ctrl-C stops it.\n\n\
         command API: {command}  (described by {command}/docs)\n\
         read API: {read}  (described by {read}/docs)\n\
         API key: {key}  (workspace {WORKSPACE})\n\
         data: {data_dir}  (operated with --data-dir: highwater status --data-dir {data_dir})\n\n\
         Try:\n\
         curl -H 'Authorization: Bearer {key}' {read}/v1/campaigns\n\
         curl -H 'Authorization: Bearer {key}' {read}/v1/freshness\n\
         curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' {read}/v1/reports \\\n  \
         -d '{{\"measures\":[\"clicks\",\"spend\"],\"date_from\":\"{today}\",\"date_to\":\"{today}\",\
         \"granularity\":\"day\",\"group_by\":[\"channel\"]}}'\n\n",
    ))
}
