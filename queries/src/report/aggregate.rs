//! The sums of a report from the tables: one statement for each part, grouped by cell, source and measure.
//!
//! The domain's calendar computes the edges of the cells, so that the database needs no time zones.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::{Dimension, OTHER};
use uuid::Uuid;

use super::dimension::split;
use super::filter::parts::{DisjointPart, InclusionSet};
use super::plan::Plan;
use super::rollup::RollupChoice;
use super::sum::{DimensionValue, Sum, SumKey, overflow};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;

/// The most sums of one report. Statements stop at one more, which is the literal in their SQL.
pub const MAX_SUMS: usize = 200_000;

/// Statements of a source that do not fit the cells of the query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrainMismatch {
    pub source: Uuid,
    pub measure: Measure,
    pub grain: Grain,
    pub time_zone: String,
    /// Whether they are too coarse for the cells, and so in none of them.
    pub left_out: bool,
}

/// The sums of a range, and the statements that do not fit its cells.
#[derive(Debug, Default)]
pub(crate) struct Aggregates {
    pub sums: Vec<Sum>,
    pub mismatches: BTreeSet<GrainMismatch>,
}

/// What the sums of a range are selected by.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    pub plan: &'a Plan,
    /// What the filters admit.
    pub parts: &'a [DisjointPart],
    /// The sources that rows are made of.
    pub shown: &'a BTreeSet<Uuid>,
    /// Whether campaigns have sums of their own.
    pub by_campaign: bool,
    /// The dimension of groups or filters.
    pub dimension: Option<Dimension>,
    /// Whether the values of the dimension have sums of their own.
    pub by_value: bool,
    /// Which table of sums is read.
    pub rollup: RollupChoice,
}

/// One part of a selection, and its sources.
#[derive(Debug)]
struct PartQuery<'a> {
    selection: &'a Selection<'a>,
    part: &'a DisjointPart,
    sources: Vec<Uuid>,
}

/// A row as the database groups it: a sum, or (without a cell) statements that are too coarse.
struct SumRow {
    cell: Option<i32>,
    campaign_id: Option<Uuid>,
    source_id: Uuid,
    measure: String,
    grain: Option<String>,
    time_zone: Option<String>,
    value: Option<String>,
    changed_at: Option<DateTime<Utc>>,
    mismatch: bool,
}

/// The statement of the sums without dimension values, by table of sums and by condition on campaigns.
macro_rules! sums {
    ($increments:literal, $of_increments:literal, $of_statements:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            SumRow,
            r#"SELECT width_bucket(i.bucket, $3::timestamptz[]) AS cell,
                      CASE WHEN $4 THEN i.campaign_id END AS campaign_id,
                      i.source_id AS "source_id!", i.measure AS "measure!", NULL::text AS grain,
                      NULL::text AS time_zone,
                      sum(i.value)::text AS value, max(i.changed_at) AS changed_at, false AS "mismatch!"
               FROM "# + $increments + r#" i
               WHERE i.epoch = $1 AND i.workspace = $2 AND i.bucket >= $15 AND i.bucket < $6
                 AND i.measure = ANY($7) AND i.source_id = ANY($8) "# + $of_increments + r#"
               GROUP BY 1, 2, 3, 4
               UNION ALL
               SELECT width_bucket(s.bucket_start, $3), CASE WHEN $4 THEN s.campaign_id END,
                      s.source_id, s.measure, s.grain, s.time_zone, sum(s.value)::text, max(s.changed_at),
                      bool_or(s.value IS NOT NULL AND width_bucket(s.bucket_end - interval '1 microsecond', $3)
                                                      <> width_bucket(s.bucket_start, $3))
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2 AND s.bucket_start >= $5 AND s.bucket_start < $6
                 AND s.grain = ANY($9) AND s.measure = ANY($7) AND s.source_id = ANY($8)
                 AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 1, 2, 3, 4, 5, 6
               UNION ALL
               SELECT d.cell, CASE WHEN $4 THEN s.campaign_id END,
                      s.source_id, s.measure, s.grain, s.time_zone, sum(s.value)::text, max(s.changed_at),
                      bool_or(s.value IS NOT NULL
                              AND (s.bucket_start IS DISTINCT FROM d.starts OR s.bucket_end IS DISTINCT FROM d.ends))
               FROM unnest($11::date[], $12::integer[], $13::timestamptz[], $14::timestamptz[])
                    AS d (date, cell, starts, ends)
               JOIN read.statements s ON s.bucket_date = d.date
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $5 - interval '2 days' AND s.bucket_start < $6 + interval '2 days'
                 AND s.grain = 'day' AND s.measure = ANY($7) AND s.source_id = ANY($8)
                 AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 1, 2, 3, 4, 5, 6
               UNION ALL
               SELECT NULL, NULL, s.source_id, s.measure, s.grain, s.time_zone, NULL, NULL, true
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $5 - interval '2 days' AND s.bucket_start < $6 AND s.bucket_end > $5
                 AND s.grain = ANY($10) AND s.measure = ANY($7) AND s.source_id = ANY($8)
                 AND s.value IS NOT NULL AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 3, 4, 5, 6
               LIMIT 200001"#,
            $($argument),+
        )
    };
}

