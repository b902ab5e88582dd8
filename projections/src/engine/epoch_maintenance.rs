//! Background maintenance of a projector. It builds an epoch that its version of a projection lacks, and drops epochs
//! past their retention. One projector at a time holds a projection's lock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use platform::clock::SharedClock;
use sqlx::PgPool;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::error::ReplayError;
use super::rebuild::{ReplayMemory, ReplayProgress};
use super::replay::{self, ReplayOutcome};
use super::{Projection, Registry};

/// The step, in hundredths, at which a build logs its progress.
const REPORT_EVERY: i64 = 10;

/// The configuration of epoch maintenance.
#[derive(Debug, Clone)]
pub struct EpochMaintenance {
    /// The clock that drop dates refer to.
    pub clock: SharedClock,
    /// Who builds a missing epoch.
    pub rebuild: RebuildMode,
    /// The memory limit of a build.
    pub memory: ReplayMemory,
    /// The interval between the checks.
    pub every: Duration,
}

/// Who builds an epoch that this version of a projection lacks: the first one of a new projection, or the next one of a
/// projection whose rows an older version built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RebuildMode {
    /// The projector, in the background.
    #[default]
    Automatic,
    /// An operator, with `highwater replay`.
    Manual,
}

impl EpochMaintenance {
    /// The defaults, with this clock.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, rebuild: RebuildMode::default(), memory: ReplayMemory::default(), every: Duration::from_secs(10) }
    }
}

/// Maintains the epochs of every projection until shutdown.
pub(crate) async fn run(
    pool: &PgPool,
    registry: Registry,
    upkeep: Option<&EpochMaintenance>,
    shutdown: &CancellationToken,
) {
    let Some(upkeep) = upkeep else { return };
    let each: Vec<BoxFuture<'_, ()>> =
        registry.iter().map(|&projection| maintain(pool, projection, upkeep, shutdown).boxed()).collect();
    join_all(each).await;
}

/// Maintains the epochs of one projection until shutdown. A failure is retried at the next tick.
async fn maintain(
    pool: &PgPool,
    projection: &'static Projection,
    upkeep: &EpochMaintenance,
    shutdown: &CancellationToken,
) {
    let mut ticks = tokio::time::interval(upkeep.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = look(pool, projection, upkeep, shutdown).await {
            tracing::warn!(
                projection = projection.name,
                error = &error as &dyn std::error::Error,
                "the maintenance of the projection's epochs failed"
            );
        }
    }
}

async fn look(
    pool: &PgPool,
    projection: &'static Projection,
    upkeep: &EpochMaintenance,
    shutdown: &CancellationToken,
) -> Result<(), ReplayError> {
    if upkeep.rebuild == RebuildMode::Automatic {
        let reported = AtomicI64::new(0);
        let report = |progress: ReplayProgress| {
            let hundredths = 100 * progress.events_done / progress.events_total.max(1);
            if hundredths >= reported.load(Ordering::Relaxed) + REPORT_EVERY {
                reported.store(hundredths, Ordering::Relaxed);
                tracing::info!(projection = projection.name, hundredths, "building");
            }
        };
        let built =
            replay::build_missing(pool, projection, upkeep.memory, &upkeep.clock, &report, shutdown.clone()).await?;
        if let Some(ReplayOutcome::Completed { epoch, workspaces, events }) = built {
            tracing::info!(projection = projection.name, epoch, workspaces, events, "built an epoch in the background");
        }
    }
    replay::maintain_epochs(pool, projection, upkeep.clock.now()).await
}
