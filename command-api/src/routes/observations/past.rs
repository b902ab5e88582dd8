//! What the log holds already of what a batch is about. Asked for only where it must be known before the append: originals
//! of corrections, and ids on which the outcome of other items hangs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::observation::{Observation, ObservationType, ObservationsRecorded, Total};
use event_store::{Expect, FoundItem, ItemKey, ItemWanted, RawEvent};
use uuid::Uuid;

use super::judge::Batch;
use super::window::Window;
use crate::claims::{self, CORRECTION, Lookup};
use crate::failure::Failure;
use crate::routes::known::KnownSource;
use crate::routes::reference::CampaignRef;

/// What a batch asks of the log.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    /// Whether these are recorded, and with which content.
    pub(super) items: BTreeSet<(NaiveDate, Uuid)>,
    /// What these say.
    pub(super) originals: BTreeMap<Uuid, AskedOriginal<'a>>,
}

/// An observation that is to be corrected.
#[derive(Debug)]
pub(super) struct AskedOriginal<'a> {
    pub(super) kind: ObservationType,
    pub(super) id: &'a str,
    /// The days that corrections name; `None` for those that name none.
    pub(super) days: BTreeSet<Option<NaiveDate>>,
}

/// What the log holds of it.
#[derive(Debug, Default)]
pub(super) struct Past {
    items: HashMap<Uuid, BTreeMap<NaiveDate, FoundItem>>,
    originals: HashMap<(NaiveDate, Uuid), PastOriginal>,
    campaigns: Vec<CampaignRef<'static>>,
}

/// An observation that the log holds and a batch corrects.
#[derive(Debug, Clone)]
pub(super) struct PastOriginal {
    pub(super) key: ItemKey,
    pub(super) campaign: CampaignId,
    pub(super) observation: Observation,
    /// What it comes to with the corrections so far.
    pub(super) total: Total,
    /// What says so.
    pub(super) claim: Expect,
}

/// What an event holds of the originals, by their own ids: of different types, or days.
type Sought<'a> = HashMap<&'a str, Vec<(ObservationType, FoundItem)>>;

impl Past {
    /// Looks up what a batch must know to be judged; asks nothing if that is nothing.
    pub(super) async fn find(lookup: &mut Lookup<'_>, source: &str, batch: &Batch<'_>) -> Result<Self, Failure> {
        if !batch.rests_on_the_past() {
            return Ok(Self::default());
        }
        // That there is no such source is told by whoever looks up all that the batch names.
        let Some(source) = KnownSource::find(lookup, source).await? else { return Ok(Self::default()) };
        let window = Window::of(&source.definition, batch.now());
        let asked = batch.asked(&source);
        let found = lookup.find_items(&asked.wanted(window)).await?;
        let mut past = Self::default();
        for item in found {
            past.items.entry(item.id).or_default().insert(item.day, item);
        }
        past.read_originals(lookup, &asked).await?;
        past.read_totals(lookup, source.id).await?;
        Ok(past)
    }

    /// Reads the events that hold the originals, one after the other: a batch may touch many, and each may be large.
    async fn read_originals(&mut self, lookup: &Lookup<'_>, asked: &Asked<'_>) -> Result<(), Failure> {
        let mut places: BTreeMap<i64, Sought<'_>> = BTreeMap::new();
        for (id, original) in &asked.originals {
            for item in original.days.iter().filter_map(|day| self.only(*id, *day)) {
                let sought = places.entry(item.position).or_default().entry(original.id).or_default();
                sought.push((original.kind, item));
            }
        }
        for (position, sought) in places {
            let batch = read(&lookup.event(position).await?.ok_or(Failure::BadEvent { position })?)?;
            for observation in batch.observations {
                let named = sought.get(observation.id.as_str()).into_iter().flatten();
                let is_sought = |(kind, item): &(ObservationType, FoundItem)| {
                    (*kind, item.day) == (observation.kind, observation.day())
                };
                let Some((_, FoundItem { id, day, fingerprint, .. })) = named.copied().find(is_sought) else {
                    continue;
                };
                let campaign = *batch.campaigns.get(observation.campaign).ok_or(Failure::BadEvent { position })?;
                self.campaigns.push(CampaignRef::Id(campaign));
                let key = ItemKey { day, id, fingerprint };
                let total = Total::of(&observation);
                let original = PastOriginal { key, campaign, observation, total, claim: Expect::Absent };
                self.originals.insert((day, id), original);
            }
            let is_read = |(_, item): &(ObservationType, FoundItem)| self.originals.contains_key(&(item.day, item.id));
            if !sought.values().flatten().all(is_read) {
                return Err(Failure::BadEvent { position });
            }
        }
        Ok(())
    }