/// Loads the sums of a selection.
pub(super) async fn gather(snapshot: &mut Snapshot, selection: &Selection<'_>) -> Result<Aggregates, ReadError> {
    let mut aggregates = Aggregates::default();
    if selection.plan.cells().is_empty() {
        return Ok(aggregates);
    }
    snapshot.plan_for_values().await?;
    for part in selection.parts {
        let sources: Vec<_> = part.sources.intersection(selection.shown).copied().collect();
        if sources.is_empty() {
            continue;
        }
        let sums = PartQuery { selection, part, sources }.gather(snapshot, &mut aggregates.mismatches).await?;
        if aggregates.sums.len() + sums.len() > MAX_SUMS {
            return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
        }
        aggregates.sums.extend(sums);
    }
    Ok(aggregates)
}

impl PartQuery<'_> {
    async fn gather(
        &self,
        snapshot: &mut Snapshot,
        mismatches: &mut BTreeSet<GrainMismatch>,
    ) -> Result<Vec<Sum>, ReadError> {
        let values = &self.part.values;
        let Some(dimension) = self.selection.dimension.filter(|_| self.selection.by_value || !values.is_everything())
        else {
            return self.totals(snapshot, mismatches).await;
        };
        if !values.contains(&None) {
            return self.by_value(snapshot, dimension, values).await;
        }
        // The sums without a value are the rest of the totals beside all sums with one.
        let totals = self.totals(snapshot, mismatches).await?;
        if self.selection.by_value {
            let by_value = self.by_value(snapshot, dimension, &InclusionSet::everything()).await?;
            let is_admitted = |sum: &Sum| {
                sum.dimension_value.as_ref().is_none_or(|value| values.contains(&value.text().map(str::to_owned)))
            };
            return Ok(split(totals, by_value)?.into_iter().filter(is_admitted).collect());
        }
        let excluded = self.by_value(snapshot, dimension, &values.clone().complement()).await?;
        let rest = split(totals, excluded)?.into_iter().filter(|sum| sum.dimension_value == Some(DimensionValue::None));
        Ok(rest.map(|sum| Sum { dimension_value: None, ..sum }).collect())
    }

    async fn totals(
        &self,
        snapshot: &mut Snapshot,
        mismatches: &mut BTreeSet<GrainMismatch>,
    ) -> Result<Vec<Sum>, ReadError> {
        let rows = self.select(snapshot).await?;
        if rows.len() > MAX_SUMS {
            return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
        }
        let mut sums: Vec<Sum> = Vec::new();
        let mut positions: BTreeMap<SumKey, usize> = BTreeMap::new();
        for row in rows {
            let measure: Measure = row.measure.parse().map_err(ReadError::corrupt)?;
            if row.mismatch
                && let (Some(grain), Some(time_zone)) = (&row.grain, &row.time_zone)
            {
                let grain = grain.parse().map_err(ReadError::corrupt)?;
                let (time_zone, left_out) = (time_zone.clone(), row.cell.is_none());
                mismatches.insert(GrainMismatch { source: row.source_id, measure, grain, time_zone, left_out });
            }
            let Some(sum) = row.sum(self.selection.plan, measure)? else { continue };
            // Increments and statements of several grains may belong to one cell.
            match positions.entry(sum.key()) {
                Entry::Occupied(index) => {
                    if let Some(before) = sums.get_mut(*index.get()) {
                        before.value = before.value.checked_add(sum.value).ok_or_else(overflow)?;
                        before.changed_at = before.changed_at.max(sum.changed_at);
                    }
                }
                Entry::Vacant(index) => {
                    index.insert(sums.len());
                    sums.push(sum);
                }
            }
        }
        Ok(sums)
    }
}

