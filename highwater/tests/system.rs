//! A system in this process: its health, its days, and the demo's life in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use event_store::LOG_CHANNEL;
use highwater::client::ApiClient;
use highwater::demo::{setup, traffic};
use highwater::system::{self, RunningSystem, SystemConfig, maintenance};
use highwater::{tls, workspace};
use platform::clock::{Clock, SystemClock};
use platform::database::DatabaseConfig;
use platform::keys::{NewKey, insert_key};
use platform::notifications::NotificationListener;
use platform::principal::Scope;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{ConnectOptions, PgPool};
use tokio_util::sync::CancellationToken;

const KEY: &str = "hw_system_test";

async fn start(pool: &PgPool) -> (RunningSystem, ApiClient) {
    let url = SecretString::from(pool.connect_options().to_url_lossy().to_string());
    let database = DatabaseConfig { max_connections: 4, ..DatabaseConfig::at(url) };
    let clock = SystemClock::shared();
    let (zone, currency) = ("Europe/Berlin".parse().unwrap(), "EUR".parse().unwrap());
    let workspace = workspace::find_or_open(pool, &database, "demo", zone, currency, &clock).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let new = NewKey { workspace: workspace.id, name: "test", scopes: &Scope::ALL };
    insert_key(&mut connection, new, &SecretString::from(KEY), clock.now()).await.unwrap();
    let system = system::start(SystemConfig::all_roles(database), clock).await.unwrap();
    let server = format!("http://{}", system.command_addr.unwrap());
    let client = ApiClient::new(&server, &SecretString::from(KEY), 3).unwrap();
    (system, client)
}

async fn head(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT position FROM log.heads").fetch_one(pool).await.unwrap()
}

async fn readiness(system: &RunningSystem) -> (u16, Value) {
    tls::install_provider();
    let answer = reqwest::get(format!("http://{}/readyz", system.read_addr.unwrap())).await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn missing_migration_is_not_ready(pool: PgPool) {
    let (system, _) = start(&pool).await;
    assert_eq!(readiness(&system).await.0, 200);
    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .execute(&pool)
        .await
        .unwrap();
    let (status, body) = readiness(&system).await;
    assert_eq!((status, &body["not_ready"]), (503, &serde_json::json!(["schema"])));
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn maintenance_creates_coming_days_and_drops_past_ones(pool: PgPool) {
    let today: NaiveDate = "2026-11-21".parse().unwrap();
    // A source with the longest horizon may still send what occurred on 2026-08-23.
    // The period of 30 days that holds the oldest day of this window began on 2026-08-05, and the one before on 2026-07-06.
    let days = [
        "2026-07-06",
        "2026-07-19",
        "2026-07-20",
        "2026-08-05",
        "2026-08-18",
        "2026-08-20",
        "2026-08-21",
        "2026-11-16",
        "2026-11-17",
    ];
    for day in days {
        let day: NaiveDate = day.parse().unwrap();
        sqlx::query("SELECT log.ensure_day($1)").bind(day).execute(&pool).await.unwrap();
    }
    let dropped = maintenance::maintain_days(&pool, today).await.unwrap();
    let over = [
        "item_ids_20260706",
        "item_ids_20260719",
        "item_ids_20260720",
        "item_ids_20260818",
        "item_ids_20260820",
        "item_batches_20260706",
        "item_batches_20260719",
        "receipts_20260706",
        "receipts_20260719",
        "receipts_20260720",
        "receipts_20260805",
        "receipts_20260818",
        "receipts_20260820",
        "receipts_20260821",
        "receipts_20261116",
        "rejections_20260706",
        "rejections_20260719",
        "rejections_20260720",
        "rejections_20260805",
        "rejections_20260818",
        "rejections_20260820",
        "rejections_20260821",
    ];
    assert_eq!(dropped, over);
    let left: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class JOIN pg_inherits ON inhrelid = oid
         WHERE relnamespace = 'log'::regnamespace AND relkind = 'r' AND relname LIKE 'item_ids_%' ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let days = ["20260805", "20260821", "20261116", "20261117", "20261121", "20261122", "20261123"];
    assert_eq!(left, days.map(|day| format!("item_ids_{day}")));
    assert_eq!(maintenance::maintain_days(&pool, today).await.unwrap(), Vec::<String>::new());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrections_are_forgotten_with_their_ids(pool: PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let workspace = event_store::open_workspace(&mut conn, "acme", SystemClock.now()).await.unwrap();
    for (kind, key) in [
        ("correction", "2026-08-04/a"),
        ("correction", "2026-08-05/b"),
        ("correction", "2026-11-21/c"),
        ("campaign", "2026-08-20"),
        ("statement", "2026-08-20"),
    ] {
        sqlx::query("INSERT INTO log.claims (workspace, kind, key, owner, state) VALUES ($1, $2, $3, 'o', 's')")
            .bind(workspace)
            .bind(kind)
            .bind(key)
            .execute(&pool)
            .await
            .unwrap();
    }
    maintenance::maintain_days(&pool, "2026-11-21".parse().unwrap()).await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("SELECT kind || ' ' || key FROM log.claims ORDER BY 1").fetch_all(&pool).await.unwrap();
    assert_eq!(
        left,
        ["campaign 2026-08-20", "correction 2026-08-05/b", "correction 2026-11-21/c", "statement 2026-08-20"]
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_demo_setup_appends_nothing(pool: PgPool) {
    let (system, client) = start(&pool).await;
    let now = SystemClock.now();
    setup::run(&client, now, now, 5).await.unwrap();
    let campaigns: i64 = sqlx::query_scalar("SELECT count(*) FROM log.events WHERE event_type = 'CampaignCreated'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(usize::try_from(campaigns).unwrap(), highwater::demo::scenario::CAMPAIGNS.len());
    let after_first = head(&pool).await;

    setup::run(&client, now, now, 5).await.unwrap();
    assert_eq!(head(&pool).await, after_first);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn demo_sends_until_stopped(pool: PgPool) {
    let (system, client) = start(&pool).await;
    let opened_at: DateTime<Utc> = SystemClock.now();
    let stop = CancellationToken::new();
    let sending = tokio::spawn(traffic::run(client, opened_at, 50, SystemClock::shared(), stop.clone()));
    let live =
        "SELECT count(*) FROM log.events WHERE event_type = 'ObservationsRecorded' AND payload::text LIKE '%country%'";
    // Looks again whenever something was appended.
    let mut appends = NotificationListener::new(pool.clone(), LOG_CHANNEL, Duration::from_mins(2));
    let sent = async {
        appends.changed().await;
        while sqlx::query_scalar::<_, i64>(live).fetch_one(&pool).await.unwrap() == 0 {
            appends.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), sent).await.unwrap();
    stop.cancel();
    sending.await.unwrap().unwrap();
    system.shutdown().await.unwrap();
}
