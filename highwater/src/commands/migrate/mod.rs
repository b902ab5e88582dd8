//! `highwater migrate`: brings the database's schema up to date, and makes whole what a restore left out.

mod repair; // what a restore left out

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use event_store::{MIGRATOR, note_generation};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::telemetry;

use crate::config::ConfigSources;

/// The filter of log lines. PostgreSQL notes every table that exists already.
const FILTER: &str = "info,sqlx::postgres::notice=warn";

/// Runs the command.
pub async fn run(config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = ConfigSources::of_process(config).default_to("telemetry.filter", FILTER).load()?;
    telemetry::init(&config.telemetry)?;
    let mut out = std::io::stdout();
    for made in migrate(config.database()?).await? {
        writeln!(out, "made again after a restore: {made}")?;
    }
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    writeln!(out, "the schema is up to date: {} migrations, the last is {newest}", MIGRATOR.iter().count())?;
    Ok(ExitCode::SUCCESS)
}

/// Makes whole what a restore left out, and applies missing migrations. Concurrent runs wait for each other. Returns
/// what it made again.
pub(super) async fn migrate(database: &DatabaseConfig) -> anyhow::Result<Vec<String>> {
    let admin = connect(&DatabaseConfig { max_connections: 1, ..database.clone() }, DatabaseRole::Admin).await?;
    let mut connection = admin.acquire().await?;
    let made = repair::make_whole(&mut connection).await.context("the database was not restored whole")?;
    MIGRATOR.run(&mut *connection).await.context("cannot migrate the database")?;
    note_generation(&mut connection, SystemClock.now()).await.context("cannot note the generation of the logs")?;
    drop(connection);
    admin.close().await;
    Ok(made)
}
