//! How long epochs are kept when nobody reads them any more.

use std::time::Duration;

use chrono::TimeDelta;
use platform::clock::ManualClock;
use projections::{EpochMaintenance, EpochState, ReplayError, ReplayOptions, catch_up, drop_old, replay};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{at, campaign, clicked, pools, source};
use crate::support::replaying::{
    MODEL, applied, epochs, looking_after, noon, of_all, only, rebuild, rebuild_with, unseen, varied,
};
use crate::support::rows::{counted, live_epoch};

/// Runs a projector at an instant until these are the epochs.
async fn maintain_until(admin: &PgPool, pool: &PgPool, clock: &ManualClock, expected: &[i32]) {
    let shutdown = CancellationToken::new();
    let upkeep = EpochMaintenance { every: Duration::from_millis(10), ..EpochMaintenance::new(clock.shared()) };
    let config = looking_after(upkeep);
    let running = tokio::spawn(projections::run(pool.clone(), config, shutdown.clone()));
    while epochs(admin).await != applied(expected) {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

async fn dated(pool: &PgPool, epoch: i32) -> Option<chrono::DateTime<chrono::Utc>> {
    projections::epochs(pool).await.unwrap().into_iter().find(|found| found.epoch == epoch).unwrap().drop_at
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn follows_old_epoch_until_its_drop_date(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    let clock = ManualClock::new(noon());
    let keeping = ReplayOptions { keep_old: Duration::from_hours(2), clock: clock.shared(), ..of_all() };
    rebuild_with(&pool, &keeping).await.unwrap();
    assert_eq!((dated(&pool, 1).await, dated(&pool, 2).await), (Some(noon() + TimeDelta::hours(2)), None));

    clock.advance(TimeDelta::minutes(119));
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    maintain_until(&admin, &pool, &clock, &[1, 2]).await;
    catch_up(&pool).await.unwrap();
    let old: i64 = sqlx::query_scalar("SELECT coalesce(sum(value), 0)::bigint FROM read.rollup_15m WHERE epoch = 1")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert_eq!(old, 4);

    clock.advance(TimeDelta::minutes(1));
    maintain_until(&admin, &pool, &clock, &[2]).await;
    assert_eq!((live_epoch(&admin, log.workspace).await, counted(&admin, log.workspace).await), (2, 4));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn keeps_no_old_epoch_if_told_so(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    rebuild_with(&pool, &ReplayOptions { keep_old: Duration::ZERO, ..of_all() }).await.unwrap();
    assert_eq!(epochs(&admin).await, applied(&[2]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn drops_unread_epochs_on_request(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let logs = [varied(&admin, 30).await, varied(&admin, 30).await];
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    // A replay that stops before anybody has switched leaves its epoch.
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    replay(&pool, MODEL, &of_all(), &unseen, shutdown).await.unwrap();
    let states = epochs(&admin).await;
    assert_eq!(states, [(1, "applied".into()), (2, "applied".into()), (3, "building".into())]);

    assert_eq!(drop_old(&pool, MODEL).await.unwrap(), [1, 3]);
    assert_eq!(epochs(&admin).await, applied(&[2]));
    assert_eq!(drop_old(&pool, MODEL).await.unwrap(), Vec::<i32>::new());
    for log in &logs {
        assert_eq!(counted(&admin, log.workspace).await, 30);
    }
    assert!(matches!(drop_old(&pool, "horoscopes").await, Err(ReplayError::UnknownProjection(_))));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn keeps_rollback_targets(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (one, _other) = (varied(&admin, 3).await, varied(&admin, 3).await);
    catch_up(&pool).await.unwrap();
    rebuild_with(&pool, &only(&[one.workspace])).await.unwrap();
    // Then all of them: one comes from epoch 2, the other from 1.
    rebuild(&pool).await;
    assert_eq!(epochs(&admin).await, applied(&[1, 2, 3]));
    let (first, second) = (dated(&pool, 1).await, dated(&pool, 2).await);
    assert_eq!((first, second), (Some(noon() + TimeDelta::hours(24)), Some(noon() + TimeDelta::hours(24))));
    rebuild(&pool).await;
    assert_eq!(epochs(&admin).await, applied(&[3, 4]));
    let states: Vec<_> = projections::epochs(&pool).await.unwrap().iter().map(|epoch| epoch.state).collect();
    assert_eq!(states, [EpochState::Kept, EpochState::Live]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn maintenance_finishes_replay_that_died_at_its_last_step(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    // Dead between its last switch and its end.
    sqlx::query("UPDATE read.epochs SET state = 'building' WHERE epoch = 2").execute(&admin).await.unwrap();
    sqlx::query("UPDATE read.epochs SET drop_at = NULL").execute(&admin).await.unwrap();
    maintain_until(&admin, &pool, &ManualClock::new(noon()), &[1, 2]).await;
    assert_eq!(dated(&pool, 1).await, Some(noon() + TimeDelta::hours(24)));
    // And dead between condemning an epoch and dropping its tables.
    sqlx::query("UPDATE read.epochs SET state = 'dropping' WHERE epoch = 1").execute(&admin).await.unwrap();
    sqlx::query("SELECT read.drop_epoch_table('campaigns', 1)").execute(&admin).await.unwrap();
    maintain_until(&admin, &pool, &ManualClock::new(noon()), &[2]).await;
}
