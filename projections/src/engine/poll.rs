//! One round over the logs that are behind: a page of each, the pages of many logs in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::PgPool;
use tokio::time::Instant;

use super::announce::CommitNotifier;
use super::batch::LogPage;
use super::checkpoint::{self, LaggingEpoch};
use super::commit_group::{self, CommitGroup};
use super::event::RejectedEvent;
use super::leases::LogAssignment;
use super::parked::retry_schedule::Retries;
use super::parked_index::{self, ParkedIndex};
use super::stop::StoppedLogs;
use super::{Projection, page};

/// Logs that share a transaction at most.
const LOGS_TOGETHER: usize = 64;
/// Pages that are read at the same time.
const PAGES_AT_ONCE: usize = 4;
/// Events that the pages of logs that share a transaction may have together.
const EVENTS_TOGETHER: i64 = 4_000;
/// Payloads, as stored, that they may have together.
const BYTES_TOGETHER: i64 = 8 * 1024 * 1024;

/// Follows the logs for one projection.
pub(crate) struct LogFollower {
    pub(crate) pool: PgPool,
    pub(crate) projection: &'static Projection,
    pub(crate) share: LogAssignment,
    pub(crate) stops: StoppedLogs,
    pub(crate) retries: Retries,
}

/// What a round came to.
#[derive(Debug, Default)]
pub(crate) struct PollResult {
    /// Some checkpoint moved, so there may be more to do.
    pub(crate) moved: bool,
    /// Another projector was faster somewhere.
    pub(crate) lost: bool,
    /// A log that cannot go on.
    pub(crate) stopped: Option<RejectedEvent>,
}

/// A log behind which some epochs are, all at the same position and with the same held back: its page is read and folded once
/// for them.
#[derive(Debug, PartialEq, Eq)]
struct LaggingLog {
    workspace: i32,
    position: i64,
    head: i64,
    epochs: Vec<i32>,
    was_stopped: bool,
    holds: Arc<ParkedIndex>,
}

impl LogFollower {
    pub(crate) fn new(pool: PgPool, projection: &'static Projection, share: LogAssignment) -> Self {
        Self { pool, projection, share, stops: StoppedLogs::default(), retries: Retries::default() }
    }

    /// Applies at most one page of every log that is behind.
    pub(crate) async fn round(&mut self, bell: &CommitNotifier) -> Result<PollResult, sqlx::Error> {
        let mut round = PollResult {
            moved: self.retries.run(&self.pool, self.projection, &self.share).await?,
            ..PollResult::default()
        };
        if round.moved {
            bell.notify();
        }
        let pending = checkpoint::pending(&self.pool, self.projection, &self.share).await?;
        self.stops.keep(&pending);
        let pending: Vec<_> =
            pending.into_iter().filter(|log| !self.stops.is_backing_off(log.epoch, log.workspace)).collect();
        let behind = merge(self.with_holds(pending).await?);
        for together in behind.chunks(LOGS_TOGETHER) {
            if !self.share.heartbeat(self.projection) {
                return Ok(round);
            }
            // Read to the end before anything is applied: a page that is being read holds a connection, and waiting for
            // another one meanwhile could be for ever.
            let reads: Vec<_> = together.iter().map(|log| read(&self.pool, log, together.len())).collect();
            let pages: Vec<LogPage> = stream::iter(reads).buffered(PAGES_AT_ONCE).try_collect().await?;
            let mut groups: BTreeMap<(&[i32], bool), Vec<LogPage>> = BTreeMap::new();
            for (log, page) in together.iter().zip(pages) {
                groups.entry((&log.epochs, log.was_stopped)).or_default().push(page);
            }
            for ((epochs, was_stopped), batches) in groups {
                let moved = self.apply(CommitGroup { epochs: epochs.to_vec(), batches }, &mut round, bell).await?;
                for workspace in moved.into_iter().filter(|_| was_stopped) {
                    self.stops.clear(&self.pool, self.projection, epochs, workspace).await?;
                }
            }
        }
        Ok(round)
    }

    /// When something that could not go on should be tried again.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.stops.next_retry().into_iter().chain(self.retries.next_retry()).min()
    }

    /// What is held back of each log.
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
            // The revision was read before what is held: if that changed in between, the checkpoint does not move.
            let mut holds = loaded.remove(&(log.epoch, log.workspace)).unwrap_or_default();
            holds.revision = log.revision;
            (log, Arc::new(holds))
        });
        Ok(with_holds.collect())
    }

    /// Applies a group and notes what became of it. Gives the logs that moved.
    async fn apply(
        &mut self,
        group: CommitGroup,
        round: &mut PollResult,
        bell: &CommitNotifier,
    ) -> Result<Vec<i32>, sqlx::Error> {
        let outcome = commit_group::apply(&self.pool, self.projection, group, bell).await?;
        round.moved |= !outcome.moved.is_empty();
        round.lost |= outcome.lost;
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

/// Reads the page of a log that an epoch lacks: one of `sharers` that share a transaction.
#[tracing::instrument(level = "debug", name = "read_page", skip_all, fields(workspace = log.workspace))]
async fn read(pool: &PgPool, log: &LaggingLog, sharers: usize) -> Result<LogPage, sqlx::Error> {
    let share = i64::try_from(sharers).unwrap_or(i64::MAX);
    let limit = page::Limit { events: EVENTS_TOGETHER / share, bytes: BYTES_TOGETHER / share };
    let mut conn = pool.acquire().await?;
    let page = page::read(&mut conn, log.workspace, log.position, log.head, limit).await?;
    Ok(page.with_parked(Arc::clone(&log.holds)))
}

/// Joins epochs that are behind the same log at the same position, and hold back the same.
fn merge(pending: Vec<(LaggingEpoch, Arc<ParkedIndex>)>) -> Vec<LaggingLog> {
    let mut behind: Vec<LaggingLog> = Vec::new();
    for (log, holds) in pending {
        match behind.last_mut() {
            Some(last)
                if last.workspace == log.workspace
                    && last.position == log.position
                    && last.was_stopped == log.was_stopped
                    && last.holds == holds =>
            {
                last.epochs.push(log.epoch);
                last.head = last.head.min(log.head);
            }
            _ => behind.push(LaggingLog {
                workspace: log.workspace,
                position: log.position,
                head: log.head,
                epochs: vec![log.epoch],
                was_stopped: log.was_stopped,
                holds,
            }),
        }
    }
    behind
}
