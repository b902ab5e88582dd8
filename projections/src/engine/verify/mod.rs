//! Proves that the live rows are what the log says: a rebuild aside, compared with them row by row.
//!
//! For each live epoch, one that nobody reads ([`shadow_epoch`]) is filled as a replay fills one, up to near the live checkpoint. Then
//! a snapshot of the live side is opened ([`snapshot`]). It fixes the position to compare at; the aside epoch is filled exactly
//! to it ([`align`]). Both sides are then read in the order of their keys and merged ([`compare`]), each in a session of its own.
//!
//! Nobody waits for it. The snapshot only reads; the aside epoch has a checkpoint that no projector follows; live rows are
//! never written. Workspaces come one after the other, so that a snapshot is short and the trouble of one does not hide
//! the others'. Memory is bounded by one row of each side.
//!
//! What cannot be applied is parked in the rebuild too. The same parts on both sides are no difference, and are told; a part
//! that waits on one side only is one ([`parts`]).
//!
//! Stored inputs of the rows (what an operator skipped, what retention dropped, how many values of a dimension are kept) are those
//! of the live epoch, and are honoured because the fill is the replay's.

mod align; // brings both sides to one position
mod before_switch; // an epoch that is about to be switched to
mod compare; // two ordered streams of rows, merged
mod parts; // what of the log is parked on either side
mod record; // when it last passed
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

/// What to verify.
#[derive(Debug, Clone, Default)]
pub struct VerifyRequest {
    /// Only these workspaces; all if empty.
    pub workspaces: Vec<i32>,
    /// Only some campaigns of each; all if `None`.
    pub sample: Option<Sample>,
    /// What the rebuild may hold of the memory.
    pub memory: ReplayMemory,
}

/// Who is told of what while it goes on.
#[derive(Clone, Copy)]
pub struct VerifyObserver<'a> {
    /// How far it has come: workspaces that are compared count as done.
    pub progress: &'a (dyn Fn(ReplayProgress) + Send + Sync),
    /// Every difference, as it is found.
    pub difference: &'a (dyn Fn(&Difference) + Send + Sync),
}

/// What verifying one workspace came to.
#[derive(Debug)]
pub struct Verification {
    /// Whose rows.
    pub workspace: i32,
    /// The epoch that its readers saw; 0 if nothing could be looked at.
    pub epoch: i32,
    /// Up to where both sides had applied the log.
    pub position: i64,
    /// What was compared, table by table.
    pub tables: Vec<TableCount>,
    /// What of the log waits in the live epoch, because an event cannot be applied. No row says anything of it.
    pub parked: Vec<ParkedPart>,
    /// Why it was not carried out to its end.
    pub problem: Option<Problem>,
}

/// How one table of one workspace compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableCount {
    /// The table, in schema `read`.
    pub table: &'static str,
    /// Keys that either side has.
    pub rows: u64,
    /// Keys whose rows differ, or that one side lacks.
    pub differences: u64,
}

/// Every workspace that was looked at.
#[derive(Debug)]
pub struct Verified {
    /// In order of workspace.
    pub workspaces: Vec<Verification>,
    /// Shutdown came before the last one.
    pub interrupted: bool,
}

/// Why a workspace could not be verified to its end.
#[derive(Debug, Error)]
pub enum Problem {
    /// The log does not give the rows again: it has a hole, or too much of it would be parked.
    #[error("the log cannot be replayed past position {}: {}", .0.position - 1, .0.reason.full_text())]
    Log(super::RejectedEvent),
    /// The live rows end before an event that they cannot take in. What stands before it was compared.
    #[error("the live rows stop before position {position}: {reason}")]
    Stopped {
        /// The event.
        position: i64,
        /// Why.
        reason: String,
    },
    /// The live rows were built by other code.
    #[error(
        "the live rows were built by version {built} of the projection, this program has version {ours}: replay it"
    )]
    Version {
        /// Theirs.
        built: i32,
        /// Of this program.
        ours: i32,
    },
    /// The live checkpoint went back, or stands still behind a position that it had.
    #[error("the live rows went back to position {live}, from {filled}")]
    WentBack {
        /// Where they had been.
        filled: i64,
        /// Where they are.
        live: i64,
    },
    /// Its readers were switched to an epoch whose rows depend on something else than the rebuild's.
    #[error("its readers were switched to epoch {epoch} meanwhile, which keeps other values: verify again")]
    Switched {
        /// Which one they see now.
        epoch: i32,
    },
    /// What is left out was changed while the rebuild was filled, which may have taken it in before.
    #[error("an operator left events of the log out meanwhile: verify again")]
    LeftOut,
    /// Two rows of one key, or keys that the database orders otherwise than their bytes.
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
    /// The problem with all that caused it, in one line.
    pub fn full_text(&self) -> String {
        platform::error_chain(self)
    }
}

impl Verification {
    /// Rows that differ.
    pub fn differences(&self) -> u64 {
        self.tables.iter().map(|table| table.differences).sum()
    }

    /// Keys that were compared.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Whether the rows are proved to be what the log says.
    pub fn passed(&self) -> bool {
        self.problem.is_none() && self.differences() == 0
    }
}

/// Compares the live rows of a projection with a rebuild, and stores what came out.
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
    // Also after a failure: what is left is only in the way.
    let dropped = shadow_epoch::drop_leftovers(pool, projection).await;
    let verified = verified?;
    dropped?;
    Ok(verified)
}

/// Which rows are compared.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    workspace: i32,
    /// Of tables whose rows belong to campaigns, only the rows of these.
    campaigns: Option<&'a [Uuid]>,
}

/// A verify under way.
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

    /// `false` if shutdown came before the last one.
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
