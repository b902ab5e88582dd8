//! What pull sources state by dimension, as a statement reads it.
//!
//! A breakdown by the dimension alone is shown first. Where a bucket has none, a breakdown by it and another partition
//! is, added up over the other one. So one thing is in one row.

use domain::bucket::Grain;
use domain::observation::Dimension;

use super::super::filter::parts::InclusionSet;
use super::PartQuery;
use super::statements::{CoveredCampaigns, SumRow, ValueRow, texts};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;

impl PartQuery<'_> {
    /// The rows of stated totals by value of a dimension, for these values. They are in the cells of their totals.
    #[expect(clippy::too_many_lines, reason = "most lines are the text of one statement")]
    pub(super) async fn stated_by_value(
        &self,
        snapshot: &mut Snapshot,
        dimension: Dimension,
        values: &InclusionSet<Option<String>>,
    ) -> Result<Vec<ValueRow>, ReadError> {
        let (selection, plan) = (self.selection, self.selection.plan);
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let (start, end) = self.stretch.span(plan);
        let (edges, measures) = (self.edges(), self.measures());
        let fitting: Vec<_> = plan.fitting.iter().copied().map(Grain::name).map(str::to_owned).collect();
        let (dates, cells) = self.days();
        let (only, except) = self.part.campaigns.lists();
        let (included, excluded) = texts(values);
        let CoveredCampaigns { sources: covered, others, ratios } = self.covered_campaigns();
        let rows = sqlx::query!(
            r#"WITH covered AS MATERIALIZED (
               SELECT DISTINCT f.campaign_id, p.source_id, p.ratio
               FROM unnest($16::uuid[], $17::uuid[], $18::integer[]) AS p (source_id, other, ratio)
               JOIN read.campaign_sources f ON f.epoch = $1 AND f.workspace = $2 AND f.source_id = p.other
           ), shown AS (
               SELECT b.*, b.value AS of_value FROM read.breakdowns b
               WHERE b.epoch = $1 AND b.workspace = $2 AND b.dimension = $6
                 AND b.bucket_start >= $7::timestamptz - interval '2 days'
                 AND b.bucket_start < $8::timestamptz + interval '2 days'
               UNION ALL
               SELECT b.*, b.second_value FROM read.breakdowns b
               WHERE b.epoch = $1 AND b.workspace = $2 AND b.second_dimension = $6 AND b.second_dimension <> ''
                 AND b.bucket_start >= $7::timestamptz - interval '2 days'
                 AND b.bucket_start < $8::timestamptz + interval '2 days'
           )
           SELECT CASE WHEN t.grain = 'day' THEN d.cell
                       ELSE width_bucket(t.bucket_start, $3::timestamptz[]) END AS cell,
                  CASE WHEN $4 THEN t.campaign_id END AS campaign_id, t.source_id AS "source_id!",
                  CASE WHEN (t.campaign_id, t.source_id) IN (
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
                  CASE WHEN $5 THEN t.of_value END AS dimension_value, t.measure AS "measure!",
                  sum(t.total)::text AS value, max(t.changed_at) AS changed_at
           FROM shown t
           LEFT JOIN unnest($19::date[], $20::integer[]) AS d (date, cell)
             ON t.grain = 'day' AND d.date = t.bucket_date
           WHERE CASE WHEN t.grain = 'day' THEN d.cell IS NOT NULL
                      ELSE t.grain = ANY($21) AND t.bucket_start >= $7 AND t.bucket_start < $8 END
             AND t.measure = ANY($9) AND t.source_id = ANY($10) AND t.bucket_end > $15
             AND ($11::uuid[] IS NULL OR t.campaign_id = ANY($11))
             AND ($12::uuid[] IS NULL OR t.campaign_id <> ALL($12))
             AND ($13::text[] IS NULL OR t.of_value = ANY($13)) AND ($14::text[] IS NULL OR t.of_value <> ALL($14))
             AND (t.second_dimension = '' OR (t.precedence IS NOT NULL AND NOT EXISTS (
                 SELECT FROM read.breakdowns o
                 WHERE o.epoch = $1 AND o.workspace = $2 AND o.campaign_id = t.campaign_id
                   AND o.source_id = t.source_id AND o.measure = t.measure AND o.grain = t.grain
                   AND o.time_zone = t.time_zone AND o.bucket_start = t.bucket_start AND o.total IS NOT NULL
                   AND (o.dimension = $6 OR o.second_dimension = $6)
                   AND (o.second_dimension = '' OR (o.precedence IS NOT NULL
                            AND (o.dimension, o.second_dimension) < (t.dimension, t.second_dimension))))))
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
            self.rollup.stated_after(),
            &covered,
            &others,
            &ratios,
            &dates,
            &cells,
            &fitting,
        )
        .fetch_all(snapshot.db())
        .await?;
        let row = rows.into_iter().map(|row| ValueRow {
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
            overflows: false,
        });
        Ok(row.collect())
    }
}
