//! Refreshing the leaderboard: what it ranks, and whom it disturbs.

use std::time::Duration;

use domain::observation::ObservationType::Click;
use domain::source::SourceKind;
use platform::clock::ManualClock;
use projections::catch_up;
use projections::leaderboard::{Refreshed, refresh, refresh_if_due, run};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, at, campaign, clicked, created, observed, opened_in, pools, registered, source};
use crate::support::replaying::rebuild;

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
async fn ranks_live_rows_only(options: PgPoolOptions, connect: PgConnectOptions) {
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
async fn concurrent_refreshes_take_turns_and_keep_unchanged_rows(options: PgPoolOptions, connect: PgConnectOptions) {
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
async fn refresh_blocks_neither_readers_nor_projector(options: PgPoolOptions, connect: PgConnectOptions) {
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
        sqlx::query("ALTER TABLE read.rollup_15m DETACH PARTITION read.rollup_15m_e1").execute(&mut *dropping).await;
    assert_eq!(refused.unwrap_err().as_database_error().unwrap().code().unwrap(), "55P03");
    dropping.rollback().await.unwrap();
    refreshing.rollback().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn refreshes_periodically(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    clicked_log(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    let stop = CancellationToken::new();
    let clock = ManualClock::new(at(NOON));
    let running = tokio::spawn(run(pool.clone(), clock.shared(), Duration::from_mins(1), stop.clone()));
    while ranked(&admin).await.is_empty() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn refresh_is_due_after_interval_and_for_new_workspace(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let first = clicked_log(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    let every = Duration::from_mins(1);
    assert!(refresh_if_due(&pool, at(NOON), every).await.unwrap());
    assert!(!refresh_if_due(&pool, at("2026-11-22T12:00:59Z"), every).await.unwrap());
    assert!(refresh_if_due(&pool, at("2026-11-22T12:01:00Z"), every).await.unwrap());
    // A clock that was ahead does not count.
    assert!(refresh_if_due(&pool, at(NOON), every).await.unwrap());
    // A workspace that begins does not wait.
    let second = clicked_log(&admin, 1).await;
    assert!(!refresh_if_due(&pool, at(NOON), every).await.unwrap());
    catch_up(&pool).await.unwrap();
    assert!(refresh_if_due(&pool, at(NOON), every).await.unwrap());
    assert!(!refresh_if_due(&pool, at(NOON), every).await.unwrap());
    let there: Vec<i32> = ranked(&admin).await.into_iter().map(|(workspace, ..)| workspace).collect();
    assert_eq!(there, [first.workspace, second.workspace]);
    // While somebody else is at it, nobody is.
    let mut refreshing = pool.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(hashtext('highwater.leaderboard'))")
        .execute(&mut *refreshing)
        .await
        .unwrap();
    assert!(!refresh_if_due(&pool, at("2026-11-22T13:00:00Z"), every).await.unwrap());
}

/// What the quarters of a workspace's last days come to, by campaign.
async fn added_up(admin: &PgPool, workspace: i32, days: i32) -> Vec<(uuid::Uuid, i64)> {
    sqlx::query_as(
        "SELECT i.campaign_id, sum(i.value)::bigint FROM read.leaderboard_days d
         JOIN read.rollup_15m i ON i.workspace = d.workspace AND i.bucket >= d.starts_at AND i.bucket < d.ends_at
         WHERE d.workspace = $1 AND d.days_ago < $2 AND i.measure = 'clicks' GROUP BY 1 ORDER BY 1",
    )
    .bind(workspace)
    .bind(days)
    .fetch_all(admin)
    .await
    .unwrap()
}

/// Days are added up from days, hours and quarters of UTC, whichever fit.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn sums_match_in_every_zone(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    // The clocks of Lord Howe are set by half an hour; those of Berlin and New York were within the 30 days.
    let zones =
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati"];
    let first = at("2026-10-20T00:00:00Z");
    let mut logs = Vec::new();
    for zone in zones {
        let mut log = Log::empty(&admin).await;
        log.append_all([opened_in(zone), created(campaign(1)), created(campaign(2))]).await;
        log.append(registered(source(1), SourceKind::Push)).await;
        // Every five quarters, so that every quarter of a day has its turn; each moment is another sum.
        let seen: Vec<_> = (0..700)
            .map(|n| {
                let when = first + chrono::TimeDelta::minutes(75 * n);
                (campaign(1 + u128::from(n % 3 == 0)), Click, when, 1 + n % 7, None)
            })
            .collect();
        log.append(observed(source(1), &seen)).await;
        logs.push(log.workspace);
    }
    catch_up(&pool).await.unwrap();
    for now in ["2026-11-22T12:00:00Z", "2026-11-22T23:59:59Z", "2026-11-01T10:20:00Z"] {
        refresh(&pool, at(now)).await.unwrap();
        for (workspace, zone) in logs.iter().zip(zones) {
            for days in [7, 30] {
                let ranked: Vec<(uuid::Uuid, i64)> = sqlx::query_as(
                    "SELECT campaign_id, value::bigint FROM read.leaderboard
                     WHERE workspace = $1 AND days = $2 AND measure = 'clicks' ORDER BY 1",
                )
                .bind(workspace)
                .bind(days)
                .fetch_all(&admin)
                .await
                .unwrap();
                let expected = added_up(&admin, *workspace, days).await;
                assert_eq!(expected.len(), 2);
                assert_eq!(ranked, expected, "{zone}, {days} days at {now}");
            }
        }
    }
}
