//! A whole batch: reads every item, then judges it against what is known of its source, its campaigns and the past. Pure.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::observation::ObservationType;
use event_store::{Claim, ItemPrecondition, OnDuplicate, Payload};
use serde_json::value::RawValue;

use super::event_builder::EventBuilder;
use super::fingerprint;
use super::item::{self, ObservationBody, ValidObservation};
use super::recorded::{OriginalQuery, Prerequisites, RecordedItems};
use super::window::AcceptanceWindow;
use crate::error::CommandError;
use crate::item_error::ItemError;
use crate::routes::batch::{ItemResult, PreAppendResults};
use crate::routes::campaign_ref::CampaignRef;
use crate::routes::resolved_refs::{ResolvedRefs, ResolvedSource};

/// The items of a request, read but not yet judged.
#[derive(Debug)]
pub(super) struct ObservationBatch<'a> {
    now: DateTime<Utc>,
    items: Vec<(Option<String>, Result<ValidObservation<'a>, ItemError>)>,
    /// Sound items on which the outcome of others hangs, because they share an id.
    repeated: HashSet<(ObservationType, Cow<'a, str>, NaiveDate)>,
    corrects: bool,
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct ValidatedBatch {
    /// The event's payload; `None` when no item is left for it.
    pub(super) payload: Option<Payload>,
    /// What corrected observations come to.
    pub(super) claims: Vec<Claim>,
    /// The observations that are corrected.
    pub(super) seen: Vec<ItemPrecondition>,
    /// The outcomes of all other items.
    pub(super) settled: PreAppendResults,
}

impl<'a> ObservationBatch<'a> {
    pub(super) fn read(items: &[&'a RawValue], now: DateTime<Utc>) -> Self {
        let items: Vec<_> = items.iter().map(|raw| item::read(raw, now)).collect();
        let mut seen = HashSet::with_capacity(items.len());
        let mut repeated = HashSet::new();
        let mut corrects = false;
        for sound in items.iter().filter_map(|(_, sound)| sound.as_ref().ok()) {
            if !seen.insert((sound.kind, sound.id.as_ref(), sound.day())) {
                repeated.insert((sound.kind, sound.id.clone(), sound.day()));
            }
            corrects |= sound.is_correction();
        }
        drop(seen);
        Self { now, items, repeated, corrects }
    }

    /// How many items were sent.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The instant of judging.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    fn sound(&self) -> impl Iterator<Item = &ValidObservation<'a>> {
        self.items.iter().filter_map(|(_, sound)| sound.as_ref().ok())
    }

    /// The campaigns that the sound items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &CampaignRef<'_>> {
        self.sound().filter_map(ValidObservation::campaign)
    }

    /// An item's id, as it is shown.
    pub(super) fn id(&self, index: usize) -> Option<String> {
        self.items.get(index).and_then(|(id, _)| id.clone())
    }

    /// Whether it takes more to judge than what every batch asks for.
    pub(super) fn needs_lookup(&self) -> bool {
        self.corrects || !self.repeated.is_empty()
    }

    /// What must be known of the log.
    pub(super) fn prerequisites(&self, source: &ResolvedSource) -> Prerequisites<'_> {
        let window = AcceptanceWindow::of(&source.definition, self.now);
        let mut asked = Prerequisites::default();
        for sound in self.sound().filter(|sound| window.check(sound.occurred_at).is_ok()) {
            if self.requires_new_id(sound) {
                asked.items.insert((sound.day(), fingerprint::id(source.id, sound.kind, &sound.id)));
            }
            if let ObservationBody::Correction { adjusts, .. } = &sound.said
                && adjusts.day.is_none_or(|day| window.holds(day))
            {
                let id = fingerprint::id(source.id, sound.kind, &adjusts.id);
                let original = || OriginalQuery { kind: sound.kind, id: &adjusts.id, days: [].into() };
                asked.originals.entry(id).or_insert_with(original).days.insert(adjusts.day);
            }
        }
        asked
    }

    /// Whether an item can be part of the append only if it is new: what it makes of others is settled before.
    fn requires_new_id(&self, sound: &ValidObservation<'a>) -> bool {
        let is_repeated = || self.repeated.contains(&(sound.kind, sound.id.clone(), sound.day()));
        sound.is_correction() || !self.repeated.is_empty() && is_repeated()
    }

    /// Judges every item. Twins of earlier requests are told by the append, but for items whose outcome others hang on.
    pub(super) fn validate(
        &self,
        known: &ResolvedRefs<'_>,
        past: &RecordedItems,
    ) -> Result<ValidatedBatch, CommandError> {
        let mut taken = EventBuilder::new(known, past, AcceptanceWindow::of(&known.source.definition, self.now));
        let mut results = Vec::new();
        for (index, (id, sound)) in self.items.iter().enumerate() {
            let fared = match sound {
                Ok(sound) if self.requires_new_id(sound) => taken.push(sound, OnDuplicate::FailRequest),
                Ok(sound) => taken.push(sound, OnDuplicate::Skip),
                Err(refusal) => Err(refusal.clone()),
            };
            match fared {
                Ok(None) => {}
                Ok(Some((status, reason))) => results.push(ItemResult::with_reason(index, id.clone(), status, reason)),
                Err(refusal) => results.push(ItemResult::rejected(index, id.clone(), refusal)),
            }
        }
        taken.finish(PreAppendResults { total: self.items.len(), results })
    }
}
