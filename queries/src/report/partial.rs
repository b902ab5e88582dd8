//! The warnings about ratios that do not cover all numbers of an answer, or whose numbers lack the other side.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::{DerivedMeasure, MeetingPlace, Side, Unit};
use domain::money::Currency;
use domain::source::SourceRole;

use super::coverage::Coverage;
use super::measure_values::MeasureTotals;
use super::sum::overflow;
use super::value::Value;
use crate::error::ReadError;
use crate::sources::SourcePeriods;
use crate::warning::Warning;

/// The numbers of one side without the other: by currency if they are amounts, with their sources.
type Uncovered<'a> = BTreeMap<Option<Currency>, (i128, BTreeSet<&'a str>)>;

/// The warnings of each ratio that numbers of primary sources are not covered for.
pub(crate) fn of_ratios<'a>(
    coverage: &Coverage,
    sources: &SourcePeriods,
    numbers: &(impl Iterator<Item = &'a MeasureTotals> + Clone),
) -> Result<Vec<Warning>, ReadError> {
    let mut warnings = Vec::new();
    for (index, ratio) in coverage.ratios() {
        let mut sides: [Uncovered<'_>; 2] = Default::default();
        for (side, uncovered) in Side::ALL.into_iter().zip(&mut sides) {
            let measure = ratio.side(side);
            let entries = numbers.clone().flat_map(|totals| totals.entries(measure));
            for (id, _, value) in entries.filter(|(_, covered, _)| !covered.contains(index)) {
                let Some(source) = sources.get(&id) else { continue };
                let definition = &source.definition;
                if value == 0 || definition.role_of(measure) != SourceRole::Primary {
                    continue;
                }
                let currency = (measure.unit() == Unit::Money).then_some(definition.currency);
                let (total, names) = uncovered.entry(currency).or_default();
                *total = total.checked_add(value).ok_or_else(overflow)?;
                names.insert(definition.name.as_str());
            }
        }
        if sides.iter().any(|uncovered| !uncovered.is_empty()) {
            warnings.push(warning(ratio, coverage.covered_only(ratio).is_some(), &sides));
        }
    }
    Ok(warnings)
}

fn warning(ratio: &DerivedMeasure, is_left_out: bool, sides: &[Uncovered<'_>; 2]) -> Warning {
    let mut amounts = Vec::new();
    for (side, uncovered) in Side::ALL.into_iter().zip(sides) {
        let measure = ratio.side(side);
        for (currency, (total, names)) in uncovered {
            let number = match currency {
                Some(currency) => {
                    format!("{} {currency}", Value::Money(*total, *currency).number().unwrap_or_default())
                }
                None if measure.unit() == Unit::Count => total.to_string(),
                None => Value::Millionths(*total).number().unwrap_or_default(),
            };
            let names: Vec<_> = names.iter().copied().collect();
            amounts.push(format!("{measure} {number} of {}", names.join(", ")));
        }
    }
    let (name, numerator, denominator) = (ratio.name, ratio.numerator, ratio.denominator);
    let amounts = amounts.join("; ");
    let place = match ratio.family.place() {
        MeetingPlace::Source => "in one source",
        MeetingPlace::Cell => "in one campaign, channel and currency",
    };
    let detail = if is_left_out {
        format!("{name} counts what has sources of {numerator} and of {denominator} {place}. It leaves out {amounts}.")
    } else {
        format!(
            "{name} counts all {numerator} and all {denominator}. These have no source of the other side {place}: \
             {amounts}."
        )
    };
    let names: BTreeSet<_> = sides.iter().flat_map(BTreeMap::values).flat_map(|(_, names)| names).collect();
    Warning {
        code: "ratio_partial",
        detail,
        sources: names.into_iter().map(|name| (*name).to_owned()).collect(),
        measures: vec![ratio.name],
        spend: None,
    }
}
