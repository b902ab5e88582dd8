//! Fills an epoch from the log. A replay switches workspaces to it; a verify compares it with the live rows.
//!
//! [`fill`] reads, folds and writes one log. [`small_logs`] does so with many small ones in one transaction. [`pages`]
//! reads ahead of the fold, [`memory`] bounds the memory in use, and [`progress`] counts.

pub(super) mod fill; // reads, folds and writes one log
mod memory; // bounds the memory in use
mod pages; // reads a log ahead of the fold
mod progress; // counts for a progress bar
pub(super) mod small_logs; // many small logs in one transaction

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use self::memory::MemoryBudget;
pub use self::memory::{ReplayMemory, SegmentSize};
pub(super) use self::progress::ProgressTracker;
pub use self::progress::ReplayProgress;
use super::error::ReplayError;
use super::{Projection, commit_group};

/// The number of logs that are filled at once: one reads while another writes.
pub(super) const LOGS_AT_ONCE: usize = 2;
/// The most events to apply while the live checkpoint is locked, or while a snapshot of the live rows is open.
pub(super) const LARGEST_GAP: i64 = 1_000;

/// A workspace that does not read the new epoch yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct PendingWorkspace {
    pub(super) workspace: i32,
    /// The new epoch's checkpoint.
    pub(super) filled: i64,
    /// The position to fill it to: the live checkpoint. Without a live epoch, or with one that this program cannot
    /// apply, the head.
    pub(super) live: i64,
}

/// An epoch that is being filled, for a replay or to be compared with the live rows.
pub(super) struct Rebuild<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) projection: &'static Projection,
    pub(super) epoch: i32,
    pub(super) shutdown: CancellationToken,
    pub(super) tally: ProgressTracker<'a>,
    /// The memory budget.
    room: MemoryBudget,
}

impl<'a> Rebuild<'a> {
    pub(super) fn new(
        (pool, projection): (&'a PgPool, &'static Projection),
        epoch: i32,
        (memory, cut): (ReplayMemory, SegmentSize),
        tally: ProgressTracker<'a>,
        shutdown: CancellationToken,
    ) -> Self {
        Self { pool, projection, epoch, shutdown, tally, room: MemoryBudget::of(memory, cut, LOGS_AT_ONCE) }
    }

    /// The same rebuild, without progress reports.
    pub(super) fn without_progress(&self) -> Self {
        let Self { pool, projection, epoch, .. } = *self;
        Self {
            pool,
            projection,
            epoch,
            shutdown: self.shutdown.clone(),
            tally: ProgressTracker::new(&|_| {}),
            room: self.room.clone(),
        }
    }

    /// Compares the checkpoints of one log in the new epoch and in the live one.
    pub(super) async fn gap(&self, workspace: i32) -> Result<PendingWorkspace, sqlx::Error> {
        sqlx::query_as!(
            PendingWorkspace,
            r#"SELECT h.workspace, coalesce(n.position, 0) AS "filled!",
                  CASE WHEN e.version = $4 THEN coalesce(o.position, 0) ELSE h.position END AS "live!"
           FROM log.heads h
           LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
           LEFT JOIN read.epochs e ON e.projection = l.projection AND e.epoch = l.epoch
           LEFT JOIN read.checkpoints o ON o.projection = $1 AND o.epoch = l.epoch AND o.workspace = h.workspace
           LEFT JOIN read.checkpoints n ON n.projection = $1 AND n.epoch = $2 AND n.workspace = h.workspace
           WHERE h.workspace = $3"#,
            self.projection.name,
            self.epoch,
            workspace,
            self.projection.version
        )
        .fetch_one(self.pool)
        .await
    }

    /// Applies a log's events page by page up to a position, because one of them is refused: it is parked.
    pub(super) async fn apply_serially(&self, workspace: i32, through: i64) -> Result<(), ReplayError> {
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            let filled = self.gap(workspace).await?.filled;
            if filled >= through {
                return Ok(());
            }
            let outcome =
                commit_group::apply_page(self.pool, self.projection, self.epoch, workspace, filled, through).await?;
            let reached = self.gap(workspace).await?.filled;
            self.tally.applied(workspace, filled, reached.max(filled));
            if let Some((_, refused)) = outcome.stopped.into_iter().next() {
                return Err(ReplayError::Stopped(refused));
            }
        }
    }
}
