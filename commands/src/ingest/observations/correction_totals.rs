//! The totals of originals after the corrections of a batch, one after the other.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::ids::SourceId;
use domain::observation::NetAmounts;
use event_store::{Claim, ClaimEffect, ClaimPrecondition, ItemKey, ItemPrecondition};
use uuid::Uuid;

use crate::claims::{CORRECTION, correction_key};
use crate::error::CommandError;

/// The totals of corrected observations, by day and id.
#[derive(Debug, Default)]
pub(super) struct CorrectionTotals(BTreeMap<(NaiveDate, Uuid), Entry>);

#[derive(Debug)]
struct Entry {
    fingerprint: i64,
    before: ClaimPrecondition,
    total: NetAmounts,
}

impl CorrectionTotals {
    /// The total of an observation after the corrections so far; `sent` before the first.
    pub(super) fn total(&self, key: ItemKey, sent: NetAmounts) -> NetAmounts {
        self.0.get(&(key.day, key.id)).map_or(sent, |entry| entry.total)
    }

    /// Sets the total of an observation. `before` is the claim that had its total before this batch.
    pub(super) fn put(&mut self, key: ItemKey, before: &ClaimPrecondition, total: NetAmounts) {
        let entry = || Entry { fingerprint: key.fingerprint, before: before.clone(), total };
        self.0.entry((key.day, key.id)).or_insert_with(entry).total = total;
    }

    /// The claims that the append asserts and sets. Of racing corrections, all but one are decided again.
    pub(super) fn claims(&self, source: SourceId) -> Result<Vec<Claim>, CommandError> {
        let claim = |((day, id), entry): (&(NaiveDate, Uuid), &Entry)| {
            let state = serde_json::to_string(&entry.total).map_err(CommandError::Encoding)?;
            Ok(Claim {
                kind: CORRECTION,
                key: correction_key(*day, *id),
                expect: entry.before.clone(),
                then: ClaimEffect::Put { owner: source.to_string(), state },
            })
        };
        self.0.iter().map(claim).collect()
    }

    /// The observations that must still be recorded unchanged.
    pub(super) fn item_preconditions(&self) -> Vec<ItemPrecondition> {
        let precondition = |((day, id), entry): (&(NaiveDate, Uuid), &Entry)| ItemPrecondition {
            day: *day,
            id: *id,
            fingerprint: entry.fingerprint,
        };
        self.0.iter().map(precondition).collect()
    }
}
