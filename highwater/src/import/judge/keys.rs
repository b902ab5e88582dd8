//! The keys of lines: who repeats whom, and what each campaign has.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::NaiveDate;
use domain::bucket::Bucket;
use domain::decimal::{MAX_MILLIONTHS, MAX_WHOLE};
use domain::measure::{Measure, Unit};

use super::line::{Key, Line};
use super::{BadLine, Item, LineError, Verdict};

/// A campaign of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// The source that it belongs to; `None`: a campaign of this id in any source is the same.
    pub scope: Option<usize>,
    /// What tells it from others: its id, or its name.
    pub id: String,
    /// Its name on its last day.
    pub name: String,
    /// The first day that it has numbers for.
    pub first_day: NaiveDate,
    /// The last one.
    pub last_day: NaiveDate,
    /// The sources that have numbers for it.
    pub sources: BTreeSet<usize>,
}

/// The keys so far. Names are stored once, and keys hold their places.
#[derive(Debug)]
pub(super) struct Keys {
    add_rows: bool,
    is_scoped: bool,
    sources: HashMap<String, usize>,
    campaigns: HashMap<(Option<usize>, String), usize>,
    items: HashMap<(usize, usize, Bucket), usize>,
    /// Items that another line repeats, with that line.
    repeated: BTreeMap<usize, u64>,
}

impl Keys {
    pub(super) fn new(add_rows: bool, is_scoped: bool) -> Self {
        Self {
            add_rows,
            is_scoped,
            sources: HashMap::new(),
            campaigns: HashMap::new(),
            items: HashMap::new(),
            repeated: BTreeMap::new(),
        }
    }

    /// Adds a line to the verdict.
    pub(super) fn take(&mut self, line: Line, verdict: &mut Verdict) {
        verdict.mended += line.mended;
        verdict.rounded += line.rounded;
        let Line { number, source, values, unreadable, key, .. } = line;
        let taken = key.and_then(|key| self.add(number, &source, key, &values, verdict));
        if let Err(error) = taken {
            verdict.refused.push(BadLine { line: number, error });
            for (measure, value) in values {
                verdict.totals.of(&source, measure).withheld += i128::from(value);
            }
            for measure in unreadable {
                verdict.totals.of(&source, measure).unreadable += 1;
            }
        }
    }

    fn add(
        &mut self,
        line: u64,
        source_name: &str,
        key: Key,
        values: &[(Measure, i64)],
        verdict: &mut Verdict,
    ) -> Result<(), LineError> {
        let source = self.source(source_name, verdict);
        if values.is_empty() {
            verdict.silent += 1;
            return Ok(());
        }
        let campaign = self.campaign(source, &key, verdict);
        match self.items.entry((source, campaign, key.bucket)) {
            Entry::Vacant(entry) => {
                entry.insert(verdict.items.len());
                let Key { bucket, day, .. } = key;
                verdict.items.push(Item { line, source, campaign, bucket, day, values: values.to_vec() });
                Ok(())
            }
            Entry::Occupied(entry) if self.add_rows => {
                let sums = added(&verdict.items[*entry.get()].values, values)?;
                verdict.items[*entry.get()].values = sums;
                verdict.added += 1;
                Ok(())
            }
            Entry::Occupied(entry) => {
                let first = verdict.items[*entry.get()].line;
                self.repeated.entry(*entry.get()).or_insert(line);
                Err(LineError::Repeats {
                    first,
                    source_name: source_name.to_owned(),
                    campaign: key.campaign,
                    date: key.day,
                })
            }
        }
    }

    fn source(&mut self, name: &str, verdict: &mut Verdict) -> usize {
        if let Some(place) = self.sources.get(name) {
            return *place;
        }
        verdict.sources.push(name.to_owned());
        self.sources.insert(name.to_owned(), verdict.sources.len() - 1);
        verdict.sources.len() - 1
    }

    fn campaign(&mut self, source: usize, key: &Key, verdict: &mut Verdict) -> usize {
        let scope = self.is_scoped.then_some(source);
        match self.campaigns.entry((scope, key.campaign_id.clone())) {
            Entry::Occupied(entry) => {
                let campaign = &mut verdict.campaigns[*entry.get()];
                // The name of the last day holds, wherever its line stands.
                if key.day >= campaign.last_day && campaign.name != key.campaign {
                    campaign.name.clone_from(&key.campaign);
                }
                campaign.first_day = campaign.first_day.min(key.day);
                campaign.last_day = campaign.last_day.max(key.day);
                campaign.sources.insert(source);
                *entry.get()
            }
            Entry::Vacant(entry) => {
                verdict.campaigns.push(Campaign {
                    scope,
                    id: key.campaign_id.clone(),
                    name: key.campaign.clone(),
                    first_day: key.day,
                    last_day: key.day,
                    sources: BTreeSet::from([source]),
                });
                *entry.insert(verdict.campaigns.len() - 1)
            }
        }
    }

    /// Refuses the lines that others repeat, and sums up the rest.
    pub(super) fn finish(self, verdict: &mut Verdict) {
        for (place, by) in &self.repeated {
            let Item { line, source, values, .. } = &verdict.items[*place];
            verdict.refused.push(BadLine { line: *line, error: LineError::IsRepeated(*by) });
            for (measure, value) in values {
                verdict.totals.of(&verdict.sources[*source], *measure).withheld += i128::from(*value);
            }
        }
        let mut place = 0;
        verdict.items.retain(|_| {
            place += 1;
            !self.repeated.contains_key(&(place - 1))
        });
        verdict.refused.sort_by_key(|bad| bad.line);
        let mut told: BTreeMap<(usize, Measure), i128> = BTreeMap::new();
        for item in &verdict.items {
            for (measure, value) in &item.values {
                *told.entry((item.source, *measure)).or_default() += i128::from(*value);
            }
        }
        for ((source, measure), sum) in told {
            verdict.totals.of(&verdict.sources[source], measure).told = sum;
        }
    }
}

/// The sums of two lines, each within what can be stated.
fn added(first: &[(Measure, i64)], second: &[(Measure, i64)]) -> Result<Vec<(Measure, i64)>, LineError> {
    let mut sums: BTreeMap<Measure, i64> = first.iter().copied().collect();
    for (measure, value) in second {
        let most = if measure.unit() == Unit::Count { MAX_WHOLE } else { MAX_MILLIONTHS };
        let sum = sums.entry(*measure).or_default();
        *sum = sum.checked_add(*value).filter(|sum| sum.abs() <= most).ok_or(LineError::SumTooLarge(*measure))?;
    }
    Ok(sums.into_iter().collect())
}
