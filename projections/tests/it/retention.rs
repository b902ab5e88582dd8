//! What is kept of months: dropped from the tables, never from the log.

use projections::retention::{self, RetentionError};
use projections::{ReplayOutcome, catch_up};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, clicked, naming, pools, source};
use crate::support::replaying;
use crate::support::rows::{counted, everything, live_rows};

/// A click in each of these months, on an ad of its own.
async fn clicked_in(log: &mut Log, months: &[&str]) {
    for month in months {
        let click = clicked(source(1), campaign(1), at(&format!("{month}-15T10:00:00Z")));
        log.append(naming(click, &[&[("ad", month)]])).await;
    }
}

async fn rebuild(pool: &PgPool) -> i32 {
    match replaying::rebuild(pool).await {
        ReplayOutcome::Completed { epoch, .. } => epoch,
        ReplayOutcome::Interrupted { .. } => panic!("nobody interrupts it"),
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_gives_kept_months_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    clicked_in(&mut log, &["2026-07", "2026-08", "2026-09", "2026-10", "2026-11"]).await;
    catch_up(&pool).await.unwrap();
    let now = at("2026-11-22T12:00:00Z");
    retention::set(&admin, None, Some(2), now).await.unwrap();
    let dropped = retention::maintain(&admin, now).await.unwrap();
    assert_eq!(dropped.len(), 2 * 4, "{dropped:?}");
    assert_eq!(counted(&admin, log.workspace).await, 3);

    // Late ones on either side of the bound, in batches of their own.
    clicked_in(&mut log, &["2026-08", "2026-09"]).await;
    catch_up(&pool).await.unwrap();
    clicked_in(&mut log, &["2026-07"]).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 4);
    assert_eq!(retention::maintain(&admin, now).await.unwrap(), Vec::<String>::new());
    let before = live_rows(&admin, log.workspace).await;
    // Values are counted whatever is kept of their numbers.
    assert!(before.contains("2026-07,1)"), "{before}");
    let epoch = rebuild(&pool).await;
    assert_eq!(everything(&admin, log.workspace, epoch, &[]).await, before);

    // A month later the bound has moved on, in every epoch.
    let later = at("2026-12-01T00:00:00Z");
    assert_eq!(retention::maintain(&admin, later).await.unwrap().len(), 2 * 4);
    assert_eq!(counted(&admin, log.workspace).await, 2);
    let before = live_rows(&admin, log.workspace).await;
    assert_eq!(everything(&admin, log.workspace, 1, &[]).await, before);
    let epoch = rebuild(&pool).await;
    assert_eq!(everything(&admin, log.workspace, epoch, &[]).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuild_restores_dropped_months(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    clicked_in(&mut log, &["2025-11", "2026-11"]).await;
    catch_up(&pool).await.unwrap();
    let whole = live_rows(&admin, log.workspace).await;
    let now = at("2026-11-22T12:00:00Z");
    retention::set(&admin, None, Some(6), now).await.unwrap();
    retention::maintain(&admin, now).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 1);

    // The epoch stays as it is, whatever arrives late: half a month would be worse than none.
    retention::set(&admin, None, None, now).await.unwrap();
    clicked_in(&mut log, &["2025-11"]).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 1);
    let kept = retention::list(&admin).await.unwrap();
    assert!(kept.iter().all(|kept| kept.before.is_none() && kept.dropped_before == Some(at("2026-05-01T00:00:00Z"))));
    rebuild(&pool).await;
    assert_eq!(counted(&admin, log.workspace).await, 3);
    assert_ne!(live_rows(&admin, log.workspace).await, whole);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn keeps_months_for_readers_older_than_the_bound(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    clicked_in(&mut log, &["2025-11", "2026-11"]).await;
    catch_up(&pool).await.unwrap();
    let now = at("2026-11-22T12:00:00Z");
    // As the read API reads: its snapshot is taken before it reads any numbers.
    let mut reader = admin.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
    sqlx::query("SELECT count(*) FROM read.epoch_retention").execute(&mut *reader).await.unwrap();
    retention::set(&admin, None, Some(6), now).await.unwrap();
    assert_eq!(retention::maintain(&admin, now).await.unwrap(), Vec::<String>::new());
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM read.rollup_15m").fetch_one(&mut *reader).await.unwrap();
    assert_eq!(seen, 2);
    reader.rollback().await.unwrap();
    assert_eq!(retention::maintain(&admin, now).await.unwrap().len(), 4);
    assert_eq!(counted(&admin, log.workspace).await, 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_retention_of_tables_without_time(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, _) = pools(options, connect).await;
    let refused = retention::set(&admin, Some("campaigns"), Some(6), at("2026-11-22T12:00:00Z")).await;
    match refused {
        Err(RetentionError::UnknownTable { table, tables }) => {
            assert_eq!(table, "campaigns");
            assert!(tables.contains(&"rollup_15m".to_owned()), "{tables:?}");
        }
        other => panic!("not refused: {other:?}"),
    }
}
