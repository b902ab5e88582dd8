//! The items of a batch. Each is checked by itself, then against its source and campaigns, and merged with earlier
//! statements. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::bucket::{Bucket, local_date};
use domain::ids::{CampaignId, SourceId};
use domain::item::{CampaignRef, ItemError, ItemErrorCode, truncate_to_millis};
use domain::measure::Measure;
use domain::source::{Series, SeriesDates, SeriesTimeline};
use domain::statement::{BucketSpec, Statement, StatementInput, measure_field};
use domain::zone::Zone;
use event_store::{Claim, ClaimEffect};

use super::StatementItem;
use super::merge::{IndexedStatement, LatestValues, MergeResult, merge};
use super::replaced::{NamedValues, ReplacedPart};
use crate::batch_result::{ItemResult, ItemStatus, PreAppendResults};
use crate::claims::{ClaimReader, Key, STATEMENT, STATEMENT_GRAIN, StatementKeys};
use crate::error::CommandError;
use crate::ingest::by_series;
use crate::ingest::resolved_refs::ResolvedRefs;
use crate::ingest::unknown_campaigns::UnknownIds;

/// The items of a batch, each valid by itself or rejected.
#[derive(Debug)]
pub(super) struct StatementBatch<'a> {
    spec: BucketSpec,
    received_at: DateTime<Utc>,
    items: Vec<Result<&'a StatementInput, ItemError>>,
}

/// The items whose campaigns accept them, and the results of the others.
#[derive(Debug)]
pub(super) struct ResolvedStatements {
    spec: BucketSpec,
    source: SourceId,
    series: SeriesTimeline,
    /// The keys of each series that a bucket of the items is of.
    keys: BTreeMap<SourceId, StatementKeys>,
    total: usize,
    items: Vec<ResolvedStatement>,
    /// What the items name, whatever becomes of them.
    named: NamedValues,
    results: Vec<ItemResult>,
}

#[derive(Debug)]
struct ResolvedStatement {
    series: Series,
    campaign: CampaignId,
    bucket: Bucket,
    /// The key of the claim that holds the earlier statements.
    key: String,
    statement: IndexedStatement,
}

/// The keys of what one series stated in a range of buckets: the first, and what all of them sort before.
#[derive(Debug)]
pub(super) struct ReplacedRange {
    pub(super) first: String,
    pub(super) end: String,
}

/// The append of a batch, and the results of the items that are not part of it.
#[derive(Debug)]
pub(super) struct DecidedStatements {
    /// The statements to record, by series; may be empty.
    pub(super) statements: Vec<(Series, Vec<Statement>)>,
    /// The claims of the buckets, to assert and set.
    pub(super) claims: Vec<Claim>,
    /// The results of all items that are not recorded.
    pub(super) settled: PreAppendResults,
}

