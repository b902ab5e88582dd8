//! Verifies that the live rows follow from the log. It compares them row by row with a rebuild.
//!
//! For each live epoch, a shadow epoch ([`shadow_epoch`]) is filled as a replay fills one, up to near the live
//! checkpoint. Then a snapshot of the live side is opened ([`snapshot`]), which fixes the position of the comparison.
//! The shadow epoch is filled exactly to it ([`align`]). Both sides are then read in the order of their keys and merged
//! ([`compare`]), each in a session of its own.
//!
//! Nothing waits for it. The snapshot only reads, no projector follows the shadow epoch, and live rows are never
//! written. Workspaces are verified one by one. So a snapshot is short, and a problem of one workspace does not hide
//! others. Memory is bounded by one row of each side.
//!
//! What cannot be applied is parked in the rebuild too. The same parts on both sides are no difference, and are
//! reported. A part that is parked on one side only is a difference ([`parts`]).
//!
//! The rebuild has the stored inputs of the live epoch: skipped events, dropped months, and the limit of a dimension's
//! values. They are honoured because the fill is the replay's.

mod align; // brings both sides to one position
mod before_switch; // verifies an epoch before its switch
mod compare; // two ordered streams of rows, merged
mod parts; // compares the parked parts of both sides
mod record; // stores the results
mod sample; // some campaigns instead of all
mod shadow_epoch; // the epoch to compare with
mod shape; // columns and keys of a table
mod snapshot; // the live side at one position

use std::collections::BTreeMap;

use platform::clock::SharedClock;
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::align::AlignedSides;
pub(super) use self::before_switch::SwitchVerifier;
pub use self::record::{LastVerified, last_verified};
pub use self::sample::Sample;
use self::shape::TableSchema;
use super::Projection;
use super::difference::Difference;
use super::error::ReplayError;
use super::locks::SessionLock;
use super::parked::ParkedPart;
use super::rebuild::{PendingWorkspace, ProgressTracker, Rebuild, ReplayMemory, ReplayProgress, SegmentSize};

/// The request of a verify.
#[derive(Debug, Clone, Default)]
pub struct VerifyRequest {
    /// The workspaces; all if empty.
    pub workspaces: Vec<i32>,
    /// A sample of each workspace's campaigns; all if `None`.
    pub sample: Option<Sample>,
    /// The memory limit of the rebuild.
    pub memory: ReplayMemory,
}

/// The callbacks of a verify.
#[derive(Clone, Copy)]
pub struct VerifyObserver<'a> {
    /// Called with the progress. Workspaces that are compared count as done.
    pub progress: &'a (dyn Fn(ReplayProgress) + Send + Sync),
    /// Called with every difference when it is found.
    pub difference: &'a (dyn Fn(&Difference) + Send + Sync),
}

/// The result for one workspace.
#[derive(Debug)]
pub struct Verification {
    /// The workspace.
    pub workspace: i32,
    /// The live epoch; 0 if nothing could be compared.
    pub epoch: i32,
    /// The position up to which both sides had applied the log.
    pub position: i64,
    /// The counts of each table.
    pub tables: Vec<TableCount>,
    /// What of the log is parked in the live epoch. The rows lack these events.
    pub parked: Vec<ParkedPart>,
    /// Why the comparison did not complete, if so.
    pub problem: Option<Problem>,
}

/// The counts of one table of one workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableCount {
    /// The table, in schema `read`.
    pub table: &'static str,
    /// The number of keys that either side has.
    pub rows: u64,
    /// The number of keys whose rows differ, or that one side lacks.
    pub differences: u64,
}

/// The result of a verify.
#[derive(Debug)]
pub struct Verified {
    /// The compared workspaces, in their order.
    pub workspaces: Vec<Verification>,
    /// Whether shutdown came before the last one.
    pub interrupted: bool,
}

