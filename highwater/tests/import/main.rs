//! Programs that send what others exported, against a whole system: what they sent is looked up in the log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod singer; // taps
mod statements; // files of totals

use std::process::Output;

use chrono::{DateTime, Utc};
use highwater::system::{self, RunningSystem, SystemConfig};
use highwater::workspace;
use platform::clock::SystemClock;
use platform::database::DatabaseConfig;
use platform::keys::{NewKey, insert_key};
use platform::principal::Scope;
use secrecy::SecretString;
use sqlx::{ConnectOptions, PgPool};

const KEY: &str = "hw_import_test";

/// The command API alone: what was imported is looked up in the log.
async fn start(pool: &PgPool) -> RunningSystem {
    let url = SecretString::from(pool.connect_options().to_url_lossy().to_string());
    let database = DatabaseConfig { max_connections: 4, ..DatabaseConfig::at(url) };
    let clock = SystemClock::shared();
    let (zone, currency) = ("Europe/Berlin".parse().unwrap(), "EUR".parse().unwrap());
    let workspace = workspace::find_or_open(pool, &database, "acme", zone, currency, &clock).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let new = NewKey { workspace: workspace.id, name: "import", scopes: &[Scope::Command] };
    insert_key(&mut connection, new, &SecretString::from(KEY), clock.now()).await.unwrap();
    system::start(SystemConfig::all_roles(database), clock).await.unwrap()
}

#[track_caller]
fn said(output: &Output, succeeded: bool) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.success(), succeeded, "{out}{err}");
    format!("{out}{err}")
}

async fn head(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT position FROM log.heads").fetch_one(pool).await.unwrap()
}

/// What the sources now say and have not taken back: campaign, day, measure, value.
async fn stated(pool: &PgPool) -> Vec<(String, String, String, i64)> {
    projections::catch_up(pool).await.unwrap();
    sqlx::query_as(
        "SELECT c.name, s.bucket_date::text, s.measure, s.value::bigint
         FROM read.statements s JOIN read.campaigns c USING (epoch, workspace, campaign_id) JOIN read.sources o USING (epoch, workspace, source_id)
         WHERE s.value IS NOT NULL
         ORDER BY o.name, 1, 2, 3",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// Through when each source is complete.
async fn complete_through(pool: &PgPool) -> Vec<DateTime<Utc>> {
    projections::catch_up(pool).await.unwrap();
    sqlx::query_scalar("SELECT complete_through FROM read.source_syncs ORDER BY 1").fetch_all(pool).await.unwrap()
}
