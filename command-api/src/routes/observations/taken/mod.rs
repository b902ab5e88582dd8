//! The items of a batch that are left for its event. Each is judged by what is known, by the past, and by those before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::CampaignId;
use domain::observation::{Correction, Observation, ObservationType, ObservationsRecorded, Restated, Total};
use event_store::{Expect, Item, ItemKey, Payload, WhenTaken};
use uuid::Uuid;

use super::item::{Adjusts, Said, Sound};
use super::judge::Judged;
use super::key;
use super::ledger::Ledger;
use super::past::Past;
use super::window::Window;
use crate::failure::Failure;
use crate::refusal::{Reason, Refusal, clip};
use crate::routes::batch::{ItemStatus, Settled};
use crate::routes::known::Known;
use crate::routes::reference::CampaignRef;

/// What stands after the observations in an event.
const TAIL: &str = "]}";

/// The items that are left for the event.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    known: &'a Known<'a>,
    past: &'a Past,
    window: Window,
    campaigns: Vec<CampaignId>,
    index_of: HashMap<CampaignId, usize>,
    items: Vec<TakenItem>,
    /// By day and id: places among `items`.
    places: HashMap<(NaiveDate, Uuid), usize>,
    ledger: Ledger,
}

#[derive(Debug)]
struct TakenItem {
    key: ItemKey,
    when_taken: WhenTaken,
    observation: Observation,
}

/// An observation that an item means to correct, as it stands.
#[derive(Debug)]
struct Original {
    key: ItemKey,
    campaign: CampaignId,
    occurred_at: DateTime<Utc>,
    dimensions: BTreeMap<String, String>,
    is_correction: bool,
    total: Total,
    /// What says that it comes to this, in the log.
    claim: Expect,
}

impl<'a> Taken<'a> {
    pub(super) fn new(known: &'a Known<'a>, past: &'a Past, window: Window) -> Self {
        Self {
            known,
            past,
            window,
            campaigns: Vec::new(),
            index_of: HashMap::new(),
            items: Vec::new(),
            places: HashMap::new(),
            ledger: Ledger::default(),
        }
    }

    /// Takes an item, unless one of the same id is known to be recorded or was taken before it.
    pub(super) fn take(
        &mut self,
        sound: &Sound<'_>,
        when_taken: WhenTaken,
    ) -> Result<Option<(ItemStatus, Reason)>, Refusal> {
        self.window.check(sound.occurred_at)?;
        let source = &self.known.source;
        let currency = source.definition.currency;
        let id = key::id(source.id, sound.kind, &sound.id);
        let value_micros = sound.value_micros(currency)?;
        let (key, observation) = match &sound.said {
            Said::New { campaign, count, dimensions } => {
                let campaign = self.known.campaign(campaign, sound.occurred_at)?;
                let mut observation = Observation {
                    id: sound.id.clone().into_owned(),
                    campaign: 0,
                    kind: sound.kind,
                    occurred_at: sound.occurred_at,
                    count: *count,
                    value_micros,
                    dimensions: dimensions.clone(),
                    corrects: None,
                };
                let key = key::of_new(id, campaign, currency, &observation);
                if let Some(twin) = self.twin(key) {
                    return Ok(Some(twin));
                }
                observation.campaign = self.index_of(campaign);
                (key, observation)
            }
            Said::Correction { adjusts, campaign, count } => {
                let said = Restated { count: *count, value_micros };
                let key = key::of_correction(id, sound.occurred_at, currency, adjusts, said);
                if let Some(twin) = self.twin(key) {
                    return Ok(Some(twin));
                }
                (key, self.correct(sound, adjusts, campaign.as_ref(), said)?)
            }
        };
        self.places.insert((key.day, key.id), self.items.len());
        self.items.push(TakenItem { key, when_taken, observation });
        Ok(None)
    }

    fn index_of(&mut self, campaign: CampaignId) -> usize {
        *self.index_of.entry(campaign).or_insert_with(|| {
            self.campaigns.push(campaign);
            self.campaigns.len() - 1
        })
    }

    fn taken(&self, day: NaiveDate, id: Uuid) -> Option<&TakenItem> {
        self.items.get(*self.places.get(&(day, id))?)
    }

    /// How an item fares whose id is used already: in the log, where what contradicts it can never be recorded, or by an
    /// item before it.
    fn twin(&self, key: ItemKey) -> Option<(ItemStatus, Reason)> {
        let recorded = self.past.item(key.day, key.id).map(|item| item.fingerprint);
        let fingerprint = recorded.or_else(|| Some(self.taken(key.day, key.id)?.key.fingerprint))?;
        Some(if fingerprint == key.fingerprint {
            (ItemStatus::Duplicate, Reason::AlreadyRecorded)
        } else {
            (ItemStatus::Conflict, Reason::OtherContent)
        })
    }

