//! Sources: their definitions, and how fresh they and their numbers are.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::{Grain, Granularity};
use domain::freshness::{self, Finality, SourceFreshness, SourceSyncs, StatedGrain, Watermarks, ZoneAlignment};
use domain::measure::Measure;
use domain::source::{SourceDefinition, SourceKind, SourceRole};
use domain::zone::Zone;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::warning::Warning;

/// A source in a snapshot.
#[derive(Debug, Clone)]
pub struct Source {
    pub id: Uuid,
    pub definition: SourceDefinition,
    pub freshness: SourceFreshness,
    /// The grains and zones in which it states totals.
    pub stated_grains: Vec<StatedGrain>,
    /// The position of the last event that touched it.
    pub last_position: i64,
    /// Whether it feeds any campaign.
    pub has_data: bool,
}

/// Every source of a workspace, by id.
pub type Sources = BTreeMap<Uuid, Source>;

/// The freshness of an answer's numbers. It follows from the answer's version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Freshness {
    /// `live`: a bucket is still open. `provisional`: closed, but a primary source has not completed past it or may
    /// still restate it. `final`: neither.
    #[schema(value_type = String, example = "provisional")]
    #[serde(serialize_with = "state_name")]
    pub state: Finality,
    /// The instant from which the numbers of the range are incomplete.
    pub first_incomplete: Option<DateTime<Utc>>,
    /// The sources that feed these campaigns, by name.
    pub sources: Vec<SourceFreshnessBody>,
}

/// The freshness of one source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceFreshnessBody {
    /// Its name.
    source: String,
    /// `primary` when it counts toward the totals of this answer and decides on its state, else `reference`.
    role: &'static str,
    /// `ok`, `running`, `late`, `failed` or `never`.
    status: &'static str,
    /// The source is complete up to this instant.
    complete_through: Option<DateTime<Utc>>,
    /// The source's numbers are final up to this instant.
    final_through: Option<DateTime<Utc>>,
    /// The number of its events that are parked, because they could not be applied.
    parked: u64,
}

impl Freshness {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let source = |source: &SourceFreshnessBody| size_of::<SourceFreshnessBody>() + source.source.len();
        size_of::<Self>() + self.sources.iter().map(source).sum::<usize>()
    }
}

impl Source {
    /// Its role for these measures: primary if it is primary for any of them.
    pub fn role_among(&self, measures: &BTreeSet<Measure>) -> SourceRole {
        let counts = measures.iter().any(|measure| self.definition.role_of(*measure) == SourceRole::Primary);
        if counts { SourceRole::Primary } else { SourceRole::Reference }
    }

    /// How its buckets align with those of a query.
    pub fn zone_alignment(&self, granularity: Granularity, time_zone: Zone) -> ZoneAlignment {
        ZoneAlignment::new(&self.stated_grains, self.definition.kind == SourceKind::Push, granularity, time_zone)
    }

    /// Its freshness in an answer. `boundary`: the last instant at which the clock changed the result.
    fn freshness_body(
        &self,
        measures: &BTreeSet<Measure>,
        parked: u64,
        now: DateTime<Utc>,
        boundary: DateTime<Utc>,
    ) -> SourceFreshnessBody {
        SourceFreshnessBody {
            source: self.definition.name.clone(),
            role: self.role_among(measures).name(),
            status: self.freshness.status(now).name(),
            complete_through: self.freshness.syncs.complete_through,
            // Parked events may belong to any earlier bucket.
            final_through: self.freshness.final_through(boundary).filter(|_| parked == 0),
            parked,
        }
    }
}

/// The granularity and the time zone of a query.
pub type QueryGrain = (Granularity, Zone);

/// How fresh the numbers of a range are. The primary sources decide; references are listed. `parked`: how many events
/// of a source are parked. `unsettled`: whether parked events decide on finality.
pub fn freshness(
    feeding: &[&Source],
    measures: &BTreeSet<Measure>,
    (parked, unsettled): (impl Fn(Uuid) -> u64, bool),
    (range, query_grain): ((DateTime<Utc>, DateTime<Utc>), QueryGrain),
    now: DateTime<Utc>,
    boundary: DateTime<Utc>,
) -> Freshness {
    let deciding: Vec<Watermarks> = authoritative(feeding, measures, query_grain)
        .map(|(source, alignment)| source.watermarks(&alignment, now))
        .collect();
    let mut sources: Vec<_> =
        feeding.iter().map(|source| source.freshness_body(measures, parked(source.id), now, boundary)).collect();
    sources.sort_by(|a, b| a.source.cmp(&b.source));
    let state = freshness::state(range.1, now, &deciding);
    let first_incomplete = freshness::first_incomplete(range.0, range.1, &deciding);
    Freshness {
        state: if unsettled { state.min(Finality::Provisional) } else { state },
        first_incomplete: if unsettled { Some(range.0).filter(|start| *start < range.1) } else { first_incomplete },
        sources,
    }
}

