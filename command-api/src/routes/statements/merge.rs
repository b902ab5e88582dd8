//! The last word on one bucket of one campaign, and what a request's statements make of it. Pure.
//!
//! Per measure the newest statement holds: by `stated_at`, and among equals by arrival. One that says what the last one
//! said adds nothing to the log, but is remembered as newer, so that an older one which comes late still loses to it.
//! Of several in one request only what holds in the end is recorded.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::measure::Measure;

/// Per measure: its value, and as of which millisecond it was last said.
pub(super) type LatestValues = BTreeMap<Measure, (i64, i64)>;

/// What one item says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatementInput {
    /// Its place in the request.
    pub(super) index: usize,
    pub(super) stated_at: DateTime<Utc>,
    pub(super) measures: BTreeMap<Measure, i64>,
}

/// What statements on one bucket come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MergeResult {
    pub(super) last_word: LatestValues,
    /// What is to be recorded of which item.
    pub(super) changes: BTreeMap<usize, BTreeMap<Measure, i64>>,
    /// The items that repeat what was said last.
    pub(super) unchanged: BTreeSet<usize>,
    /// The items of which nothing holds, because newer ones say otherwise.
    pub(super) superseded: BTreeSet<usize>,
}

/// Takes in statements in the order of their arrival.
pub(super) fn merge(before: &LatestValues, said: &[StatementInput]) -> MergeResult {
    let mut last_word = before.clone();
    // Which item last changed a measure away from what it was before the request.
    let mut author: BTreeMap<Measure, usize> = BTreeMap::new();
    let mut overruled = BTreeSet::new();
    for StatementInput { index, stated_at, measures } in said {
        let stated_at = stated_at.timestamp_millis();
        for (&measure, &value) in measures {
            let last = last_word.get(&measure).copied();
            if last.is_some_and(|(_, last_stated_at)| stated_at < last_stated_at) {
                overruled.insert(*index);
                continue;
            }
            last_word.insert(measure, (value, stated_at));
            if last.is_some_and(|(last_value, _)| last_value == value) {
                continue;
            }
            let was_before = before.get(&measure).is_some_and(|(value_before, _)| *value_before == value);
            let replaced = if was_before { author.remove(&measure) } else { author.insert(measure, *index) };
            overruled.extend(replaced);
        }
    }
    let mut changes: BTreeMap<usize, BTreeMap<Measure, i64>> = BTreeMap::new();
    for (measure, index) in author {
        let value = last_word.get(&measure).map(|(value, _)| (measure, *value));
        changes.entry(index).or_default().extend(value);
    }
    let (superseded, unchanged) = said
        .iter()
        .map(|said| said.index)
        .filter(|index| !changes.contains_key(index))
        .partition(|index| overruled.contains(index));
    MergeResult { last_word, changes, unchanged, superseded }
}
