//! The events of a batch, built item by item: one for each series that it touches. The decision on an item depends on
//! its source and campaign, on the log, and on the items before it.

mod first_times; // what counts once for a message and its recipient
mod payloads; // the items of each series

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::CampaignId;
use domain::item::{CampaignRef, ItemError, ItemErrorCode, truncate, truncate_to_millis};
use domain::money::Currency;
use domain::observation::{
    Backfill, Correction, CorrectionInput, CorrectionTarget, NetAmounts, Observation, ObservationBody,
    ObservationInput, ObservationType, StatedOriginal,
};
use domain::source::Series;
use event_store::{Claim, ClaimPrecondition, ItemKey, ItemPrecondition, OnDuplicate, Payload};
use uuid::Uuid;

use self::payloads::BatchHead;
use super::correction_totals::CorrectionTotals;
use super::fingerprint;
use super::id_space::IdSpace;
use super::recorded::RecordedItems;
use super::window::{AcceptanceWindow, check_history};
use crate::batch_result::{ItemStatus, PreAppendResults};
use crate::error::CommandError;
use crate::ingest::resolved_refs::ResolvedRefs;

/// The append of a batch, and the results of the items that are not part of it.
#[derive(Debug)]
pub(super) struct DecidedBatch {
    /// The events' payloads; none if no item is left.
    pub(super) payloads: Vec<Payload>,
    /// The totals of corrected observations.
    pub(super) claims: Vec<Claim>,
    /// The observations that are corrected.
    pub(super) item_preconditions: Vec<ItemPrecondition>,
    /// The results of all other items.
    pub(super) settled: PreAppendResults,
}

/// The builder of the events.
#[derive(Debug)]
pub(super) struct EventBuilder<'a> {
    known: &'a ResolvedRefs<'a>,
    recorded: &'a RecordedItems,
    window: AcceptanceWindow,
    ids: IdSpace,
    /// The backfill that the batch is a chunk of. No ids of it are kept.
    backfill: Option<&'a Backfill>,
    campaigns: Vec<CampaignId>,
    index_of: HashMap<CampaignId, usize>,
    items: Vec<PendingItem>,
    /// The indexes into `items` by day and id.
    places: HashMap<(NaiveDate, Uuid), usize>,
    /// The days of the ids of a backfill, which no window bounds.
    history: HashMap<Uuid, BTreeSet<NaiveDate>>,
    totals: CorrectionTotals,
    /// The indexes into `items` of those that stand beside the item of an input.
    companions: Vec<usize>,
}

#[derive(Debug)]
struct PendingItem {
    series: Series,
    key: ItemKey,
    when_taken: OnDuplicate,
    observation: Observation,
}

/// The current state of an observation that an item corrects.
#[derive(Debug)]
struct CorrectedObservation {
    key: ItemKey,
    campaign: CampaignId,
    occurred_at: DateTime<Utc>,
    dimensions: BTreeMap<String, String>,
    is_correction: bool,
    total: NetAmounts,
    /// The claim that holds the total.
    claim: ClaimPrecondition,
}

impl<'a> EventBuilder<'a> {
    pub(super) fn new(
        known: &'a ResolvedRefs<'a>,
        recorded: &'a RecordedItems,
        window: AcceptanceWindow,
        ids: IdSpace,
        backfill: Option<&'a Backfill>,
    ) -> Self {
        Self {
            known,
            recorded,
            window,
            ids,
            backfill,
            campaigns: Vec::new(),
            index_of: HashMap::new(),
            items: Vec::new(),
            places: HashMap::new(),
            history: HashMap::new(),
            totals: CorrectionTotals::default(),
            companions: Vec::new(),
        }
    }

    /// Adds an item to the event, unless its id is known to be recorded or was added before.
    pub(super) fn push(
        &mut self,
        input: &ObservationInput,
        when_taken: OnDuplicate,
    ) -> Result<Option<(ItemStatus, ItemErrorCode)>, ItemError> {
        self.check_age(input)?;
        let series = self.series(input);
        let currency = series.currency;
        let id = self.ids.digest(input.recorded_kind(), &input.id);
        let at = self.ids.content_time(truncate_to_millis(input.occurred_at));
        let value_micros = input.value_micros(currency)?;
        let first_time = self.first_time(input)?;
        let (key, observation) = match &input.body {
            ObservationBody::New { campaign, count, dimensions, delivered: _ } => {
                let campaign = self.known.campaign(campaign)?;
                let mut observation = Observation {
                    id: input.id.clone(),
                    campaign: 0,
                    kind: input.recorded_kind(),
                    occurred_at: truncate_to_millis(input.occurred_at),
                    count: count.unwrap_or(input.kind.unit_count()),
                    value_micros,
                    dimensions: dimensions.clone(),
                    correction: None,
                    sealed: None,
                };
                let content = fingerprint::of_new(campaign, at, first_time, currency, &observation);
                let key = self.ids.key(id, input.occurred_at, content);
                if let Some(duplicate) = self.find_duplicate(key) {
                    return Ok(Some(duplicate));
                }
                observation.campaign = self.index_of(campaign);
                (key, observation)
            }
            ObservationBody::Correction { adjusts, campaign, count } => {
                let restated = CorrectionInput { count: *count, value_micros };
                let content = fingerprint::of_correction(at, currency, adjusts, restated);
                let key = self.ids.key(id, input.occurred_at, content);
                if let Some(duplicate) = self.find_duplicate(key) {
                    return Ok(Some(duplicate));
                }
                (key, self.correct(input, adjusts, campaign.as_ref(), restated, currency)?)
            }
        };
        self.places.insert((key.day, key.id), self.items.len());
        if self.backfill.is_some() {
            self.history.entry(key.id).or_default().insert(key.day);
        }
        let first = first_time.map(|id| (id, Observation { kind: input.kind, ..observation.clone() }));
        self.items.push(PendingItem { series, key, when_taken, observation });
        if let Some((id, observation)) = first {
            self.count_first_time(series, id, observation);
        }
        Ok(None)
    }

