//! The lookups of a report beside its sums: names, statuses, restatements and overlaps.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::bucket::{Grain, ReportBucket};
use domain::campaign::{CampaignState, CampaignStatus};
use domain::freshness::{ZoneAlignment, restated_after_final};
use domain::measure::Measure;
use uuid::Uuid;

use super::filter::parts::InclusionSet;
use super::plan::Plan;
use super::rows::{Row, RowKey};
use super::warnings::Overlap;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{Source, Sources};

/// The names of these campaigns.
pub(crate) async fn names(snapshot: &mut Snapshot, ids: &[Uuid]) -> Result<BTreeMap<Uuid, String>, ReadError> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let rows = sqlx::query!(
        r#"SELECT n.campaign_id AS "campaign_id!", c.name
           FROM unnest((SELECT $3::uuid[])) n (campaign_id)
           CROSS JOIN LATERAL (SELECT name FROM read.campaigns
                               WHERE epoch = $1 AND workspace = $2 AND campaign_id = n.campaign_id LIMIT 1) c"#,
        epoch,
        workspace,
        ids,
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(rows.into_iter().map(|row| (row.campaign_id, row.name)).collect())
}

/// Whether the campaign exists.
pub(crate) async fn exists(snapshot: &mut Snapshot, id: Uuid) -> Result<bool, ReadError> {
    Ok(!names(snapshot, &[id]).await?.is_empty())
}

/// The campaigns with one of these statuses at present; among `ids`, unless that is empty.
pub(crate) async fn campaigns_with_status(
    snapshot: &mut Snapshot,
    ids: &[Uuid],
    statuses: &BTreeSet<CampaignStatus>,
) -> Result<Vec<Uuid>, ReadError> {
    let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
    let (states, started, not_started) = states_of(statuses);
    let ids = sqlx::query_scalar!(
        "SELECT campaign_id FROM read.campaigns
         WHERE epoch = $1 AND workspace = $2 AND (cardinality($3::uuid[]) = 0 OR campaign_id = ANY($3))
           AND (state = ANY($4)
                OR state = 'launched' AND CASE WHEN starts_at <= $5 THEN $6::boolean ELSE $7::boolean END)
         ORDER BY campaign_id",
        epoch,
        workspace,
        ids,
        &states,
        now,
        started,
        not_started,
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(ids)
}

/// Statuses as the table has them: by state, and for launched campaigns by whether they have started.
pub(crate) fn states_of(statuses: &BTreeSet<CampaignStatus>) -> (Vec<String>, bool, bool) {
    let state = |status: &CampaignStatus| match status {
        CampaignStatus::Draft => Some(CampaignState::Draft),
        CampaignStatus::Paused => Some(CampaignState::Paused),
        CampaignStatus::Completed => Some(CampaignState::Completed),
        CampaignStatus::Archived => Some(CampaignState::Archived),
        CampaignStatus::Active | CampaignStatus::Scheduled => None,
    };
    let states = statuses.iter().filter_map(state).map(|state| state.name().to_owned()).collect();
    (states, statuses.contains(&CampaignStatus::Active), statuses.contains(&CampaignStatus::Scheduled))
}

/// The sources that changed these rows after they were final.
pub(crate) async fn restated<'a>(
    snapshot: &mut Snapshot,
    rows: impl IntoIterator<Item = &'a Row>,
    plan: &Plan,
    sources: &Sources,
) -> Result<RestatedRows, ReadError> {
    let (granularity, time_zone) = plan.query_grain;
    let aligned_sources =
        sources.iter().map(|(id, source)| (*id, (source, source.zone_alignment(granularity, time_zone)))).collect();
    let changes: Vec<_> =
        rows.into_iter().flat_map(|row| changes_past_horizon(row, plan.cells(), &aligned_sources)).collect();
    let candidates: BTreeSet<_> = changes.iter().map(|(_, change)| change.key()).collect();
    let completed = completions_before(snapshot, &candidates).await?;
    let mut restated = RestatedRows::new();
    for (row, change) in changes {
        let completed_at = completed.get(&change.key()).copied();
        if restated_after_final(change.end, change.horizon_s, change.changed_at, completed_at) {
            restated.entry(row.clone()).or_default().insert(change.source);
        }
    }
    Ok(restated)
}

/// The sources that changed rows after these were final.
pub(crate) type RestatedRows = BTreeMap<RowKey, BTreeSet<Uuid>>;

/// A change that came after the horizon of its bucket.
struct Change {
    source: Uuid,
    /// The end of the bucket in the source's zone.
    end: DateTime<Utc>,
    horizon_s: i64,
    changed_at: DateTime<Utc>,
}

impl Change {
    fn key(&self) -> Completion {
        (self.source, self.end, self.changed_at)
    }
}

/// A source, an instant that it may have completed past, and the change before which it may have done so.
type Completion = (Uuid, DateTime<Utc>, DateTime<Utc>);

