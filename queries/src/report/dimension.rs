//! Sums by the values of one dimension, and the rest, so that the rows add up to the totals.

use std::collections::BTreeMap;

use domain::observation::{Dimension, OTHER};

use super::rollup::RollupChoice;
use super::sum::{DimensionValue, Sum, SumKey, overflow};
use crate::error::ReadError;
use crate::warning::Warning;

/// The sums by value, and the rest of each total without a value. The rest has the last change of the total, which may
/// be later than its own and never earlier.
pub(super) fn split(totals: Vec<Sum>, by_value: Vec<Sum>) -> Result<Vec<Sum>, ReadError> {
    let mut covered: BTreeMap<SumKey, i128> = BTreeMap::new();
    for sum in &by_value {
        let covered = covered.entry(sum.key()).or_default();
        *covered = covered.checked_add(sum.value).ok_or_else(overflow)?;
    }
    let mut all = by_value;
    for total in totals {
        let covered = covered.get(&total.key()).copied();
        let value = total.value.checked_sub(covered.unwrap_or(0)).ok_or_else(overflow)?;
        // Values that cover the total leave no rest. Without values, even a total of 0 is a row.
        if value != 0 || covered.is_none() {
            all.push(Sum { value, dimension_value: Some(DimensionValue::None), ..total });
        }
    }
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
