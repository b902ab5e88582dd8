//! Batches that share a transaction. They are applied together, and split to isolate a failure, so that nothing else
//! waits for it.

use event_store::follow::{LaggingLog, read_page};
use event_store::{PageLimit, StoredEvent};
use sqlx::PgPool;

use super::announce::CommitNotifier;
use super::apply::{self, CommitOutcome};
use super::batch::{Accumulator, IndexedPage, gap_error};
use super::error::{self, WriteError};
use super::event::RejectedEvent;
use super::parked::park::{self, ParkOutcome};
use super::{Projection, parked_index};

/// Payloads above this size are folded off the runtime's thread, which they would block.
const INLINE_BYTES: usize = 64 * 1024;
/// The limits of a page of one log: events, and bytes of their payloads as stored.
const PAGE_EVENTS: i64 = 1_000;
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// Batches to apply in one transaction to the same epochs, under the same parked index.
pub(crate) struct CommitGroup {
    pub(crate) epochs: Vec<i32>,
    pub(crate) batches: Vec<IndexedPage>,
}

/// The outcome of a group.
#[derive(Debug, Default)]
pub(crate) struct GroupOutcome {
    /// The logs whose checkpoints moved.
    pub(crate) moved: Vec<i32>,
    /// The transactions that moved them.
    pub(crate) transactions: u64,
    /// The events that were applied.
    pub(crate) events: u64,
    /// The parts that were parked.
    pub(crate) parked: usize,
    /// Another projector moved a checkpoint first.
    pub(crate) conflict: bool,
    /// The events at which logs stopped, and in which epochs.
    pub(crate) stopped: Vec<(Vec<i32>, RejectedEvent)>,
}

/// The work that is left of a group after a failure.
type Remainder = (Vec<CommitGroup>, Option<PoisonEvent>);

/// A refused event, right after the checkpoints of these epochs.
struct PoisonEvent {
    epochs: Vec<i32>,
    event: StoredEvent,
    batch: IndexedPage,
}

/// Applies one page of one log to one epoch, up to a position.
pub(crate) async fn apply_page(
    pool: &PgPool,
    projection: &'static Projection,
    epoch: i32,
    workspace: i32,
    after: i64,
    through: i64,
) -> Result<GroupOutcome, sqlx::Error> {
    let batch = {
        let mut conn = pool.acquire().await?;
        let parked = parked_index::of_log(&mut conn, projection.name, epoch, workspace).await?;
        let limit = PageLimit { events: PAGE_EVENTS.min(through - after), bytes: PAGE_BYTES };
        let page = read_page(&mut conn, LaggingLog { workspace, after, head: through }, limit).await?;
        IndexedPage { page, parked }
    };
    apply(pool, projection, CommitGroup { epochs: vec![epoch], batches: vec![batch] }, &CommitNotifier::default()).await
}

/// Applies a group. Refused events are parked, and the log continues. A log stops at a gap in its positions, or when
/// more than [`MOST_PARTS`](super::parked::MOST_PARTS) of its parts would be parked.
pub(crate) async fn apply(
    pool: &PgPool,
    projection: &'static Projection,
    group: CommitGroup,
    notifier: &CommitNotifier,
) -> Result<GroupOutcome, sqlx::Error> {
    let mut outcome = GroupOutcome::default();
    let mut work = vec![group];
    while let Some(group) = work.pop() {
        let Some(group) = group.remove_stopped_logs(&mut outcome) else { continue };
        let (groups, poison) = match fold(projection, group).await {
            Ok((fold, group)) => match apply::commit(pool, projection, &group.epochs, &fold).await {
                Ok(CommitOutcome::Written) => {
                    outcome.transactions += 1;
                    outcome.events += fold.events;
                    outcome.moved.extend(group.batches.iter().map(|batch| batch.page.workspace));
                    notifier.notify();
                    continue;
                }
                Ok(CommitOutcome::Conflict) => {
                    outcome.conflict = true;
                    continue;
                }
                Err(WriteError::Refused(refused)) if group.epochs.len() == 1 => group.isolate(&refused),
                Err(WriteError::Refused(_)) => (group.split_epochs(), None),
                Err(WriteError::Database(error)) if error::is_about_rows(&error) => group.split_rows(),
                Err(WriteError::Database(error)) => return Err(error),
            },
            Err((refused, group)) => group.isolate(&refused),
        };
        work.extend(groups);
        if let Some(poison) = poison {
            poison.park(pool, projection, &mut outcome, notifier).await?;
        }
    }
    Ok(outcome)
}