    /// Rejects an item that is too old, or too young for a backfill.
    fn check_age(&self, input: &ObservationInput) -> Result<(), ItemError> {
        match (self.backfill, &input.body) {
            // Its original stands in the same chunk, so it lies before the edge.
            (Some(_), ObservationBody::Correction { adjusts, .. }) if adjusts.original.is_none() => Ok(()),
            (Some(backfill), _) => check_history(backfill, input),
            (None, ObservationBody::Correction { adjusts, .. }) if adjusts.original.is_some() => {
                let detail = "states an original, which only a backfill takes: give its id, or {\"id\", \"day\"}";
                Err(ItemError::at(ItemErrorCode::Unsupported, "adjusts", detail))
            }
            (None, _) => self.window.check(input.occurred_at),
        }
    }

    fn index_of(&mut self, campaign: CampaignId) -> usize {
        *self.index_of.entry(campaign).or_insert_with(|| {
            self.campaigns.push(campaign);
            self.campaigns.len() - 1
        })
    }

    fn taken(&self, day: NaiveDate, id: Uuid) -> Option<&PendingItem> {
        self.items.get(*self.places.get(&(day, id))?)
    }

    /// The result of an item whose id is used already: in the log, where contradicting content can never be recorded,
    /// or by an item before it.
    fn find_duplicate(&self, key: ItemKey) -> Option<(ItemStatus, ItemErrorCode)> {
        let recorded = self.recorded.item(self.ids, key).map(|item| item.fingerprint);
        let fingerprint = recorded.or_else(|| Some(self.taken(key.day, key.id)?.key.fingerprint))?;
        Some(if fingerprint == key.fingerprint {
            (ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded)
        } else {
            (ItemStatus::Conflict, ItemErrorCode::OtherContent)
        })
    }

    /// The observation that records a correction: the difference from its original.
    fn correct(
        &mut self,
        input: &ObservationInput,
        adjusts: &CorrectionTarget,
        campaign: Option<&CampaignRef>,
        restated: CorrectionInput,
        currency: Currency,
    ) -> Result<Observation, ItemError> {
        let original = match (&adjusts.original, campaign) {
            (Some(stated), Some(campaign)) => self.stated_original(input.kind, adjusts, stated, campaign, currency)?,
            _ => self.original(input.kind, adjusts)?,
        };
        if original.is_correction {
            let detail = format!("\"{}\" is a correction itself: adjust its original again", truncate(&adjusts.id));
            return Err(ItemError::at(ItemErrorCode::AdjustsCorrection, "adjusts", detail));
        }
        if let Some(campaign) = campaign
            && self.known.campaign(campaign)? != original.campaign
        {
            let detail = format!("\"{}\" is of campaign {}", truncate(&adjusts.id), original.campaign);
            return Err(ItemError::at(ItemErrorCode::OtherCampaign, "adjusts", detail));
        }
        let after = original.total.apply_correction(input.kind, restated);
        let change = after.delta_from(original.total).ok_or_else(|| {
            let detail = "makes too great a difference to what the original came to before";
            ItemError { reason: ItemErrorCode::BadValue, field: None, detail: detail.to_owned() }
        })?;
        if adjusts.original.is_none() {
            self.totals.put(original.key, &original.claim, after);
        }
        Ok(Observation {
            id: input.id.clone(),
            campaign: self.index_of(original.campaign),
            kind: input.kind,
            occurred_at: original.occurred_at,
            count: change.count,
            value_micros: change.value_micros,
            dimensions: original.dimensions,
            correction: Some(Box::new(Correction {
                of: adjusts.id.clone(),
                at: input.occurred_at,
                count: after.count,
                value_micros: after.value_micros,
            })),
            sealed: None,
        })
    }

