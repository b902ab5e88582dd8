//! A whole batch: reads every item, judges it against what is known, and merges it with what was said before. Pure.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::bucket::Bucket;
use domain::ids::CampaignId;
use domain::measure::Measure;
use domain::statement::{Statement, StatementsRecorded};
use event_store::{Claim, ClaimEffect};
use serde_json::value::RawValue;

use super::item::{self, BucketSpec, ValidStatement};
use super::merge::{LatestValues, MergeResult, StatementInput, merge};
use crate::claims::{ClaimReader, Key, STATEMENT, STATEMENT_GRAIN};
use crate::error::CommandError;
use crate::item_error::{ItemError, ItemErrorCode};
use crate::routes::batch::{ItemResult, ItemStatus, PreAppendResults};
use crate::routes::campaign_ref::CampaignRef;
use crate::routes::resolved_refs::ResolvedRefs;

/// The items of a request, read but not yet judged.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    cut: BucketSpec,
    items: Vec<Result<ValidStatement<'a>, ItemError>>,
}

/// The items that a source may say of a campaign, and the outcomes of the others.
#[derive(Debug)]
pub(super) struct ResolvedStatements {
    cut: BucketSpec,
    source: String,
    total: usize,
    items: Vec<ResolvedStatement>,
    results: Vec<ItemResult>,
}

#[derive(Debug)]
struct ResolvedStatement {
    campaign: CampaignId,
    bucket: Bucket,
    said: StatementInput,
}

/// What a batch comes to.
#[derive(Debug)]
pub(super) struct ValidatedStatements {
    /// What is to be recorded; may be nothing.
    pub(super) statements: Vec<Statement>,
    /// What is asserted and remembered of the buckets.
    pub(super) claims: Vec<Claim>,
    /// The outcomes of all items that are not recorded.
    pub(super) settled: PreAppendResults,
}

impl<'a> Batch<'a> {
    pub(super) fn read(items: &[&'a RawValue], cut: BucketSpec, now: DateTime<Utc>) -> Self {
        Self { cut, items: items.iter().map(|raw| item::read(raw, cut, now)).collect() }
    }

    /// How many items were sent.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// In what its buckets are cut.
    pub(super) fn cut(&self) -> BucketSpec {
        self.cut
    }

    /// The campaigns that the sound items name.
    pub(super) fn campaigns(&self) -> impl Iterator<Item = &CampaignRef<'a>> {
        self.items.iter().filter_map(|sound| sound.as_ref().ok()).map(|sound| &sound.campaign)
    }

    /// Sorts out what cannot be said, before anything is looked up of what was said before.
    pub(super) fn resolve(&self, known: &ResolvedRefs<'_>) -> ResolvedStatements {
        let mut items = Vec::new();
        let mut results = Vec::new();
        for (index, sound) in self.items.iter().enumerate() {
            let ready = sound.as_ref().map_err(ItemError::clone).and_then(|sound| {
                let campaign = known.campaign(&sound.campaign, sound.start)?;
                let measures = sound.values(known.source.definition.currency)?;
                let said = StatementInput { index, stated_at: sound.stated_at, measures };
                Ok(ResolvedStatement { campaign, bucket: sound.bucket, said })
            });
            match ready {
                Ok(ready) => items.push(ready),
                Err(refusal) => results.push(ItemResult::rejected(index, None, refusal)),
            }
        }
        ResolvedStatements {
            cut: self.cut,
            source: known.source.id.to_string(),
            total: self.items.len(),
            items,
            results,
        }
    }
}