/// Why a workspace could not be verified completely.
#[derive(Debug, Error)]
pub enum Problem {
    /// The log cannot be replayed: it has a hole, or too much of it would be parked.
    #[error("the log cannot be replayed past position {}: {}", .0.position - 1, .0.reason.full_text())]
    Log(super::RejectedEvent),
    /// The live rows end before an event at which the log stopped. The rows before it were compared.
    #[error("the live rows stop before position {position}: {reason}")]
    Stopped {
        /// The event's position.
        position: i64,
        /// The reason.
        reason: String,
    },
    /// The live rows were built by another version of the projection.
    #[error(
        "the live rows were built by version {built} of the projection, this program has version {ours}: replay it"
    )]
    Version {
        /// The version that built them.
        built: i32,
        /// The version of this program.
        ours: i32,
    },
    /// The live checkpoint moved back, or stays behind a position that it had.
    #[error("the live rows went back to position {live}, from {filled}")]
    WentBack {
        /// The earlier position.
        filled: i64,
        /// The present position.
        live: i64,
    },
    /// The workspace was switched to an epoch whose rows have other stored inputs than the rebuild's.
    #[error("its readers were switched to epoch {epoch} meanwhile, which keeps other values: verify again")]
    Switched {
        /// The epoch that it reads now.
        epoch: i32,
    },
    /// An operator skipped an event while the rebuild was filled, which may have applied it before.
    #[error("an operator skipped events of the log meanwhile: verify again")]
    LeftOut,
    /// Two rows have one key, or the database orders keys differently from their bytes.
    #[error("the rows of read.{0} did not come in the order of their keys")]
    Order(&'static str),
    /// The rebuild failed otherwise.
    #[error("the rebuild failed")]
    Rebuild(#[source] ReplayError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Why nothing could be verified.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// No projection has this name.
    #[error("there is no projection {0:?}")]
    UnknownProjection(String),
    /// Another process verifies this projection.
    #[error("another verify of this projection is running")]
    AlreadyRunning,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl Problem {
    /// The problem with its causes, in one line.
    pub fn full_text(&self) -> String {
        platform::error_chain(self)
    }
}

impl Verification {
    /// The number of rows that differ.
    pub fn differences(&self) -> u64 {
        self.tables.iter().map(|table| table.differences).sum()
    }

    /// The number of keys that were compared.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Whether the rows are verified to follow from the log.
    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.differences() == 0
    }
}

/// Compares the live rows of a projection with a rebuild, and stores the result.
pub(crate) async fn verify(
    pool: &PgPool,
    projection: &'static Projection,
    request: &VerifyRequest,
    clock: &SharedClock,
    watch: VerifyObserver<'_>,
    shutdown: CancellationToken,
) -> Result<Verified, VerifyError> {
    let lock = SessionLock::take(pool, &format!("highwater.verify.{}", projection.name)).await?;
    let lock = lock.ok_or(VerifyError::AlreadyRunning)?;
    let verified = verify_alone(pool, projection, request, clock, watch, shutdown).await;
    lock.release().await;
    verified
}

async fn verify_alone(
    pool: &PgPool,
    projection: &'static Projection,
    request: &VerifyRequest,
    clock: &SharedClock,
    watch: VerifyObserver<'_>,
    shutdown: CancellationToken,
) -> Result<Verified, VerifyError> {
    shadow_epoch::drop_leftovers(pool, projection).await?;
    let shapes = TableSchema::of_all(pool, projection).await?;
    let logs = shadow_epoch::live_logs(pool, projection, &request.workspaces).await?;
    let mut bench = VerifyRun {
        rebuild: Rebuild::new(
            (pool, projection),
            0,
            (request.memory, SegmentSize::default()),
            ProgressTracker::new(watch.progress),
            shutdown,
        ),
        baseline_epoch: 0,
        shapes: &shapes,
        request,
        clock,
        watch,
    };
    let verified = bench.verify_all(logs).await;
    // Also after a failure, because the shadow epoch is useless then.
    let dropped = shadow_epoch::drop_leftovers(pool, projection).await;
    let verified = verified?;
    dropped?;
    Ok(verified)
}

/// The rows that are compared.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    workspace: i32,
    /// In tables with a campaign id, only the rows of these campaigns.
    campaigns: Option<&'a [Uuid]>,
}

