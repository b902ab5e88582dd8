//! The sums of a report, from the tables: one statement, grouped by cell, source and measure.
//!
//! The cells' edges were computed by the domain's calendar, so the database needs to know nothing of time zones.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::Dimension;
use uuid::Uuid;

use super::dimension::{Slice, split};
use super::plan::Plan;
use super::reading::Reading;
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;

/// The most sums that one report adds up. A statement beyond it stops early; the literal in the SQL is one more.
pub(crate) const MAX_SUMS: usize = 200_000;

/// One number that one source says of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Index of the cell.
    pub(crate) cell: usize,
    /// The campaign, when campaigns are told apart.
    pub(crate) campaign: Option<Uuid>,
    /// Where in the dimension, when one is told apart.
    pub(crate) slice: Option<Slice>,
    pub(crate) source: Uuid,
    pub(crate) measure: Measure,
    /// In the measure's smallest unit.
    pub(crate) value: i128,
    /// When it last changed.
    pub(crate) changed_at: DateTime<Utc>,
}

/// Statements that do not fit the query's cells exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Misfit {
    pub(crate) source: Uuid,
    pub(crate) measure: Measure,
    pub(crate) grain: Grain,
    pub(crate) time_zone: String,
    /// Too coarse for the cells, and so in none of them.
    pub(crate) left_out: bool,
}

/// What the tables hold for a report.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) sums: Vec<Sum>,
    pub(crate) misfits: BTreeSet<Misfit>,
}

/// What to gather.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) plan: &'a Plan,
    /// `None` for all.
    pub(crate) campaigns: Option<&'a [Uuid]>,
    pub(crate) sources: Vec<Uuid>,
    /// Whether to tell campaigns apart.
    pub(crate) by_campaign: bool,
    /// The dimension to tell apart.
    pub(crate) dimension: Option<Dimension>,
    /// Which table of sums.
    pub(crate) reading: Reading,
}

/// A row as the database groups it: a sum, or (without a cell) the mention of statements that are too coarse.
struct SumRow {
    cell: Option<i32>,
    campaign_id: Option<Uuid>,
    source_id: Uuid,
    measure: String,
    grain: Option<String>,
    time_zone: Option<String>,
    value: Option<String>,
    changed_at: Option<DateTime<Utc>>,
    misfit: bool,
}

/// The statement in its forms: of each table of sums, over all campaigns by time, and over some campaigns by their keys.
macro_rules! sums {
    ($increments:literal, $of_increments:literal, $of_statements:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            SumRow,
            r#"SELECT width_bucket(i.bucket, $3::timestamptz[]) AS cell, CASE WHEN $4 THEN i.campaign_id END AS campaign_id,
                      i.source_id AS "source_id!", i.measure AS "measure!", NULL::text AS grain, NULL::text AS time_zone,
                      sum(i.value)::text AS value, max(i.changed_at) AS changed_at, false AS "misfit!"
               FROM "# + $increments + r#" i
               WHERE i.epoch = $1 AND i.workspace = $2 AND i.bucket >= $15 AND i.bucket < $6
                 AND i.measure = ANY($7) AND i.source_id = ANY($8) "# + $of_increments + r#"
               GROUP BY 1, 2, 3, 4
               UNION ALL
               SELECT width_bucket(s.bucket_start, $3), CASE WHEN $4 THEN s.campaign_id END,
                      s.source_id, s.measure, s.grain, s.time_zone, sum(s.value)::text, max(s.changed_at),
                      bool_or(width_bucket(s.bucket_end - interval '1 microsecond', $3) <> width_bucket(s.bucket_start, $3))
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2 AND s.bucket_start >= $5 AND s.bucket_start < $6
                 AND s.grain = ANY($9) AND s.measure = ANY($7) AND s.source_id = ANY($8) AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 1, 2, 3, 4, 5, 6
               UNION ALL
               SELECT d.cell, CASE WHEN $4 THEN s.campaign_id END,
                      s.source_id, s.measure, s.grain, s.time_zone, sum(s.value)::text, max(s.changed_at),
                      bool_or(s.bucket_start IS DISTINCT FROM d.starts OR s.bucket_end IS DISTINCT FROM d.ends)
               FROM unnest($11::date[], $12::integer[], $13::timestamptz[], $14::timestamptz[]) AS d (date, cell, starts, ends)
               JOIN read.statements s ON s.bucket_date = d.date
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $5 - interval '2 days' AND s.bucket_start < $6 + interval '2 days'
                 AND s.grain = 'day' AND s.measure = ANY($7) AND s.source_id = ANY($8) AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 1, 2, 3, 4, 5, 6
               UNION ALL
               SELECT NULL, NULL, s.source_id, s.measure, s.grain, s.time_zone, NULL, NULL, true
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $5 - interval '2 days' AND s.bucket_start < $6 AND s.bucket_end > $5
                 AND s.grain = ANY($10) AND s.measure = ANY($7) AND s.source_id = ANY($8) AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 3, 4, 5, 6
               LIMIT 200001"#,
            $($argument),+
        )
    };
}

