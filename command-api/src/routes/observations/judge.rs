//! A whole batch: reads every item, then judges it against what is known of its source, its campaigns and the past. Pure.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::observation::ObservationType;
use event_store::{Claim, Payload, SeenItem, WhenTaken};
use serde_json::value::RawValue;

use super::item::{self, Said, Sound};
use super::key;
use super::past::{Asked, AskedOriginal, Past};
use super::taken::Taken;
use super::window::Window;
use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::routes::batch::{ItemResult, Settled};
use crate::routes::known::{Known, KnownSource};
use crate::routes::reference::CampaignRef;

/// The items of a request, read but not yet judged.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    now: DateTime<Utc>,
    items: Vec<(Option<String>, Result<Sound<'a>, Refusal>)>,
    /// Sound items on which the outcome of others hangs, because they share an id.
    repeated: HashSet<(ObservationType, Cow<'a, str>, NaiveDate)>,
    corrects: bool,
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct Judged {
    /// The event's payload; `None` when no item is left for it.
    pub(super) payload: Option<Payload>,
    /// What corrected observations come to.
    pub(super) claims: Vec<Claim>,
    /// The observations that are corrected.
    pub(super) seen: Vec<SeenItem>,
    /// The outcomes of all other items.
    pub(super) settled: Settled,
}

impl<'a> Batch<'a> {
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

    fn sound(&self) -> impl Iterator<Item = &Sound<'a>> {
        self.items.iter().filter_map(|(_, sound)| sound.as_ref().ok())
    }

    /// The campaigns that the sound items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &CampaignRef<'_>> {
        self.sound().filter_map(Sound::campaign)
    }

    /// An item's id, as it is shown.
    pub(super) fn id(&self, index: usize) -> Option<String> {
        self.items.get(index).and_then(|(id, _)| id.clone())
    }

    /// Whether it takes more to judge than what every batch asks for.
    pub(super) fn rests_on_the_past(&self) -> bool {
        self.corrects || !self.repeated.is_empty()
    }

    /// What must be known of the log.
    pub(super) fn asked(&self, source: &KnownSource) -> Asked<'_> {
        let window = Window::of(&source.definition, self.now);
        let mut asked = Asked::default();
        for sound in self.sound().filter(|sound| window.check(sound.occurred_at).is_ok()) {
            if self.must_be_new(sound) {
                asked.items.insert((sound.day(), key::id(source.id, sound.kind, &sound.id)));
            }
            if let Said::Correction { adjusts, .. } = &sound.said
                && adjusts.day.is_none_or(|day| window.holds(day))
            {
                let id = key::id(source.id, sound.kind, &adjusts.id);
                let original = || AskedOriginal { kind: sound.kind, id: &adjusts.id, days: [].into() };
                asked.originals.entry(id).or_insert_with(original).days.insert(adjusts.day);
            }
        }
        asked
    }

    /// Whether an item can be part of the append only if it is new: what it makes of others is settled before.
    fn must_be_new(&self, sound: &Sound<'a>) -> bool {
        let is_repeated = || self.repeated.contains(&(sound.kind, sound.id.clone(), sound.day()));
        sound.is_correction() || !self.repeated.is_empty() && is_repeated()
    }

    /// Judges every item. Twins of earlier requests are told by the append, but for items whose outcome others hang on.
    pub(super) fn judge(&self, known: &Known<'_>, past: &Past) -> Result<Judged, Failure> {
        let mut taken = Taken::new(known, past, Window::of(&known.source.definition, self.now));
        let mut results = Vec::new();
        for (index, (id, sound)) in self.items.iter().enumerate() {
            let fared = match sound {
                Ok(sound) if self.must_be_new(sound) => taken.take(sound, WhenTaken::RefuseRequest),
                Ok(sound) => taken.take(sound, WhenTaken::LeaveOut),
                Err(refusal) => Err(refusal.clone()),
            };
            match fared {
                Ok(None) => {}
                Ok(Some((status, reason))) => results.push(ItemResult::because(index, id.clone(), status, reason)),
                Err(refusal) => results.push(ItemResult::rejected(index, id.clone(), refusal)),
            }
        }
        taken.judged(Settled { total: self.items.len(), results })
    }
}
