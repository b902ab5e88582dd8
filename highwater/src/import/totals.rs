//! Sums of what a file states: what is told, and what is left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::decimal::format_millionths;
use domain::measure::{Measure, Unit};

/// The sum of one measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// The values that are told.
    pub told: i128,
    /// The values that could be read, of lines that are left out.
    pub withheld: i128,
    /// The cells of lines that are left out and that could not be read.
    pub unreadable: u64,
}

/// Sums by source and measure. Lines whose source is unknown have the empty name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<(String, Measure), Sum>);

impl Totals {
    /// The sum of a measure of a source.
    pub fn of(&mut self, source: &str, measure: Measure) -> &mut Sum {
        self.0.entry((source.to_owned(), measure)).or_default()
    }

    /// All sums, by source.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Measure, &Sum)> {
        self.0.iter().map(|((source, measure), sum)| (source.as_str(), *measure, sum))
    }

    /// Takes values that were told back, because they were not accepted.
    pub fn withhold(&mut self, source: &str, values: &[(Measure, i64)]) {
        for (measure, value) in values {
            let sum = self.of(source, *measure);
            sum.told -= i128::from(*value);
            sum.withheld += i128::from(*value);
        }
    }

    /// For each measure, how much of it is left out. Measures that are told whole are not listed.
    pub fn shares(&self) -> Vec<String> {
        let mut by_measure: BTreeMap<Measure, Sum> = BTreeMap::new();
        for (_, measure, sum) in self.iter() {
            let all = by_measure.entry(measure).or_default();
            all.told += sum.told;
            all.withheld += sum.withheld;
            all.unreadable += sum.unreadable;
        }
        let lacking = by_measure.into_iter().filter(|(_, sum)| sum.withheld != 0 || sum.unreadable > 0);
        lacking.map(|(measure, sum)| share(measure, sum)).collect()
    }
}

fn share(measure: Measure, Sum { told, withheld, unreadable }: Sum) -> String {
    let all = told + withheld;
    let mut words = format!("{measure}: {} of {}", written(measure, withheld), written(measure, all));
    if all > 0 && (0..=all).contains(&withheld) {
        let tenths = withheld * 1_000 / all;
        // Writing to a text cannot fail.
        let _ = write!(words, " ({}.{} %)", tenths / 10, tenths % 10);
    }
    match unreadable {
        0 => {}
        1 => words.push_str(" and 1 cell that cannot be read"),
        _ => {
            let _ = write!(words, " and {unreadable} cells that cannot be read");
        }
    }
    words
}

/// A sum in the measure's unit.
pub fn written(measure: Measure, sum: i128) -> String {
    match measure.unit() {
        Unit::Count => sum.to_string(),
        Unit::Credit | Unit::Money | Unit::Ratio => format_millionths(sum),
    }
}
