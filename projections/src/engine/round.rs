//! One round over the logs that are behind: a page of each, the pages of many logs in one transaction.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::PgPool;

use super::announce::Bell;
use super::apply::{self, Applied};
use super::batch::{Batch, Fold};
use super::checkpoint::{self, Pending};
use super::event::{Refusal, Refused};
use super::leases::Share;
use super::stop::Stops;
use super::{Projection, WriteError, page};

/// Logs that share a transaction at most.
const LOGS_TOGETHER: usize = 64;
/// Pages that are read at the same time.
const PAGES_AT_ONCE: usize = 4;
/// Events that the pages of logs that share a transaction may have together.
const EVENTS_TOGETHER: i64 = 4_000;
/// Payloads, as stored, that they may have together.
const BYTES_TOGETHER: i64 = 8 * 1024 * 1024;
/// Folding more than this would hold up the runtime's thread.
const INLINE_BYTES: usize = 64 * 1024;

/// Follows the logs for one projection.
pub(crate) struct Follower {
    pub(crate) pool: PgPool,
    pub(crate) projection: &'static Projection,
    pub(crate) share: Share,
    pub(crate) stops: Stops,
}

/// What a round came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Some checkpoint moved, so there may be more to do.
    pub(crate) moved: bool,
    /// Another projector was faster somewhere.
    pub(crate) lost: bool,
    /// A log that cannot go on.
    pub(crate) stopped: Option<Refused>,
}

/// A log behind which some epochs are, all at the same position: its page is read and folded once for them.
#[derive(Debug, PartialEq, Eq)]
struct Behind {
    workspace: i32,
    position: i64,
    head: i64,
    epochs: Vec<i32>,
    was_stopped: bool,
}

/// Batches to apply in one transaction to the same epochs.
struct Group {
    epochs: Vec<i32>,
    batches: Vec<Batch>,
}

impl Follower {
    pub(crate) fn new(pool: PgPool, projection: &'static Projection, share: Share) -> Self {
        Self { pool, projection, share, stops: Stops::default() }
    }

    /// Applies at most one page of every log that is behind.
    pub(crate) async fn round(&mut self, bell: &Bell) -> Result<Round, sqlx::Error> {
        let pending = checkpoint::pending(&self.pool, self.projection, &self.share).await?;
        self.stops.keep(&pending);
        let behind = merge(pending.into_iter().filter(|log| !self.stops.rests(log.epoch, log.workspace)));
        let mut round = Round::default();
        for together in behind.chunks(LOGS_TOGETHER) {
            if !self.share.goes_on(self.projection) {
                return Ok(round);
            }
            // Read to the end before anything is applied: a page that is being read holds a connection, and waiting for
            // another one meanwhile could be for ever.
            let reads: Vec<_> = together.iter().map(|log| read(&self.pool, log, together.len())).collect();
            let pages: Vec<Batch> = stream::iter(reads).buffered(PAGES_AT_ONCE).try_collect().await?;
            let mut groups: BTreeMap<(&[i32], bool), Vec<Batch>> = BTreeMap::new();
            for (log, page) in together.iter().zip(pages) {
                groups.entry((&log.epochs, log.was_stopped)).or_default().push(page);
            }
            for ((epochs, was_stopped), batches) in groups {
                let moved = self.apply(Group { epochs: epochs.to_vec(), batches }, &mut round, bell).await?;
                for workspace in moved.into_iter().filter(|_| was_stopped) {
                    self.stops.clear(&self.pool, self.projection, epochs, workspace).await?;
                }
            }
        }
        Ok(round)
    }

    /// Applies a group; splits it to find out what fails, so that nothing else is held up. Gives the logs that moved.
    async fn apply(&mut self, group: Group, round: &mut Round, bell: &Bell) -> Result<Vec<i32>, sqlx::Error> {
        let mut moved = Vec::new();
        let mut work = vec![group];
        while let Some(group) = work.pop() {
            let Some(group) = self.set_dead_ends_aside(group, round).await? else { continue };
            let group = match fold(self.projection, group).await {
                Ok((fold, group)) => match apply::commit(&self.pool, self.projection, &group.epochs, &fold).await {
                    Ok(Applied::Written) => {
                        self.count(&fold);
                        bell.ring();
                        round.moved = true;
                        moved.extend(group.batches.iter().map(|batch| batch.workspace));
                        continue;
                    }
                    Ok(Applied::Lost) => {
                        round.lost = true;
                        continue;
                    }
                    Err(WriteError::Refused(refused)) if group.epochs.len() == 1 => group.stop_before(refused),
                    Err(WriteError::Refused(_)) => group.split_epochs(),
                    Err(WriteError::Database(error)) if apply::is_about_rows(&error) => group.split_rows(error),
                    Err(WriteError::Database(error)) => return Err(error),
                },
                Err((refused, group)) => group.stop_before(refused),
            };
            work.extend(group);
        }
        Ok(moved)
    }

