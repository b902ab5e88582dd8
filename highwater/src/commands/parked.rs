//! `highwater parked`: lists the parts of logs that wait behind an event that cannot be applied, retries them, or skips
//! an event.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::builder::NonEmptyStringValueParser;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use event_store::{find_workspace_by_name_or_number, workspace_names};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use projections::parked::{self, ParkedPart, RetryOutcome, SkipError};
use sqlx::PgPool;

use super::database::{DatabaseArgs, EndsAt};
use crate::config::{Config, ConfigSources};

/// The arguments of `parked`.
#[derive(Debug, clap::Args)]
pub struct ParkedArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    command: ParkedCommand,
}

/// The subcommands of `parked`.
#[derive(Debug, clap::Subcommand)]
enum ParkedCommand {
    /// Show what waits, since when and why.
    List,
    /// Retry now, instead of waiting for a projector. The exit status is 1 if an event is still refused.
    Retry(Retry),
    /// Leave a refused event out for good, in every rebuild too, and apply what waits behind it.
    Skip(Skip),
}

/// `highwater parked retry`.
#[derive(Debug, clap::Args)]
struct Retry {
    /// Only of this workspace, by name or number.
    #[arg(long, value_name = "WORKSPACE", value_parser = NonEmptyStringValueParser::new())]
    workspace: Option<String>,
    /// Only the part whose first waiting event has this position.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    position: Option<i64>,
}

/// `highwater parked skip`.
#[derive(Debug, clap::Args)]
struct Skip {
    /// The workspace, by name or number.
    #[arg(long, value_name = "WORKSPACE", value_parser = NonEmptyStringValueParser::new())]
    workspace: String,
    /// The position of the event that is refused.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(1..))]
    position: i64,
    /// Why it may be left out. The reason is kept with the decision.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: String,
    /// The projection that refuses it.
    #[arg(long, value_name = "PROJECTION", default_value = projections::CAMPAIGN_MODEL.name)]
    projection: String,
}

/// Runs the command.
pub async fn run(args: ParkedArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let ParkedArgs { database, command } = args;
    let sources = ConfigSources::of_process(config);
    database.run(sources, EndsAt::FirstSignal, async |config| work(command, config).await).await
}

async fn work(command: ParkedCommand, config: Config) -> anyhow::Result<ExitCode> {
    // A parked part may be long, and is applied in long transactions.
    let database = DatabaseConfig { max_connections: 2, statement_timeout_ms: 0, ..config.database };
    let pool = connect(&database, DatabaseRole::Projector).await?;
    match command {
        ParkedCommand::List => list(&pool).await,
        ParkedCommand::Retry(retry) => retry_some(&pool, retry).await,
        ParkedCommand::Skip(skip) => skip_one(&pool, skip).await,
    }
}

async fn list(pool: &PgPool) -> anyhow::Result<ExitCode> {
    let parts = parked::list(pool).await.context("cannot read what is parked")?;
    let names = workspace_names(pool).await?;
    let mut out = std::io::stdout().lock();
    if parts.is_empty() {
        writeln!(out, "nothing is parked")?;
    } else {
        writeln!(out, "{}", table(&parts, &names))?;
        for part in &parts {
            writeln!(out, "{}: {}", title(part, &names), part.reason)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn retry_some(pool: &PgPool, retry: Retry) -> anyhow::Result<ExitCode> {
    let workspace = match &retry.workspace {
        Some(name) => Some(number(pool, name).await?),
        None => None,
    };
    let fits = |part: &ParkedPart| {
        workspace.is_none_or(|workspace| part.workspace == workspace)
            && retry.position.is_none_or(|position| part.position == position)
    };
    let tried = parked::retry_all(pool, fits).await.context("cannot try again")?;
    if tried.is_empty() {
        if let Some(position) = retry.position {
            bail!("nothing waits from position {position} on: `highwater parked list` shows what does");
        }
        writeln!(std::io::stdout(), "nothing is parked")?;
    }
    print_results(pool, &tried).await
}

async fn skip_one(pool: &PgPool, skip: Skip) -> anyhow::Result<ExitCode> {
    let Skip { workspace, position, reason, projection } = skip;
    let number = number(pool, &workspace).await?;
    match parked::skip(pool, &projection, number, position, &reason).await {
        Ok(skipped) => {
            writeln!(std::io::stdout(), "{workspace}: {projection} leaves out position {position}: {reason}")?;
            print_results(pool, &skipped.parts).await
        }
        Err(SkipError::NotParked) => bail!(
            "{workspace}: no part of {projection} is parked from position {position} on; only a refused event can be \
             skipped: `highwater parked list` shows them"
        ),
        Err(error) => Err(error).context("cannot leave the event out"),
    }
}

/// Prints the result of each part. The exit status is 1 if an event is still refused.
async fn print_results(pool: &PgPool, tried: &[(ParkedPart, RetryOutcome)]) -> anyhow::Result<ExitCode> {
    let names = workspace_names(pool).await?;
    let mut out = std::io::stdout().lock();
    for (part, retried) in tried {
        let title = title(part, &names);
        match retried {
            RetryOutcome::Applied => writeln!(out, "{title}: applied")?,
            RetryOutcome::Refused { position, reason } => {
                writeln!(out, "{title}: refused at position {position}: {reason}")?;
            }
            RetryOutcome::OtherVersion => {
                writeln!(out, "{title}: epoch {} was built by another version of this program: replay it", part.epoch)?;
            }
        }
    }
    let all_applied = tried.iter().all(|(_, retried)| *retried == RetryOutcome::Applied);
    Ok(if all_applied { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(parts: &[ParkedPart], names: &HashMap<i32, String>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["workspace", "projection", "epoch", "position", "stream", "campaign", "waiting", "since"]);
    for column in [2, 3, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for part in parts {
        table.add_row([
            name(part.workspace, names),
            part.projection.clone(),
            format!("{}{}", part.epoch, if part.is_live { "" } else { " (not live)" }),
            part.position.to_string(),
            stream(part),
            part.campaign_id.map_or_else(|| "all".to_owned(), |campaign| campaign.to_string()),
            part.waiting.to_string(),
            second(part.parked_at),
        ]);
    }
    table
}

/// The title of a part, with its workspace.
pub(super) fn title(part: &ParkedPart, names: &HashMap<i32, String>) -> String {
    let campaign = part.campaign_id.map_or_else(String::new, |campaign| format!(", campaign {campaign}"));
    format!("{}: position {} of {}{campaign}", name(part.workspace, names), part.position, stream(part))
}

/// A stream without its workspace, which is printed beside it.
fn stream(part: &ParkedPart) -> String {
    let id = part.stream_id.split_once('/').map_or(part.stream_id.as_str(), |(_, id)| id);
    format!("{} {id}", part.stream_type)
}

fn name(workspace: i32, names: &HashMap<i32, String>) -> String {
    names.get(&workspace).cloned().unwrap_or_else(|| workspace.to_string())
}

fn second(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

async fn number(pool: &PgPool, workspace: &str) -> anyhow::Result<i32> {
    let found = find_workspace_by_name_or_number(pool, workspace).await?;
    Ok(found.with_context(|| format!("there is no workspace `{workspace}`"))?.id)
}
