//! The warnings about ratios and net measures that do not cover all numbers of an answer, or whose numbers lack the
//! other side.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::{DerivedMeasure, Measure, MeetingPlace, NetMeasure, Side, Unit};
use domain::money::Currency;
use domain::source::SourceRole;

use super::coverage::{self, Coverage, RatioSet};
use super::measure_values::MeasureTotals;
use super::sum::overflow;
use super::value::Value;
use crate::error::ReadError;
use crate::sources::{Source, SourcePeriods};
use crate::warning::Warning;

/// The numbers of one side without the other: by currency if they are amounts, with their sources.
type Uncovered<'a> = BTreeMap<Option<Currency>, (i128, BTreeSet<&'a str>)>;

/// The warnings of each ratio and net measure that leaves out numbers of primary sources, and of each ratio that counts
/// numbers without the other side.
pub(crate) fn warnings<'a>(
    coverage: &Coverage,
    sources: &SourcePeriods,
    numbers: &(impl Iterator<Item = &'a MeasureTotals> + Clone),
) -> Result<Vec<Warning>, ReadError> {
    let mut warnings = Vec::new();
    for (index, ratio) in coverage.ratios() {
        let mut sides: [Uncovered<'_>; 2] = Default::default();
        for (side, uncovered) in Side::ALL.into_iter().zip(&mut sides) {
            *uncovered = left_out(ratio.side(side), sources, numbers, |_, covered| covered.contains(index))?;
        }
        if sides.iter().any(|uncovered| !uncovered.is_empty()) {
            warnings.push(of_ratio(ratio, coverage.covered_only(ratio).is_some(), &sides));
        }
    }
    for net in coverage.nets() {
        let mut parts = Vec::new();
        for (measure, _) in net.terms() {
            let counts = |source: &Source, _| coverage::counts_net(net, source, false);
            parts.push((measure, left_out(measure, sources, numbers, counts)?));
        }
        if parts.iter().any(|(_, uncovered)| !uncovered.is_empty()) {
            warnings.push(of_net(net, &parts));
        }
    }
    Ok(warnings)
}

/// The numbers of primary sources that are not counted, except zeros.
fn left_out<'a, 'b>(
    measure: Measure,
    sources: &'b SourcePeriods,
    numbers: &(impl Iterator<Item = &'a MeasureTotals> + Clone),
    is_counted: impl Fn(&Source, RatioSet) -> bool,
) -> Result<Uncovered<'b>, ReadError> {
    let mut uncovered = Uncovered::new();
    for (id, covered, value) in numbers.clone().flat_map(|totals| totals.entries(measure)) {
        let Some(source) = sources.get(&id) else { continue };
        let definition = &source.definition;
        if value == 0 || definition.role_of(measure) != SourceRole::Primary || is_counted(source, covered) {
            continue;
        }
        let currency = (measure.unit() == Unit::Money).then_some(definition.currency);
        let (total, names) = uncovered.entry(currency).or_default();
        *total = total.checked_add(value).ok_or_else(overflow)?;
        names.insert(definition.name.as_str());
    }
    Ok(uncovered)
}

/// What is left out of a measure, for people.
fn amounts(measure: Measure, uncovered: &Uncovered<'_>) -> Vec<String> {
    let amount = |(currency, (total, names)): (&Option<Currency>, &(i128, BTreeSet<&str>))| {
        let number = match currency {
            Some(currency) => {
                format!("{} {currency}", Value::Money(*total, *currency).number().unwrap_or_default())
            }
            None if measure.unit() == Unit::Count => total.to_string(),
            None => Value::Millionths(*total).number().unwrap_or_default(),
        };
        let names: Vec<_> = names.iter().copied().collect();
        format!("{measure} {number} of {}", names.join(", "))
    };
    uncovered.iter().map(amount).collect()
}

/// The names of the sources of what is left out.
fn names<'a>(each: impl Iterator<Item = &'a Uncovered<'a>>) -> Vec<String> {
    let names: BTreeSet<_> = each.flat_map(BTreeMap::values).flat_map(|(_, names)| names).collect();
    names.into_iter().map(|name| (*name).to_owned()).collect()
}

fn of_net(net: &NetMeasure, parts: &[(Measure, Uncovered<'_>)]) -> Warning {
    let needed: Vec<_> = net.needed.iter().map(|measure| measure.name()).collect();
    let amounts: Vec<_> = parts.iter().flat_map(|(measure, uncovered)| amounts(*measure, uncovered)).collect();
    Warning {
        code: "net_partial",
        detail: format!(
            "{} counts sources that state {}. It leaves out {}.",
            net.name,
            needed.join(" and "),
            amounts.join("; ")
        ),
        sources: names(parts.iter().map(|(_, uncovered)| uncovered)),
        measures: vec![net.name],
        spend: None,
    }
}

fn of_ratio(ratio: &DerivedMeasure, is_left_out: bool, sides: &[Uncovered<'_>; 2]) -> Warning {
    let amounts = Side::ALL.into_iter().zip(sides).flat_map(|(side, uncovered)| amounts(ratio.side(side), uncovered));
    let amounts = amounts.collect::<Vec<_>>().join("; ");
    let (name, numerator, denominator) = (ratio.name, ratio.numerator, ratio.denominator);
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
    Warning { code: "ratio_partial", detail, sources: names(sides.iter()), measures: vec![ratio.name], spend: None }
}