    /// Notes the logs of a group that cannot go on. `None` if nothing is left of it.
    async fn set_dead_ends_aside(&mut self, group: Group, round: &mut Round) -> Result<Option<Group>, sqlx::Error> {
        let Group { epochs, batches } = group;
        let (batches, stuck): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| !batch.events().is_empty());
        for refused in stuck.into_iter().filter_map(|mut batch| batch.dead_end()) {
            self.stops.note(&self.pool, self.projection, &epochs, &refused).await?;
            round.stopped = Some(refused);
        }
        Ok((!batches.is_empty()).then_some(Group { epochs, batches }))
    }

    fn count(&self, fold: &Fold) {
        metrics::counter!("highwater_projection_batches_total", "projection" => self.projection.name).increment(1);
        metrics::counter!("highwater_projection_events_total", "projection" => self.projection.name)
            .increment(fold.events);
    }
}

impl Group {
    fn stop_before(mut self, refused: Refused) -> Vec<Self> {
        if let Some(batch) = self.batches.iter_mut().find(|batch| batch.workspace == refused.workspace) {
            batch.stop_before(refused);
        }
        vec![self]
    }

    /// One group per epoch: an old epoch must not hold up the live one.
    fn split_epochs(self) -> Vec<Self> {
        let Self { epochs, batches } = self;
        let copy = || batches.iter().map(Batch::copy).collect();
        epochs.iter().map(|&epoch| Self { epochs: vec![epoch], batches: copy() }).collect()
    }

    /// The parts of a group whose rows the database refuses: epochs, then logs, then halves of a log's events, until one
    /// event is left, which is refused then.
    fn split_rows(mut self, error: sqlx::Error) -> Vec<Self> {
        if self.epochs.len() > 1 {
            return self.split_epochs();
        }
        if let [batch] = self.batches.as_mut_slice() {
            if batch.events().len() > 1 {
                batch.halve();
            } else {
                let position = batch.after + 1;
                batch.stop_before(Refused { workspace: batch.workspace, position, reason: Refusal::Rows(error) });
            }
            return vec![self];
        }
        let Self { epochs, batches } = self;
        batches.into_iter().map(|batch| Self { epochs: epochs.clone(), batches: vec![batch] }).collect()
    }
}

/// Reads the page of a log that an epoch lacks: one of `sharers` that share a transaction.
async fn read(pool: &PgPool, log: &Behind, sharers: usize) -> Result<Batch, sqlx::Error> {
    let share = i64::try_from(sharers).unwrap_or(i64::MAX);
    let limit = page::Limit { events: EVENTS_TOGETHER / share, bytes: BYTES_TOGETHER / share };
    let mut conn = pool.acquire().await?;
    page::read(&mut conn, log.workspace, log.position, log.head, limit).await
}

/// Folds a group, away from the runtime's threads if it is large. A refusal gives the group back, to be cut.
async fn fold(projection: &'static Projection, group: Group) -> Result<(Fold, Group), (Refused, Group)> {
    let bytes: usize = group.batches.iter().map(Batch::bytes).sum();
    if bytes <= INLINE_BYTES {
        return fold_here(projection, group);
    }
    match tokio::task::spawn_blocking(move || fold_here(projection, group)).await {
        Ok(folded) => folded,
        // Never cancelled, so it panicked: a bug, which goes on its way.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn fold_here(projection: &Projection, group: Group) -> Result<(Fold, Group), (Refused, Group)> {
    let mut fold = Fold::new(projection);
    for batch in &group.batches {
        if let Err(refused) = fold.absorb(batch) {
            return Err((refused, group));
        }
    }
    Ok((fold, group))
}

/// Joins epochs that are behind the same log at the same position.
fn merge(pending: impl Iterator<Item = Pending>) -> Vec<Behind> {
    let mut behind: Vec<Behind> = Vec::new();
    for log in pending {
        match behind.last_mut() {
            Some(last)
                if last.workspace == log.workspace
                    && last.position == log.position
                    && last.was_stopped == log.was_stopped =>
            {
                last.epochs.push(log.epoch);
                last.head = last.head.min(log.head);
            }
            _ => behind.push(Behind {
                workspace: log.workspace,
                position: log.position,
                head: log.head,
                epochs: vec![log.epoch],
                was_stopped: log.was_stopped,
            }),
        }
    }
    behind
}
