//! `highwater migrate`: brings the database's schema up to date.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use event_store::MIGRATOR;
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::telemetry;

use crate::config::ConfigSources;

/// The filter of log lines. PostgreSQL notes every table that exists already.
const FILTER: &str = "info,sqlx::postgres::notice=warn";

/// Runs the command.
pub async fn run(config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = ConfigSources::of_process(config).default_to("telemetry.filter", FILTER).load()?;
    telemetry::init(&config.telemetry)?;
    migrate(config.database()?).await?;
    let newest = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    writeln!(
        std::io::stdout(),
        "the schema is up to date: {} migrations, the last is {newest}",
        MIGRATOR.iter().count()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Applies missing migrations. Concurrent runs wait for each other.
pub(super) async fn migrate(database: &DatabaseConfig) -> anyhow::Result<()> {
    let admin = connect(&DatabaseConfig { max_connections: 1, ..database.clone() }, DatabaseRole::Admin).await?;
    MIGRATOR.run(&admin).await.context("cannot migrate the database")?;
    admin.close().await;
    Ok(())
}
