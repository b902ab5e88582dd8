//! The part of the log that a batch refers to.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::observation::{NetAmounts, Observation, ObservationType, ObservationsRecorded};
use event_store::{ClaimPrecondition, ItemKey, StoredEvent, StoredItem};
use uuid::Uuid;

use super::id_space::IdSpace;
use super::prerequisites::Prerequisites;
use crate::claims::{self, CORRECTION, ClaimReader};
use crate::error::CommandError;

/// The recorded items and originals of a batch.
#[derive(Debug, Default)]
pub(super) struct RecordedItems {
    items: HashMap<Uuid, BTreeMap<NaiveDate, StoredItem>>,
    originals: HashMap<(NaiveDate, Uuid), RecordedOriginal>,
}

/// A recorded observation that a batch corrects.
#[derive(Debug, Clone)]
pub(super) struct RecordedOriginal {
    pub(super) key: ItemKey,
    /// The series in which it is recorded.
    pub(super) series: SourceId,
    pub(super) campaign: CampaignId,
    pub(super) observation: Observation,
    /// Its total after the corrections so far.
    pub(super) total: NetAmounts,
    /// The claim that holds the total.
    pub(super) claim: ClaimPrecondition,
}

/// The originals of an event by their own ids, which may repeat across types and days.
type OriginalsById<'a> = HashMap<&'a str, Vec<(ObservationType, StoredItem)>>;

impl RecordedItems {
    /// Looks up the prerequisites of a batch.
    pub(super) async fn find(
        claims: &mut ClaimReader<'_>,
        source: SourceId,
        prerequisites: &Prerequisites<'_>,
    ) -> Result<Self, CommandError> {
        let mut recorded = Self::default();
        for item in prerequisites.find(claims).await? {
            recorded.items.entry(item.id).or_default().insert(item.day, item);
        }
        recorded.read_originals(claims, prerequisites).await?;
        recorded.read_totals(claims, source).await?;
        Ok(recorded)
    }

    /// Reads the events of the originals one after the other, because a batch may need many, and each may be large.
    async fn read_originals(
        &mut self,
        lookup: &ClaimReader<'_>,
        prerequisites: &Prerequisites<'_>,
    ) -> Result<(), CommandError> {
        let ids = prerequisites.ids;
        let mut places: BTreeMap<i64, OriginalsById<'_>> = BTreeMap::new();
        for (id, original) in &prerequisites.originals {
            for item in original.days.iter().filter_map(|day| self.only(ids, *id, *day)) {
                let sought = places.entry(item.position).or_default().entry(original.id).or_default();
                sought.push((original.kind, item));
            }
        }
        for (position, sought) in places {
            let batch = read(&lookup.event(position).await?.ok_or(CommandError::BadEvent { position })?)?;
            let series = batch.series();
            for observation in batch.observations {
                let named = sought.get(observation.id.as_str()).into_iter().flatten();
                let is_sought = |(kind, item): &(ObservationType, StoredItem)| {
                    *kind == observation.kind && (ids.is_window() || item.day == observation.day())
                };
                let Some((_, StoredItem { id, day, fingerprint, .. })) = named.copied().find(is_sought) else {
                    continue;
                };
                let campaign = *batch.campaigns.get(observation.campaign).ok_or(CommandError::BadEvent { position })?;
                let key = ItemKey { day, also_under: None, id, fingerprint };
                let total = NetAmounts::of(&observation);
                let claim = ClaimPrecondition::Absent;
                let original = RecordedOriginal { key, series, campaign, observation, total, claim };
                self.originals.insert((day, id), original);
            }
            let is_read = |(_, item): &(ObservationType, StoredItem)| self.originals.contains_key(&(item.day, item.id));
            if !sought.values().flatten().all(is_read) {
                return Err(CommandError::BadEvent { position });
            }
        }
        Ok(())
    }

    /// Sets the originals to their totals after the corrections so far.
    async fn read_totals(&mut self, lookup: &mut ClaimReader<'_>, source: SourceId) -> Result<(), CommandError> {
        let key = |(day, id): &(NaiveDate, Uuid)| claims::correction_key(*day, *id);
        lookup.find(self.originals.keys().map(|place| (CORRECTION, key(place)))).await?;
        for (place, original) in &mut self.originals {
            let key = key(place);
            if let Some(held) = lookup.held(CORRECTION, &key) {
                let readable = serde_json::from_str(&held.state).ok().filter(|_| held.owner == source.to_string());
                original.total = readable.ok_or_else(|| CommandError::bad_claim(CORRECTION, &key))?;
                original.claim = ClaimPrecondition::Held { owner: held.owner.clone(), state: held.state.clone() };
            }
        }
        Ok(())
    }

    /// The item with this key's id, if it was looked up and is recorded.
    pub(super) fn item(&self, ids: IdSpace, key: ItemKey) -> Option<&StoredItem> {
        if ids.is_window() { self.latest(key.id) } else { self.items.get(&key.id)?.get(&key.day) }
    }

    /// The item with this id that was received last. Around a change of periods, one item is kept under two days.
    pub(super) fn latest(&self, id: Uuid) -> Option<&StoredItem> {
        self.items.get(&id)?.values().next_back()
    }

    /// The days on which an id was used.
    pub(super) fn days(&self, id: Uuid) -> impl Iterator<Item = NaiveDate> {
        self.items.get(&id).into_iter().flat_map(|days| days.keys().copied())
    }

    /// An observation to correct.
    pub(super) fn original(&self, day: NaiveDate, id: Uuid) -> Option<&RecordedOriginal> {
        self.originals.get(&(day, id))
    }

    /// The only item with this id, on that day if one is given.
    fn only(&self, ids: IdSpace, id: Uuid, day: Option<NaiveDate>) -> Option<StoredItem> {
        if ids.is_window() {
            return self.latest(id).copied();
        }
        let days = self.items.get(&id)?;
        match day {
            Some(day) => days.get(&day).copied(),
            None if days.len() == 1 => days.values().next().copied(),
            None => None,
        }
    }

    /// A known state of the log, for tests.
    #[cfg(test)]
    pub(super) fn of(items: &[StoredItem], originals: Vec<RecordedOriginal>) -> Self {
        let mut recorded = Self::default();
        for item in items {
            recorded.items.entry(item.id).or_default().insert(item.day, *item);
        }
        let by_place = |original: RecordedOriginal| ((original.key.day, original.key.id), original);
        recorded.originals = originals.into_iter().map(by_place).collect();
        recorded
    }
}

fn read(event: &StoredEvent) -> Result<ObservationsRecorded, CommandError> {
    let position = event.position;
    match Event::decode(event.stream_type(), event.event_type(), event.event_version(), event.payload()) {
        Ok(Event::Observations(batch)) => Ok(batch),
        Ok(_) => Err(CommandError::BadEvent { position }),
        Err(source) => Err(CommandError::UnreadableEvent { position, source }),
    }
}