/// Everything that the tables hold for this selection.
pub(crate) async fn gather(snapshot: &mut Snapshot, selection: &Selection<'_>) -> Result<Gathered, Refusal> {
    let plan = selection.plan;
    if plan.cells().is_empty() || selection.sources.is_empty() {
        return Ok(Gathered::default());
    }
    let rows = select(snapshot, selection).await?;
    if rows.len() > MAX_SUMS {
        return Err(Refusal::ReportTooLarge);
    }
    let mut gathered = Gathered::default();
    let mut positions: BTreeMap<(usize, Option<Uuid>, Uuid, Measure), usize> = BTreeMap::new();
    for row in rows {
        let measure: Measure = row.measure.parse().map_err(Refusal::corrupt)?;
        if row.misfit
            && let (Some(grain), Some(time_zone)) = (&row.grain, &row.time_zone)
        {
            let grain = grain.parse().map_err(Refusal::corrupt)?;
            let (time_zone, left_out) = (time_zone.clone(), row.cell.is_none());
            gathered.misfits.insert(Misfit { source: row.source_id, measure, grain, time_zone, left_out });
        }
        let Some(sum) = row.sum(plan, measure)? else { continue };
        // Increments and statements of several grains may meet in one cell.
        match positions.entry((sum.cell, sum.campaign, sum.source, sum.measure)) {
            std::collections::btree_map::Entry::Occupied(met) => {
                if let Some(before) = gathered.sums.get_mut(*met.get()) {
                    before.value =
                        before.value.checked_add(sum.value).ok_or_else(|| Refusal::corrupt("a sum overflows"))?;
                    before.changed_at = before.changed_at.max(sum.changed_at);
                }
            }
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(gathered.sums.len());
                gathered.sums.push(sum);
            }
        }
    }
    if let Some(dimension) = selection.dimension {
        let named = select_by_dimension(snapshot, selection, dimension).await?;
        gathered.sums = split(gathered.sums, named)?;
    }
    Ok(gathered)
}

impl SumRow {
    fn sum(&self, plan: &Plan, measure: Measure) -> Result<Option<Sum>, Refusal> {
        let (Some(number), Some(value), Some(changed_at)) = (self.cell, &self.value, self.changed_at) else {
            return Ok(None);
        };
        // width_bucket counts cells from 1.
        let cell = usize::try_from(number - 1).ok().filter(|cell| *cell < plan.cells().len());
        Ok(Some(Sum {
            cell: cell.ok_or_else(|| Refusal::corrupt(format!("bucket in cell {number}")))?,
            campaign: self.campaign_id,
            slice: None,
            source: self.source_id,
            measure,
            value: value.parse().map_err(Refusal::corrupt)?,
            changed_at,
        }))
    }
}

