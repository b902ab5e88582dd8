//! A whole batch: reads every item, then judges it against what is known of its source and campaigns. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::ids::{CampaignId, SourceId};
use domain::money::Currency;
use domain::observation::{Observation, ObservationsRecorded};
use domain::source::observation_window_s;
use event_store::{Item, ItemKey, Payload, WhenTaken};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::item::{self, Sound};
use crate::failure::Failure;
use crate::refusal::{Reason, Refusal};
use crate::routes::batch::{ItemResult, ItemStatus, Settled};
use crate::routes::known::Known;
use crate::routes::reference::CampaignRef;

/// The items of a request, read but not yet judged.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    now: DateTime<Utc>,
    items: Vec<(Option<String>, Result<Sound<'a>, Refusal>)>,
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct Judged {
    /// The event's payload; `None` when no item is left for it.
    pub(super) payload: Option<Payload>,
    /// The outcomes of all other items.
    pub(super) settled: Settled,
}

impl<'a> Batch<'a> {
    pub(super) fn read(items: &[&'a RawValue], now: DateTime<Utc>) -> Self {
        Self { now, items: items.iter().map(|raw| item::read(raw, now)).collect() }
    }

    /// The campaigns that the sound items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &CampaignRef<'a>> {
        self.items.iter().filter_map(|(_, sound)| sound.as_ref().ok()).map(|sound| &sound.campaign)
    }

    /// An item's id, as it is shown.
    pub(super) fn id(&self, index: usize) -> Option<String> {
        self.items.get(index).and_then(|(id, _)| id.clone())
    }

    /// Judges every item. Twins within the request are settled here; twins of earlier requests by the append.
    pub(super) fn judge(&self, known: &Known<'_>) -> Result<Judged, Failure> {
        let source = &known.source;
        let window = TimeDelta::seconds(observation_window_s(&source.definition));
        let mut taken = Taken::default();
        let mut results = Vec::new();
        for (index, (id, sound)) in self.items.iter().enumerate() {
            let observation = sound.as_ref().map_err(Refusal::clone).and_then(|sound| {
                not_too_old(sound.occurred_at, self.now, window)?;
                let campaign = known.campaign(&sound.campaign, sound.occurred_at)?;
                let value_micros = sound.value_micros(source.definition.currency)?;
                Ok((campaign, observation(sound, taken.index_of(campaign), value_micros)))
            });
            match observation {
                Err(refusal) => results.push(ItemResult::rejected(index, id.clone(), refusal)),
                Ok((campaign, observation)) => {
                    let key = item_key(source.id, campaign, source.definition.currency, &observation);
                    if let Some((status, reason)) = taken.take(key, &observation)? {
                        results.push(ItemResult::because(index, id.clone(), status, reason));
                    }
                }
            }
        }
        let settled = Settled { total: self.items.len(), results };
        Ok(Judged { payload: taken.payload(source.id, source.definition.currency)?, settled })
    }
}

fn not_too_old(occurred_at: DateTime<Utc>, now: DateTime<Utc>, window: TimeDelta) -> Result<(), Refusal> {
    if occurred_at < now - window {
        let detail = format!("lies more than {} days back, which is as far as this source may go", window.num_days());
        return Err(Refusal::at(Reason::TooOld, "occurred_at", detail));
    }
    Ok(())
}

/// The items that are left for the event.
#[derive(Debug, Default)]
struct Taken {
    campaigns: Vec<CampaignId>,
    index_of: HashMap<CampaignId, usize>,
    fingerprints: HashMap<(NaiveDate, Uuid), i64>,
    items: Vec<Item>,
}

impl Taken {
    fn index_of(&mut self, campaign: CampaignId) -> usize {
        *self.index_of.entry(campaign).or_insert_with(|| {
            self.campaigns.push(campaign);
            self.campaigns.len() - 1
        })
    }

    /// Takes an item, unless one of the same key was taken before.
    fn take(&mut self, key: ItemKey, observation: &Observation) -> Result<Option<(ItemStatus, Reason)>, Failure> {
        match self.fingerprints.entry((key.day, key.id)) {
            Entry::Occupied(earlier) if *earlier.get() == key.fingerprint => {
                Ok(Some((ItemStatus::Duplicate, Reason::AlreadyRecorded)))
            }
            Entry::Occupied(_) => Ok(Some((ItemStatus::Conflict, Reason::OtherContent))),
            Entry::Vacant(vacant) => {
                vacant.insert(key.fingerprint);
                let content = serde_json::to_string(observation).map_err(Failure::encoding)?;
                self.items.push(Item { key: Some(key), when_taken: WhenTaken::LeaveOut, content });
                Ok(None)
            }
        }
    }

    fn payload(self, source: SourceId, currency: Currency) -> Result<Option<Payload>, Failure> {
        if self.items.is_empty() {
            return Ok(None);
        }
        let (head, tail) = frame(source, currency, self.campaigns)?;
        Ok(Some(Payload::Items { head, items: self.items, tail }))
    }
}

/// What stands before and after the observations in a stored event.
fn frame(source: SourceId, currency: Currency, campaigns: Vec<CampaignId>) -> Result<(String, String), Failure> {
    // The observations come last in the event, so an event without any is the frame.
    const TAIL: &str = "]}";
    let empty = ObservationsRecorded { source, currency, campaigns, observations: Vec::new() };
    let mut head = serde_json::to_string(&empty).map_err(Failure::encoding)?;
    head.truncate(head.len() - TAIL.len());
    Ok((head, TAIL.to_owned()))
}

fn observation(sound: &Sound<'_>, campaign: usize, value_micros: Option<i64>) -> Observation {
    Observation {
        id: sound.id.clone().into_owned(),
        campaign,
        kind: sound.kind,
        occurred_at: sound.occurred_at,
        count: sound.count,
        value_micros,
        dimensions: sound.dimensions.clone(),
        corrects: None,
    }
}

/// What makes an observation unique, and what tells a duplicate of it from a conflict. Every part is hashed with its length,
/// so that no two contents share a digest by moving a border between parts.
fn item_key(source: SourceId, campaign: CampaignId, currency: Currency, observation: &Observation) -> ItemKey {
    let mut key = Sha256::new();
    for part in [source.0.as_bytes().as_slice(), observation.kind.name().as_bytes(), observation.id.as_bytes()] {
        put(&mut key, part);
    }
    let key: [u8; 32] = key.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&key[..16]);

    let mut content = Sha256::new();
    put(&mut content, campaign.0.as_bytes());
    put(&mut content, &observation.occurred_at.timestamp_millis().to_be_bytes());
    put(&mut content, &observation.count.to_be_bytes());
    let value = observation.value_micros.map(|micros| format!("{micros} {currency}"));
    put(&mut content, value.unwrap_or_default().as_bytes());
    for (name, value) in &observation.dimensions {
        put(&mut content, name.as_bytes());
        put(&mut content, value.as_bytes());
    }
    let content: [u8; 32] = content.finalize().into();
    let mut fingerprint = [0; 8];
    fingerprint.copy_from_slice(&content[..8]);

    ItemKey {
        day: observation.occurred_at.date_naive(),
        id: Uuid::from_bytes(id),
        fingerprint: i64::from_be_bytes(fingerprint),
    }
}

fn put(hasher: &mut Sha256, part: &[u8]) {
    hasher.update((part.len() as u64).to_be_bytes());
    hasher.update(part);
}