    /// Brings the originals to what their corrections so far made of them.
    async fn read_totals(&mut self, lookup: &mut Lookup<'_>, source: SourceId) -> Result<(), Failure> {
        let key = |(day, id): &(NaiveDate, Uuid)| claims::correction_key(*day, *id);
        lookup.find(self.originals.keys().map(|place| (CORRECTION, key(place)))).await?;
        for (place, original) in &mut self.originals {
            let key = key(place);
            if let Some(held) = lookup.held(CORRECTION, &key) {
                let readable = serde_json::from_str(&held.state).ok().filter(|_| held.owner == source.to_string());
                original.total = readable.ok_or_else(|| Failure::claim(CORRECTION, &key))?;
                original.claim = Expect::Held { owner: held.owner.clone(), state: held.state.clone() };
            }
        }
        Ok(())
    }

    /// The campaigns of the originals.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &CampaignRef<'_>> {
        self.campaigns.iter()
    }

    /// An item, if it was asked for and is recorded.
    pub(super) fn item(&self, day: NaiveDate, id: Uuid) -> Option<&FoundItem> {
        self.items.get(&id)?.get(&day)
    }

    /// The days on which an id was used.
    pub(super) fn days(&self, id: Uuid) -> impl Iterator<Item = NaiveDate> {
        self.items.get(&id).into_iter().flat_map(|days| days.keys().copied())
    }

    /// An observation to correct.
    pub(super) fn original(&self, day: NaiveDate, id: Uuid) -> Option<&PastOriginal> {
        self.originals.get(&(day, id))
    }

    /// The one item with this id, on that day if one is said.
    fn only(&self, id: Uuid, day: Option<NaiveDate>) -> Option<FoundItem> {
        let days = self.items.get(&id)?;
        match day {
            Some(day) => days.get(&day).copied(),
            None if days.len() == 1 => days.values().next().copied(),
            None => None,
        }
    }

    /// What a test says that the log holds.
    #[cfg(test)]
    pub(super) fn of(items: &[FoundItem], originals: Vec<PastOriginal>) -> Self {
        let mut past = Self::default();
        for item in items {
            past.items.entry(item.id).or_default().insert(item.day, *item);
        }
        past.originals =
            originals.into_iter().map(|original| ((original.key.day, original.key.id), original)).collect();
        past
    }
}

impl Asked<'_> {
    fn wanted(&self, window: Window) -> Vec<ItemWanted> {
        let one_day = |day: NaiveDate, id: Uuid| ItemWanted { id, first_day: day, last_day: day };
        let mut wanted: Vec<ItemWanted> = self.items.iter().map(|(day, id)| one_day(*day, *id)).collect();
        for (id, original) in &self.originals {
            if original.days.contains(&None) {
                wanted.push(ItemWanted { id: *id, first_day: window.first_day(), last_day: window.last_day() });
            } else {
                wanted.extend(original.days.iter().flatten().map(|day| one_day(*day, *id)));
            }
        }
        wanted
    }
}

fn read(event: &RawEvent) -> Result<ObservationsRecorded, Failure> {
    let position = event.position;
    match Event::decode(event.stream_type(), event.event_type(), event.event_version(), event.payload()) {
        Ok(Event::Observations(batch)) => Ok(batch),
        Ok(_) => Err(Failure::BadEvent { position }),
        Err(source) => Err(Failure::UnreadableEvent { position, source }),
    }
}