impl CommitGroup {
    /// Removes and reports the logs that are stopped. `None` if nothing is left.
    fn remove_stopped_logs(self, outcome: &mut GroupOutcome) -> Option<Self> {
        let Self { epochs, batches } = self;
        let (batches, empty): (Vec<_>, Vec<_>) = batches.into_iter().partition(|batch| !batch.page.events().is_empty());
        let stuck = empty.iter().filter_map(|batch| gap_error(&batch.page));
        outcome.stopped.extend(stuck.map(|refused| (epochs.clone(), refused)));
        (!batches.is_empty()).then_some(Self { epochs, batches })
    }

    /// Keeps the events before the refused one. If there is none, takes the refused event out.
    fn isolate(mut self, refused: &RejectedEvent) -> Remainder {
        let Some(place) = self.batches.iter().position(|batch| batch.page.workspace == refused.workspace) else {
            return (vec![self], None);
        };
        let Some(event) = self.batches.get_mut(place).and_then(|batch| batch.page.truncate_before(refused.position))
        else {
            return (vec![self], None);
        };
        let batch = self.batches.remove(place);
        let poison = PoisonEvent { epochs: self.epochs.clone(), event, batch };
        (vec![self], Some(poison))
    }

    /// Splits the group by epoch, because an old epoch must not block the live one.
    fn split_epochs(self) -> Vec<Self> {
        let Self { epochs, batches } = self;
        let copy = || batches.iter().map(IndexedPage::copy).collect();
        epochs.iter().map(|&epoch| Self { epochs: vec![epoch], batches: copy() }).collect()
    }

    /// Splits a group whose rows the database refuses. The order is: epochs, then logs, then halves of a log's events.
    /// The last single event is the refused one.
    fn split_rows(mut self) -> Remainder {
        if self.epochs.len() > 1 {
            return (self.split_epochs(), None);
        }
        if let [batch] = self.batches.as_mut_slice() {
            if batch.page.events().len() > 1 {
                batch.page.bisect();
                return (vec![self], None);
            }
            let event = batch.page.truncate_before(batch.page.after + 1);
            let Self { epochs, mut batches } = self;
            let poison = event.zip(batches.pop()).map(|(event, batch)| PoisonEvent { epochs, event, batch });
            return (Vec::new(), poison);
        }
        let Self { epochs, batches } = self;
        let alone = |batch| Self { epochs: epochs.clone(), batches: vec![batch] };
        (batches.into_iter().map(alone).collect(), None)
    }
}

impl PoisonEvent {
    async fn park(
        self,
        pool: &PgPool,
        projection: &Projection,
        outcome: &mut GroupOutcome,
        notifier: &CommitNotifier,
    ) -> Result<(), sqlx::Error> {
        for epoch in self.epochs {
            match park::park_and_advance(pool, projection, epoch, &self.event, &self.batch.parked).await? {
                ParkOutcome::Advanced { parked } => {
                    outcome.parked += parked;
                    outcome.transactions += 1;
                    outcome.moved.push(self.event.workspace);
                    notifier.notify();
                }
                ParkOutcome::Conflict => outcome.conflict = true,
                ParkOutcome::Stopped(refused) => outcome.stopped.push((vec![epoch], refused)),
            }
        }
        Ok(())
    }
}

/// Folds a group, off the runtime's threads if it is large. A refusal returns the group, to be split.
async fn fold(
    projection: &'static Projection,
    group: CommitGroup,
) -> Result<(Accumulator, CommitGroup), (RejectedEvent, CommitGroup)> {
    let bytes: usize = group.batches.iter().map(|batch| batch.page.bytes()).sum();
    if bytes <= INLINE_BYTES {
        return fold_here(projection, group);
    }
    match tokio::task::spawn_blocking(move || fold_here(projection, group)).await {
        Ok(folded) => folded,
        // The task is never cancelled, so it panicked: the panic continues here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn fold_here(
    projection: &Projection,
    group: CommitGroup,
) -> Result<(Accumulator, CommitGroup), (RejectedEvent, CommitGroup)> {
    let mut fold = Accumulator::new(projection);
    for batch in &group.batches {
        if let Err(refused) = fold.absorb(batch) {
            return Err((refused, group));
        }
    }
    Ok((fold, group))
}
