//! Epochs that a projector builds in the background: a new projection's first one, and a new version's.

use std::time::Duration;

use platform::clock::ManualClock;
use projections::views::CAMPAIGN_MODEL;
use projections::{EpochMaintenance, EpochState, ProjectorConfig, RebuildMode, catch_up, rollback};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, at, campaign, clicked, pools, source};
use crate::support::replaying::{MODEL, applied, epochs, looking_after, noon, of_all, varied};
use crate::support::rows::{checkpoint, live_epoch, live_rows};

fn config(rebuild: RebuildMode) -> ProjectorConfig {
    let clock = ManualClock::new(noon()).shared();
    looking_after(EpochMaintenance { rebuild, every: Duration::from_millis(20), ..EpochMaintenance::new(clock) })
}

struct Projector {
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), projections::ProjectorError>>,
}

impl Projector {
    fn start(pool: &PgPool, rebuild: RebuildMode) -> Self {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(projections::run(pool.clone(), config(rebuild), shutdown.clone()));
        Self { shutdown, running }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// Waits until a workspace lives on an epoch, with all of its log.
async fn lives_on(admin: &PgPool, pool: &PgPool, log: &Log, epoch: i32) {
    loop {
        let live: Option<i32> = sqlx::query_scalar("SELECT epoch FROM read.live_epochs WHERE workspace = $1")
            .bind(log.workspace)
            .fetch_optional(admin)
            .await
            .unwrap();
        if live == Some(epoch) && checkpoint(pool, log.workspace).await == log.head() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn outdate(admin: &PgPool) {
    sqlx::query("UPDATE read.epochs SET version = version - 1").execute(admin).await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rebuilds_rows_of_older_version(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (mut log, other) = (varied(&admin, 30).await, varied(&admin, 3).await);
    catch_up(&pool).await.unwrap();
    let before = live_rows(&admin, other.workspace).await;
    outdate(&admin).await;
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    // Nobody applies the old rows, and that shows.
    catch_up(&pool).await.unwrap();
    let stale = projections::status(&pool).await.unwrap().remove(0);
    assert_eq!(stale.lag_events, 1);
    assert!(stale.stopped.unwrap().reason.contains("version"));

    let manual = Projector::start(&pool, RebuildMode::Manual);
    let newcomer = varied(&admin, 1).await;
    while projections::status(&pool).await.unwrap().iter().any(|log| log.epoch.is_none()) {
        tokio::task::yield_now().await;
    }
    manual.stop().await;
    assert_eq!(epochs(&admin).await, applied(&[1]));

    let projector = Projector::start(&pool, RebuildMode::Automatic);
    for log in [&log, &other, &newcomer] {
        lives_on(&admin, &pool, log, 2).await;
    }
    while epochs(&admin).await != applied(&[1, 2]) {
        tokio::task::yield_now().await;
    }
    projector.stop().await;
    assert_eq!(live_rows(&admin, other.workspace).await, before);
    let built = projections::epochs(&pool).await.unwrap();
    assert_eq!((built[0].state, built[1].state), (EpochState::Kept, EpochState::Live));
    assert_eq!((built[1].version, built[1].workspaces), (CAMPAIGN_MODEL.version, 3));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaves_rolled_back_workspace_where_it_is(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    outdate(&admin).await;
    let projector = Projector::start(&pool, RebuildMode::Automatic);
    lives_on(&admin, &pool, &log, 2).await;
    while epochs(&admin).await != applied(&[1, 2]) {
        tokio::task::yield_now().await;
    }
    projector.stop().await;
    rollback(&pool, MODEL, &of_all(), CancellationToken::new()).await.unwrap();

    // What would be built once more, would be built by the time a later workspace is followed.
    let projector = Projector::start(&pool, RebuildMode::Automatic);
    let newcomer = varied(&admin, 1).await;
    lives_on(&admin, &pool, &newcomer, 2).await;
    projector.stop().await;
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn builds_first_epoch_in_background_for_long_logs(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 1_200).await;
    let mut blocker = admin.acquire().await.unwrap().detach();
    let mut blocked = blocker.begin().await.unwrap();
    sqlx::query("LOCK TABLE log.events IN ACCESS EXCLUSIVE MODE").execute(&mut *blocked).await.unwrap();
    let projector = Projector::start(&pool, RebuildMode::Automatic);
    let building = loop {
        if let Some(building) = projections::epochs(&pool).await.unwrap().pop() {
            break building;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((building.state, building.workspaces), (EpochState::Building, 0));
    assert_eq!((building.applied, building.events), (0, log.head()));
    blocked.rollback().await.unwrap();
    lives_on(&admin, &pool, &log, 1).await;
    while epochs(&admin).await != applied(&[1]) {
        tokio::task::yield_now().await;
    }
    projector.stop().await;
    // Nobody saw it fill: it was live from its end on.
    let rows = live_rows(&admin, log.workspace).await;
    crate::support::replaying::rebuild(&pool).await;
    assert_eq!(live_rows(&admin, log.workspace).await, rows);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn follows_short_log_at_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 3).await;
    let projector = Projector::start(&pool, RebuildMode::Manual);
    lives_on(&admin, &pool, &log, 1).await;
    projector.stop().await;
    assert_eq!(epochs(&admin).await, applied(&[1]));
}
