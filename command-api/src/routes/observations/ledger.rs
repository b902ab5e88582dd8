//! What the observations that a batch corrects come to, one correction after the other.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::ids::SourceId;
use domain::observation::Total;
use event_store::{Claim, Expect, ItemKey, SeenItem, Then};
use uuid::Uuid;

use crate::claims::{CORRECTION, correction_key};
use crate::failure::Failure;

/// By day and id.
#[derive(Debug, Default)]
pub(super) struct Ledger(BTreeMap<(NaiveDate, Uuid), Entry>);

#[derive(Debug)]
struct Entry {
    fingerprint: i64,
    before: Expect,
    total: Total,
}

impl Ledger {
    /// What an observation comes to with the corrections so far; `sent` before the first.
    pub(super) fn total(&self, key: ItemKey, sent: Total) -> Total {
        self.0.get(&(key.day, key.id)).map_or(sent, |entry| entry.total)
    }

    /// Notes what a correction makes of an observation. `before` is what says what it came to before this batch.
    pub(super) fn put(&mut self, key: ItemKey, before: &Expect, total: Total) {
        let entry = || Entry { fingerprint: key.fingerprint, before: before.clone(), total };
        self.0.entry((key.day, key.id)).or_insert_with(entry).total = total;
    }

    /// What the append asserts and puts: of corrections that race, all but one are judged again.
    pub(super) fn claims(&self, source: SourceId) -> Result<Vec<Claim>, Failure> {
        let claim = |((day, id), entry): (&(NaiveDate, Uuid), &Entry)| {
            let state = serde_json::to_string(&entry.total).map_err(Failure::encoding)?;
            Ok(Claim {
                kind: CORRECTION,
                key: correction_key(*day, *id),
                expect: entry.before.clone(),
                then: Then::Put { owner: source.to_string(), state },
            })
        };
        self.0.iter().map(claim).collect()
    }

    /// The observations that must be recorded as they were seen.
    pub(super) fn seen(&self) -> Vec<SeenItem> {
        let seen = |((day, id), entry): (&(NaiveDate, Uuid), &Entry)| SeenItem {
            day: *day,
            id: *id,
            fingerprint: entry.fingerprint,
        };
        self.0.iter().map(seen).collect()
    }
}
