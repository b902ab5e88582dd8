//! Pages of a log: checked for holes, then folded into the row changes that they make.

use event_store::RawEvent;

use super::event::{Recorded, Refusal, Refused};
use super::{Projection, View};

/// Events of one log that directly follow a checkpoint, without a hole.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) workspace: i32,
    /// The checkpoint that they follow.
    pub(crate) after: i64,
    events: Vec<RawEvent>,
    /// What stops the log right after them.
    flaw: Option<Refusal>,
}

impl Batch {
    /// Checks a page: it must start right after the checkpoint and have no hole. Keeps what stands before one.
    ///
    /// `head`: a position that the log is known to reach, so that an empty page before it is a hole too.
    pub(crate) fn check(workspace: i32, after: i64, mut events: Vec<RawEvent>, head: i64) -> Self {
        let contiguous = (after + 1..).zip(&events).take_while(|(expected, event)| event.position == *expected).count();
        let is_cut = contiguous < events.len();
        events.truncate(contiguous);
        let is_missing = events.is_empty() && after < head;
        Self { workspace, after, events, flaw: (is_cut || is_missing).then_some(Refusal::Hole) }
    }

    /// The position of its last event; the checkpoint, if it has none.
    pub(crate) fn last(&self) -> i64 {
        self.events.last().map_or(self.after, |event| event.position)
    }

    pub(crate) fn events(&self) -> &[RawEvent] {
        &self.events
    }

    /// How much there is to decode.
    pub(crate) fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.payload.len()).sum()
    }

    /// The same events, to be tried apart. What is wrong after them is found again once they are applied.
    pub(crate) fn copy(&self) -> Self {
        Self { workspace: self.workspace, after: self.after, events: self.events.clone(), flaw: None }
    }

    /// Keeps what stands before the refused event.
    pub(crate) fn stop_before(&mut self, refused: Refused) {
        let kept = usize::try_from(refused.position - self.after - 1).unwrap_or(0);
        self.events.truncate(kept);
        self.flaw = Some(refused.reason);
    }

    /// Keeps the first half, to find out which event it is that fails.
    pub(crate) fn halve(&mut self) {
        self.events.truncate(self.events.len() / 2);
        self.flaw = None;
    }

    /// Why the log cannot go on at all. `None` while events stand before the flaw: it is met again right after them.
    pub(crate) fn dead_end(&mut self) -> Option<Refused> {
        if !self.events.is_empty() {
            return None;
        }
        let reason = self.flaw.take()?;
        Some(Refused { workspace: self.workspace, position: self.after + 1, reason })
    }
}

/// How far one log's checkpoint moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) workspace: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Row changes of one or many batches, with the moves of the checkpoints that cover them.
pub(crate) struct Fold {
    views: Vec<Box<dyn View>>,
    moves: Vec<Move>,
    pub(crate) events: u64,
}

impl Fold {
    pub(crate) fn new(projection: &Projection) -> Self {
        Self { views: (projection.views)(), moves: Vec::new(), events: 0 }
    }

    /// Takes in a batch. After a refusal the fold is useless: some views may have taken in what others refused.
    pub(crate) fn absorb(&mut self, batch: &Batch) -> Result<(), Refused> {
        for raw in batch.events() {
            self.absorb_event(raw).map_err(|reason| Refused {
                workspace: raw.workspace,
                position: raw.position,
                reason,
            })?;
        }
        self.events += batch.events().len() as u64;
        match self.moves.last_mut() {
            Some(last) if last.workspace == batch.workspace => last.to = batch.last(),
            _ => self.moves.push(Move { workspace: batch.workspace, from: batch.after, to: batch.last() }),
        }
        Ok(())
    }

    fn absorb_event(&mut self, raw: &RawEvent) -> Result<(), Refusal> {
        let recorded = Recorded::decode(raw)?;
        self.views.iter_mut().try_for_each(|view| view.absorb(&recorded))
    }

    /// How many rows are waiting to be written.
    pub(crate) fn rows(&self) -> usize {
        self.views.iter().map(|view| view.rows()).sum()
    }

    pub(crate) fn views(&self) -> &[Box<dyn View>] {
        &self.views
    }

    pub(crate) fn moves(&self) -> &[Move] {
        &self.moves
    }
}
