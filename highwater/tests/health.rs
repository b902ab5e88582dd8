//! What `/readyz` says of each role, when the work stands still, when a log is broken, and when the database is away.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use highwater::system::{self, ProjectorLimits, RunningSystem, SystemConfig};
use highwater::{tls, workspace};
use platform::clock::SystemClock;
use platform::database::DatabaseConfig;
use platform::notifications::{NotificationListener, READ_CHANNEL};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

const PATIENCE: Duration = Duration::from_secs(30);

async fn start(pool: &PgPool, projector_limits: ProjectorLimits) -> RunningSystem {
    tls::install_provider();
    let url = SecretString::from(pool.connect_options().to_url_lossy().to_string());
    let database = DatabaseConfig { max_connections: 4, ..DatabaseConfig::at(url) };
    let health_addr = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let config = SystemConfig { health_addr, projector_limits, ..SystemConfig::all_roles(database) };
    system::start(config, SystemClock::shared()).await.unwrap()
}

/// Opens a workspace: its log has one event.
async fn open(pool: &PgPool, name: &str) -> i32 {
    let url = SecretString::from(pool.connect_options().to_url_lossy().to_string());
    let (zone, currency) = ("UTC".parse().unwrap(), "EUR".parse().unwrap());
    let database = DatabaseConfig { max_connections: 2, ..DatabaseConfig::at(url) };
    workspace::find_or_open(pool, &database, name, zone, currency, &SystemClock::shared()).await.unwrap().id
}

/// Looks again whenever a projector has committed something.
async fn applied(pool: &PgPool) {
    let mut commits = NotificationListener::new(pool.clone(), READ_CHANNEL, PATIENCE);
    let deadline = Instant::now() + PATIENCE;
    commits.changed().await;
    while projections::status(pool).await.unwrap().iter().any(|log| log.lag_events > 0) {
        assert!(Instant::now() < deadline, "nothing is applied");
        commits.changed().await;
    }
}

async fn readiness(door: Option<SocketAddr>) -> (u16, Value) {
    let answer = reqwest::get(format!("http://{}/readyz", door.unwrap())).await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (status, body["not_ready"].clone())
}

/// Waits until a door says that these are missing; nothing is missing when it is ready. A door is asked: it tells nobody by itself.
async fn until_missing(door: Option<SocketAddr>, parts: &[&str]) {
    let expected = if parts.is_empty() { (200, Value::Null) } else { (503, json!(parts)) };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = readiness(door).await;
        if said == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{said:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The projector waits for a row while an event is there to be applied. Readers are not concerned.
async fn stands_still(pool: &PgPool, limits: ProjectorLimits, missing: &str) {
    let acme = open(pool, "acme").await;
    let system = start(pool, limits).await;
    applied(pool).await;
    until_missing(system.health_addr, &[]).await;
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM read.checkpoints WHERE workspace = $1 FOR UPDATE")
        .bind(acme)
        .execute(&mut *holding)
        .await
        .unwrap();
    sqlx::query(
        "WITH again AS (
             INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                     workspace, position, recorded_at)
             SELECT aggregate_type, aggregate_id, 2, event_type, event_version, payload, metadata, workspace, 2, now()
             FROM log.events WHERE workspace = $1
         )
         UPDATE log.heads SET position = 2 WHERE workspace = $1",
    )
    .bind(acme)
    .execute(pool)
    .await
    .unwrap();
    until_missing(system.health_addr, &[missing]).await;
    assert_eq!(readiness(system.read_addr).await.0, 200);
    assert_eq!(readiness(system.command_addr).await.0, 200);
    holding.rollback().await.unwrap();
    until_missing(system.health_addr, &[]).await;
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stalled_projector_is_not_ready(pool: PgPool) {
    let limits = ProjectorLimits { silence: Duration::from_secs(2), ..ProjectorLimits::default() };
    stands_still(&pool, limits, "projector").await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn projector_with_old_unapplied_events_is_not_ready(pool: PgPool) {
    let limits = ProjectorLimits { lag: Duration::from_secs(2), ..ProjectorLimits::default() };
    stands_still(&pool, limits, "lag").await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stopped_log_keeps_the_process_ready(pool: PgPool) {
    let (torn, whole) = (open(&pool, "torn").await, open(&pool, "whole").await);
    sqlx::query("DELETE FROM log.events WHERE workspace = $1").bind(torn).execute(&pool).await.unwrap();
    let limits = ProjectorLimits { lag: Duration::ZERO, ..ProjectorLimits::default() };
    let system = start(&pool, limits).await;
    let deadline = Instant::now() + PATIENCE;
    // A log that stops is not announced: its rows did not move.
    while !projections::status(&pool).await.unwrap().iter().any(|log| log.stopped.is_some()) {
        assert!(Instant::now() < deadline, "nothing has stopped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for door in [system.health_addr, system.read_addr, system.command_addr] {
        until_missing(door, &[]).await;
    }
    // When none can go on, the projector is of no use; readers still are.
    sqlx::query("DELETE FROM log.heads WHERE workspace = $1").bind(whole).execute(&pool).await.unwrap();
    until_missing(system.health_addr, &["projector"]).await;
    assert_eq!(readiness(system.read_addr).await.0, 200);
    system.shutdown().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn no_role_is_ready_without_the_database(pool: PgPool) {
    let system = start(&pool, ProjectorLimits::default()).await;
    let doors = [system.health_addr, system.read_addr, system.command_addr];
    for door in doors {
        until_missing(door, &[]).await;
    }
    let own = pool.connect_options().get_database().unwrap().to_owned();
    let mut beside =
        PgConnection::connect_with(&pool.connect_options().as_ref().clone().database("postgres")).await.unwrap();
    let mut allow = async |allowed: bool| {
        sqlx::query(&format!("ALTER DATABASE \"{own}\" ALLOW_CONNECTIONS {allowed}"))
            .execute(&mut beside)
            .await
            .unwrap();
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind(&own)
            .execute(&mut beside)
            .await
            .unwrap();
    };
    allow(false).await;
    for door in doors {
        until_missing(door, &["database"]).await;
    }
    let shown = reqwest::get(format!("http://{}/metrics", system.command_addr.unwrap())).await.unwrap();
    assert!(shown.text().await.unwrap().contains("highwater_projection_measured_age_seconds"));
    allow(true).await;
    for door in doors {
        until_missing(door, &[]).await;
    }
    system.shutdown().await.unwrap();
}
