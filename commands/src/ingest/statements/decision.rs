//! The decision on a batch: which items are recorded, given what was stated before, and which are not. Pure.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::bucket::Bucket;
use domain::ids::CampaignId;
use domain::item::{ItemError, ItemErrorCode};
use domain::measure::Measure;
use domain::source::Series;
use domain::statement::{Statement, measure_field};
use event_store::{Claim, ClaimEffect};

use super::batch::{ResolvedStatement, ResolvedStatements, grain_key, in_zone};
use super::merge::{IndexedStatement, LatestValues, MergeResult};
use super::replaced::ReplacedPart;
use super::rows::{RoomForRows, StatedRows};
use crate::batch_result::{ItemResult, ItemStatus, PreAppendResults};
use crate::claims::{ClaimReader, STATEMENT_GRAIN, kind_of};
use crate::error::CommandError;
use crate::ingest::by_series;

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

/// What a recorded statement is of.
#[derive(Debug)]
struct Place {
    series: Series,
    campaign: CampaignId,
    bucket: Bucket,
    values: Vec<String>,
    stated_at: DateTime<Utc>,
}

impl ResolvedStatements<'_> {
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

    /// What was stated before, by claim: where the items belong, and what is replaced.
    fn stated(
        &self,
        lookup: &ClaimReader<'_>,
        replaced: Option<&ReplacedPart>,
    ) -> Result<BTreeMap<String, StatedRows>, CommandError> {
        let kind = kind_of(self.breakdown);
        let items = self.items.iter().map(|item| &item.key);
        let mut stated = BTreeMap::new();
        for key in items.chain(replaced.iter().flat_map(|part| &part.keys)) {
            if !stated.contains_key(key) {
                let rows = lookup.held(kind, key).map(|held| StatedRows::read(self.breakdown, &held.state)).transpose();
                let rows = rows.map_err(|_| CommandError::bad_claim(kind, key))?;
                stated.insert(key.clone(), rows.unwrap_or_default());
            }
        }
        Ok(stated)
    }

    /// The room beside the rows of a claim that have a number and keep it.
    fn room(&self, key: &str, rows: &StatedRows, replaced: Option<&ReplacedPart>) -> RoomForRows {
        let stays = |(values, latest): &(&[String], &LatestValues)| {
            let missing = replaced.map(|part| self.named.missing(part, key, values, latest)).unwrap_or_default();
            latest.iter().any(|(measure, (value, _))| value.is_some() && !missing.contains_key(measure))
        };
        RoomForRows::beside(rows.iter().filter(stays).map(|(values, _)| values.to_vec()))
    }

    /// Why an item cannot be taken, given in which grain and zone its source states its measures.
    fn refusal(&self, item: &ResolvedStatement, lookup: &ClaimReader<'_>, grain_state: &str) -> Option<ItemError> {
        let held = |measure| lookup.held(STATEMENT_GRAIN, &grain_key(item, measure).1);
        let states_so = |measure| held(measure).is_some_and(|held| held.state == grain_state);
        self.zone_mismatch(item, states_so).or_else(|| {
            item.statement.measures.keys().find_map(|measure| {
                let held = held(*measure)?;
                (held.state != grain_state).then(|| grain_conflict(*measure, &held.state))
            })
        })
    }

    /// Claims the grain of each measure of an item that has none yet.
    fn claim_grains(
        &self,
        item: &ResolvedStatement,
        lookup: &ClaimReader<'_>,
        grain_state: &str,
        grains: &mut BTreeMap<String, ClaimEffect>,
    ) {
        for (measure, value) in &item.statement.measures {
            let (_, key) = grain_key(item, *measure);
            let then = match (lookup.held(STATEMENT_GRAIN, &key), value) {
                (Some(_), _) => ClaimEffect::Keep,
                (None, Some(_)) => ClaimEffect::Put { owner: self.source.to_string(), state: grain_state.to_owned() },
                // What is taken back in no grain is in none afterwards.
                (None, None) => continue,
            };
            grains.insert(key, then);
        }
    }

    /// Merges every item with the earlier statements from the claims. Takes back what is replaced and not named.
    pub(super) fn decide(
        self,
        lookup: &ClaimReader<'_>,
        replaced: Option<&ReplacedPart>,
    ) -> Result<DecidedStatements, CommandError> {
        let grain_state = format!("{} {}", self.spec.grain, self.spec.zone);
        let stated = self.stated(lookup, replaced)?;
        let mut rooms: BTreeMap<&str, RoomForRows> = BTreeMap::new();
        let mut results = Vec::new();
        let mut grains: BTreeMap<String, ClaimEffect> = BTreeMap::new();
        let mut buckets: BTreeMap<&str, BTreeMap<Vec<String>, Vec<IndexedStatement>>> = BTreeMap::new();
        let mut places: HashMap<usize, Place> = HashMap::new();
        for item in &self.items {
            let ResolvedStatement { series, campaign, bucket, values, key, statement } = item;
            let mut has_no_room = || match stated.get(key) {
                Some(rows) if statement.measures.values().any(Option::is_some) => {
                    rooms.entry(key).or_insert_with(|| self.room(key, rows, replaced)).take(values).err()
                }
                _ => None,
            };
            let refusal = self.refusal(item, lookup, &grain_state).or_else(&mut has_no_room);
            if let Some(refusal) = refusal {
                results.push(ItemResult::rejected(statement.index, None, refusal));
                continue;
            }
            self.claim_grains(item, lookup, &grain_state, &mut grains);
            let (values, stated_at) = (values.clone(), statement.stated_at);
            let rows = buckets.entry(key).or_default();
            rows.entry(values.clone()).or_default().push(statement.clone());
            let (series, campaign, bucket) = (*series, *campaign, *bucket);
            places.insert(statement.index, Place { series, campaign, bucket, values, stated_at });
        }

        if let Some(part) = replaced {
            // They stand behind the items, and have no results.
            let keys = part.keys.iter().filter_map(|key| stated.get_key_value(key));
            let rows = keys.flat_map(|(key, rows)| rows.iter().map(move |(values, latest)| (key, values, latest)));
            for (index, (key, values, latest)) in (self.total..).zip(rows) {
                let measures = self.named.missing(part, key, values, latest);
                if !measures.is_empty()
                    && let Some((series, bucket, campaign)) = self.read(key)?
                {
                    let (values, stated_at) = (values.to_vec(), part.stated_at);
                    let rows = buckets.entry(key).or_default().entry(values.clone()).or_default();
                    rows.push(IndexedStatement { index, stated_at, measures });
                    places.insert(index, Place { series, campaign, bucket, values, stated_at });
                }
            }
        }

        let mut claims: Vec<Claim> =
            grains.into_iter().map(|(key, then)| lookup.assert(STATEMENT_GRAIN, &key, then)).collect();
        let mut changes: BTreeMap<usize, BTreeMap<Measure, Option<i64>>> = BTreeMap::new();
        let none = StatedRows::default();
        for (key, statements) in buckets {
            let before = stated.get(key).unwrap_or(&none);
            let merged = before.merge(self.precedence, &statements);
            let then = if merged.rows == *before {
                ClaimEffect::Keep
            } else {
                let state = merged.rows.state(self.breakdown).map_err(CommandError::Encoding)?;
                ClaimEffect::Put { owner: self.source.to_string(), state }
            };
            claims.push(lookup.assert(kind_of(self.breakdown), key, then));
            for merged in merged.results {
                results.extend(duplicates(&merged).filter(|result| result.index < self.total));
                changes.extend(merged.changes);
            }
        }
        let retracted = changes.values().flat_map(BTreeMap::values).filter(|value| value.is_none()).count();
        let statements = changes.into_iter().filter_map(|(index, measures)| {
            let Place { series, campaign, bucket, values, stated_at } = places.remove(&index)?;
            Some((series, Statement { campaign, bucket, values, stated_at, measures, sealed: None }))
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

fn grain_conflict(measure: Measure, stated: &str) -> ItemError {
    let detail = format!("the source states {measure} of this campaign in grain and zone {stated}");
    ItemError::at(ItemErrorCode::GrainConflict, &measure_field(measure), detail)
}