/// The primary sources of these measures, each with its alignment.
fn authoritative<'a>(
    feeding: &[&'a Source],
    measures: &BTreeSet<Measure>,
    (granularity, time_zone): QueryGrain,
) -> impl Iterator<Item = (&'a SourceFreshness, ZoneAlignment)> {
    let primary = feeding.iter().filter(|source| source.role_among(measures) == SourceRole::Primary);
    primary.map(move |source| (&source.freshness, source.zone_alignment(granularity, time_zone)))
}

/// The instant through which every primary source is complete. `None` if one never reported it, or if there is none.
pub fn complete_through(
    feeding: &[&Source],
    measures: &BTreeSet<Measure>,
    query_grain: QueryGrain,
) -> Option<DateTime<Utc>> {
    let deciding = authoritative(feeding, measures, query_grain);
    deciding.map(|(source, alignment)| Some(alignment.to_query_time(source.syncs.complete_through?))).min().flatten()
}

/// The name of each source of a workspace, by id.
pub(crate) fn name_of<'a>(sources: &'a Sources) -> impl Fn(Uuid) -> Option<&'a str> {
    |id| sources.get(&id).map(|source| source.definition.name.as_str())
}

/// A warning about names that no source of the workspace has, if there are any.
pub(crate) fn unknown_sources(names: &BTreeSet<String>, sources: &Sources) -> Option<Warning> {
    let is_known = |name: &String| sources.values().any(|source| source.definition.name == *name);
    let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).cloned().collect();
    (!unknown.is_empty()).then(|| Warning {
        code: "unknown_source",
        detail: "The workspace has no source of this name.".to_owned(),
        sources: unknown,
        measures: Vec::new(),
        spend: None,
    })
}

/// Every source of the workspace.
pub async fn load(snapshot: &mut Snapshot) -> Result<Sources, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let rows = sqlx::query_as!(
        SourceRow,
        r#"SELECT s.source_id, s.name, s.channel, s.kind, s.role,
                  s.measure_roles AS "measure_roles: Json<BTreeMap<Measure, SourceRole>>",
                  s.time_zone, s.currency, s.expected_delay_s, s.restatement_horizon_s,
                  y.last_started_at AS "last_started_at?", y.last_completed_at AS "last_completed_at?",
                  y.last_failed_at AS "last_failed_at?", y.failure_reason AS "failure_reason?",
                  y.complete_through AS "complete_through?", y.grain AS "grain?",
                  ARRAY(SELECT c.grain || ' ' || c.time_zone FROM read.source_grains c
                        WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = s.source_id ORDER BY 1) AS "cuts!",
                  coalesce(m.position, 0) AS "mark!",
                  f.feeds IS NOT NULL AS "feeds!"
           FROM read.sources s
           LEFT JOIN read.source_syncs y ON y.epoch = $1 AND y.workspace = $2 AND y.source_id = s.source_id
           -- One probe for each source: LIMIT avoids a scan of all marks, ORDER BY a look-up of all campaigns.
           LEFT JOIN LATERAL (
               SELECT position FROM read.scope_marks
               WHERE epoch = $1 AND workspace = $2 AND scope = 'source:' || s.source_id LIMIT 1
           ) m ON true
           LEFT JOIN LATERAL (
               SELECT true AS feeds FROM read.campaign_sources
               WHERE epoch = $1 AND workspace = $2 AND source_id = s.source_id ORDER BY campaign_id LIMIT 1
           ) f ON true
           WHERE s.epoch = $1 AND s.workspace = $2"#,
        epoch,
        workspace,
    )
    .fetch_all(snapshot.db())
    .await?;
    rows.into_iter().map(|row| row.into_source().map(|source| (source.id, source))).collect()
}

