//! How a new epoch is filled: under little memory, and where rows are that should not be.

use std::collections::BTreeSet;
use std::sync::Mutex;

use chrono::TimeDelta;
use domain::event::Event;
use domain::observation::ObservationType;
use projections::{
    ReplayError, ReplayMemory, ReplayOptions, ReplayOutcome, ReplayProgress, SwitchBlocked, catch_up, parked, replay,
};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, TestEvent, at, campaign, observed, pools, source};
use crate::support::replaying::{MODEL, epochs, of_all, rebuild, rebuild_with, unseen, varied};
use crate::support::rows::{live_epoch, live_rows};

/// Events that a replay does not leave to the switch, and has to fill.
const LONG: usize = 1_100;
/// Campaigns that each event has an observation of.
const CAMPAIGNS: u128 = 4;

/// An event of a quarter of its own but for its last observation, which comes late, and of four thousand bytes.
fn quarter(n: usize) -> TestEvent {
    let start = |n: usize| at("2026-11-01T00:00:00Z") + TimeDelta::minutes(15 * i64::try_from(n).unwrap());
    let seen: Vec<_> = (0..CAMPAIGNS)
        .map(|id| {
            let occurred_at = if id + 1 == CAMPAIGNS { start(n / 2) } else { start(n) };
            (campaign(id), ObservationType::Click, occurred_at, 1, Some(i64::try_from(n).unwrap()))
        })
        .collect();
    let TestEvent { stream, event } = observed(source(1), &seen);
    let Event::Observations(mut batch) = event else { unreachable!("a batch of observations") };
    for one in &mut batch.observations {
        one.id = format!("{:0>1000}", one.id);
    }
    TestEvent { stream, event: Event::Observations(batch) }
}

/// Replays everything with so much memory; says in how many steps a log was filled.
async fn steps(pool: &PgPool, mib: u32) -> usize {
    let reached = Mutex::new(BTreeSet::new());
    let note = |progress: ReplayProgress| {
        reached.lock().unwrap().insert(progress.events_done);
    };
    let options = ReplayOptions { memory: ReplayMemory::of_mib(mib).unwrap(), ..of_all() };
    let outcome = replay(pool, MODEL, &options, &note, CancellationToken::new()).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Completed { .. }), "{outcome:?}");
    // It began with nothing.
    reached.lock().unwrap().len() - 1
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn little_memory_gives_same_rows_in_more_transactions(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all((0..LONG).map(quarter)).await;
    catch_up(&pool).await.unwrap();
    let live = live_rows(&admin, log.workspace).await;

    assert_eq!(steps(&pool, 1_024).await, 1);
    let plenty = live_rows(&admin, log.workspace).await;
    let few_at_a_time = steps(&pool, ReplayMemory::LEAST_MIB).await;
    assert!(few_at_a_time > 1, "all rows at once");
    assert_eq!(live_epoch(&admin, log.workspace).await, 3);
    assert!(live_rows(&admin, log.workspace).await == plenty, "rows depend on the memory");
    assert!(plenty == live, "rows depend on the replay");
}

/// Leaves a new epoch that has nothing yet, and puts a row into it that comes to `value`, where its log will make one.
async fn with_a_stray_row(admin: &PgPool, pool: &PgPool, workspace: i32, value: i64) {
    let interrupted = CancellationToken::new();
    interrupted.cancel();
    let outcome = replay(pool, MODEL, &of_all(), &unseen, interrupted).await.unwrap();
    assert_eq!(outcome, ReplayOutcome::Interrupted { epoch: 2 });
    sqlx::query("SELECT read.prepare_months(2, '{rollup_15m}', '{2026-11-01Z}')").execute(admin).await.unwrap();
    let strays = sqlx::query(
        "INSERT INTO read.rollup_15m (epoch, workspace, campaign_id, source_id, bucket, measure, value, changed_at)
         SELECT 2, workspace, campaign_id, source_id, bucket, measure, $2, changed_at
         FROM read.rollup_15m WHERE epoch = 1 AND workspace = $1 ORDER BY bucket LIMIT 1",
    )
    .bind(workspace)
    .bind(value)
    .execute(admin)
    .await
    .unwrap();
    assert_eq!(strays.rows_affected(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn adds_to_existing_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, LONG).await;
    catch_up(&pool).await.unwrap();
    let live = live_rows(&admin, log.workspace).await;
    // Rows of an empty epoch are inserted as new ones. The database refuses that; they are written with care.
    with_a_stray_row(&admin, &pool, log.workspace, 0).await;
    let outcome = rebuild(&pool).await;
    assert_eq!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 1, events: log.head() });
    assert!(live_rows(&admin, log.workspace).await == live, "rows differ");
    assert_eq!(parked::list(&pool).await.unwrap(), []);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn verification_fails_on_rows_left_in_new_epoch(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, LONG).await;
    catch_up(&pool).await.unwrap();
    with_a_stray_row(&admin, &pool, log.workspace, 5).await;
    match rebuild_with(&pool, &ReplayOptions { verify: true, ..of_all() }).await {
        Err(ReplayError::SwitchBlocked { workspace, reason: SwitchBlocked::Differs { rows, first } }) => {
            assert_eq!((workspace, rows), (log.workspace, 1), "{first}");
        }
        other => panic!("switched: {other:?}"),
    }
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
    assert_eq!(epochs(&admin).await, vec![(1, "applied".to_owned()), (2, "building".to_owned())]);
}
