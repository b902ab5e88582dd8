//! Sums by the values of one dimension, and the rest, so that the rows add up to the totals.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::observation::{Dimension, OTHER};

use super::rollup::RollupChoice;
use super::sum::{DimensionValue, Sum, SumKey, overflow};
use crate::error::ReadError;
use crate::warning::Warning;

/// What the values of a dimension cover of a total.
struct Covered {
    value: i128,
    changed_at: DateTime<Utc>,
}

/// The sums by value, and the rest of each total, which stands under `rest`. The rest changes with the total and with
/// each of the values. What pull sources state by value may have no total, and may be more than it is.
pub(super) fn split(totals: Vec<Sum>, by_value: Vec<Sum>, rest: &DimensionValue) -> Result<Vec<Sum>, ReadError> {
    let mut covered: BTreeMap<SumKey, Covered> = BTreeMap::new();
    for sum in &by_value {
        let none = Covered { value: 0, changed_at: sum.changed_at };
        let covered = covered.entry(sum.key()).or_insert(none);
        covered.value = covered.value.checked_add(sum.value).ok_or_else(overflow)?;
        covered.changed_at = covered.changed_at.max(sum.changed_at);
    }
    let mut without_total: BTreeMap<SumKey, &Sum> = by_value.iter().map(|sum| (sum.key(), sum)).collect();
    let mut parts = Vec::new();
    let mut add_rest = |value: i128, changed_at: DateTime<Utc>, of: Sum| {
        parts.push(Sum { value, changed_at, dimension_value: Some(rest.clone()), overflows: false, ..of });
    };
    for total in totals {
        without_total.remove(&total.key());
        let covered = covered.get(&total.key());
        let value = total.value.checked_sub(covered.map_or(0, |covered| covered.value)).ok_or_else(overflow)?;
        // Values that cover the total leave no rest. Without values, even a total of 0 is a row.
        if value != 0 || covered.is_none() {
            let changed_at = covered.map_or(total.changed_at, |covered| covered.changed_at.max(total.changed_at));
            add_rest(value, changed_at, total);
        }
    }
    for (key, sum) in without_total {
        if let Some(covered) = covered.get(&key).filter(|covered| covered.value != 0) {
            add_rest(covered.value.checked_neg().ok_or_else(overflow)?, covered.changed_at, sum.clone());
        }
    }
    let mut all = by_value;
    all.append(&mut parts);
    Ok(all)
}

/// The warning that more values may have been named than are kept. A source may name a value `(other)` itself, which
/// gives no warning.
pub(super) fn of_others(dimension: Dimension, sums: &[Sum], rollup: RollupChoice) -> Option<Warning> {
    sums.iter().any(|sum| sum.overflows).then(|| Warning {
        code: "other_values",
        detail: format!(
            "Of {dimension} the first {} values are kept that a source names of a campaign; later ones stand together \
             under {OTHER}. How many they are is not known.",
            rollup.dimension_values
        ),
        sources: Vec::new(),
        measures: Vec::new(),
        spend: None,
    })
}