async fn select(snapshot: &mut Snapshot, selection: &Selection<'_>) -> Result<Vec<SumRow>, Refusal> {
    let plan = selection.plan;
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let (start, end) = (plan.calendar.start(), plan.calendar.end());
    // What is no longer kept may still be there for a while.
    let (kept, stated_after) = (selection.reading.kept_from(start), selection.reading.stated_after());
    // With the range's end as a last edge, what reaches beyond the last cell shows as another cell.
    let edges: Vec<_> = plan.cells().iter().map(|cell| cell.start).chain([end]).collect();
    let measures: Vec<_> = plan.measures.iter().map(|measure| measure.name().to_owned()).collect();
    let names = |grains: &[Grain]| grains.iter().map(|grain| grain.name().to_owned()).collect::<Vec<_>>();
    let (fitting, too_coarse) = (names(&plan.fitting), names(&plan.too_coarse));
    let dates: Vec<NaiveDate> = plan.days.iter().map(|day| day.date).collect();
    let cells: Vec<_> = plan.days.iter().map(|day| i32::try_from(day.cell + 1).unwrap_or(i32::MAX)).collect();
    let (starts, ends): (Vec<_>, Vec<_>) =
        plan.days.iter().map(|day| (day.span.map(|span| span.0), day.span.map(|span| span.1))).unzip();
    let by_campaign = selection.by_campaign;
    let sources = &selection.sources;
    /// One form of the statement, with its arguments.
    macro_rules! of {
        ($table:literal) => {
            match selection.campaigns {
                None => {
                    sums!(
                        $table,
                        "",
                        "",
                        epoch,
                        workspace,
                        &edges,
                        by_campaign,
                        start,
                        end,
                        &measures,
                        sources,
                        &fitting,
                        &too_coarse,
                        &dates,
                        &cells,
                        &starts as _,
                        &ends as _,
                        kept,
                        stated_after,
                    )
                    .fetch_all(snapshot.db())
                    .await?
                }
                Some(campaigns) => {
                    sums!(
                        $table,
                        "AND i.campaign_id = ANY($17)",
                        "AND s.campaign_id = ANY($17)",
                        epoch,
                        workspace,
                        &edges,
                        by_campaign,
                        start,
                        end,
                        &measures,
                        sources,
                        &fitting,
                        &too_coarse,
                        &dates,
                        &cells,
                        &starts as _,
                        &ends as _,
                        kept,
                        stated_after,
                        campaigns,
                    )
                    .fetch_all(snapshot.db())
                    .await?
                }
            }
        };
    }
    Ok(match selection.reading.grain {
        Grain::QuarterHour => of!("read.increments"),
        Grain::Hour => of!("read.hourly_increments"),
        Grain::Day => of!("read.daily_increments"),
    })
}

/// The sums that name a value of a dimension.
async fn select_by_dimension(
    snapshot: &mut Snapshot,
    selection: &Selection<'_>,
    dimension: Dimension,
) -> Result<Vec<Sum>, Refusal> {
    let plan = selection.plan;
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let (start, end) = (selection.reading.kept_by_dimension_from(plan.calendar.start()), plan.calendar.end());
    let edges: Vec<_> = plan.cells().iter().map(|cell| cell.start).chain([end]).collect();
    let measures: Vec<_> = plan.measures.iter().map(|measure| measure.name().to_owned()).collect();
    let rows = sqlx::query!(
        r#"SELECT width_bucket(t.bucket, $3::timestamptz[]) AS cell, CASE WHEN $4 THEN t.campaign_id END AS campaign_id,
                  t.source_id, t.value AS named, t.measure, sum(t.sum)::text AS value, max(t.changed_at) AS changed_at
           FROM read.dimension_totals t
           WHERE t.epoch = $1 AND t.workspace = $2 AND t.dimension = $5 AND t.bucket >= $6 AND t.bucket < $7
             AND t.measure = ANY($8) AND t.source_id = ANY($9) AND ($10::uuid[] IS NULL OR t.campaign_id = ANY($10))
           GROUP BY 1, 2, 3, 4, 5
           LIMIT 200001"#,
        epoch,
        workspace,
        &edges,
        selection.by_campaign,
        dimension.name(),
        start,
        end,
        &measures,
        &selection.sources,
        selection.campaigns,
    )
    .fetch_all(snapshot.db())
    .await?;
    if rows.len() > MAX_SUMS {
        return Err(Refusal::ReportTooLarge);
    }
    let mut sums = Vec::with_capacity(rows.len());
    for row in rows {
        let sum = SumRow {
            cell: row.cell,
            campaign_id: row.campaign_id,
            source_id: row.source_id,
            measure: row.measure,
            grain: None,
            time_zone: None,
            value: row.value,
            changed_at: row.changed_at,
            misfit: false,
        };
        let measure = sum.measure.parse().map_err(Refusal::corrupt)?;
        sums.extend(sum.sum(plan, measure)?.map(|sum| Sum { slice: Some(Slice::Value(row.named)), ..sum }));
    }
    Ok(sums)
}
