//! Rebuilds a projection beside its live rows, and the operators' commands on epochs.
//!
//! A new epoch is filled from the start of every log, in large folds, while the projector goes on with the live one.
//! Each workspace then switches alone ([`switch`]). Readers see the old rows or the new ones, at the same position, and
//! never wait. The old epoch stays applied and followed, for a rollback ([`mod@rollback`]), until it is dropped
//! ([`epoch_cleanup`]). An interrupted replay loses nothing: the next one continues the same epoch, as long as the
//! projection's version is the same.
//!
//! One process at a time holds a projection's lock, and only it creates, fills, switches or drops epochs of it.
//! Projectors need no lock, because a checkpoint's compare-and-set separates them from a replay.

mod build; // builds what this program's version lacks
mod epoch_cleanup; // how long epochs are kept, and how they are dropped
mod epoch_status; // the list of epochs
mod epochs; // begins and finishes epochs
mod logs; // fills logs and switches workspaces
mod rollback; // switches back to the epoch before
mod switch; // switches a workspace to another epoch
mod switch_guard; // whether a workspace may switch

use std::collections::BTreeSet;
use std::time::Duration;

use platform::clock::SharedClock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

pub(super) use self::build::build_missing;
pub(crate) use self::epoch_cleanup::drop_old;
pub(super) use self::epoch_cleanup::maintain_epochs;
pub(crate) use self::epoch_status::epochs;
pub use self::epoch_status::{EpochState, EpochStatus};
pub use self::rollback::RolledBack;
pub(crate) use self::rollback::rollback;
use self::switch_guard::SwitchPolicy;
use super::error::ReplayError;
use super::locks::SessionLock;
use super::rebuild::{ProgressTracker, Rebuild, ReplayMemory, ReplayProgress, SegmentSize};
use super::verify::SwitchVerifier;
use super::{Projection, checkpoint};

/// How long an old epoch is kept applied by default.
pub const KEEP_OLD: Duration = Duration::from_hours(24);

/// The options of a replay.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// The workspaces that switch; `None`: all of them.
    pub workspaces: Option<Vec<i32>>,
    /// For how long epochs that no workspace reads any more are kept applied.
    pub keep_old: Duration,
    /// Whether to switch although more parts of a log are parked in the new epoch than in the live one.
    pub allow_parked: bool,
    /// Whether to switch although the new epoch has another number of rows than the live one, which the same version
    /// built.
    pub allow_differences: bool,
    /// Whether to compare each workspace's new rows with its live ones, as a verify does, and to switch only if they
    /// are equal.
    pub verify: bool,
    /// The memory limit.
    pub memory: ReplayMemory,
    /// How logs are cut.
    pub cut: SegmentSize,
    /// The clock that drop dates refer to.
    pub clock: SharedClock,
}

impl ReplayOptions {
    /// All workspaces, without any exception allowed.
    pub fn new(clock: SharedClock) -> Self {
        Self {
            workspaces: None,
            keep_old: KEEP_OLD,
            allow_parked: false,
            allow_differences: false,
            verify: false,
            memory: ReplayMemory::default(),
            cut: SegmentSize::default(),
            clock,
        }
    }
}

/// The outcome of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// Every workspace that was to switch reads the new epoch.
    Completed {
        /// The new epoch.
        epoch: i32,
        /// The number of workspaces that switched.
        workspaces: usize,
        /// The number of events that this run applied.
        events: i64,
    },
    /// Shutdown came first. The next replay continues from here.
    Interrupted {
        /// The half-built epoch.
        epoch: i32,
    },
}

/// Fills a new epoch of a projection and switches workspaces to it. `progress` is called after each step.
pub(crate) async fn replay(
    pool: &PgPool,
    projection: &'static Projection,
    options: &ReplayOptions,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<ReplayOutcome, ReplayError> {
    let lock = lock(pool, projection).await?;
    let outcome = replay_alone(pool, projection, options, progress, shutdown).await;
    lock.release().await;
    outcome
}

/// Takes the locks that allow changes to a projection's epochs. Returns an error if another replay, rollback or drop
/// runs, and waits for the projector's maintenance, which ends by itself and which no operator could see.
async fn lock(pool: &PgPool, projection: &Projection) -> Result<SessionLock, ReplayError> {
    let lock = SessionLock::take(pool, &format!("highwater.replay.{}", projection.name)).await?;
    let mut lock = lock.ok_or(ReplayError::AlreadyRunning)?;
    lock.wait_for(&maintenance_lock(projection)).await?;
    Ok(lock)
}

/// The name of the lock that every change to a projection's epochs needs, the projector's maintenance too.
fn maintenance_lock(projection: &Projection) -> String {
    format!("highwater.epochs.{}", projection.name)
}

async fn replay_alone(
    pool: &PgPool,
    projection: &'static Projection,
    options: &ReplayOptions,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<ReplayOutcome, ReplayError> {
    let only = options.workspaces.as_deref();
    if let Some(wanted) = only {
        require_workspaces(pool, wanted).await?;
    }
    checkpoint::bootstrap(pool, projection, checkpoint::BootstrapPolicy::Never).await?;
    epoch_cleanup::drop_unneeded(pool, projection).await?;
    let epoch = epochs::begin(pool, projection, only, options.keep_old).await?;
    let proof = if options.verify {
        Some(SwitchVerifier::prepare(pool, projection, options.clock.clone()).await?)
    } else {
        None
    };
    let allowed =
        SwitchPolicy { parked: options.allow_parked, differences: options.allow_differences, proof: proof.as_ref() };
    let rebuild = Rebuild::new(
        (pool, projection),
        epoch,
        (options.memory, options.cut),
        ProgressTracker::new(progress),
        shutdown,
    );
    let mut switched = 0;
    loop {
        // New workspaces start on the old epoch, and the next turn of this loop finds them.
        checkpoint::bootstrap(pool, projection, checkpoint::BootstrapPolicy::Never).await?;
        let elsewhere = epochs::live_elsewhere(pool, projection, epoch, only).await?;
        if elsewhere.is_empty() && epochs::finish(pool, projection, epoch, only, options.clock.now()).await? {
            break;
        }
        match logs::fill_and_switch_all(&rebuild, &elsewhere, allowed).await? {
            Some(workspaces) => switched += workspaces,
            None => return Ok(ReplayOutcome::Interrupted { epoch }),
        }
    }
    epoch_cleanup::drop_unneeded(pool, projection).await?;
    if options.keep_old.is_zero() {
        epoch_cleanup::drop_due(pool, projection, options.clock.now()).await?;
    }
    Ok(ReplayOutcome::Completed { epoch, workspaces: switched, events: rebuild.tally.events() })
}

/// Returns an error if workspaces do not exist.
async fn require_workspaces(pool: &PgPool, wanted: &[i32]) -> Result<(), ReplayError> {
    let existing: BTreeSet<i32> =
        sqlx::query_scalar!("SELECT workspace FROM log.heads WHERE workspace = ANY($1)", wanted)
            .fetch_all(pool)
            .await?
            .into_iter()
            .collect();
    let missing: Vec<i32> = wanted.iter().copied().filter(|workspace| !existing.contains(workspace)).collect();
    if missing.is_empty() { Ok(()) } else { Err(ReplayError::UnknownWorkspaces(missing)) }
}
