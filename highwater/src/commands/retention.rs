//! `highwater retention`: for how many months the read tables keep their rows. The log stays complete.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use projections::retention::{self, Retention};

use super::database::{DatabaseArgs, EndsAt};
use crate::config::{Config, ConfigSources};

/// The arguments of `retention`.
#[derive(Debug, clap::Args)]
pub struct RetentionArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    command: RetentionCommand,
}

/// The subcommands of `retention`.
#[derive(Debug, clap::Subcommand)]
enum RetentionCommand {
    /// Show what each table keeps.
    Show,
    /// Set what is kept from now on.
    Set(Set),
}

/// `highwater retention set`.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Set {
    /// Keep this month and N before it. Earlier ones are dropped now and month by month.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_200), group = "kept")]
    keep_months: Option<u32>,
    /// Keep all months. Dropped months come back with the next replay.
    #[arg(long, group = "kept")]
    keep_all: bool,
    /// Only for this table: rollup_15m, rollup_hourly, rollup_daily, dimension_totals, corrections or
    /// statements.
    #[arg(long, value_name = "TABLE", requires = "kept")]
    table: Option<String>,
    /// How many values of a dimension are kept per campaign and source, from the next replay on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    dimension_values: Option<u32>,
}

/// Runs the command.
pub async fn run(args: RetentionArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let RetentionArgs { database, command } = args;
    let sources = ConfigSources::of_process(config);
    database.run(sources, EndsAt::FirstSignal, async |config| work(command, config).await).await
}

async fn work(command: RetentionCommand, config: Config) -> anyhow::Result<ExitCode> {
    let database = DatabaseConfig { max_connections: 1, ..config.database };
    let admin = connect(&database, DatabaseRole::Admin).await?;
    let mut out = std::io::stdout().lock();
    if let RetentionCommand::Set(set) = command {
        let now = SystemClock.now();
        if set.keep_months.is_some() || set.keep_all {
            retention::set(&admin, set.table.as_deref(), set.keep_months, now).await?;
        }
        if let Some(values) = set.dimension_values {
            retention::limit_dimensions(&admin, values).await?;
            writeln!(out, "dimension values: {values}, from the next replay on")?;
        }
        let dropped = retention::maintain(&admin, now).await?;
        writeln!(out, "dropped: {}", if dropped.is_empty() { "nothing yet".to_owned() } else { dropped.join(", ") })?;
    }
    writeln!(out, "{}", table(&retention::list(&admin).await?))?;
    Ok(ExitCode::SUCCESS)
}

fn table(kept: &[Retention]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["projection", "table", "months", "kept from", "state"]);
    for one in kept {
        table.add_row([
            one.projection.clone(),
            one.table.clone(),
            one.keep_months.map_or_else(|| "all".to_owned(), |months| months.to_string()),
            one.before.map_or_else(|| "the first".to_owned(), month),
            standing(one),
        ]);
    }
    table
}

/// The part of the retention that is in effect already.
pub(super) fn standing(kept: &Retention) -> String {
    match kept.dropped_before {
        Some(dropped) if kept.before.is_none_or(|before| before < dropped) => {
            format!("rows before {} are gone until a replay", month(dropped))
        }
        Some(_) | None => "holds".to_owned(),
    }
}

pub(super) fn month(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m").to_string()
}
