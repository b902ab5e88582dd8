//! Rebuilds a projection beside its live rows, and what operators do with the epochs that this makes.
//!
//! A new epoch is filled from the start of every log, in large folds, while the projector goes on with the live one. Each
//! workspace then switches alone ([`switch`]): readers see the old rows or the new ones, at the same position, and never
//! wait. The old epoch stays applied and followed, the way back ([`mod@rollback`]), until it is dropped ([`epoch_cleanup`]). Nothing is
//! lost when a replay is interrupted: the next one goes on with the same epoch, as long as the projection's version is the
//! same.
//!
//! One process at a time holds a projection's lock, and only it makes, fills, switches or drops epochs of it. Projectors need
//! no lock: a checkpoint's compare-and-set keeps them apart from a replay.

mod build; // builds what this program's version lacks
mod epoch_cleanup; // how long epochs are kept, and how they are dropped
mod epoch_status; // what epochs there are
mod epochs; // begins and finishes epochs
pub(super) mod fill; // reads, folds and writes one log
mod memory; // how much it holds at a time
mod pages; // reads a log ahead of the fold
mod progress; // what a progress bar shows
mod rebuild; // fills logs and switches workspaces
mod rollback; // goes back to the epoch before
mod small_logs; // many small logs in one transaction
mod switch;
mod switch_guard; // whether a workspace may switch // lets a workspace's readers see the new epoch

use std::collections::BTreeSet;
use std::time::Duration;

use platform::clock::SharedClock;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub(super) use self::build::build_missing;
pub use self::epoch_cleanup::drop_old;
pub(super) use self::epoch_cleanup::look_after;
pub use self::epoch_status::{EpochState, EpochStatus, epochs};
pub(super) use self::epochs::PendingWorkspace;
pub use self::memory::{ReplayMemory, SegmentSize};
pub(super) use self::progress::ProgressTracker;
pub use self::progress::ReplayProgress;
pub(super) use self::rebuild::Rebuild;
pub use self::rollback::{RolledBack, rollback};
pub(super) use self::switch::LARGEST_GAP;
use self::switch_guard::SwitchPolicy;
use super::event::RejectedEvent;
use super::verify::{Difference, SwitchVerifier};
use super::{Projection, WriteError, checkpoint};
use crate::views::PROJECTIONS;

/// How long an old epoch is kept applied unless somebody says otherwise.
pub const KEEP_OLD: Duration = Duration::from_hours(24);

/// What a replay is told.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// Only these workspaces switch; the others stay where they are. `None`: all of them.
    pub workspaces: Option<Vec<i32>>,
    /// For how long epochs that nobody reads any more are kept applied.
    pub keep_old: Duration,
    /// Switch although more parts of a log are parked in the new epoch than in the live one.
    pub allow_parked: bool,
    /// Switch although the new epoch has another number of rows than the live one, which the same version built.
    pub allow_differences: bool,
    /// Compare each workspace's new rows with its live ones, as a verify does, and switch it only if they are equal.
    pub verify: bool,
    /// What it may hold of the memory.
    pub memory: ReplayMemory,
    /// How logs are cut.
    pub cut: SegmentSize,
    /// Tells from when on the old epoch is kept.
    pub clock: SharedClock,
}

impl ReplayOptions {
    /// All workspaces; nothing questionable is allowed.
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

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// Every workspace that was to switch reads the new epoch.
    Completed {
        /// The new epoch.
        epoch: i32,
        /// How many workspaces switched.
        workspaces: usize,
        /// How many events this run applied.
        events: i64,
    },
    /// Shutdown came first. The next replay goes on from here.
    Interrupted {
        /// The epoch that is half built.
        epoch: i32,
    },
}