    /// What a correction adds to its original.
    fn correct(
        &mut self,
        sound: &Sound<'_>,
        adjusts: &Adjusts<'_>,
        campaign: Option<&CampaignRef<'_>>,
        said: Restated,
    ) -> Result<Observation, Refusal> {
        let original = self.original(sound.kind, adjusts)?;
        if original.is_correction {
            let detail = format!("\"{}\" is a correction itself: adjust its original again", clip(&adjusts.id));
            return Err(Refusal::at(Reason::AdjustsCorrection, "adjusts", detail));
        }
        if let Some(campaign) = campaign
            && self.known.campaign(campaign, original.occurred_at)? != original.campaign
        {
            let detail = format!("\"{}\" is of campaign {}", clip(&adjusts.id), original.campaign);
            return Err(Refusal::at(Reason::OtherCampaign, "adjusts", detail));
        }
        let after = original.total.restated(sound.kind, said);
        let change = after.difference_from(original.total).ok_or_else(|| {
            let detail = "makes too great a difference to what the original came to before";
            Refusal { reason: Reason::BadValue, field: None, detail: detail.to_owned() }
        })?;
        self.ledger.put(original.key, &original.claim, after);
        Ok(Observation {
            id: sound.id.clone().into_owned(),
            campaign: self.index_of(original.campaign),
            kind: sound.kind,
            occurred_at: original.occurred_at,
            count: change.count,
            value_micros: change.value_micros,
            dimensions: original.dimensions,
            corrects: Some(Box::new(Correction {
                of: adjusts.id.clone().into_owned(),
                at: sound.occurred_at,
                count: after.count,
                value_micros: after.value_micros,
            })),
        })
    }

    /// The observation that a correction means: the log's, or an item before it that is to be recorded with it.
    fn original(&self, kind: ObservationType, adjusts: &Adjusts<'_>) -> Result<Original, Refusal> {
        let id = key::id(self.known.source.id, kind, &adjusts.id);
        let day = self.day_of_original(id, kind, adjusts)?;
        let (key, campaign, observation, sent, claim) = match (self.past.original(day, id), self.taken(day, id)) {
            (Some(past), _) => {
                let campaign = self.known.campaign(&CampaignRef::Id(past.campaign), past.observation.occurred_at)?;
                (past.key, campaign, &past.observation, past.total, past.claim.clone())
            }
            (None, Some(taken)) => {
                let observation = &taken.observation;
                let Some(campaign) = self.campaigns.get(observation.campaign) else {
                    return Err(self.unknown(kind, adjusts));
                };
                (taken.key, *campaign, observation, Total::of(observation), Expect::Absent)
            }
            (None, None) => return Err(self.unknown(kind, adjusts)),
        };
        Ok(Original {
            key,
            campaign,
            occurred_at: observation.occurred_at,
            dimensions: observation.dimensions.clone(),
            is_correction: observation.corrects.is_some(),
            total: self.ledger.total(key, sent),
            claim,
        })
    }

    /// The one day on which the id of an original was used.
    fn day_of_original(&self, id: Uuid, kind: ObservationType, adjusts: &Adjusts<'_>) -> Result<NaiveDate, Refusal> {
        if let Some(day) = adjusts.day {
            self.window.check_day(day)?;
            return Ok(day);
        }
        let taken = self.window.days().filter(|day| self.places.contains_key(&(*day, id)));
        let days: BTreeSet<NaiveDate> = self.past.days(id).chain(taken).collect();
        match (days.first(), days.last()) {
            (Some(first), Some(last)) if first == last => Ok(*first),
            (Some(first), Some(last)) => {
                let id = clip(&adjusts.id);
                let detail =
                    format!("\"{id}\" was used on {} days, {first} to {last}: give {{\"id\", \"day\"}}", days.len());
                Err(Refusal::at(Reason::AmbiguousObservation, "adjusts", detail))
            }
            _ => Err(self.unknown(kind, adjusts)),
        }
    }

    fn unknown(&self, kind: ObservationType, adjusts: &Adjusts<'_>) -> Refusal {
        let when = match adjusts.day {
            Some(day) => format!("on {day}"),
            None => format!("in the last {} days", self.window.length_days()),
        };
        let detail = format!(
            "this source has recorded no {} \"{}\" {when}; once that is accepted, this can be sent again",
            kind.name(),
            clip(&adjusts.id)
        );
        Refusal::at(Reason::UnknownObservation, "adjusts", detail)
    }

    /// What the batch comes to, given the outcomes of the items that were not taken.
    pub(super) fn judged(self, settled: Settled) -> Result<Judged, Failure> {
        let source = &self.known.source;
        let claims = self.ledger.claims(source.id)?;
        let seen = self.ledger.seen();
        let mut items = Vec::with_capacity(self.items.len());
        for TakenItem { key, when_taken, observation } in self.items {
            let content = serde_json::to_string(&observation).map_err(Failure::encoding)?;
            items.push(Item { key: Some(key), when_taken, content });
        }
        if items.is_empty() {
            return Ok(Judged { payload: None, claims, seen, settled });
        }
        // The observations come last in the event, so an event without any is what stands around them.
        let empty = ObservationsRecorded {
            source: source.id,
            currency: source.definition.currency,
            campaigns: self.campaigns,
            observations: Vec::new(),
        };
        let mut head = serde_json::to_string(&empty).map_err(Failure::encoding)?;
        head.truncate(head.len() - TAIL.len());
        let payload = Payload::Items { head, items, tail: TAIL.to_owned() };
        Ok(Judged { payload: Some(payload), claims, seen, settled })
    }
}

#[cfg(test)]
mod tests;
