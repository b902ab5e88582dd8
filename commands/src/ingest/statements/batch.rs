//! The items of a batch. Each is checked by itself, then against its source and campaigns. Pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::breakdown::Breakdown;
use domain::bucket::{Bucket, local_date};
use domain::ids::{CampaignId, SourceId};
use domain::item::{CampaignRef, ItemError, truncate_to_millis};
use domain::measure::Measure;
use domain::money::MoneyLimit;
use domain::source::{Series, SeriesDates, SeriesTimeline};
use domain::statement::{BucketSpec, StatementInput};
use domain::zone::Zone;

use super::StatementItem;
use super::merge::IndexedStatement;
use super::replaced::NamedValues;
use crate::batch_result::ItemResult;
use crate::claims::{Key, STATEMENT_GRAIN, StatementKeys, kind_of};
use crate::error::CommandError;
use crate::ingest::resolved_refs::ResolvedRefs;
use crate::ingest::unknown_campaigns::UnknownIds;

/// The items of a batch, each valid by itself or rejected.
#[derive(Debug)]
pub(super) struct StatementBatch<'a> {
    spec: BucketSpec,
    breakdown: &'a Breakdown,
    received_at: DateTime<Utc>,
    items: Vec<Result<ValidStatement<'a>, ItemError>>,
}

/// An item that is valid by itself.
#[derive(Debug)]
struct ValidStatement<'a> {
    input: &'a StatementInput,
    /// Its values of the breakdown.
    values: Vec<String>,
}

/// The items whose campaigns accept them, and the results of the others.
#[derive(Debug)]
pub(super) struct ResolvedStatements<'a> {
    pub(super) spec: BucketSpec,
    pub(super) breakdown: &'a Breakdown,
    pub(super) precedence: Option<u16>,
    pub(super) source: SourceId,
    pub(super) series: SeriesTimeline,
    /// The keys of each series that a bucket of the items is of.
    keys: BTreeMap<SourceId, StatementKeys>,
    pub(super) total: usize,
    pub(super) items: Vec<ResolvedStatement>,
    /// What the items name, whatever becomes of them.
    pub(super) named: NamedValues,
    pub(super) results: Vec<ItemResult>,
}

#[derive(Debug)]
pub(super) struct ResolvedStatement {
    pub(super) series: Series,
    pub(super) campaign: CampaignId,
    pub(super) bucket: Bucket,
    pub(super) values: Vec<String>,
    /// The key of the claim that holds the earlier statements.
    pub(super) key: String,
    pub(super) statement: IndexedStatement,
}

/// The keys of what one series stated in a range of buckets: the first, and what all of them sort before.
#[derive(Debug)]
pub(super) struct ReplacedRange {
    pub(super) first: String,
    pub(super) end: String,
}

impl<'a> StatementBatch<'a> {
    /// Checks each item as of `now`. It was stated when it was received, unless it says otherwise.
    pub(super) fn new(
        items: &'a [StatementItem],
        spec: BucketSpec,
        breakdown: &'a Breakdown,
        (received_at, now): (DateTime<Utc>, DateTime<Utc>),
        limit: Option<MoneyLimit>,
    ) -> Self {
        let check = |item: &'a StatementItem| {
            let input = item.as_ref().map_err(|rejected| rejected.error.clone())?;
            input.validate(spec, now)?;
            limit.map_or(Ok(()), |limit| input.check_limit(limit))?;
            Ok(ValidStatement { input, values: breakdown.values(&input.dimensions)? })
        };
        Self { spec, breakdown, received_at, items: items.iter().map(check).collect() }
    }

    fn valid(&self) -> impl Iterator<Item = &'a StatementInput> {
        self.items.iter().flatten().map(|item| item.input)
    }

    /// The campaigns that the valid items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &'a CampaignRef> {
        self.valid().map(|input| &input.campaign)
    }

    /// The external ids that no campaign has, of items that are good otherwise, with the days of the first ones.
    pub(super) fn unknown_campaigns(&self, known: &ResolvedRefs<'_>, zone: Zone) -> UnknownIds<'a> {
        let mut unknown = UnknownIds::new();
        for input in self.valid() {
            let CampaignRef::External(id) = &input.campaign else { continue };
            let span = input.bucket.resolve(self.spec.grain, self.spec.zone);
            let is_good = || {
                span.is_ok_and(|span| known.source.check_expected("bucket", span.start).is_ok())
                    && input.values(known.source.definition.currency).is_ok()
            };
            let day = match input.bucket {
                Bucket::Day(day) => day,
                Bucket::Starts(start) => local_date(start, zone),
            };
            if known.campaign(&input.campaign).is_err() && is_good() {
                unknown.entry(id).and_modify(|first| *first = day.min(*first)).or_insert(day);
            }
        }
        unknown
    }

    /// Whether every item could be read, so that what the batch does not name is not stated.
    pub(super) fn is_whole(&self) -> bool {
        self.items.iter().all(Result::is_ok)
    }

    /// The measures that the items name.
    pub(super) fn measures(&self) -> BTreeSet<Measure> {
        self.valid().flat_map(|input| input.measures.keys().copied()).collect()
    }

    /// As of when the batch holds: the newest instant that an item names, or when it was received.
    pub(super) fn stated_at(&self) -> DateTime<Utc> {
        let newest = self.valid().map(|input| input.stated_at(self.received_at)).max();
        newest.unwrap_or_else(|| truncate_to_millis(self.received_at))
    }

    /// Rejects invalid items, before earlier statements are looked up.
    pub(super) fn resolve(&self, known: &ResolvedRefs<'_>, precedence: Option<u16>) -> ResolvedStatements<'a> {
        let breakdown = self.breakdown;
        let (source, series) = (known.source.id, known.source.series.clone());
        let mut keys: BTreeMap<SourceId, StatementKeys> = BTreeMap::new();
        let mut items = Vec::new();
        let mut named = NamedValues::default();
        let mut results = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            let resolved = item.as_ref().map_err(ItemError::clone).and_then(|ValidStatement { input, values }| {
                if let Ok(span) = input.bucket.resolve(self.spec.grain, self.spec.zone) {
                    known.source.check_expected("bucket", span.start)?;
                }
                let campaign = known.campaign(&input.campaign)?;
                let series = series_of(&series, input.bucket);
                let keys = keys
                    .entry(series.id)
                    .or_insert_with(|| StatementKeys::new(source, series.id, self.spec, breakdown));
                let key = keys.key(input.bucket, campaign);
                named.add(key.clone(), values.clone(), input.measures.keys().copied());
                let measures = input.values(series.currency)?;
                let statement = IndexedStatement { index, stated_at: input.stated_at(self.received_at), measures };
                let (bucket, values) = (input.bucket, values.clone());
                Ok(ResolvedStatement { series, campaign, bucket, values, key, statement })
            });
            match resolved {
                Ok(resolved) => items.push(resolved),
                Err(error) => results.push(ItemResult::rejected(index, None, error)),
            }
        }
        let (spec, total) = (self.spec, self.items.len());
        ResolvedStatements { spec, breakdown, precedence, source, series, keys, total, items, named, results }
    }
}