/// A running verify.
struct VerifyRun<'a> {
    rebuild: Rebuild<'a>,
    /// The live epoch whose stored inputs the rebuild has.
    baseline_epoch: i32,
    shapes: &'a [TableSchema],
    request: &'a VerifyRequest,
    clock: &'a SharedClock,
    watch: VerifyObserver<'a>,
}

impl VerifyRun<'_> {
    async fn verify_all(&mut self, logs: BTreeMap<i32, Vec<PendingWorkspace>>) -> Result<Verified, VerifyError> {
        let mut verified = Verified { workspaces: Vec::new(), interrupted: false };
        for (live, logs) in logs {
            let Rebuild { pool, projection, .. } = self.rebuild;
            self.rebuild.epoch = shadow_epoch::begin(pool, projection, live).await?;
            self.baseline_epoch = live;
            self.rebuild.tally.expect(&logs);
            verified.interrupted = !self.verify_logs(&logs, &mut verified.workspaces).await?;
            shadow_epoch::drop_leftovers(pool, projection).await?;
            if verified.interrupted {
                break;
            }
        }
        verified.workspaces.sort_by_key(|one| one.workspace);
        Ok(verified)
    }

    /// Returns `false` if shutdown came before the last one.
    async fn verify_logs(&self, logs: &[PendingWorkspace], done: &mut Vec<Verification>) -> Result<bool, VerifyError> {
        let Rebuild { pool, projection, shutdown, tally, .. } = &self.rebuild;
        for log in logs {
            let mut verification = Verification::of(log.workspace);
            let compared = shutdown.run_until_cancelled(self.verify_one(&mut verification)).await;
            let Some(compared) = compared.filter(|_| !shutdown.is_cancelled()) else { return Ok(false) };
            verification.problem = compared.err().or(verification.problem);
            tally.switched(log.workspace);
            record::store(pool, projection, self.request.sample.is_some(), &verification, self.clock.now()).await?;
            done.push(verification);
        }
        Ok(true)
    }

    async fn verify_one(&self, verification: &mut Verification) -> Result<(), Problem> {
        let projection = self.rebuild.projection;
        let AlignedSides { mut live, rebuilt: parked } = self.align(verification.workspace).await?;
        verification.epoch = live.epoch;
        verification.position = live.position;
        if live.version != projection.version {
            return Err(Problem::Version { built: live.version, ours: projection.version });
        }
        let is_alike = live.epoch == self.baseline_epoch
            || shadow_epoch::have_same_inputs(self.rebuild.pool, projection, [live.epoch, self.rebuild.epoch]).await?;
        if !is_alike {
            return Err(Problem::Switched { epoch: live.epoch });
        }
        verification.tables.push(live.parked.compare(&parked, verification.workspace, self.watch));
        verification.parked = live.parked.into_list();
        let mut rebuilt = self.rebuild.pool.acquire().await.map_err(Problem::Database)?.detach();
        let campaigns = match self.request.sample {
            Some(sample) => Some(sample::choose(self.rebuild.pool, sample, verification.workspace).await?),
            None => None,
        };
        let scope = Scope { workspace: verification.workspace, campaigns: campaigns.as_deref() };
        for shape in self.shapes {
            let count = compare::table(
                shape,
                scope,
                (live.epoch, &mut live.session),
                (self.rebuild.epoch, &mut rebuilt),
                self.watch.difference,
            )
            .await?;
            verification.tables.push(count);
        }
        match live.stop {
            Some((position, reason)) => Err(Problem::Stopped { position, reason }),
            None => Ok(()),
        }
    }
}

impl Verification {
    fn of(workspace: i32) -> Self {
        Self { workspace, epoch: 0, position: 0, tables: Vec::new(), parked: Vec::new(), problem: None }
    }
}
