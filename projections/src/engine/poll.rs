//! One round over the logs that are behind. It takes a page of each, and applies the pages of many logs in one
//! transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use event_store::PageLimit;
use event_store::follow::{Consumer, LaggingLog, LogAssignment, Round, read_pages};
use sqlx::PgPool;
use tokio::time::Instant;

use super::Projection;
use super::announce::CommitNotifier;
use super::batch::IndexedPage;
use super::checkpoint::{self, BootstrapPolicy, LaggingEpoch};
use super::commit_group::{self, CommitGroup};
use super::event::RejectedEvent;
use super::parked::retry_schedule::RetrySchedule;
use super::parked_index::{self, ParkedIndex};
use super::stop::StoppedLogs;

/// The most logs that share a transaction.
const LOGS_TOGETHER: usize = 64;
/// The limit of all pages that share a transaction.
const PAGES_TOGETHER: PageLimit = PageLimit { events: 4_000, bytes: 8 * 1024 * 1024 };

/// Follows the logs for one projection.
pub(crate) struct LogFollower {
    pool: PgPool,
    projection: &'static Projection,
    /// Whether a projection without an epoch gets its first one at once.
    first: BootstrapPolicy,
    share: LogAssignment,
    notifier: CommitNotifier,
    stops: StoppedLogs,
    retries: RetrySchedule,
}

/// The outcome of a round.
#[derive(Debug, Default)]
pub(crate) struct PollResult {
    /// Some checkpoint moved, so there may be more to apply.
    pub(crate) moved: bool,
    /// Another projector moved a checkpoint first.
    pub(crate) conflict: bool,
    /// The event at which a log stopped.
    pub(crate) stopped: Option<RejectedEvent>,
}

/// A log that some epochs are behind, all at the same position and with the same parked index. Its page is read and
/// folded once for all of them.
#[derive(Debug, PartialEq, Eq)]
struct PendingLog {
    log: LaggingLog,
    epochs: Vec<i32>,
    was_stopped: bool,
    holds: Arc<ParkedIndex>,
}

impl LogFollower {
    pub(crate) fn new(
        pool: PgPool,
        projection: &'static Projection,
        first: BootstrapPolicy,
        share: LogAssignment,
        notifier: CommitNotifier,
    ) -> Self {
        let (stops, retries) = (StoppedLogs::default(), RetrySchedule::default());
        Self { pool, projection, first, share, notifier, stops, retries }
    }

    /// Applies at most one page of every log that is behind.
    pub(crate) async fn poll(&mut self) -> Result<PollResult, sqlx::Error> {
        checkpoint::bootstrap(&self.pool, self.projection, self.first).await?;
        let mut round = PollResult {
            moved: self.retries.run(&self.pool, self.projection, &self.share).await?,
            ..PollResult::default()
        };
        if round.moved {
            self.notifier.notify();
        }
        let pending = checkpoint::pending(&self.pool, self.projection, &self.share).await?;
        self.stops.keep(&pending);
        let pending: Vec<_> =
            pending.into_iter().filter(|log| !self.stops.is_backing_off(log.epoch, log.workspace)).collect();
        let behind = merge(self.with_holds(pending).await?);
        for together in behind.chunks(LOGS_TOGETHER) {
            if !self.share.heartbeat() {
                return Ok(round);
            }
            // All pages are read before anything is applied. A read in progress holds a connection, and waiting for
            // another one meanwhile could deadlock.
            let logs: Vec<LaggingLog> = together.iter().map(|pending| pending.log).collect();
            let pages = read_pages(&self.pool, &logs, PAGES_TOGETHER).await?;
            let mut groups: BTreeMap<(&[i32], bool), Vec<IndexedPage>> = BTreeMap::new();
            for (pending, page) in together.iter().zip(pages) {
                let batch = IndexedPage { page, parked: Arc::clone(&pending.holds) };
                groups.entry((&pending.epochs, pending.was_stopped)).or_default().push(batch);
            }
            for ((epochs, was_stopped), batches) in groups {
                let moved = self.apply(CommitGroup { epochs: epochs.to_vec(), batches }, &mut round).await?;
                for workspace in moved.into_iter().filter(|_| was_stopped) {
                    self.stops.clear(&self.pool, self.projection, epochs, workspace).await?;
                }
            }
        }
        Ok(round)
    }

    /// Adds the parked index of each log.
    async fn with_holds(
        &self,
        pending: Vec<LaggingEpoch>,
    ) -> Result<Vec<(LaggingEpoch, Arc<ParkedIndex>)>, sqlx::Error> {
        let (epochs, workspaces): (Vec<i32>, Vec<i32>) =
            pending.iter().filter(|log| log.may_hold).map(|log| (log.epoch, log.workspace)).unzip();
        let mut loaded = if epochs.is_empty() {
            parked_index::Loaded::new()
        } else {
            let mut conn = self.pool.acquire().await?;
            parked_index::load(&mut conn, self.projection.name, &epochs, &workspaces).await?
        };
        let with_holds = pending.into_iter().map(|log| {
            // The revision was read before the index. If the index changed in between, the checkpoint does not move.
            let mut holds = loaded.remove(&(log.epoch, log.workspace)).unwrap_or_default();
            holds.revision = log.revision;
            (log, Arc::new(holds))
        });
        Ok(with_holds.collect())
    }

    /// Applies a group and records its outcome. Returns the logs that advanced.
    async fn apply(&mut self, group: CommitGroup, round: &mut PollResult) -> Result<Vec<i32>, sqlx::Error> {
        let outcome = commit_group::apply(&self.pool, self.projection, group, &self.notifier).await?;
        round.moved |= !outcome.moved.is_empty();
        round.conflict |= outcome.conflict;
        if outcome.parked > 0 {
            self.retries.note();
        }
        for (epochs, refused) in outcome.stopped {
            self.stops.note(&self.pool, self.projection, &epochs, &refused).await?;
            round.stopped = Some(refused);
        }
        let name = self.projection.name;
        metrics::counter!("highwater_projection_batches_total", "projection" => name).increment(outcome.transactions);
        metrics::counter!("highwater_projection_events_total", "projection" => name).increment(outcome.events);
        Ok(outcome.moved)
    }
}

impl Consumer for LogFollower {
    type Error = sqlx::Error;

    fn name(&self) -> &str {
        self.projection.name
    }

    async fn round(&mut self) -> Result<Round, sqlx::Error> {
        let PollResult { moved, conflict, .. } = self.poll().await?;
        Ok(if moved || conflict { Round::Moved } else { Round::Idle })
    }

    /// When the next retry is due, of a stopped log or a parked part.
    fn next_retry(&self) -> Option<Instant> {
        self.stops.next_retry().into_iter().chain(self.retries.next_retry()).min()
    }
}

/// Joins epochs that are behind the same log at the same position with the same parked index.
fn merge(pending: Vec<(LaggingEpoch, Arc<ParkedIndex>)>) -> Vec<PendingLog> {
    let mut behind: Vec<PendingLog> = Vec::new();
    for (epoch, holds) in pending {
        let log = LaggingLog { workspace: epoch.workspace, after: epoch.position, head: epoch.head };
        match behind.last_mut() {
            Some(last)
                if last.log.workspace == log.workspace
                    && last.log.after == log.after
                    && last.was_stopped == epoch.was_stopped
                    && last.holds == holds =>
            {
                last.epochs.push(epoch.epoch);
                last.log.head = last.log.head.min(log.head);
            }
            _ => {
                behind.push(PendingLog { log, epochs: vec![epoch.epoch], was_stopped: epoch.was_stopped, holds });
            }
        }
    }
    behind
}
