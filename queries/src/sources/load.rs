//! Sources, as the read tables have them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::Grain;
use domain::freshness::{HeardOf, ReadHistory, SelfCompleting, SourceFreshness, SourceSyncs, StatedGrain};
use domain::ids::SourceId;
use domain::source::{SourceDefinition, SourceDetails, SourceEvent};
use domain::sync::FinalThrough;
use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use super::period::{self, SourceDates};
use super::{SeriesHistory, Source, Sources};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;

/// Every source of the workspace.
pub async fn load(snapshot: &mut Snapshot) -> Result<Sources, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let rows = sqlx::query_as!(
        SourceRow,
        r#"SELECT s.source_id, s.definition AS "definition: Json<SourceDefinition>",
                  ARRAY(SELECT c.event FROM read.source_changes c
                        WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = s.source_id
                        ORDER BY c.position) AS "changes!: Vec<Json<SourceEvent>>",
                  ARRAY(SELECT c.measure FROM read.source_measures c
                        WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = s.source_id
                        ORDER BY c.measure) AS "measures!",
                  y.last_started_at AS "last_started_at?", y.last_completed_at AS "last_completed_at?",
                  y.last_failed_at AS "last_failed_at?", y.failure_reason AS "failure_reason?",
                  y.complete_through AS "complete_through?", y.grain AS "grain?", y.open_run_at AS "open_run_at?",
                  y.last_read_at AS "last_read_at?", y.final_delivery AS "final_delivery?",
                  y.final_conversions AS "final_conversions?", y.reads AS "reads?: Json<ReadHistory>",
                  a.quarter AS "heard_in?",
                  ARRAY(SELECT c.grain || ' ' || c.time_zone FROM read.source_grains c
                        WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = s.source_id ORDER BY 1) AS "cuts!",
                  ARRAY(SELECT DISTINCT c.source_id || ' ' || c.grain || ' ' || c.time_zone
                        FROM read.source_changes e
                        JOIN read.source_grains c
                          ON c.source_id = (e.event #>> '{SourceChanged,change,series,id}')::uuid
                        WHERE e.epoch = $1 AND e.workspace = $2 AND e.source_id = s.source_id
                          AND c.epoch = $1 AND c.workspace = $2 ORDER BY 1) AS "series_cuts!",
                  greatest(m.position, 0, (
                      SELECT max(c.position) FROM read.source_measures c
                      WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = s.source_id)) AS "mark!",
                  greatest(n.position, 0, (
                      SELECT max(c.position) FROM read.source_measures c
                      WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = s.source_id)) AS "settings_mark!",
                  f.feeds IS NOT NULL AS "feeds!"
           FROM read.sources s
           LEFT JOIN read.source_syncs y ON y.epoch = $1 AND y.workspace = $2 AND y.source_id = s.source_id
           LEFT JOIN read.source_arrivals a ON a.epoch = $1 AND a.workspace = $2 AND a.source_id = s.source_id
           -- One probe for each source: LIMIT avoids a scan of all marks, ORDER BY a look-up of all campaigns.
           LEFT JOIN LATERAL (
               SELECT position FROM read.scope_marks
               WHERE epoch = $1 AND workspace = $2 AND scope = 'source:' || s.source_id LIMIT 1
           ) m ON true
           LEFT JOIN LATERAL (
               SELECT position FROM read.scope_marks
               WHERE epoch = $1 AND workspace = $2 AND scope = 'source:' || s.source_id || ':settings' LIMIT 1
           ) n ON true
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
    let (now, applied_until) = (snapshot.now, snapshot.applied_until());
    rows.into_iter().map(|row| row.into_source(now, applied_until).map(|source| (source.id, source))).collect()
}

/// A source as the tables have it.
#[derive(Debug, Deserialize)]
pub struct SourceRow {
    source_id: Uuid,
    definition: Json<SourceDefinition>,
    /// What happened to it since, in order.
    changes: Vec<Json<SourceEvent>>,
    /// What it ever stated.
    measures: Vec<String>,
    last_started_at: Option<DateTime<Utc>>,
    last_completed_at: Option<DateTime<Utc>>,
    last_failed_at: Option<DateTime<Utc>>,
    failure_reason: Option<String>,
    complete_through: Option<DateTime<Utc>>,
    grain: Option<String>,
    open_run_at: Option<DateTime<Utc>>,
    last_read_at: Option<DateTime<Utc>>,
    final_delivery: Option<DateTime<Utc>>,
    final_conversions: Option<DateTime<Utc>>,
    reads: Option<Json<ReadHistory>>,
    /// The quarter of an hour in which it was last heard of.
    heard_in: Option<DateTime<Utc>>,
    /// Grain and zone of each, in the first series.
    cuts: Vec<String>,
    /// Series, grain and zone of each, in the others.
    #[serde(default)]
    series_cuts: Vec<String>,
    mark: i64,
    /// The leaderboard does not have it, because no version of it rests on it.
    #[serde(default)]
    settings_mark: i64,
    feeds: bool,
}

impl SourceRow {
    /// The source as it is at `now`, when everything recorded before `applied_until` is in the rows.
    pub fn into_source(self, now: DateTime<Utc>, applied_until: DateTime<Utc>) -> Result<Source, ReadError> {
        let mut details = SourceDetails::new(SourceId(self.source_id), self.definition.0);
        self.changes.into_iter().for_each(|event| details.apply(event.0));
        let syncs = SourceSyncs {
            last_started_at: self.last_started_at,
            last_completed_at: self.last_completed_at,
            last_failed_at: self.last_failed_at,
            complete_through: self.complete_through,
            failure_reason: self.failure_reason,
            grain: self.grain.as_deref().map(str::parse::<Grain>).transpose().map_err(ReadError::corrupt)?,
            open_run_at: self.open_run_at,
            last_read_at: self.last_read_at,
            final_through: FinalThrough { delivery: self.final_delivery, conversions: self.final_conversions },
            reads: self.reads.map(|reads| reads.0).unwrap_or_default(),
        };
        let definition = details.definition_at(now);
        let series = details.series();
        let mut stated_grains: Vec<_> = self.cuts.iter().map(|cut| stated_grain(cut)).collect::<Result<_, _>>()?;
        let mut series_history = SeriesHistory::default();
        let all = details.all_series();
        if all.len() > 1 {
            let mut grains = BTreeMap::from([(self.source_id, stated_grains.clone())]);
            for cut in &self.series_cuts {
                let (id, grain) = stated_in_series(cut)?;
                grains.entry(id).or_default().push(grain);
                if !stated_grains.contains(&grain) {
                    stated_grains.push(grain);
                }
            }
            let all = all.into_iter().map(|series| series.0).collect();
            series_history = SeriesHistory { all, held: series.dates(), grains };
        }
        let heard = self.heard_in.map(|quarter| HeardOf { quarter, applied_until });
        let freshness =
            SourceFreshness::new(&details, syncs).completed_by_clock(SelfCompleting::of(&definition), heard);
        let stated = self.measures.iter().map(|measure| measure.parse().map_err(ReadError::corrupt));
        Ok(Source {
            id: self.source_id,
            definition,
            series: series.at(now).id.0,
            series_history,
            history: period::history(details.timeline()),
            period: SourceDates::default(),
            freshness,
            stated: stated.collect::<Result<_, _>>()?,
            stated_grains,
            last_position: self.mark,
            settings_position: self.settings_mark,
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

/// The channels of these campaigns, by campaign.
pub(crate) async fn channels_by_campaign(
    snapshot: &mut Snapshot,
    campaigns: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<String>>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let rows = sqlx::query!(
        "SELECT campaign_id, channels FROM read.campaigns
         WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($3)",
        epoch,
        workspace,
        campaigns,
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(rows.into_iter().map(|row| (row.campaign_id, row.channels)).collect())
}

/// Which of these sources feed any campaign but those.
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

fn stated_in_series(cut: &str) -> Result<(Uuid, StatedGrain), ReadError> {
    let (id, cut) = cut.split_once(' ').ok_or_else(|| ReadError::corrupt(format!("cut {cut}")))?;
    Ok((id.parse().map_err(ReadError::corrupt)?, stated_grain(cut)?))
}
