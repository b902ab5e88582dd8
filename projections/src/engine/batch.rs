//! Folds pages of a log into the row changes that they make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::ids::CampaignId;
use event_store::StoredEvent;
use event_store::follow::LogPage;

use super::event::{ApplyError, EventEnvelope, RejectedEvent};
use super::parked_index::{DeferredCount, Disposition, ParkedIndex, ParkedKey, PartialDisposition};
use super::{Projection, View};

/// A page of a log, with the index of what of the log is parked. The page is folded under this index.
#[derive(Debug)]
pub(crate) struct IndexedPage {
    pub(crate) page: LogPage,
    pub(crate) parked: Arc<ParkedIndex>,
}

impl IndexedPage {
    /// A copy, to be applied separately.
    pub(crate) fn copy(&self) -> Self {
        Self { page: self.page.copy(), parked: Arc::clone(&self.parked) }
    }
}

/// The error if the log has a hole after a page.
pub(crate) fn gap_error(page: &LogPage) -> Option<RejectedEvent> {
    let workspace = page.workspace;
    page.missing().map(|position| RejectedEvent { workspace, position, reason: ApplyError::Hole })
}

/// The move of one log's checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointAdvance {
    pub(crate) workspace: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The revision that the checkpoint must still have.
    pub(crate) revision: i32,
}

/// The row changes of one or many batches, with the moves of the checkpoints that cover them.
pub(crate) struct Accumulator {
    views: Vec<Box<dyn View>>,
    moves: Vec<CheckpointAdvance>,
    waiting: BTreeMap<(i32, ParkedKey), DeferredCount>,
    pub(crate) events: u64,
}

impl Accumulator {
    pub(crate) fn new(projection: &Projection) -> Self {
        Self { views: (projection.views)(), moves: Vec::new(), waiting: BTreeMap::new(), events: 0 }
    }

    /// A fold of a log of which the epoch has no event yet.
    pub(crate) fn of_new_log(projection: &Projection) -> Self {
        let mut first = Self::new(projection);
        first.views.iter_mut().for_each(|view| view.resume_after(None));
        first
    }

    /// Creates the fold of the events after these, which knows what this one writes.
    pub(crate) fn successor(&self, projection: &Projection) -> Self {
        let mut next = Self::new(projection);
        for (view, before) in next.views.iter_mut().zip(&self.views) {
            view.resume_after(Some(before.as_ref()));
        }
        next
    }

    /// Adds the fold of the events right after its own.
    pub(crate) fn merge(&mut self, later: Self) {
        for (view, later) in self.views.iter_mut().zip(later.views) {
            view.merge(later);
        }
        for step in later.moves {
            self.move_on(step);
        }
        for (part, more) in later.waiting {
            let waiting = self.waiting.entry(part).or_insert(DeferredCount { events: 0, last: 0 });
            waiting.events += more.events;
            waiting.last = more.last;
        }
        self.events += later.events;
    }

    /// Applies a batch. After a refusal the fold is useless: some views may have applied what others refused.
    pub(crate) fn absorb(&mut self, batch: &IndexedPage) -> Result<(), RejectedEvent> {
        let IndexedPage { page, parked } = batch;
        for raw in page.events() {
            self.absorb_event(raw, parked).map_err(|reason| RejectedEvent {
                workspace: raw.workspace,
                position: raw.position,
                reason,
            })?;
        }
        self.events += page.events().len() as u64;
        self.move_on(CheckpointAdvance {
            workspace: page.workspace,
            from: page.after,
            to: page.last(),
            revision: parked.revision,
        });
        Ok(())
    }

    fn move_on(&mut self, step: CheckpointAdvance) {
        match self.moves.last_mut() {
            Some(last) if last.workspace == step.workspace => last.to = step.to,
            _ => self.moves.push(step),
        }
    }

    /// Applies what is not parked or skipped of one event, and counts the deferred events.
    pub(crate) fn absorb_event(&mut self, raw: &StoredEvent, holds: &ParkedIndex) -> Result<(), ApplyError> {
        match holds.disposition_of(raw) {
            Disposition::Apply => self.take(&EventEnvelope::decode(raw)?),
            Disposition::Skip => Ok(()),
            Disposition::Defer => {
                self.wait(raw, None);
                Ok(())
            }
            Disposition::ApplyPart(share) => {
                let mut recorded = EventEnvelope::decode(raw)?;
                self.wait_some(raw, &recorded, share);
                recorded.exclude_campaigns(|campaign| share.excludes(campaign));
                self.take(&recorded)
            }
        }
    }

    /// Applies some campaigns' share of one event, and nothing else of it.
    pub(crate) fn absorb_share(
        &mut self,
        raw: &StoredEvent,
        is_in: impl Fn(CampaignId) -> bool,
    ) -> Result<(), ApplyError> {
        let mut recorded = EventEnvelope::decode(raw)?;
        recorded.exclude_campaigns(|campaign| !is_in(campaign));
        self.take(&recorded)
    }

    fn take(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        self.views.iter_mut().try_for_each(|view| view.apply(recorded))
    }

    fn wait_some(&mut self, raw: &StoredEvent, recorded: &EventEnvelope<'_>, share: PartialDisposition<'_>) {
        let named: BTreeSet<CampaignId> = recorded.campaigns().unwrap_or_default();
        for campaign in named.into_iter().filter(|campaign| share.waits(*campaign)) {
            self.wait(raw, Some(campaign));
        }
    }

    fn wait(&mut self, raw: &StoredEvent, campaign: Option<CampaignId>) {
        let part = ParkedKey::of(raw, campaign);
        let waiting = self.waiting.entry((raw.workspace, part)).or_insert(DeferredCount { events: 0, last: 0 });
        waiting.events += 1;
        waiting.last = raw.position;
    }

    /// The deferred events, by parked part.
    pub(crate) fn waiting(&self) -> &BTreeMap<(i32, ParkedKey), DeferredCount> {
        &self.waiting
    }

    /// The number of rows to write.
    pub(crate) fn rows(&self) -> usize {
        self.views.iter().map(|view| view.pending_rows()).sum()
    }

    pub(crate) fn views(&self) -> &[Box<dyn View>] {
        &self.views
    }

    pub(crate) fn moves(&self) -> &[CheckpointAdvance] {
        &self.moves
    }
}
