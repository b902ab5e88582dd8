//! The statements of sums, and their rows.

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::{Dimension, OTHER};
use uuid::Uuid;

use super::super::coverage::RatioSet;
use super::super::filter::parts::InclusionSet;
use super::super::plan::{DayBucket, Plan};
use super::super::sum::Sum;
use super::PartQuery;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::PeriodId;

/// The pairs of a part as the statements take them.
#[derive(Debug, Default)]
pub(super) struct CoveredCampaigns {
    /// As the tables of numbers have them: by series.
    pub(super) sources: Vec<Uuid>,
    pub(super) others: Vec<Uuid>,
    pub(super) ratios: Vec<i32>,
}

/// A row as the database groups it: a sum, or (without a cell) statements that are too coarse.
pub(super) struct SumRow {
    pub(super) cell: Option<i32>,
    pub(super) campaign_id: Option<Uuid>,
    pub(super) source_id: Uuid,
    pub(super) measure: String,
    /// The ratios that the campaign and the source are covered for, as bits.
    pub(super) covered: i32,
    pub(super) grain: Option<String>,
    pub(super) time_zone: Option<String>,
    pub(super) value: Option<String>,
    pub(super) changed_at: Option<DateTime<Utc>>,
    pub(super) mismatch: bool,
}

/// A sum of one value of a dimension.
pub(super) struct ValueRow {
    pub(super) sum: SumRow,
    pub(super) dimension_value: Option<String>,
    /// Whether it may hold values that are not kept by themselves.
    pub(super) overflows: bool,
}

/// The statement of the sums without dimension values, by table of sums, by what tells covered campaigns apart, and by
/// condition on campaigns.
macro_rules! sums {
    ($increments:literal, $with:literal, $covered:literal, $of_increments:literal, $of_statements:literal,
     $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            SumRow,
            "" + $with + r#"SELECT width_bucket(i.bucket, $3::timestamptz[]) AS cell,
                      CASE WHEN $4 THEN i.campaign_id END AS campaign_id,
                      i.source_id AS "source_id!", i.measure AS "measure!",
                      "# + $covered + r#" AS "covered!", NULL::text AS grain, NULL::text AS time_zone,
                      sum(i.value)::text AS value, max(i.changed_at) AS changed_at, false AS "mismatch!"
               FROM "# + $increments + r#" i
               WHERE i.epoch = $1 AND i.workspace = $2 AND i.bucket >= $15 AND i.bucket < $6
                 AND i.measure = ANY($7) AND i.source_id = ANY($8) "# + $of_increments + r#"
               GROUP BY 1, 2, 3, 4, 5
               UNION ALL
               SELECT width_bucket(s.bucket_start, $3), CASE WHEN $4 THEN s.campaign_id END,
                      s.source_id, s.measure, "# + $covered + r#", s.grain, s.time_zone, sum(s.value)::text,
                      max(s.changed_at),
                      bool_or(s.value IS NOT NULL AND width_bucket(s.bucket_end - interval '1 microsecond', $3)
                                                      <> width_bucket(s.bucket_start, $3))
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2 AND s.bucket_start >= $5 AND s.bucket_start < $6
                 AND s.grain = ANY($9) AND s.measure = ANY($7) AND s.source_id = ANY($8)
                 AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 1, 2, 3, 4, 5, 6, 7
               UNION ALL
               SELECT d.cell, CASE WHEN $4 THEN s.campaign_id END,
                      s.source_id, s.measure, "# + $covered + r#", s.grain, s.time_zone, sum(s.value)::text,
                      max(s.changed_at),
                      bool_or(s.value IS NOT NULL
                              AND (s.bucket_start IS DISTINCT FROM d.starts OR s.bucket_end IS DISTINCT FROM d.ends))
               FROM unnest($11::date[], $12::integer[], $13::timestamptz[], $14::timestamptz[])
                    AS d (date, cell, starts, ends)
               JOIN read.statements s ON s.bucket_date = d.date
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $5 - interval '2 days' AND s.bucket_start < $6 + interval '2 days'
                 AND s.grain = 'day' AND s.measure = ANY($7) AND s.source_id = ANY($8)
                 AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 1, 2, 3, 4, 5, 6, 7
               UNION ALL
               SELECT NULL, NULL, s.source_id, s.measure, 0, s.grain, s.time_zone, NULL, NULL, true
               FROM read.statements s
               WHERE s.epoch = $1 AND s.workspace = $2
                 AND s.bucket_start >= $5 - interval '2 days' AND s.bucket_start < $6 AND s.bucket_end > $5
                 AND s.grain = ANY($10) AND s.measure = ANY($7) AND s.source_id = ANY($8)
                 AND s.value IS NOT NULL AND s.bucket_end > $16 "# + $of_statements + r#"
               GROUP BY 3, 4, 6, 7
               LIMIT 200001"#,
            $($argument),+
        )
    };
}

