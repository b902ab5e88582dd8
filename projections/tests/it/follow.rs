//! Catching up, following, and telling how far it is.

use std::time::Duration;

use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusBuilder;
use platform::clock::ManualClock;
use platform::notifications::READ_CHANNEL;
use platform::telemetry::render_once;
use projections::{LagMonitor, PROJECTIONS, ProjectorConfig, ProjectorError, catch_up};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::logs::{Log, at, campaign, clicked, pools, projector_pool, recorded_at, source};
use crate::support::replaying::of_all;
use crate::support::rows::{checkpoint, counted, parked};

fn projector() -> ProjectorConfig {
    ProjectorConfig::new(PROJECTIONS, Uuid::now_v7(), "test".to_owned())
}

fn click() -> crate::support::logs::TestEvent {
    clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn catch_up_without_events_succeeds(options: PgPoolOptions, connect: PgConnectOptions) {
    let (_, pool) = pools(options, connect).await;
    catch_up(&pool).await.unwrap();
    catch_up(&pool).await.unwrap();
    assert!(projections::status(&pool).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn measures_status_against_true_head(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append(click()).await;
    let unmet = projections::status(&pool).await.unwrap().remove(0);
    assert_eq!((unmet.epoch, unmet.head, unmet.checkpoint, unmet.lag_events), (None, 2, 0, 2));
    assert_eq!(unmet.oldest_unapplied, Some(recorded_at(1)));

    catch_up(&pool).await.unwrap();
    let met = projections::status(&pool).await.unwrap().remove(0);
    assert_eq!((met.epoch, met.head, met.checkpoint, met.lag_events), (Some(1), 2, 2, 0));
    assert_eq!(met.oldest_unapplied, None);

    log.append(click()).await;
    let behind = projections::status(&pool).await.unwrap().remove(0);
    assert_eq!((behind.checkpoint, behind.lag_events, behind.oldest_unapplied), (2, 1, Some(recorded_at(3))));

    sqlx::query("DELETE FROM read.checkpoints").execute(&admin).await.unwrap();
    let unmarked = projections::status(&pool).await.unwrap().remove(0);
    assert_eq!((unmarked.checkpoint, unmarked.lag_events), (0, 3));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn small_logs_share_a_transaction(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    for _ in 0..20 {
        Log::opened(&admin).await.append(click()).await;
    }
    catch_up(&pool).await.unwrap();
    let transactions: i64 =
        sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM read.checkpoints").fetch_one(&admin).await.unwrap();
    assert_eq!(transactions, 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn applies_long_log_page_by_page(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all((0..2_500).map(|_| click())).await;
    catch_up(&pool).await.unwrap();
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (2_501, 2_500));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn limits_page_size(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all((0..9).map(|_| click())).await;
    let mut conn = pool.acquire().await.unwrap();
    let mut positions = async |after: i64, limit: i64, bytes: i64| {
        let page = event_store::read_page(&mut conn, log.workspace, after, limit, bytes).await.unwrap();
        page.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(7, 100, 1_000_000).await, [8, 9, 10]);
    assert_eq!(positions(0, 3, 1_000_000).await, [1, 2, 3]);
    assert_eq!(positions(10, 3, 1_000_000).await, Vec::<i64>::new());
    // A click takes about 170 bytes.
    assert_eq!(positions(4, 100, 400).await, [5, 6]);
    assert_eq!(positions(4, 100, 1).await, [5]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn running_projector_follows_retries_and_ends(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut readers = PgListener::connect_with(&admin).await.unwrap();
    readers.listen(READ_CHANNEL).await.unwrap();
    let config = ProjectorConfig {
        // So slow that only wake-ups can explain what follows.
        poll: Duration::from_hours(1),
        ..projector()
    };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(projections::run(pool.clone(), config, shutdown.clone()));

    // It waits for its connection to listen before it trusts wake-ups, so one sent now may be early, but is not lost.
    let mut log = Log::opened(&admin).await;
    for count in 1..=5 {
        log.append(click()).await;
        sqlx::query("SELECT pg_notify($1, '')").bind(event_store::LOG_CHANNEL).execute(&admin).await.unwrap();
        while counted(&admin, log.workspace).await < count {
            readers.recv().await.unwrap();
        }
    }

    // Parked parts are tried again by themselves.
    let good: String =
        sqlx::query_scalar("SELECT payload::text FROM log.events WHERE position = 2").fetch_one(&admin).await.unwrap();
    let poison = log.append_raw("observations", &source(1).0.to_string(), "ObservationsRecorded", "{}").await;
    log.append(click()).await;
    sqlx::query("SELECT pg_notify($1, '')").bind(event_store::LOG_CHANNEL).execute(&admin).await.unwrap();
    while parked(&pool).await.is_empty() {
        tokio::task::yield_now().await;
    }
    sqlx::query("UPDATE log.events SET payload = $1::json WHERE position = $2")
        .bind(good)
        .bind(poison)
        .execute(&admin)
        .await
        .unwrap();
    while counted(&admin, log.workspace).await < 7 {
        readers.recv().await.unwrap();
    }

    shutdown.cancel();
    let ended: Result<(), ProjectorError> = running.await.unwrap();
    ended.unwrap();
    assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn running_projector_survives_lost_connections(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let config = ProjectorConfig { poll: Duration::from_millis(20), ..projector() };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(projections::run(pool.clone(), config, shutdown.clone()));
    let mut log = Log::opened(&admin).await;
    for count in 1..=5 {
        log.append(click()).await;
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND query NOT LIKE '%log.heads SET%'",
        )
        .execute(&admin)
        .await
        .unwrap();
        while counted(&admin, log.workspace).await < count {
            tokio::task::yield_now().await;
        }
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 5);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn works_with_fewest_connections(_: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, _) = pools(PgPoolOptions::new(), connect.clone()).await;
    let mut logs = Vec::new();
    for clicks in [1, 2, 3, 1_500] {
        let mut log = Log::opened(&admin).await;
        log.append_all((0..clicks).map(|_| click())).await;
        logs.push((log, clicks));
    }
    catch_up(&projector_pool(connect.clone(), 1).await).await.unwrap();
    let pool = projector_pool(connect, 4).await;
    projections::replay(&pool, "campaign_model", &of_all(), &|_| {}, CancellationToken::new()).await.unwrap();
    for (log, clicks) in &logs {
        assert_eq!(counted(&admin, log.workspace).await, *clicks);
    }
}

/// Waits until all these lines are rendered.
async fn until_rendered(render: impl Fn() -> String, lines: &[&str]) {
    while !lines.iter().all(|line| render().lines().any(|rendered| rendered == *line)) {
        tokio::task::yield_now().await;
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn metrics_report_lag_stops_and_parked_parts(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append(click()).await;
    log.append_raw("meteors", "m", "MeteorFell", "{}").await;
    log.append_all([click(), click()]).await;
    log.tear_out(4).await;
    let mut whole = Log::opened(&admin).await;
    whole.append_all([click(), click()]).await;
    let clock = ManualClock::new(recorded_at(3) + TimeDelta::seconds(90));
    let meter = LagMonitor::new(PROJECTIONS, clock.shared());
    let looked_at = || render_once(|| meter.set_gauges());
    assert!(!looked_at().contains("lag_seconds"), "nothing is measured yet");

    // Nobody follows: what has no checkpoint lacks everything.
    meter.measure(&admin).await.unwrap();
    let before = looked_at();
    for line in ["_logs_behind", "_lag_events_sum", "_lag_events_max"].into_iter().zip([2, 8, 5]) {
        let line = format!("highwater_projection{}{{projection=\"campaign_model\"}} {}", line.0, line.1);
        assert!(before.lines().any(|rendered| rendered == line), "no {line} in {before}");
    }

    let recorder = PrometheusBuilder::new().build_recorder();
    let counted = recorder.handle();
    // Tests run on one thread, so what is spawned here records there.
    let _recording = metrics::set_default_local_recorder(&recorder);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(projections::run(pool.clone(), projector(), shutdown.clone()));
    let measuring = tokio::spawn(meter.clone().run(admin.clone(), Duration::from_millis(5), shutdown.clone()));
    let labels = format!(r#"{{projection="campaign_model",workspace="{}"}}"#, log.workspace);
    let expected = [
        format!("highwater_projection_lag_events{labels} 2"),
        format!("highwater_projection_lag_seconds{labels} 88"),
        format!("highwater_projection_stopped{labels} 1"),
        r#"highwater_projection_logs{projection="campaign_model"} 2"#.to_owned(),
        r#"highwater_projection_logs_behind{projection="campaign_model"} 1"#.to_owned(),
        r#"highwater_projection_logs_stopped{projection="campaign_model"} 1"#.to_owned(),
        r#"highwater_projection_parked{projection="campaign_model"} 1"#.to_owned(),
        r#"highwater_projection_lag_seconds_max{projection="campaign_model"} 88"#.to_owned(),
        r#"highwater_projectors{projection="campaign_model"} 1"#.to_owned(),
    ];
    until_rendered(looked_at, &expected.each_ref().map(String::as_str)).await;
    // The log that has caught up has gauges of its own no more.
    assert!(!looked_at().contains(&format!("workspace=\"{}\"", whole.workspace)));
    until_rendered(|| counted.render(), &[r#"highwater_projection_events_total{projection="campaign_model"} 5"#]).await;

    shutdown.cancel();
    running.await.unwrap().unwrap();
    measuring.await.unwrap();
    // Nobody measures any more: the lag grows on all the same.
    clock.advance(TimeDelta::seconds(10));
    until_rendered(looked_at, &[&format!("highwater_projection_lag_seconds{labels} 98")]).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn number_of_gauges_is_bounded(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, _) = pools(options, connect).await;
    let mut logs = Vec::new();
    for clicks in 0..30 {
        let mut log = Log::opened(&admin).await;
        log.append_all((0..clicks).map(|_| click())).await;
        logs.push(log);
    }
    let meter = LagMonitor::new(PROJECTIONS, ManualClock::new(recorded_at(60)).shared());
    meter.measure(&admin).await.unwrap();
    let rendered = render_once(|| meter.set_gauges());
    let shown: Vec<&str> =
        rendered.lines().filter(|line| line.starts_with("highwater_projection_lag_events{")).collect();
    assert_eq!(shown.len(), 10, "{shown:?}");
    // All are as old, so those that lack most are the worst.
    for log in &logs[20..] {
        let label = format!("workspace=\"{}\"", log.workspace);
        assert!(shown.iter().any(|line| line.contains(&label)), "no {label} in {shown:?}");
    }
    assert!(rendered.contains("highwater_projection_logs_behind{projection=\"campaign_model\"} 30"), "{rendered}");
}
