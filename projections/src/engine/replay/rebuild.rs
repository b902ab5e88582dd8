//! Fills logs and switches workspaces, several at a time.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::super::backoff::Backoff;
use super::super::{Projection, apply, commit_group};
use super::epochs::PendingWorkspace;
use super::memory::{MemoryBudget, ReplayMemory, SegmentSize};
use super::progress::ProgressTracker;
use super::{ReplayError, SwitchPolicy, epochs, fill, small_logs, switch};

/// Logs that are filled at the same time: one reads while another writes.
const AT_ONCE: usize = 2;
/// How often in a row one log may fail for the database's sake.
const ATTEMPTS: u32 = 6;

/// An epoch that is being filled: by a replay, or to be compared with the live rows.
pub(in super::super) struct Rebuild<'a> {
    pub(in super::super) pool: &'a PgPool,
    pub(in super::super) projection: &'static Projection,
    pub(in super::super) epoch: i32,
    pub(in super::super) shutdown: CancellationToken,
    pub(in super::super) tally: ProgressTracker<'a>,
    /// What it may hold of the memory.
    pub(super) room: MemoryBudget,
}

/// What became of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rebuilt {
    Switched,
    Interrupted,
}

impl<'a> Rebuild<'a> {
    pub(in super::super) fn new(
        (pool, projection): (&'a PgPool, &'static Projection),
        epoch: i32,
        (memory, cut): (ReplayMemory, SegmentSize),
        tally: ProgressTracker<'a>,
        shutdown: CancellationToken,
    ) -> Self {
        Self { pool, projection, epoch, shutdown, tally, room: MemoryBudget::of(memory, cut, AT_ONCE) }
    }

    /// The same rebuild, of whose progress nobody is told.
    pub(in super::super) fn without_progress(&self) -> Self {
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

    /// Fills logs and switches their workspaces; says how many. `None` if shutdown came first. One that fails does not hold up
    /// the others; the first failure is given in the end.
    pub(super) async fn logs(
        &self,
        logs: &[PendingWorkspace],
        allowed: SwitchPolicy<'_>,
    ) -> Result<Option<usize>, ReplayError> {
        self.tally.expect(logs);
        small_logs::fill(self, logs).await;
        let work: Vec<BoxFuture<'_, _>> = logs.iter().map(|log| self.log(log.workspace, allowed).boxed()).collect();
        let rebuilt: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        let mut switched = 0;
        for result in rebuilt {
            match result? {
                Rebuilt::Switched => switched += 1,
                Rebuilt::Interrupted => return Ok(None),
            }
        }
        Ok(Some(switched))
    }

    /// Fills one log and switches its workspace, however often the database fails in between, within reason. What is wrong
    /// with the log or with what it gave is noted, for whoever looks.
    async fn log(&self, workspace: i32, allowed: SwitchPolicy<'_>) -> Result<Rebuilt, ReplayError> {
        let mut backoff = Backoff::up_to(Duration::from_secs(5));
        let mut attempts = 1;
        loop {
            let before = self.tally.events();
            match self.fill_and_switch(workspace, allowed).await {
                Err(ReplayError::Database(error)) if attempts < ATTEMPTS && !apply::is_about_rows(&error) => {
                    attempts = if self.tally.events() > before { 1 } else { attempts + 1 };
                    tracing::warn!(
                        workspace,
                        error = &error as &dyn std::error::Error,
                        "the replay of a log failed: trying again"
                    );
                    tokio::select! {
                        () = self.shutdown.cancelled() => return Ok(Rebuilt::Interrupted),
                        () = tokio::time::sleep(backoff.wait()) => {}
                    }
                }
                Err(error) => {
                    epochs::note(self, workspace, &error).await?;
                    return Err(error);
                }
                Ok(rebuilt) => return Ok(rebuilt),
            }
        }
    }

    /// Applies a log's events up to a position page by page, because one of them is refused: it is parked.
    pub(super) async fn apply_serially(&self, workspace: i32, through: i64) -> Result<(), ReplayError> {
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(());
            }
            let filled = epochs::gap(self.pool, self.projection, self.epoch, workspace).await?.filled;
            if filled >= through {
                return Ok(());
            }
            let outcome =
                commit_group::apply_page(self.pool, self.projection, self.epoch, workspace, filled, through).await?;
            let reached = epochs::gap(self.pool, self.projection, self.epoch, workspace).await?.filled;
            self.tally.applied(workspace, filled, reached.max(filled));
            if let Some((_, refused)) = outcome.stopped.into_iter().next() {
                return Err(ReplayError::Stopped(refused));
            }
        }
    }

    async fn fill_and_switch(&self, workspace: i32, allowed: SwitchPolicy<'_>) -> Result<Rebuilt, ReplayError> {
        fill::start(self, workspace).await?;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(Rebuilt::Interrupted);
            }
            let log = epochs::gap(self.pool, self.projection, self.epoch, workspace).await?;
            self.tally.reached(workspace, log.filled, log.live);
            if log.live - log.filled > switch::LARGEST_GAP {
                fill::fill(self, workspace, log.filled, log.live).await?;
            } else if switch::switch(self, workspace, allowed).await? {
                self.tally.switched(workspace);
                return Ok(Rebuilt::Switched);
            }
        }
    }
}