impl ResolvedStatements<'_> {
    /// The claims that hold the earlier statements.
    pub(super) fn claim_keys(&self) -> Vec<Key> {
        let mut wanted = Vec::with_capacity(self.items.len() * 2);
        for item in &self.items {
            wanted.push((kind_of(self.breakdown), item.key.clone()));
            wanted.extend(item.statement.measures.keys().map(|measure| grain_key(item, *measure)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// The keys of the statements in a range of buckets, for each series that holds some of it. None of them may be in
    /// another zone, of which the batch cannot say anything.
    pub(super) fn key_ranges(&mut self, from: Bucket, to: Bucket) -> Result<Vec<ReplacedRange>, CommandError> {
        let holds = |dates: &SeriesDates| match (from, to) {
            (Bucket::Day(from), Bucket::Day(to)) => {
                dates.from.is_none_or(|day| day.date <= to) && dates.until.is_none_or(|day| from < day.date)
            }
            (Bucket::Starts(from), Bucket::Starts(to)) => {
                dates.from.is_none_or(|day| day.at <= to) && dates.until.is_none_or(|day| from < day.at)
            }
            _ => false,
        };
        let mut ranges = Vec::new();
        for dates in self.series.dates().iter().filter(|dates| holds(dates)) {
            if !self.series.is_one() && dates.series.time_zone != self.spec.zone {
                let detail = format!("holds buckets {}: replace those by themselves", in_zone(dates));
                return Err(CommandError::Invalid { field: "replace", detail });
            }
            let keys = StatementKeys::new(self.source, dates.series.id, self.spec, self.breakdown);
            let (first, end) = keys.range(from, to);
            ranges.push(ReplacedRange { first, end });
            self.keys.insert(dates.series.id, keys);
        }
        Ok(ranges)
    }

    /// The series, the bucket and the campaign of a key. `None` where another series holds the bucket: what was stated
    /// before counts no longer.
    pub(super) fn read(&self, key: &str) -> Result<Option<(Series, Bucket, CampaignId)>, CommandError> {
        let found = self.keys.iter().find_map(|(id, keys)| Some((*id, keys.read(key)?)));
        let (id, (bucket, campaign)) = found.ok_or_else(|| CommandError::bad_claim(kind_of(self.breakdown), key))?;
        let series = series_of(&self.series, bucket);
        Ok((series.id == id).then_some((series, bucket, campaign)))
    }
}

/// The claim of the grain in which a series states a measure of a campaign.
pub(super) fn grain_key(item: &ResolvedStatement, measure: Measure) -> Key {
    (STATEMENT_GRAIN, format!("{}/{}/{measure}", item.series.id, item.campaign))
}

/// The series that holds a bucket.
fn series_of(series: &SeriesTimeline, bucket: Bucket) -> Series {
    match bucket {
        Bucket::Day(date) => series.on(date),
        Bucket::Starts(start) => series.at(start),
    }
}

/// Of when, and in which zone, the source states the days of a series.
pub(super) fn in_zone(dates: &SeriesDates) -> String {
    let from = dates.from.map(|day| format!(" from {}", day.date)).unwrap_or_default();
    let until = dates.until.map(|day| format!(" before {}", day.date)).unwrap_or_default();
    format!("that the source states in {}{from}{until}", dates.series.time_zone)
}