fn changes_past_horizon<'a>(
    row: &'a Row,
    cells: &[ReportBucket],
    sources: &BTreeMap<Uuid, (&Source, ZoneAlignment)>,
) -> Vec<(&'a RowKey, Change)> {
    let Some(cell) = cells.get(row.key.cell) else { return Vec::new() };
    let change = |(id, changed_at): (&Uuid, &DateTime<Utc>)| {
        let (source, zone_alignment) = sources.get(id)?;
        let (end, horizon_s) = (zone_alignment.to_source_time(cell.end), source.freshness.restatement_horizon_s);
        let passed_at = end.checked_add_signed(TimeDelta::try_seconds(horizon_s)?)?;
        let change = Change { source: *id, end, horizon_s, changed_at: *changed_at };
        (*changed_at >= passed_at).then_some((&row.key, change))
    };
    row.changes.iter().filter_map(change).collect()
}

/// When a source reported that it was complete past an instant, if it did so before the change. Any one of several
/// reports will do, and the first one found mostly does.
async fn completions_before(
    snapshot: &mut Snapshot,
    candidates: &BTreeSet<Completion>,
) -> Result<BTreeMap<Completion, DateTime<Utc>>, ReadError> {
    if candidates.is_empty() {
        return Ok(BTreeMap::new());
    }
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let ids: Vec<_> = candidates.iter().map(|(source, ..)| *source).collect();
    let ends: Vec<_> = candidates.iter().map(|(_, end, _)| *end).collect();
    let changes: Vec<_> = candidates.iter().map(|(.., changed_at)| *changed_at).collect();
    let rows = sqlx::query!(
        r#"SELECT a.source_id AS "source_id!", a.ends AS "ends!", a.changed_at AS "changed_at!", c.completed_at
           FROM unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[]) AS a (source_id, ends, changed_at)
           CROSS JOIN LATERAL (
               SELECT c.completed_at FROM read.source_completions c
               WHERE c.epoch = $1 AND c.workspace = $2 AND c.source_id = a.source_id
                 AND c.complete_through >= a.ends AND c.completed_at <= a.changed_at
               ORDER BY c.complete_through LIMIT 1
           ) c"#,
        epoch,
        workspace,
        &ids,
        &ends,
        &changes,
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(rows.into_iter().map(|row| ((row.source_id, row.ends, row.changed_at), row.completed_at)).collect())
}

/// A measure, and the sources that state it of one campaign.
struct OverlapRow {
    measure: String,
    sources: Vec<Uuid>,
}

/// The statement of overlaps, by the table of sums that it reads.
macro_rules! stating {
    ($increments:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            OverlapRow,
            r#"WITH stated AS (
               SELECT i.campaign_id, i.source_id, i.measure
               FROM "# + $increments + r#" i
               WHERE i.epoch = $1 AND i.workspace = $2 AND i.bucket >= $6 AND i.bucket < $7
                 AND i.source_id = ANY($3) AND i.measure = ANY($5)
                 AND ($4::uuid[] IS NULL OR i.campaign_id = ANY($4))
                 AND ($8::uuid[] IS NULL OR i.campaign_id <> ALL($8))
               UNION
               SELECT s.campaign_id, s.source_id, s.measure
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $6 - interval '2 days' AND s.bucket_start < $7 AND s.bucket_end > $6
                 AND s.source_id = ANY($3) AND s.measure = ANY($5) AND s.value IS NOT NULL
                 AND ($4::uuid[] IS NULL OR s.campaign_id = ANY($4))
                 AND ($8::uuid[] IS NULL OR s.campaign_id <> ALL($8))
           ), together AS (
               SELECT measure, array_agg(source_id ORDER BY source_id) AS sources FROM stated
               GROUP BY campaign_id, measure HAVING count(*) > 1
           )
           SELECT DISTINCT measure AS "measure!", sources AS "sources!" FROM together"#,
            $($argument),+
        )
    };
}

/// The sources that state the same measure of the same campaign within the range.
pub(crate) async fn overlaps(
    snapshot: &mut Snapshot,
    (plan, grain): (&Plan, Grain),
    campaigns: &InclusionSet<Uuid>,
    sources: &[Uuid],
    measures: &BTreeSet<Measure>,
) -> Result<BTreeSet<Overlap>, ReadError> {
    if sources.len() < 2 || measures.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let (only, except) = campaigns.lists();
    let (only, except) = (only.as_deref(), except.as_deref());
    let measures: Vec<_> = measures.iter().map(|measure| measure.name().to_owned()).collect();
    let (start, end) = (plan.calendar.start(), plan.calendar.end());
    let rows = match grain {
        Grain::QuarterHour => {
            stating!("read.rollup_15m", epoch, workspace, sources, only, &measures, start, end, except)
                .fetch_all(snapshot.db())
                .await?
        }
        Grain::Hour => {
            stating!("read.rollup_hourly", epoch, workspace, sources, only, &measures, start, end, except)
                .fetch_all(snapshot.db())
                .await?
        }
        Grain::Day => {
            stating!("read.rollup_daily", epoch, workspace, sources, only, &measures, start, end, except)
                .fetch_all(snapshot.db())
                .await?
        }
    };
    let overlap = |measure: &str, sources: Vec<Uuid>| -> Result<Overlap, ReadError> {
        Ok((measure.parse::<Measure>().map_err(ReadError::corrupt)?, sources.into_iter().collect()))
    };
    rows.into_iter().map(|row| overlap(&row.measure, row.sources)).collect()
}