    /// The original of a correction that states it.
    fn stated_original(
        &self,
        kind: ObservationType,
        adjusts: &CorrectionTarget,
        stated: &StatedOriginal,
        campaign: &CampaignRef,
        currency: Currency,
    ) -> Result<CorrectedObservation, ItemError> {
        let value_micros = stated.value.map(|value| value.in_currency(currency, "adjusts")).transpose()?;
        let id = self.ids.digest(kind, &adjusts.id);
        Ok(CorrectedObservation {
            key: self.ids.key(id, stated.occurred_at, 0),
            campaign: self.known.campaign(campaign)?,
            occurred_at: truncate_to_millis(stated.occurred_at),
            dimensions: stated.dimensions.clone(),
            is_correction: false,
            total: NetAmounts { count: stated.count.unwrap_or(kind.unit_count()), value_micros },
            claim: ClaimPrecondition::Absent,
        })
    }

    /// The original of a correction: from the log, or an item before it in the batch.
    fn original(&self, kind: ObservationType, adjusts: &CorrectionTarget) -> Result<CorrectedObservation, ItemError> {
        let id = self.ids.digest(kind, &adjusts.id);
        let day = self.day_of_original(id, kind, adjusts)?;
        let (key, campaign, observation, sent, claim) = match (self.recorded.original(day, id), self.taken(day, id)) {
            (Some(recorded), _) => {
                (recorded.key, recorded.campaign, &recorded.observation, recorded.total, recorded.claim.clone())
            }
            (None, Some(taken)) => {
                let observation = &taken.observation;
                let Some(campaign) = self.campaigns.get(observation.campaign) else {
                    return Err(self.unknown(kind, adjusts));
                };
                (taken.key, *campaign, observation, NetAmounts::of(observation), ClaimPrecondition::Absent)
            }
            (None, None) => return Err(self.unknown(kind, adjusts)),
        };
        if adjusts.day.is_some_and(|day| day != observation.day()) {
            return Err(self.unknown(kind, adjusts));
        }
        Ok(CorrectedObservation {
            key,
            campaign,
            occurred_at: observation.occurred_at,
            dimensions: observation.dimensions.clone(),
            is_correction: observation.correction.is_some(),
            total: self.totals.total(key, sent),
            claim,
        })
    }

    /// The only day under which the id of an original is kept.
    fn day_of_original(
        &self,
        id: Uuid,
        kind: ObservationType,
        adjusts: &CorrectionTarget,
    ) -> Result<NaiveDate, ItemError> {
        if self.ids.is_window() {
            let recorded = self.recorded.latest(id).map(|item| item.day);
            return Ok(recorded.unwrap_or_else(|| self.ids.period()));
        }
        if let Some(day) = adjusts.day {
            if self.backfill.is_none() {
                self.window.check_day(day)?;
            }
            return Ok(day);
        }
        let days: BTreeSet<NaiveDate> = if self.backfill.is_some() {
            self.history.get(&id).cloned().unwrap_or_default()
        } else {
            let taken = self.window.days().filter(|day| self.places.contains_key(&(*day, id)));
            self.recorded.days(id).chain(taken).collect()
        };
        match (days.first(), days.last()) {
            (Some(first), Some(last)) if first == last => Ok(*first),
            (Some(first), Some(last)) => {
                let id = truncate(&adjusts.id);
                let detail =
                    format!("\"{id}\" was used on {} days, {first} to {last}: give {{\"id\", \"day\"}}", days.len());
                Err(ItemError::at(ItemErrorCode::AmbiguousObservation, "adjusts", detail))
            }
            _ => Err(self.unknown(kind, adjusts)),
        }
    }

    fn unknown(&self, kind: ObservationType, adjusts: &CorrectionTarget) -> ItemError {
        if self.backfill.is_some() {
            let detail = format!(
                "no {} \"{}\" stands before it in this chunk, and a backfill keeps no ids: state the original, as \
                 {{\"id\", \"occurred_at\", \"count\", \"value\"}} with what it came to before",
                kind.name(),
                truncate(&adjusts.id)
            );
            return ItemError::at(ItemErrorCode::UnknownObservation, "adjusts", detail);
        }
        let when = match adjusts.day {
            Some(day) => format!("on {day}"),
            None => format!("in the last {} days", self.window.length_days()),
        };
        let detail = format!(
            "this source has recorded no {} \"{}\" {when}; once that is accepted, this can be sent again",
            kind.name(),
            truncate(&adjusts.id)
        );
        ItemError::at(ItemErrorCode::UnknownObservation, "adjusts", detail)
    }

    /// The append of the batch, given the results of the items that are not part of it.
    pub(super) fn finish(self, mut settled: PreAppendResults) -> Result<DecidedBatch, CommandError> {
        settled.companions.clone_from(&self.companions);
        let source = self.known.source.id;
        let (claims, item_preconditions) = match self.backfill {
            Some(_) => (Vec::new(), Vec::new()),
            None => (self.totals.claims(source)?, self.totals.item_preconditions()),
        };
        let head = BatchHead { source, backfill: self.backfill, campaigns: &self.campaigns };
        let payloads;
        (payloads, settled.order) = head.payloads(self.items)?;
        Ok(DecidedBatch { payloads, claims, item_preconditions, settled })
    }
}

#[cfg(test)]
mod tests;