impl<'a> StatementBatch<'a> {
    /// Checks each item as of `now`. It was stated when it was received, unless it says otherwise.
    pub(super) fn new(
        items: &'a [StatementItem],
        spec: BucketSpec,
        received_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        let check = |item: &'a StatementItem| match item {
            Ok(input) => input.validate(spec, now).map(|()| input),
            Err(rejected) => Err(rejected.error.clone()),
        };
        Self { spec, received_at, items: items.iter().map(check).collect() }
    }

    /// The campaigns that the valid items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &'a CampaignRef> {
        self.items.iter().filter_map(|item| item.as_ref().ok()).map(|input| &input.campaign)
    }

    /// The external ids that no campaign has, of items that are good otherwise, with the days of the first ones.
    pub(super) fn unknown_campaigns(&self, known: &ResolvedRefs<'_>, zone: Zone) -> UnknownIds<'a> {
        let mut unknown = UnknownIds::new();
        for input in self.items.iter().filter_map(|item| item.as_ref().ok().copied()) {
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
        self.items.iter().flatten().flat_map(|input| input.measures.keys().copied()).collect()
    }

    /// As of when the batch holds: the newest instant that an item names, or when it was received.
    pub(super) fn stated_at(&self) -> DateTime<Utc> {
        let newest = self.items.iter().flatten().map(|input| input.stated_at(self.received_at)).max();
        newest.unwrap_or_else(|| truncate_to_millis(self.received_at))
    }

    /// Rejects invalid items, before earlier statements are looked up.
    pub(super) fn resolve(&self, known: &ResolvedRefs<'_>) -> ResolvedStatements {
        let (source, series) = (known.source.id, known.source.series.clone());
        let mut keys: BTreeMap<SourceId, StatementKeys> = BTreeMap::new();
        let mut items = Vec::new();
        let mut named = NamedValues::default();
        let mut results = Vec::new();
        for (index, item) in self.items.iter().enumerate() {
            let resolved = item.as_ref().map_err(ItemError::clone).and_then(|input| {
                if let Ok(span) = input.bucket.resolve(self.spec.grain, self.spec.zone) {
                    known.source.check_expected("bucket", span.start)?;
                }
                let campaign = known.campaign(&input.campaign)?;
                let series = series_of(&series, input.bucket);
                let keys = keys.entry(series.id).or_insert_with(|| StatementKeys::new(source, series.id, self.spec));
                let key = keys.key(input.bucket, campaign);
                named.add(key.clone(), input.measures.keys().copied());
                let measures = input.values(series.currency)?;
                let statement = IndexedStatement { index, stated_at: input.stated_at(self.received_at), measures };
                Ok(ResolvedStatement { series, campaign, bucket: input.bucket, key, statement })
            });
            match resolved {
                Ok(resolved) => items.push(resolved),
                Err(error) => results.push(ItemResult::rejected(index, None, error)),
            }
        }
        ResolvedStatements { spec: self.spec, source, series, keys, total: self.items.len(), items, named, results }
    }
}

impl ResolvedStatements {
    /// The claims that hold the earlier statements.
    pub(super) fn claim_keys(&self) -> Vec<Key> {
        let mut wanted = Vec::with_capacity(self.items.len() * 2);
        for item in &self.items {
            wanted.push((STATEMENT, item.key.clone()));
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
            let keys = StatementKeys::new(self.source, dates.series.id, self.spec);
            let (first, end) = keys.range(from, to);
            ranges.push(ReplacedRange { first, end });
            self.keys.insert(dates.series.id, keys);
        }
        Ok(ranges)
    }

    /// The series, the bucket and the campaign of a key. `None` where another series holds the bucket: what was stated
    /// before counts no longer.
    fn read(&self, key: &str) -> Result<Option<(Series, Bucket, CampaignId)>, CommandError> {
        let found = self.keys.iter().find_map(|(id, keys)| Some((*id, keys.read(key)?)));
        let (id, (bucket, campaign)) = found.ok_or_else(|| CommandError::bad_claim(STATEMENT, key))?;
        let series = series_of(&self.series, bucket);
        Ok((series.id == id).then_some((series, bucket, campaign)))
    }

    /// Whether a statement is in another zone than its series. One that goes on as the first series began is taken.
    fn zone_mismatch(&self, item: &ResolvedStatement, mut states_so: impl FnMut(Measure) -> bool) -> Option<ItemError> {
        if self.series.is_one() || item.series.time_zone == self.spec.zone {
            return None;
        }
        if item.series.id == self.source && item.statement.measures.keys().all(|measure| states_so(*measure)) {
            return None;
        }
        let dates = self.series.dates();
        let held = dates.iter().rev().find(|dates| dates.series == item.series)?;
        let detail = format!("is of a day {}, and the batch is in {}", in_zone(held), self.spec.zone);
        Some(ItemError::at(ItemErrorCode::ZoneMismatch, "bucket", detail))
    }

    /// Merges every item with the earlier statements from the claims. Takes back what is replaced and not named.
    pub(super) fn decide(
        self,
        lookup: &ClaimReader<'_>,
        replaced: Option<&ReplacedPart>,
    ) -> Result<DecidedStatements, CommandError> {
        let grain_state = format!("{} {}", self.spec.grain, self.spec.zone);
        let mut results = Vec::new();
        let mut grains: BTreeMap<String, ClaimEffect> = BTreeMap::new();
        let mut buckets: BTreeMap<String, Vec<IndexedStatement>> = BTreeMap::new();
        let mut places: HashMap<usize, (Series, CampaignId, Bucket, DateTime<Utc>)> = HashMap::new();
        for item in &self.items {
            let keys = || item.statement.measures.keys().map(|measure| (*measure, grain_key(item, *measure).1));
            let states_so = |measure| {
                lookup.held(STATEMENT_GRAIN, &grain_key(item, measure).1).is_some_and(|held| held.state == grain_state)
            };
            if let Some(refusal) = self.zone_mismatch(item, states_so) {
                results.push(ItemResult::rejected(item.statement.index, None, refusal));
                continue;
            }
            let conflict = keys().find_map(|(measure, key)| {
                let held = lookup.held(STATEMENT_GRAIN, &key)?;
                (held.state != grain_state).then(|| grain_conflict(measure, &held.state))
            });
            if let Some(refusal) = conflict {
                results.push(ItemResult::rejected(item.statement.index, None, refusal));
                continue;
            }
            for (measure, value) in &item.statement.measures {
                let (_, key) = grain_key(item, *measure);
                let then = match (lookup.held(STATEMENT_GRAIN, &key), value) {
                    (Some(_), _) => ClaimEffect::Keep,
                    (None, Some(_)) => ClaimEffect::Put { owner: self.source.to_string(), state: grain_state.clone() },
                    // What is taken back in no grain is in none afterwards.
                    (None, None) => continue,
                };
                grains.insert(key, then);
            }
            let ResolvedStatement { series, campaign, bucket, key, statement } = item;
            places.insert(statement.index, (*series, *campaign, *bucket, statement.stated_at));
            buckets.entry(key.clone()).or_default().push(statement.clone());
        }

        if let Some(part) = replaced {
            // They stand behind the items, and have no results.
            for (index, key) in (self.total..).zip(&part.keys) {
                let measures = self.named.missing(part, key, &latest_values(lookup, key)?);
                if !measures.is_empty()
                    && let Some((series, bucket, campaign)) = self.read(key)?
                {
                    let stated_at = part.stated_at;
                    places.insert(index, (series, campaign, bucket, stated_at));
                    buckets.entry(key.clone()).or_default().push(IndexedStatement { index, stated_at, measures });
                }
            }
        }

        let mut claims: Vec<Claim> =
            grains.into_iter().map(|(key, then)| lookup.assert(STATEMENT_GRAIN, &key, then)).collect();
        let mut changes: BTreeMap<usize, BTreeMap<Measure, Option<i64>>> = BTreeMap::new();
        for (key, statements) in &buckets {
            let before = latest_values(lookup, key)?;
            let merged = merge(&before, statements);
            results.extend(duplicates(&merged).filter(|result| result.index < self.total));
            let then = if merged.latest == before {
                ClaimEffect::Keep
            } else {
                let state = serde_json::to_string(&merged.latest).map_err(CommandError::Encoding)?;
                ClaimEffect::Put { owner: self.source.to_string(), state }
            };
            claims.push(lookup.assert(STATEMENT, key, then));
            changes.extend(merged.changes);
        }
        let retracted = changes.values().flat_map(BTreeMap::values).filter(|value| value.is_none()).count();
        let statements = changes.into_iter().filter_map(|(index, measures)| {
            let (series, campaign, bucket, stated_at) = places.get(&index).copied()?;
            Some((series, Statement { campaign, bucket, values: Vec::new(), stated_at, measures, sealed: None }))
        });
        let statements = by_series(statements);
        results.extend(self.results);
        Ok(DecidedStatements {
            statements,
            claims,
            settled: PreAppendResults { total: self.total, results, retracted, ..PreAppendResults::default() },
        })
    }
}

fn duplicates(merged: &MergeResult) -> impl Iterator<Item = ItemResult> {
    let unchanged = merged.unchanged.iter().map(|index| (*index, ItemErrorCode::Unchanged));
    let superseded = merged.superseded.iter().map(|index| (*index, ItemErrorCode::Superseded));
    unchanged
        .chain(superseded)
        .map(|(index, reason)| ItemResult::with_reason(index, None, ItemStatus::Duplicate, reason))
}

fn latest_values(lookup: &ClaimReader<'_>, key: &str) -> Result<LatestValues, CommandError> {
    match lookup.held(STATEMENT, key) {
        Some(held) => serde_json::from_str(&held.state).map_err(|_| CommandError::bad_claim(STATEMENT, key)),
        None => Ok(LatestValues::new()),
    }
}

/// The claim of the grain in which a series states a measure of a campaign.
fn grain_key(item: &ResolvedStatement, measure: Measure) -> Key {
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
fn in_zone(dates: &SeriesDates) -> String {
    let from = dates.from.map(|day| format!(" from {}", day.date)).unwrap_or_default();
    let until = dates.until.map(|day| format!(" before {}", day.date)).unwrap_or_default();
    format!("that the source states in {}{from}{until}", dates.series.time_zone)
}

fn grain_conflict(measure: Measure, stated: &str) -> ItemError {
    let detail = format!("the source states {measure} of this campaign in grain and zone {stated}");
    ItemError::at(ItemErrorCode::GrainConflict, &measure_field(measure), detail)
}
