//! `highwater migrate`: brings the database's schema up to date.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use event_store::{MIGRATOR, note_generation};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::telemetry;
use sqlx::PgPool;

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
    check_whole(&admin).await?;
    let mut connection = admin.acquire().await?;
    note_generation(&mut connection, SystemClock.now()).await.context("cannot note the generation of the logs")?;
    drop(connection);
    admin.close().await;
    Ok(())
}

/// Fails if the database lacks what its migrations made: it was restored in part, or into a cluster without the roles.
async fn check_whole(admin: &PgPool) -> anyhow::Result<()> {
    let schemas = sqlx::query_scalar!(
        r#"SELECT name AS "name!" FROM unnest(ARRAY['auth', 'log', 'read']) name WHERE to_regnamespace(name) IS NULL"#
    )
    .fetch_all(admin)
    .await?;
    anyhow::ensure!(
        schemas.is_empty(),
        "the migrations are applied, but the schema `{}` is missing: restore a dump of the whole database",
        schemas.join("`, `")
    );
    let roles = sqlx::query_scalar!(
        r#"SELECT name AS "name!"
           FROM unnest(ARRAY['highwater_command', 'highwater_projector', 'highwater_read']) name
           LEFT JOIN pg_roles ON rolname = name
           WHERE CASE WHEN rolname IS NULL THEN true ELSE NOT has_schema_privilege(rolname, 'log', 'USAGE') END"#
    )
    .fetch_all(admin)
    .await?;
    anyhow::ensure!(
        roles.is_empty(),
        "the role `{}` is missing or lacks its rights, because this cluster did not have it when the database was \
         restored: run `highwater migrate` on an empty database of this cluster, and restore the dump again",
        roles.join("`, `")
    );
    Ok(())
}