/// Why a replay did not complete. Workspaces that had switched stay on the new epoch; the next replay goes on from here.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// No projection has this name.
    #[error("there is no projection {0:?}")]
    UnknownProjection(String),
    /// Workspaces that were named are not there.
    #[error("there is no workspace {}", numbers(.0))]
    UnknownWorkspaces(Vec<i32>),
    /// Another process replays this projection.
    #[error("another replay of this projection is running")]
    AlreadyRunning,
    /// A log has a hole, or too much of it is parked; the other logs were rebuilt.
    #[error("a log could not be replayed")]
    Stopped(#[source] RejectedEvent),
    /// A workspace was filled but did not switch; the others did.
    #[error("workspace {workspace} stays where it is")]
    Unlike {
        /// Which.
        workspace: i32,
        /// Why.
        #[source]
        unlike: SwitchBlocked,
    },
    /// There is nothing to go back to.
    #[error("workspace {0} has no older epoch to go back to")]
    NoWayBack(i32),
    /// The older epoch was built by another version of the projection, and only that version can bring it up to date.
    #[error(
        "workspace {workspace} cannot go back: version {version} of the projection built epoch {epoch}, which stands at \
         position {position} of {live}; let a projector of that version catch up first"
    )]
    OldVersionBehind {
        /// Whose readers would go back.
        workspace: i32,
        /// To which epoch.
        epoch: i32,
        /// Which version built it.
        version: i32,
        /// How far it has come.
        position: i64,
        /// How far the live one has come.
        live: i64,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// How a filled epoch is unlike the live one, so that nobody should read it before somebody has looked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SwitchBlocked {
    /// More parts of the log are parked.
    #[error("{filled} parts of its log are parked in the new epoch, {live} in the live one")]
    MoreParked {
        /// In the live epoch.
        live: i64,
        /// In the new one.
        filled: i64,
    },
    /// The same version of the projection gave another number of rows.
    #[error("the new epoch has {filled} rows in {table}, the live one, of the same version, has {live}")]
    Rows {
        /// Of which table.
        table: &'static str,
        /// In the live epoch.
        live: i64,
        /// In the new one.
        filled: i64,
    },
    /// Rows differ, as a comparison found that was asked for.
    #[error("{rows} of its rows differ between the live epoch and the new one, the first: {first}")]
    Differs {
        /// How many.
        rows: u64,
        /// One of them.
        first: Box<Difference>,
    },
    /// A comparison was asked for and cannot be made.
    #[error("its new rows cannot be compared with the live ones: {reason}")]
    Unverified {
        /// Why.
        reason: String,
    },
}

/// Fills a new epoch of a projection and switches workspaces to it. `progress` is told of each step.
pub async fn replay(
    pool: &PgPool,
    projection: &str,
    options: &ReplayOptions,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<ReplayOutcome, ReplayError> {
    let projection = named(projection)?;
    let lock = lock(pool, projection).await?;
    let outcome = replay_alone(pool, projection, options, progress, shutdown).await;
    unlock(lock).await;
    outcome
}

/// The projection of this name.
fn named(projection: &str) -> Result<&'static Projection, ReplayError> {
    let named = PROJECTIONS.iter().copied().find(|known| known.name == projection);
    named.ok_or_else(|| ReplayError::UnknownProjection(projection.to_owned()))
}

/// A session that holds the right to change this projection's epochs.
async fn lock(pool: &PgPool, projection: &Projection) -> Result<PgConnection, ReplayError> {
    let mut session = pool.acquire().await?.detach();
    let is_ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtext('highwater.replay.' || $1)) AS "is_ours!""#,
        projection.name
    )
    .fetch_one(&mut session)
    .await?;
    if is_ours { Ok(session) } else { Err(ReplayError::AlreadyRunning) }
}

/// Whoever comes next finds the lock free. The end of the session alone would give it back, but only some time later.
async fn unlock(mut session: PgConnection) {
    let unlocked = sqlx::query!("SELECT pg_advisory_unlock_all()").execute(&mut session).await;
    if let Err(error) = unlocked.and(sqlx::Connection::close(session).await) {
        tracing::debug!(%error, "the replay's lock was lost before its end");
    }
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
        known(pool, wanted).await?;
    }
    checkpoint::bootstrap(pool, projection, checkpoint::BootstrapPolicy::Never).await?;
    epoch_cleanup::clear_away(pool, projection).await?;
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
        // Workspaces that appear meanwhile start on the old epoch; they are met by the next turn of this loop.
        checkpoint::bootstrap(pool, projection, checkpoint::BootstrapPolicy::Never).await?;
        let elsewhere = epochs::live_elsewhere(pool, projection, epoch, only).await?;
        if elsewhere.is_empty() && epochs::finish(pool, projection, epoch, only, options.clock.now()).await? {
            break;
        }
        match rebuild.logs(&elsewhere, allowed).await? {
            Some(workspaces) => switched += workspaces,
            None => return Ok(ReplayOutcome::Interrupted { epoch }),
        }
    }
    epoch_cleanup::clear_away(pool, projection).await?;
    if options.keep_old.is_zero() {
        epoch_cleanup::drop_due(pool, projection, options.clock.now()).await?;
    }
    Ok(ReplayOutcome::Completed { epoch, workspaces: switched, events: rebuild.tally.events() })
}

/// Refuses workspaces that are not there.
async fn known(pool: &PgPool, wanted: &[i32]) -> Result<(), ReplayError> {
    let there: BTreeSet<i32> = sqlx::query_scalar!("SELECT workspace FROM log.heads WHERE workspace = ANY($1)", wanted)
        .fetch_all(pool)
        .await?
        .into_iter()
        .collect();
    let missing: Vec<i32> = wanted.iter().copied().filter(|workspace| !there.contains(workspace)).collect();
    if missing.is_empty() { Ok(()) } else { Err(ReplayError::UnknownWorkspaces(missing)) }
}

fn numbers(workspaces: &[i32]) -> String {
    let numbers: Vec<String> = workspaces.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}

impl From<WriteError> for ReplayError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refused) => Self::Stopped(refused),
            WriteError::Database(error) => Self::Database(error),
        }
    }
}