impl ResolvedStatements {
    /// The claims that tell what was said before.
    pub(super) fn claim_keys(&self) -> Vec<Key> {
        let mut wanted = Vec::with_capacity(self.items.len() * 2);
        for item in &self.items {
            wanted.push((STATEMENT, self.statement_key(item)));
            wanted.extend(item.said.measures.keys().map(|measure| self.grain_key(item.campaign, *measure)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    fn statement_key(&self, item: &ResolvedStatement) -> String {
        let BucketSpec { grain, zone } = self.cut;
        format!("{}/{}/{grain}/{zone}/{}", self.source, item.campaign, item::bucket_key(item.bucket))
    }

    fn grain_key(&self, campaign: CampaignId, measure: Measure) -> Key {
        (STATEMENT_GRAIN, format!("{}/{campaign}/{measure}", self.source))
    }

    /// Merges every item with what was said before, as the claims have it.
    pub(super) fn judge(self, lookup: &ClaimReader<'_>) -> Result<ValidatedStatements, CommandError> {
        let grain_state = format!("{} {}", self.cut.grain, self.cut.zone);
        let mut results = Vec::new();
        let mut grains: BTreeMap<String, ClaimEffect> = BTreeMap::new();
        let mut buckets: BTreeMap<String, Vec<StatementInput>> = BTreeMap::new();
        let mut places: HashMap<usize, (CampaignId, Bucket, DateTime<Utc>)> = HashMap::new();
        for item in &self.items {
            let keys =
                || item.said.measures.keys().map(|measure| (*measure, self.grain_key(item.campaign, *measure).1));
            let conflict = keys().find_map(|(measure, key)| {
                let held = lookup.held(STATEMENT_GRAIN, &key)?;
                (held.state != grain_state).then(|| grain_conflict(measure, &held.state))
            });
            if let Some(refusal) = conflict {
                results.push(ItemResult::rejected(item.said.index, None, refusal));
                continue;
            }
            for (_, key) in keys() {
                let then = match lookup.held(STATEMENT_GRAIN, &key) {
                    Some(_) => ClaimEffect::Keep,
                    None => ClaimEffect::Put { owner: self.source.clone(), state: grain_state.clone() },
                };
                grains.insert(key, then);
            }
            places.insert(item.said.index, (item.campaign, item.bucket, item.said.stated_at));
            buckets.entry(self.statement_key(item)).or_default().push(item.said.clone());
        }

        let mut claims: Vec<Claim> =
            grains.into_iter().map(|(key, then)| lookup.assert(STATEMENT_GRAIN, &key, then)).collect();
        let mut changes: BTreeMap<usize, BTreeMap<Measure, i64>> = BTreeMap::new();
        for (key, said) in &buckets {
            let before = last_word(lookup, key)?;
            let merged = merge(&before, said);
            results.extend(duplicates(&merged));
            let then = if merged.last_word == before {
                ClaimEffect::Keep
            } else {
                let state = serde_json::to_string(&merged.last_word).map_err(CommandError::encoding)?;
                ClaimEffect::Put { owner: self.source.clone(), state }
            };
            claims.push(lookup.assert(STATEMENT, key, then));
            changes.extend(merged.changes);
        }
        let statements = changes
            .into_iter()
            .filter_map(|(index, measures)| {
                let (campaign, bucket, stated_at) = places.get(&index).copied()?;
                Some(Statement { campaign, bucket, stated_at, measures })
            })
            .collect();
        results.extend(self.results);
        Ok(ValidatedStatements { statements, claims, settled: PreAppendResults { total: self.total, results } })
    }
}

fn duplicates(merged: &MergeResult) -> impl Iterator<Item = ItemResult> {
    let unchanged = merged.unchanged.iter().map(|index| (*index, ItemErrorCode::Unchanged));
    let superseded = merged.superseded.iter().map(|index| (*index, ItemErrorCode::Superseded));
    unchanged
        .chain(superseded)
        .map(|(index, reason)| ItemResult::with_reason(index, None, ItemStatus::Duplicate, reason))
}

fn last_word(lookup: &ClaimReader<'_>, key: &str) -> Result<LatestValues, CommandError> {
    match lookup.held(STATEMENT, key) {
        Some(held) => serde_json::from_str(&held.state).map_err(|_| CommandError::claim(STATEMENT, key)),
        None => Ok(LatestValues::new()),
    }
}

fn grain_conflict(measure: Measure, stated: &str) -> ItemError {
    let field = format!("measures.{measure}");
    let detail = format!("the source states {measure} of this campaign in grain and zone {stated}");
    ItemError::at(ItemErrorCode::GrainConflict, &field, detail)
}

/// The event that records them.
pub(super) fn event(known: &ResolvedRefs<'_>, cut: BucketSpec, statements: Vec<Statement>) -> StatementsRecorded {
    StatementsRecorded {
        source: known.source.id,
        currency: known.source.definition.currency,
        grain: cut.grain,
        time_zone: cut.zone,
        statements,
    }
}
