//! The items of a batch. Each is checked by itself, then against its source, its campaigns and the log. Pure.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::local_date;
use domain::item::{CampaignRef, ItemError};
use domain::money::MoneyLimit;
use domain::observation::{Backfill, ObservationBody, ObservationInput, ObservationType};
use domain::zone::Zone;
use event_store::OnDuplicate;

use super::event_builder::{DecidedBatch, EventBuilder};
use super::id_space::IdSpace;
use super::prerequisites::{OriginalQuery, Prerequisites};
use super::recorded::RecordedItems;
use super::window::{AcceptanceWindow, check_history};
use super::{ObservationItem, observation_id};
use crate::batch_result::{ItemResult, PreAppendResults};
use crate::error::CommandError;
use crate::ingest::resolved_refs::{ResolvedRefs, ResolvedSource};
use crate::ingest::unknown_campaigns::UnknownIds;

/// The items of a batch, each valid by itself or rejected.
#[derive(Debug)]
pub(super) struct ObservationBatch<'a> {
    now: DateTime<Utc>,
    /// When the items were received; now, unless they were rejected then.
    received_at: DateTime<Utc>,
    items: &'a [ObservationItem],
    checked: Vec<Result<&'a ObservationInput, ItemError>>,
    /// Valid items that share an id, so that the results of others depend on them: of any day, and of the same day.
    repeated: HashSet<(ObservationType, &'a str)>,
    repeated_in_a_day: HashSet<(ObservationType, &'a str, NaiveDate)>,
    /// Whether there are corrections, or opens and clicks of one recipient, whose results depend on the log.
    depends_on_log: bool,
}

impl<'a> ObservationBatch<'a> {
    /// Checks each item as of `now`. Its age is that at which it was received.
    pub(super) fn new(
        items: &'a [ObservationItem],
        (received_at, now): (DateTime<Utc>, DateTime<Utc>),
        limit: Option<MoneyLimit>,
    ) -> Self {
        let check = |item: &'a ObservationItem| {
            let input = item.as_ref().map_err(|rejected| rejected.error.clone())?;
            input.validate(now)?;
            limit.map_or(Ok(()), |limit| input.check_limit(limit))?;
            Ok(input)
        };
        let checked: Vec<_> = items.iter().map(check).collect();
        let valid = || checked.iter().filter_map(|item| item.as_ref().ok().copied());
        let mut seen = HashSet::with_capacity(items.len());
        let repeated: HashSet<_> = valid().map(id_of).filter(|id| !seen.insert(*id)).collect();
        let mut seen_in_a_day = HashSet::new();
        let sharing = valid().filter(|input| !repeated.is_empty() && repeated.contains(&id_of(input)));
        let dated = sharing.map(|input| (input.recorded_kind(), input.id.as_str(), input.day()));
        let repeated_in_a_day = dated.filter(|key| !seen_in_a_day.insert(*key)).collect();
        let depends_on_log = valid().any(|input| input.is_correction() || input.delivered().is_some());
        Self { now, received_at, items, checked, repeated, repeated_in_a_day, depends_on_log }
    }

    fn valid(&self) -> impl Iterator<Item = &'a ObservationInput> {
        self.checked.iter().filter_map(|item| item.as_ref().ok().copied())
    }

    /// The campaigns that the valid items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &'a CampaignRef> {
        self.valid().filter_map(ObservationInput::campaign)
    }

    /// An item's id, shortened for an answer.
    pub(super) fn id(&self, index: usize) -> Option<String> {
        self.items.get(index).and_then(observation_id)
    }

    /// What a decision on the batch needs from the log.
    pub(super) fn prerequisites(&self, source: &ResolvedSource) -> Prerequisites<'a> {
        let window = self.window(source);
        let ids = IdSpace::of(source, window);
        let mut prerequisites = Prerequisites::new(window, ids);
        if !ids.is_window() && !self.depends_on_log && self.repeated_in_a_day.is_empty() {
            return prerequisites;
        }
        for input in self.valid().filter(|input| window.check(input.occurred_at).is_ok()) {
            let is_needed = self.requires_new_id(ids, input);
            let days = if is_needed { ids.days(input.day()) } else { ids.earlier_days() };
            if !days.is_empty() {
                let id = ids.digest(input.recorded_kind(), &input.id);
                prerequisites.items.extend(days.into_iter().map(|day| (day, id)));
            }
            if let Some(delivered) = input.delivered() {
                prerequisites.first_times.insert(ids.first_time(input.kind, delivered));
            }
            if let ObservationBody::Correction { adjusts, .. } = &input.body
                && adjusts.day.is_none_or(|day| ids.is_window() || window.holds(day))
            {
                let id = ids.digest(input.kind, &adjusts.id);
                let original = || OriginalQuery { kind: input.kind, id: &adjusts.id, days: [].into() };
                prerequisites.originals.entry(id).or_insert_with(original).days.insert(adjusts.day);
            }
        }
        prerequisites
    }

    /// Whether an item can be part of the append only with a new id, because the results of other items depend on it.
    fn requires_new_id(&self, ids: IdSpace, input: &ObservationInput) -> bool {
        let is_repeated = || {
            let (kind, id) = id_of(input);
            if ids.is_window() {
                self.repeated.contains(&(kind, id))
            } else {
                self.repeated_in_a_day.contains(&(kind, id, input.day()))
            }
        };
        input.is_correction() || input.delivered().is_some() || !self.repeated.is_empty() && is_repeated()
    }

    /// The external ids that no campaign has, of items that are good otherwise, with the days of the first ones.
    pub(super) fn unknown_campaigns(
        &self,
        known: &ResolvedRefs<'_>,
        backfill: Option<&Backfill>,
        zone: Zone,
    ) -> UnknownIds<'a> {
        let window = self.window(&known.source);
        let currency = known.source.definition.currency;
        let is_good = |input: &ObservationInput| {
            let is_of_age = match backfill {
                Some(backfill) => check_history(backfill, input).is_ok(),
                None => window.check(input.occurred_at).is_ok() && !input.is_correction(),
            };
            is_of_age
                && known.source.check_expected("occurred_at", input.counts_at()).is_ok()
                && input.value_micros(currency).is_ok()
        };
        let mut unknown = UnknownIds::new();
        for input in self.valid() {
            let Some(reference @ CampaignRef::External(id)) = input.campaign() else { continue };
            if known.campaign(reference).is_err() && is_good(input) {
                let day = local_date(input.counts_at(), zone);
                unknown.entry(id).and_modify(|first| *first = day.min(*first)).or_insert(day);
            }
        }
        unknown
    }

    /// The acceptance window of a source, as of the batch.
    pub(super) fn window(&self, source: &ResolvedSource) -> AcceptanceWindow {
        AcceptanceWindow::of(&source.details.definition_at(self.now), self.received_at, self.now)
    }

    /// Decides on every item. The append finds duplicates of earlier batches, except where other items depend on them.
    /// A chunk of a backfill finds only those among its own items.
    pub(super) fn decide(
        &self,
        known: &ResolvedRefs<'_>,
        recorded: &RecordedItems,
        backfill: Option<&Backfill>,
    ) -> Result<DecidedBatch, CommandError> {
        let window = self.window(&known.source);
        let ids = IdSpace::of(&known.source, window);
        let mut builder = EventBuilder::new(known, recorded, window, ids, backfill);
        let mut results = Vec::new();
        for (index, item) in self.checked.iter().enumerate() {
            let expected = |input: &ObservationInput| known.source.check_expected("occurred_at", input.counts_at());
            let pushed = match item {
                Ok(input) if expected(input).is_err() => expected(input).map(|()| None),
                Ok(input) if self.requires_new_id(ids, input) => builder.push(input, OnDuplicate::FailRequest),
                Ok(input) => builder.push(input, OnDuplicate::Skip),
                Err(error) => Err(error.clone()),
            };
            match pushed {
                Ok(None) => {}
                Ok(Some((status, reason))) => {
                    results.push(ItemResult::with_reason(index, self.id(index), status, reason));
                }
                Err(error) => results.push(ItemResult::rejected(index, self.id(index), error)),
            }
        }
        builder.finish(PreAppendResults { total: self.items.len(), results, ..PreAppendResults::default() })
    }
}

fn id_of(input: &ObservationInput) -> (ObservationType, &str) {
    (input.recorded_kind(), &input.id)
}
