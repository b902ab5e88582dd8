//! The lookups of a report beside its sums: names, statuses, restatements and overlaps.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::Grain;
use domain::campaign::{CampaignState, CampaignStatus};
use domain::freshness::ZoneAlignment;
use domain::measure::Measure;
use domain::observation::Dimension;
use uuid::Uuid;

use super::filter::parts::InclusionSet;
use super::plan::Plan;
use super::rows::{Row, RowKey};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{DateRange, PeriodId, Source, SourcePeriods};

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

/// Those of the series that state anything by a dimension within a range, of these campaigns; of any, if `None`.
pub(crate) async fn broken_down(
    snapshot: &mut Snapshot,
    dimension: Dimension,
    series: &[Uuid],
    range: DateRange,
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<Vec<Uuid>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let campaigns: Option<Vec<_>> = campaigns.map(|ids| ids.iter().copied().collect());
    let found = sqlx::query_scalar!(
        r#"SELECT n.id AS "id!" FROM unnest($3::uuid[]) AS n (id)
           WHERE EXISTS (
               SELECT FROM read.breakdowns b
               WHERE b.epoch = $1 AND b.workspace = $2 AND b.dimension = $4 AND b.source_id = n.id
                 AND b.bucket_start >= $5::timestamptz - interval '2 days'
                 AND b.bucket_start < $6::timestamptz + interval '2 days'
                 AND CASE WHEN b.bucket_date IS NULL THEN b.bucket_start >= $5 AND b.bucket_start < $6
                          ELSE b.bucket_date BETWEEN $7 AND $8 END
                 AND (b.second_dimension = '' OR b.precedence IS NOT NULL) AND b.total IS NOT NULL
                 AND ($9::uuid[] IS NULL OR b.campaign_id = ANY($9))
           ) OR EXISTS (
               SELECT FROM read.breakdowns b
               WHERE b.epoch = $1 AND b.workspace = $2 AND b.second_dimension = $4 AND b.second_dimension <> ''
                 AND b.source_id = n.id AND b.bucket_start >= $5::timestamptz - interval '2 days'
                 AND b.bucket_start < $6::timestamptz + interval '2 days'
                 AND CASE WHEN b.bucket_date IS NULL THEN b.bucket_start >= $5 AND b.bucket_start < $6
                          ELSE b.bucket_date BETWEEN $7 AND $8 END
                 AND b.precedence IS NOT NULL AND b.total IS NOT NULL
                 AND ($9::uuid[] IS NULL OR b.campaign_id = ANY($9))
           )"#,
        epoch,
        workspace,
        series,
        dimension.name(),
        range.span.0,
        range.span.1,
        range.dates.0,
        range.dates.1,
        campaigns.as_deref(),
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(found)
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
    sources: &SourcePeriods,
) -> Result<RestatedRows, ReadError> {
    let (granularity, time_zone) = plan.query_grain;
    let aligned_sources =
        sources.iter().map(|(id, source)| (*id, (source, source.zone_alignment(granularity, time_zone)))).collect();
    let of_row = |row: &'a Row| late_changes(row, plan, &aligned_sources);
    let changes: Vec<_> = rows.into_iter().flat_map(of_row).collect();
    let asked: BTreeSet<_> = changes.iter().map(|(_, change)| *change).collect();
    let final_before = changes_after_finality(snapshot, &asked).await?;
    let mut restated = RestatedRows::new();
    for (row, change) in changes {
        if final_before.contains(&change) {
            restated.entry(row.clone()).or_default().insert(change.source);
        }
    }
    Ok(restated)
}

/// The sources that changed rows after these were final.
pub(crate) type RestatedRows = BTreeMap<RowKey, BTreeSet<PeriodId>>;

/// A change that came when the horizons of its bucket had passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LateChange {
    source: PeriodId,
    /// The end of the bucket in the source's zone.
    end: DateTime<Utc>,
    settles_at: DateTime<Utc>,
    /// Whether the clock alone settles it; otherwise a run that starts after that does.
    is_push: bool,
    changed_at: DateTime<Utc>,
}

fn late_changes<'a>(
    row: &'a Row,
    plan: &Plan,
    sources: &BTreeMap<PeriodId, (&Source, ZoneAlignment)>,
) -> Vec<(&'a RowKey, LateChange)> {
    let Some(cell) = plan.cells().get(row.key.cell) else { return Vec::new() };
    let change = |(id, changed_at): (&PeriodId, &DateTime<Utc>)| {
        let (source, zone_alignment) = sources.get(id)?;
        let end = zone_alignment.to_source_time(cell.end);
        let settles_at = source.freshness.settles_at(&plan.measures, end)?;
        let (is_push, changed_at) = (source.freshness.is_push, *changed_at);
        let change = LateChange { source: *id, end, settles_at, is_push, changed_at };
        (changed_at >= settles_at).then_some((&row.key, change))
    };
    row.changes.iter().filter_map(change).collect()
}

