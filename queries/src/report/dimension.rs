//! Sums by one dimension: those that name a value, and the rest, so that the rows add up to the totals.

use std::collections::BTreeMap;

use domain::observation::{Dimension, OTHER};

use super::rollup::RollupChoice;
use super::sum::{DimensionValue, Sum, SumKey, overflow};
use crate::error::ReadError;
use crate::warning::Warning;

/// The sums that name a value, and what is left of the totals beside them. Its last change is not told apart from that of the
/// total, so it may seem later than it was, never earlier.
pub fn split(totals: Vec<Sum>, named: Vec<Sum>) -> Result<Vec<Sum>, ReadError> {
    let mut told: BTreeMap<SumKey, i128> = BTreeMap::new();
    for sum in &named {
        let told = told.entry(sum.whole()).or_default();
        *told = told.checked_add(sum.value).ok_or_else(overflow)?;
    }
    let mut all = named;
    for total in totals {
        let told = told.get(&total.whole()).copied();
        let value = total.value.checked_sub(told.unwrap_or(0)).ok_or_else(overflow)?;
        // Where values say all of it, there is no rest to tell; where none says anything, even 0 is told.
        if value != 0 || told.is_none() {
            all.push(Sum { value, slice: Some(DimensionValue::None), ..total });
        }
    }
    Ok(all)
}

/// That more values may have been named than are kept. Some sources name a value `(other)` themselves: that alone says nothing.
pub fn of_others(dimension: Dimension, sums: &[Sum], reading: RollupChoice) -> Option<Warning> {
    sums.iter().any(|sum| sum.overflows).then(|| Warning {
        code: "other_values",
        detail: format!(
            "Of {dimension} the first {} values are kept that a source names of a campaign; later ones stand together under \
             {OTHER}. How many they are is not known.",
            reading.dimension_values
        ),
        sources: Vec::new(),
        measures: Vec::new(),
    })
}