impl SumRow {
    fn sum(&self, plan: &Plan, measure: Measure) -> Result<Option<Sum>, ReadError> {
        let (Some(number), Some(value), Some(changed_at)) = (self.cell, &self.value, self.changed_at) else {
            return Ok(None);
        };
        // width_bucket counts cells from 1.
        let cell = usize::try_from(number - 1).ok().filter(|cell| *cell < plan.cells().len());
        Ok(Some(Sum {
            cell: cell.ok_or_else(|| ReadError::corrupt(format!("bucket in cell {number}")))?,
            campaign: self.campaign_id,
            dimension_value: None,
            source: self.source_id,
            measure,
            value: value.parse().map_err(ReadError::corrupt)?,
            changed_at,
            overflows: false,
        }))
    }
}

impl PartQuery<'_> {
    async fn select(&self, snapshot: &mut Snapshot) -> Result<Vec<SumRow>, ReadError> {
        let (plan, sources) = (self.selection.plan, &self.sources);
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let (start, end) = (plan.calendar.start(), plan.calendar.end());
        // Rows that retention gave up may not be dropped yet.
        let (kept_from, stated_after) = (self.selection.rollup.kept_from(start), self.selection.rollup.stated_after());
        // The end of the range is the last edge, so that statements beyond the last cell are in another cell.
        let edges: Vec<_> = plan.cells().iter().map(|cell| cell.start).chain([end]).collect();
        let measures: Vec<_> = plan.measures.iter().map(|measure| measure.name().to_owned()).collect();
        let names = |grains: &[Grain]| grains.iter().map(|grain| grain.name().to_owned()).collect::<Vec<_>>();
        let (fitting, too_coarse) = (names(&plan.fitting), names(&plan.too_coarse));
        let dates: Vec<NaiveDate> = plan.days.iter().map(|day| day.date).collect();
        let cells: Vec<_> = plan.days.iter().map(|day| i32::try_from(day.cell + 1).unwrap_or(i32::MAX)).collect();
        let (starts, ends): (Vec<_>, Vec<_>) =
            plan.days.iter().map(|day| (day.span.map(|span| span.0), day.span.map(|span| span.1))).unzip();
        let by_campaign = self.selection.by_campaign;
        let (only, except) = self.part.campaigns.lists();
        /// One form of the statement, with its arguments.
        macro_rules! of {
            ($table:literal) => {
                match (&only, &except) {
                    (None, None) => of!($table, "", ""),
                    (Some(only), _) => {
                        of!($table, "AND i.campaign_id = ANY($17)", "AND s.campaign_id = ANY($17)", only)
                    }
                    (None, Some(except)) => {
                        of!($table, "AND i.campaign_id <> ALL($17)", "AND s.campaign_id <> ALL($17)", except)
                    }
                }
            };
            ($table:literal, $of_increments:literal, $of_statements:literal $(, $campaigns:expr)?) => {
                sums!(
                    $table,
                    $of_increments,
                    $of_statements,
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
                    kept_from,
                    stated_after,
                    $($campaigns)?
                )
                .fetch_all(snapshot.db())
                .await?
            };
        }
        Ok(match self.selection.rollup.grain {
            Grain::QuarterHour => of!("read.rollup_15m"),
            Grain::Hour => of!("read.rollup_hourly"),
            Grain::Day => of!("read.rollup_daily"),
        })
    }

    /// The sums by value of a dimension, for these values.
    async fn by_value(
        &self,
        snapshot: &mut Snapshot,
        dimension: Dimension,
        values: &InclusionSet<Option<String>>,
    ) -> Result<Vec<Sum>, ReadError> {
        let (selection, plan) = (self.selection, self.selection.plan);
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let (start, end) = (selection.rollup.kept_by_dimension_from(plan.calendar.start()), plan.calendar.end());
        let edges: Vec<_> = plan.cells().iter().map(|cell| cell.start).chain([end]).collect();
        let measures: Vec<_> = plan.measures.iter().map(|measure| measure.name().to_owned()).collect();
        let (only, except) = self.part.campaigns.lists();
        let (included, excluded) = values.lists();
        let texts =
            |values: Option<Vec<Option<String>>>| values.map(|values| values.into_iter().flatten().collect::<Vec<_>>());
        let (included, excluded) = (texts(included), texts(excluded));
        let rows = sqlx::query!(
        r#"SELECT width_bucket(t.bucket, $3::timestamptz[]) AS cell, CASE WHEN $4 THEN t.campaign_id END AS campaign_id,
                  t.source_id, CASE WHEN $5 THEN t.value END AS dimension_value, t.measure, sum(t.sum)::text AS value,
                  max(t.changed_at) AS changed_at,
                  coalesce(bool_or(CASE WHEN $5 AND t.value = $15 THEN $16 <= (
                      SELECT max(v.rank) FROM read.dimension_values v
                      WHERE v.epoch = $1 AND v.workspace = $2 AND v.campaign_id = t.campaign_id
                        AND v.source_id = t.source_id AND v.dimension = t.dimension
                  ) END), false) AS "overflows!"
           FROM read.dimension_totals t
           WHERE t.epoch = $1 AND t.workspace = $2 AND t.dimension = $6 AND t.bucket >= $7 AND t.bucket < $8
             AND t.measure = ANY($9) AND t.source_id = ANY($10)
             AND ($11::uuid[] IS NULL OR t.campaign_id = ANY($11))
             AND ($12::uuid[] IS NULL OR t.campaign_id <> ALL($12))
             AND ($13::text[] IS NULL OR t.value = ANY($13)) AND ($14::text[] IS NULL OR t.value <> ALL($14))
           GROUP BY 1, 2, 3, 4, 5
           LIMIT 200001"#,
        epoch,
        workspace,
        &edges,
        selection.by_campaign,
        selection.by_value,
        dimension.name(),
        start,
        end,
        &measures,
        &self.sources,
        only.as_deref(),
        except.as_deref(),
        included.as_deref(),
        excluded.as_deref(),
        OTHER,
        selection.rollup.dimension_values,
    )
    .fetch_all(snapshot.db())
    .await?;
        if rows.len() > MAX_SUMS {
            return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
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
                mismatch: false,
            };
            let measure = sum.measure.parse().map_err(ReadError::corrupt)?;
            let (dimension_value, overflows) = (row.dimension_value.map(DimensionValue::Value), row.overflows);
            sums.extend(sum.sum(plan, measure)?.map(|sum| Sum { dimension_value, overflows, ..sum }));
        }
        Ok(sums)
    }
}
