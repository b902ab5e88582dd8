//! What a batch makes whole, and what of it the batch does not name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::measure::Measure;

use super::merge::LatestValues;

/// The part of a source's statements that a batch makes whole.
#[derive(Debug)]
pub(super) struct ReplacedPart {
    /// The claims of what was stated there.
    pub(super) keys: Vec<String>,
    /// The measures that are made whole.
    pub(super) measures: BTreeSet<Measure>,
    /// As of when it is whole.
    pub(super) stated_at: DateTime<Utc>,
}

/// The measures that the items of a batch name, by the claim of their bucket and campaign, and by their values.
#[derive(Debug, Default)]
pub(super) struct NamedValues(BTreeMap<String, BTreeMap<Vec<String>, BTreeSet<Measure>>>);

impl NamedValues {
    pub(super) fn add(&mut self, key: String, values: Vec<String>, measures: impl Iterator<Item = Measure>) {
        self.0.entry(key).or_default().entry(values).or_default().extend(measures);
    }

    /// What of a row of a claim is to be taken back: what has a value, belongs to the part, and is neither named nor
    /// newer.
    pub(super) fn missing(
        &self,
        part: &ReplacedPart,
        key: &str,
        values: &[String],
        stated: &LatestValues,
    ) -> BTreeMap<Measure, Option<i64>> {
        let named = self.0.get(key).and_then(|rows| rows.get(values));
        let is_missing = |measure: &Measure, (value, stated_at): &(Option<i64>, i64)| {
            value.is_some()
                && part.measures.contains(measure)
                && *stated_at <= part.stated_at.timestamp_millis()
                && !named.is_some_and(|named| named.contains(measure))
        };
        stated.iter().filter(|(measure, last)| is_missing(measure, last)).map(|(measure, _)| (*measure, None)).collect()
    }
}