/// Those changes before which a run had made the bucket final, and none had opened it again.
async fn changes_after_finality(
    snapshot: &mut Snapshot,
    asked: &BTreeSet<LateChange>,
) -> Result<BTreeSet<LateChange>, ReadError> {
    if asked.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let asked: Vec<_> = asked.iter().copied().collect();
    let ids: Vec<_> = asked.iter().map(|change| change.source.source).collect();
    let ends: Vec<_> = asked.iter().map(|change| change.end).collect();
    let settle: Vec<_> =
        asked.iter().map(|change| if change.is_push { change.end } else { change.settles_at }).collect();
    let pushes: Vec<_> = asked.iter().map(|change| change.is_push).collect();
    let changes: Vec<_> = asked.iter().map(|change| change.changed_at).collect();
    // A run ends after it started, and after what it is complete through: the first that qualifies is one of the first.
    let numbers = sqlx::query_scalar!(
        r#"SELECT a.number AS "number!"
           FROM unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::boolean[], $7::timestamptz[])
                WITH ORDINALITY a (source_id, ends, settles_at, is_push, changed_at, number)
           CROSS JOIN LATERAL (
               SELECT r.position FROM read.source_runs r
               WHERE r.epoch = $1 AND r.workspace = $2 AND r.source_id = a.source_id
                 AND r.completed_at >= a.settles_at AND r.completed_at <= a.changed_at AND NOT r.is_reopening
                 AND r.covers_to >= a.ends
                 AND (a.is_push OR r.started_at >= a.settles_at AND coalesce(r.covers_from < a.ends, true))
                 AND NOT EXISTS (
                     SELECT FROM read.source_runs o
                     WHERE o.epoch = $1 AND o.workspace = $2 AND o.source_id = a.source_id
                       AND o.completed_at >= r.completed_at AND o.completed_at <= a.changed_at
                       AND o.position > r.position AND o.is_reopening AND o.covers_to < a.ends)
               ORDER BY r.completed_at LIMIT 1
           ) c"#,
        epoch,
        workspace,
        &ids,
        &ends,
        &settle,
        &pushes,
        &changes,
    )
    .fetch_all(snapshot.db())
    .await?;
    let of_number = |number: i64| asked.get(usize::try_from(number).ok()?.checked_sub(1)?).copied();
    Ok(numbers.into_iter().filter_map(of_number).collect())
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
                 -- A day counts by its date, which may begin a day before the range or after it.
                 AND s.bucket_start >= $6 - interval '2 days' AND s.bucket_start < $7 + interval '2 days'
                 AND CASE WHEN s.bucket_date IS NULL THEN s.bucket_start < $7 AND s.bucket_end > $6
                          ELSE s.bucket_date BETWEEN $9 AND $10 END
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

/// The sources that state the same measure of the same campaign within a range.
pub(crate) async fn overlaps(
    snapshot: &mut Snapshot,
    (range, grain): (DateRange, Grain),
    campaigns: &InclusionSet<Uuid>,
    sources: &[Uuid],
    measures: &BTreeSet<Measure>,
) -> Result<Vec<(Measure, Vec<Uuid>)>, ReadError> {
    if sources.len() < 2 || measures.is_empty() {
        return Ok(Vec::new());
    }
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let DateRange { span: (start, end), dates: (first, last) } = range;
    let (only, except) = campaigns.lists();
    let (only, except) = (only.as_deref(), except.as_deref());
    let measures: Vec<_> = measures.iter().map(|measure| measure.name().to_owned()).collect();
    let rows = match grain {
        Grain::QuarterHour => {
            stating!("read.rollup_15m", epoch, workspace, sources, only, &measures, start, end, except, first, last)
                .fetch_all(snapshot.db())
                .await?
        }
        Grain::Hour => {
            stating!("read.rollup_hourly", epoch, workspace, sources, only, &measures, start, end, except, first, last)
                .fetch_all(snapshot.db())
                .await?
        }
        Grain::Day => {
            stating!("read.rollup_daily", epoch, workspace, sources, only, &measures, start, end, except, first, last)
                .fetch_all(snapshot.db())
                .await?
        }
    };
    rows.into_iter().map(|row| Ok((row.measure.parse().map_err(ReadError::corrupt)?, row.sources))).collect()
}
