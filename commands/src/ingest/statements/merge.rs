//! The latest values of one bucket of one campaign, and their changes by the statements of a batch. Pure.
//!
//! A value of `None` takes a measure back. A measure that was never stated has no value either.
//!
//! The newest statement of a measure holds: by `stated_at`, and among equals by arrival. One that repeats the last
//! value adds nothing to the log, but is remembered as newer, so that an older one which comes late still loses to it.
//! Of several in one batch only what holds in the end is recorded. Where the breakdown counts in another way than when
//! the row was recorded, what is stated again is recorded again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::measure::Measure;

/// The latest value of each measure, with the millisecond as of which it was stated.
pub(super) type LatestValues = BTreeMap<Measure, (Option<i64>, i64)>;

/// A statement with its place in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexedStatement {
    /// Its index in the batch.
    pub(super) index: usize,
    pub(super) stated_at: DateTime<Utc>,
    pub(super) measures: BTreeMap<Measure, Option<i64>>,
}

/// The changes of one bucket by its statements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MergeResult {
    pub(super) latest: LatestValues,
    /// The values to record, by item.
    pub(super) changes: BTreeMap<usize, BTreeMap<Measure, Option<i64>>>,
    /// The items that repeat the latest values.
    pub(super) unchanged: BTreeSet<usize>,
    /// The items without any value that wins, because newer ones differ.
    pub(super) superseded: BTreeSet<usize>,
}

fn value_of(stated: Option<(Option<i64>, i64)>) -> Option<i64> {
    stated.and_then(|(value, _)| value)
}

/// Merges statements into the latest values, in the order of their arrival.
pub(super) fn merge(before: &LatestValues, counts_anew: bool, statements: &[IndexedStatement]) -> MergeResult {
    let mut latest = before.clone();
    // The item that last changed a measure from its value before the request.
    let mut author: BTreeMap<Measure, usize> = BTreeMap::new();
    let mut overruled = BTreeSet::new();
    for IndexedStatement { index, stated_at, measures } in statements {
        let stated_at = stated_at.timestamp_millis();
        for (&measure, &value) in measures {
            let last = latest.get(&measure).copied();
            if last.is_some_and(|(_, last_stated_at)| stated_at < last_stated_at) {
                overruled.insert(*index);
                continue;
            }
            latest.insert(measure, (value, stated_at));
            let is_anew = counts_anew && value.is_some();
            if value_of(last) == value && !is_anew {
                continue;
            }
            let was_before = value_of(before.get(&measure).copied()) == value && !is_anew;
            let replaced = if was_before { author.remove(&measure) } else { author.insert(measure, *index) };
            overruled.extend(replaced);
        }
    }
    let mut changes: BTreeMap<usize, BTreeMap<Measure, Option<i64>>> = BTreeMap::new();
    for (measure, index) in author {
        let value = latest.get(&measure).map(|(value, _)| (measure, *value));
        changes.entry(index).or_default().extend(value);
    }
    let (superseded, unchanged) = statements
        .iter()
        .map(|statement| statement.index)
        .filter(|index| !changes.contains_key(index))
        .partition(|index| overruled.contains(index));
    MergeResult { latest, changes, unchanged, superseded }
}