/// The values that are included, or else those that are excluded.
pub(super) fn texts(values: &InclusionSet<Option<String>>) -> (Option<Vec<String>>, Option<Vec<String>>) {
    let (included, excluded) = values.lists();
    let texts = |values: Option<Vec<Option<String>>>| values.map(|values| values.into_iter().flatten().collect());
    (texts(included), texts(excluded))
}

impl SumRow {
    pub(super) fn sum(&self, plan: &Plan, period: PeriodId, measure: Measure) -> Result<Option<Sum>, ReadError> {
        let (Some(number), Some(value), Some(changed_at)) = (self.cell, &self.value, self.changed_at) else {
            return Ok(None);
        };
        // width_bucket counts cells from 1.
        let cell = usize::try_from(number - 1).ok().filter(|cell| *cell < plan.cells().len());
        Ok(Some(Sum {
            cell: cell.ok_or_else(|| ReadError::corrupt(format!("bucket in cell {number}")))?,
            campaign: self.campaign_id,
            dimension_value: None,
            source: period,
            measure,
            covered: RatioSet::of_bits(self.covered),
            value: value.parse().map_err(ReadError::corrupt)?,
            changed_at,
            overflows: false,
        }))
    }
}

impl PartQuery<'_> {
    #[expect(clippy::too_many_lines, reason = "most lines are the text of one statement")]
    pub(super) async fn select(&self, snapshot: &mut Snapshot) -> Result<Vec<SumRow>, ReadError> {
        let (plan, series) = (self.selection.plan, &self.series);
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let (start, end) = self.stretch.span(plan);
        // Rows that retention gave up may not be dropped yet.
        let (kept_from, stated_after) = (self.rollup.kept_from(start), self.rollup.stated_after());
        let (edges, measures) = (self.edges(), self.measures());
        let names = |grains: &[Grain]| grains.iter().map(|grain| grain.name().to_owned()).collect::<Vec<_>>();
        let (fitting, too_coarse) = (names(&plan.fitting), names(&plan.too_coarse));
        let (dates, cells) = self.days();
        let spans = self.stated_days().map(|day| day.span.unzip());
        let (starts, ends): (Vec<_>, Vec<_>) = spans.unzip();
        let by_campaign = self.selection.by_campaign;
        let (only, except) = self.part.campaigns.lists();
        let CoveredCampaigns { sources: covered, others, ratios } = self.covered_campaigns();
        /// One form of the statement, with its arguments.
        macro_rules! of {
            ($table:literal) => {
                match (&only, &except) {
                    _ if !covered.is_empty() => {
                        let (only, except) = (only.as_deref(), except.as_deref());
                        of!(
                            $table,
                            // Hash tables, whatever the planner expects: a join may become a loop.
                            "WITH covered AS MATERIALIZED (
                                 SELECT DISTINCT f.campaign_id, p.source_id, p.ratio
                                 FROM unnest($17::uuid[], $18::uuid[], $19::integer[]) AS p (source_id, other, ratio)
                                 JOIN read.campaign_sources f
                                   ON f.epoch = $1 AND f.workspace = $2 AND f.source_id = p.other
                             ) ",
                            "CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 1) THEN 1 ELSE 0 END
                             + CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 2) THEN 2 ELSE 0 END
                             + CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 4) THEN 4 ELSE 0 END
                             + CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 8) THEN 8 ELSE 0 END
                             + CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 16) THEN 16 ELSE 0 END
                             + CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 32) THEN 32 ELSE 0 END
                             + CASE WHEN (campaign_id, source_id) IN (
                                 SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 64) THEN 64 ELSE 0 END",
                            "AND ($20::uuid[] IS NULL OR i.campaign_id = ANY($20))
                             AND ($21::uuid[] IS NULL OR i.campaign_id <> ALL($21))",
                            "AND ($20::uuid[] IS NULL OR s.campaign_id = ANY($20))
                             AND ($21::uuid[] IS NULL OR s.campaign_id <> ALL($21))",
                            &covered,
                            &others,
                            &ratios,
                            only,
                            except
                        )
                    }
                    (None, None) => of!($table, "", "0", "", ""),
                    (Some(only), _) => {
                        of!($table, "", "0", "AND i.campaign_id = ANY($17)", "AND s.campaign_id = ANY($17)", only)
                    }
                    (None, Some(except)) => of!(
                        $table,
                        "",
                        "0",
                        "AND i.campaign_id <> ALL($17)",
                        "AND s.campaign_id <> ALL($17)",
                        except
                    ),
                }
            };
            ($table:literal, $with:literal, $covered:literal, $of_increments:literal, $of_statements:literal
             $(, $more:expr)*) => {
                sums!(
                    $table,
                    $with,
                    $covered,
                    $of_increments,
                    $of_statements,
                    epoch,
                    workspace,
                    &edges,
                    by_campaign,
                    start,
                    end,
                    &measures,
                    series,
                    &fitting,
                    &too_coarse,
                    &dates,
                    &cells,
                    &starts as _,
                    &ends as _,
                    kept_from,
                    stated_after,
                    $($more),*
                )
                .fetch_all(snapshot.db())
                .await?
            };
        }
        Ok(match self.rollup.grain {
            Grain::QuarterHour => of!("read.rollup_15m"),
            Grain::Hour => of!("read.rollup_hourly"),
            Grain::Day => of!("read.rollup_daily"),
        })
    }

    /// The edges of the cells. The end of the range is the last one, so that what lies beyond the last cell is in
    /// another.
    pub(super) fn edges(&self) -> Vec<DateTime<Utc>> {
        let plan = self.selection.plan;
        plan.cells().iter().map(|cell| cell.start).chain([plan.calendar.end()]).collect()
    }

    /// The names of the measures.
    pub(super) fn measures(&self) -> Vec<String> {
        self.selection.plan.measures.iter().map(|measure| measure.name().to_owned()).collect()
    }

    /// The dates of the stretch that cells have, and the number of the cell of each, as `width_bucket` counts them.
    pub(super) fn days(&self) -> (Vec<NaiveDate>, Vec<i32>) {
        self.stated_days().map(|day| (day.date, i32::try_from(day.cell + 1).unwrap_or(i32::MAX))).unzip()
    }

    fn stated_days(&self) -> impl Iterator<Item = &DayBucket> {
        self.selection.plan.days.iter().filter(|day| self.stretch.has(day.date))
    }

    pub(super) fn covered_campaigns(&self) -> CoveredCampaigns {
        let mut campaigns = CoveredCampaigns::default();
        for (source, other, ratio) in &self.pairs {
            campaigns.sources.push(source.series);
            campaigns.others.push(other.source);
            campaigns.ratios.push(*ratio);
        }
        campaigns
    }

    /// The rows of observations by value of a dimension, for these values.
    #[expect(clippy::too_many_lines, reason = "most lines are the text of one statement")]
    pub(super) async fn observed_by_value(
        &self,
        snapshot: &mut Snapshot,
        dimension: Dimension,
        values: &InclusionSet<Option<String>>,
    ) -> Result<Vec<ValueRow>, ReadError> {
        let (selection, plan) = (self.selection, self.selection.plan);
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let (start, end) = self.stretch.span(plan);
        let start = self.rollup.kept_by_dimension_from(start);
        let (edges, measures) = (self.edges(), self.measures());
        let (only, except) = self.part.campaigns.lists();
        let (included, excluded) = texts(values);
        let CoveredCampaigns { sources: covered, others, ratios } = self.covered_campaigns();
        let rows = sqlx::query!(
            r#"WITH covered AS MATERIALIZED (
               SELECT DISTINCT f.campaign_id, p.source_id, p.ratio
               FROM unnest($17::uuid[], $18::uuid[], $19::integer[]) AS p (source_id, other, ratio)
               JOIN read.campaign_sources f ON f.epoch = $1 AND f.workspace = $2 AND f.source_id = p.other
           )
           SELECT width_bucket(t.bucket, $3::timestamptz[]) AS cell, CASE WHEN $4 THEN t.campaign_id END AS campaign_id,
                  t.source_id, CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 1) THEN 1 ELSE 0 END
                  + CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 2) THEN 2 ELSE 0 END
                  + CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 4) THEN 4 ELSE 0 END
                  + CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 8) THEN 8 ELSE 0 END
                  + CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 16) THEN 16 ELSE 0 END
                  + CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 32) THEN 32 ELSE 0 END
                  + CASE WHEN (t.campaign_id, t.source_id) IN (
                      SELECT c.campaign_id, c.source_id FROM covered c WHERE ratio = 64) THEN 64 ELSE 0 END
                      AS "covered!",
                  CASE WHEN $5 THEN t.value END AS dimension_value, t.measure, sum(t.sum)::text AS value,
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
           GROUP BY 1, 2, 3, 4, 5, 6
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
            &self.series,
            only.as_deref(),
            except.as_deref(),
            included.as_deref(),
            excluded.as_deref(),
            OTHER,
            self.rollup.dimension_values,
            &covered,
            &others,
            &ratios,
        )
        .fetch_all(snapshot.db())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| ValueRow {
                sum: SumRow {
                    cell: row.cell,
                    campaign_id: row.campaign_id,
                    source_id: row.source_id,
                    measure: row.measure,
                    covered: row.covered,
                    grain: None,
                    time_zone: None,
                    value: row.value,
                    changed_at: row.changed_at,
                    mismatch: false,
                },
                dimension_value: row.dimension_value,
                overflows: row.overflows,
            })
            .collect())
    }
}
