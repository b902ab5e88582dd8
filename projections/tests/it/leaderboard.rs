//! Refreshing the leaderboard: what it ranks, and whom it disturbs.

use std::time::Duration;

use domain::source::SourceKind;
use platform::clock::ManualClock;
use projections::catch_up;
use projections::leaderboard::{Refreshed, refresh, run};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::given::{Log, at, campaign, clicked, created, pools, registered, source};
use crate::replaying::rebuild;

const NOON: &str = "2026-11-22T12:00:00Z";

async fn clicked_log(admin: &PgPool, clicks: usize) -> Log {
    let mut log = Log::opened(admin).await;
    log.append_all([created(campaign(1)), registered(source(1), SourceKind::Push)]).await;
    log.append_all((0..clicks).map(|_| clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z")))).await;
    log
}

/// What is ranked by clicks over 7 days: workspace, epoch and position of the refresh, value.
async fn ranked(pool: &PgPool) -> Vec<(i32, i32, i64, i64)> {
    sqlx::query_as(
        "SELECT r.workspace, b.epoch, b.position, r.value::bigint FROM read.leaderboard r
         JOIN read.leaderboard b ON b.workspace = r.workspace AND b.days = r.days AND b.measure = ''
         WHERE r.days = 7 AND r.measure = 'clicks' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn only_live_rows_are_ranked(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (one, other) = (clicked_log(&admin, 3).await, clicked_log(&admin, 5).await);
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    let refreshed = refresh(&pool, at("2026-11-22T12:00:00.75Z")).await.unwrap();
    // A whole second, because versions tell no finer ones apart.
    assert_eq!(refreshed, Refreshed { as_of: at(NOON), workspaces: 2 });
    let expected = vec![(one.workspace, 2, one.head(), 3), (other.workspace, 2, other.head(), 5)];
    assert_eq!(ranked(&admin).await, expected);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn refreshes_take_turns_and_leave_alone_what_stays(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    clicked_log(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    refresh(&pool, at(NOON)).await.unwrap();
    let written = "SELECT xmin::text FROM read.leaderboard WHERE measure <> '' ORDER BY days, measure";
    let before: Vec<String> = sqlx::query_scalar(written).fetch_all(&admin).await.unwrap();
    let later = at("2026-11-22T12:01:00Z");
    let (first, second) = tokio::join!(refresh(&pool, later), refresh(&pool, later));
    assert_eq!(first.unwrap(), second.unwrap());
    let after: Vec<String> = sqlx::query_scalar(written).fetch_all(&admin).await.unwrap();
    assert!(!before.is_empty());
    assert_eq!(after, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn readers_and_the_projector_go_on_during_a_refresh(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = clicked_log(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    refresh(&pool, at(NOON)).await.unwrap();
    let before = ranked(&admin).await;
    // One that does not end.
    let mut conn = pool.acquire().await.unwrap();
    let mut refreshing = conn.begin().await.unwrap();
    sqlx::query("REFRESH MATERIALIZED VIEW CONCURRENTLY read.leaderboard").execute(&mut *refreshing).await.unwrap();
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(ranked(&admin).await, before);
    // Who drops an epoch's table tries again later, and waits no longer than it said.
    let mut dropping = admin.begin().await.unwrap();
    sqlx::query("SET LOCAL lock_timeout = '50ms'").execute(&mut *dropping).await.unwrap();
    let refused =
        sqlx::query("ALTER TABLE read.increments DETACH PARTITION read.increments_e1").execute(&mut *dropping).await;
    assert_eq!(refused.unwrap_err().as_database_error().unwrap().code().unwrap(), "55P03");
    dropping.rollback().await.unwrap();
    refreshing.rollback().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn it_is_refreshed_by_itself_as_time_passes(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    clicked_log(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    // Its turns come each millisecond, but no time passes until the clock is set.
    let clock = ManualClock::new(at(NOON));
    let stop = CancellationToken::new();
    let every = Duration::from_millis(1);
    let running = tokio::spawn(run(pool.clone(), clock.shared(), every, stop.clone()));
    while ranked(&admin).await.is_empty() {
        tokio::task::yield_now().await;
    }
    clock.set(at("2026-11-22T13:00:00Z"));
    let as_of = "SELECT max(as_of) FROM read.leaderboard";
    while sqlx::query_scalar::<_, chrono::DateTime<chrono::Utc>>(as_of).fetch_one(&admin).await.unwrap()
        < at("2026-11-22T13:00:00Z")
    {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
}