/// A source as the tables have it.
#[derive(Debug, Deserialize)]
pub struct SourceRow {
    source_id: Uuid,
    name: String,
    channel: String,
    kind: String,
    role: String,
    measure_roles: Json<BTreeMap<Measure, SourceRole>>,
    time_zone: String,
    currency: String,
    expected_delay_s: i64,
    restatement_horizon_s: i64,
    last_started_at: Option<DateTime<Utc>>,
    last_completed_at: Option<DateTime<Utc>>,
    last_failed_at: Option<DateTime<Utc>>,
    failure_reason: Option<String>,
    complete_through: Option<DateTime<Utc>>,
    grain: Option<String>,
    /// The grain and the zone of each, separated by a blank.
    cuts: Vec<String>,
    mark: i64,
    feeds: bool,
}

impl SourceRow {
    pub fn into_source(self) -> Result<Source, ReadError> {
        let definition = SourceDefinition {
            name: self.name,
            channel: self.channel.parse().map_err(ReadError::corrupt)?,
            kind: kind(&self.kind)?,
            role: role(&self.role)?,
            measure_roles: self.measure_roles.0,
            time_zone: self.time_zone.parse().map_err(ReadError::corrupt)?,
            currency: self.currency.parse().map_err(ReadError::corrupt)?,
            expected_delay_s: self.expected_delay_s,
            restatement_horizon_s: self.restatement_horizon_s,
        };
        let syncs = SourceSyncs {
            last_started_at: self.last_started_at,
            last_completed_at: self.last_completed_at,
            last_failed_at: self.last_failed_at,
            complete_through: self.complete_through,
            failure_reason: self.failure_reason,
            grain: self.grain.as_deref().map(str::parse::<Grain>).transpose().map_err(ReadError::corrupt)?,
        };
        let freshness = SourceFreshness {
            expected_delay_s: self.expected_delay_s,
            restatement_horizon_s: self.restatement_horizon_s,
            syncs,
        };
        let stated_grains = self.cuts.iter().map(|cut| stated_grain(cut)).collect::<Result<_, _>>()?;
        Ok(Source {
            id: self.source_id,
            definition,
            freshness,
            stated_grains,
            last_position: self.mark,
            has_data: self.feeds,
        })
    }
}

/// The sources that feed each of these campaigns.
pub async fn sources_by_campaign(
    snapshot: &mut Snapshot,
    campaigns: &[Uuid],
) -> Result<BTreeMap<Uuid, BTreeSet<Uuid>>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let pairs = sqlx::query!(
        "SELECT campaign_id, source_id FROM read.campaign_sources
         WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($3)",
        epoch,
        workspace,
        campaigns,
    )
    .fetch_all(snapshot.db())
    .await?;
    let mut feeding: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
    for pair in pairs {
        feeding.entry(pair.campaign_id).or_default().insert(pair.source_id);
    }
    Ok(feeding)
}

/// The sources among these that feed any campaign except those.
pub async fn feeding_others(
    snapshot: &mut Snapshot,
    sources: &[Uuid],
    campaigns: &[Uuid],
) -> Result<Vec<Uuid>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let ids = sqlx::query_scalar!(
        r#"SELECT s.id AS "id!" FROM unnest($3::uuid[]) AS s (id)
           WHERE EXISTS (SELECT FROM read.campaign_sources f
                         WHERE f.epoch = $1 AND f.workspace = $2 AND f.source_id = s.id AND f.campaign_id <> ALL($4))"#,
        epoch,
        workspace,
        sources,
        campaigns,
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(ids)
}

fn stated_grain(cut: &str) -> Result<StatedGrain, ReadError> {
    let (grain, zone) = cut.split_once(' ').ok_or_else(|| ReadError::corrupt(format!("cut {cut}")))?;
    Ok(StatedGrain {
        grain: grain.parse().map_err(ReadError::corrupt)?,
        time_zone: zone.parse().map_err(ReadError::corrupt)?,
    })
}

fn role(name: &str) -> Result<SourceRole, ReadError> {
    let roles = [SourceRole::Primary, SourceRole::Reference];
    roles.into_iter().find(|role| role.name() == name).ok_or_else(|| ReadError::corrupt(format!("role {name}")))
}

fn kind(name: &str) -> Result<SourceKind, ReadError> {
    let kinds = [SourceKind::Push, SourceKind::Pull];
    kinds.into_iter().find(|kind| kind.name() == name).ok_or_else(|| ReadError::corrupt(format!("kind {name}")))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(crate) fn state_name<S: serde::Serializer>(state: &Finality, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

#[cfg(test)]
mod tests;
