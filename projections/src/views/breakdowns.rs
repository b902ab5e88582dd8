//! `read.breakdowns`: the totals that pull sources state by dimension, the newest (`stated_at`, position) per key. And
//! the totals of `read.statements` that follow from them: the sum of the rows of the first partition that a bucket has,
//! unless a total is stated.
//!
//! A maximum does not depend on batches, and a total is a function of the stored rows of its key and of its own
//! statement. A key belongs to one source, and so to one stream. What the rows count for is in the event that recorded
//! them, so no other stream matters. Both tables are kept for as long as each other.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::event::Event;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use super::statements::{StatedTotal, TotalKey, TotalKeys};
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Breakdowns(HashMap<Key, Row>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    total: TotalKey,
    dimensions: [String; 2],
    values: [String; 2],
}

#[derive(Debug)]
struct Row {
    stated: StatedTotal,
    precedence: Option<u16>,
}

impl View for Breakdowns {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let batch = match &recorded.event {
            Event::Statements(batch) if !batch.breakdown.is_empty() => batch,
            Event::Workspace(_)
            | Event::Campaign(_)
            | Event::Source(_)
            | Event::Observations(_)
            | Event::Statements(_)
            | Event::Sync(_) => return Ok(()),
        };
        let dimensions = pair(&batch.breakdown)?;
        for statement in &batch.statements {
            if statement.values.len() != batch.breakdown.len() {
                return Err(ApplyError::Breakdown);
            }
            let (span, values) = (statement.bucket.resolve(batch.grain, batch.time_zone)?, pair(&statement.values)?);
            for (&measure, &value) in &statement.measures {
                let total = TotalKey::of(recorded.workspace, batch, statement.campaign, measure, span.start);
                let stated = StatedTotal::of(recorded, span, value, statement.stated_at);
                let key = Key { total, dimensions: dimensions.clone(), values: values.clone() };
                self.state(key, Row { stated, precedence: batch.precedence });
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (key, row) in downcast::<Self>(later).0 {
            self.state(key, row);
        }
    }

    fn pending_rows(&self) -> usize {
        self.0.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if !self.0.is_empty() {
                self.upsert(epoch, conn).await?;
                self.sum_up(epoch, conn).await?;
            }
            Ok(())
        })
    }
}

/// One text or two, in a place each; the second one is empty where there is none.
fn pair(texts: &[String]) -> Result<[String; 2], ApplyError> {
    match texts {
        [one] => Ok([one.clone(), String::new()]),
        [first, second] => Ok([first.clone(), second.clone()]),
        _ => Err(ApplyError::Breakdown),
    }
}

impl Breakdowns {
    fn state(&mut self, key: Key, row: Row) {
        match self.0.get(&key) {
            Some(newest) if row.stated.is_older_than(&newest.stated) => {}
            Some(_) | None => {
                self.0.insert(key, row);
            }
        }
    }

    async fn upsert(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        // In key order, so that neighbours in the index are written together.
        let mut rows: Vec<(&Key, &Row)> = self.0.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let keys = TotalKeys::of(rows.iter().map(|(key, row)| (key.total, &row.stated)));
        let text = |of: fn(&Key) -> &String| rows.iter().map(|(key, _)| of(key).clone()).collect::<Vec<_>>();
        let [dimensions, seconds] = [text(|key| &key.dimensions[0]), text(|key| &key.dimensions[1])];
        let [values, second_values] = [text(|key| &key.values[0]), text(|key| &key.values[1])];
        let precedences: Vec<Option<i32>> = rows.iter().map(|(_, row)| row.precedence.map(i32::from)).collect();
        let totals: Vec<Option<i64>> = rows.iter().map(|(_, row)| row.stated.value).collect();
        let stated_at: Vec<DateTime<Utc>> = rows.iter().map(|(_, row)| row.stated.stated_at).collect();
        let positions: Vec<i64> = rows.iter().map(|(_, row)| row.stated.position).collect();
        let changed: Vec<DateTime<Utc>> = rows.iter().map(|(_, row)| row.stated.changed_at).collect();
        sqlx::query!(
            "INSERT INTO read.breakdowns AS b (epoch, workspace, campaign_id, source_id, measure, grain, time_zone,
                                               bucket_start, bucket_end, bucket_date, dimension, second_dimension,
                                               value, second_value, precedence, total, stated_at, position, changed_at)
             SELECT $1, n.* FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                                        $8::timestamptz[], $9::timestamptz[], $10::date[], $11::text[], $12::text[],
                                        $13::text[], $14::text[], $15::integer[], $16::bigint[], $17::timestamptz[],
                                        $18::bigint[], $19::timestamptz[])
                  AS n (workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start, bucket_end,
                        bucket_date, dimension, second_dimension, value, second_value, precedence, total, stated_at,
                        position, changed_at)
             WHERE n.bucket_end > coalesce((SELECT r.before FROM read.epoch_retention r
                                            WHERE r.table_name = 'statements' AND r.epoch = $1), '-infinity')
             ON CONFLICT (epoch, workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start,
                          dimension, second_dimension, value, second_value) DO UPDATE
             SET bucket_end = excluded.bucket_end, bucket_date = excluded.bucket_date,
                 precedence = excluded.precedence, total = excluded.total, stated_at = excluded.stated_at,
                 position = excluded.position, changed_at = excluded.changed_at
             WHERE (excluded.stated_at, excluded.position) > (b.stated_at, b.position)",
            epoch,
            &keys.workspaces,
            &keys.campaigns,
            &keys.series,
            &keys.measures,
            &keys.grains,
            &keys.zones,
            &keys.starts,
            &keys.ends,
            &keys.dates as _,
            &dimensions,
            &seconds,
            &values,
            &second_values,
            &precedences as _,
            &totals as _,
            &stated_at,
            &positions,
            &changed
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Sets the totals that follow from the rows. A change of rows that the total does not consist of is none of it.
    async fn sum_up(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut seen = BTreeSet::new();
        let mut totals: Vec<(TotalKey, &StatedTotal)> =
            self.0.iter().map(|(key, row)| (key.total, &row.stated)).collect();
        totals.sort_unstable_by_key(|(key, _)| *key);
        totals.retain(|(key, _)| seen.insert(*key));
        let keys = TotalKeys::of(totals.into_iter());
        sqlx::query!(
            "INSERT INTO read.statements AS s (epoch, workspace, campaign_id, source_id, measure, grain, time_zone,
                                               bucket_start, bucket_end, bucket_date, value, stated_at, position,
                                               changed_at, broken_down, broken_down_at)
             SELECT $1, t.*, r.total, '-infinity', 0, r.changed_at, r.total, r.changed_at
             FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[], $9::timestamptz[], $10::date[])
                  AS t (workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start, bucket_end,
                        bucket_date)
             LEFT JOIN LATERAL (
                 SELECT b.precedence, b.dimension, b.second_dimension FROM read.breakdowns b
                 WHERE b.epoch = $1 AND b.workspace = t.workspace AND b.campaign_id = t.campaign_id
                   AND b.source_id = t.source_id AND b.measure = t.measure AND b.grain = t.grain
                   AND b.time_zone = t.time_zone AND b.bucket_start = t.bucket_start
                   AND b.precedence IS NOT NULL AND b.total IS NOT NULL
                 ORDER BY 1, 2, 3 LIMIT 1
             ) first ON true
             CROSS JOIN LATERAL (
                 SELECT sum(b.total) FILTER (WHERE b.dimension = first.dimension
                                               AND b.second_dimension = first.second_dimension) AS total,
                        coalesce(max(b.changed_at) FILTER (
                            WHERE (b.dimension = first.dimension AND b.second_dimension = first.second_dimension)
                               OR (b.precedence, b.dimension, b.second_dimension)
                                  < (first.precedence, first.dimension, first.second_dimension)),
                            max(b.changed_at)) AS changed_at
                 FROM read.breakdowns b
                 WHERE b.epoch = $1 AND b.workspace = t.workspace AND b.campaign_id = t.campaign_id
                   AND b.source_id = t.source_id AND b.measure = t.measure AND b.grain = t.grain
                   AND b.time_zone = t.time_zone AND b.bucket_start = t.bucket_start
             ) r
             WHERE t.bucket_end > coalesce((SELECT r.before FROM read.epoch_retention r
                                            WHERE r.table_name = 'statements' AND r.epoch = $1), '-infinity')
             ON CONFLICT (epoch, workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start) DO UPDATE
             SET broken_down = excluded.broken_down, broken_down_at = excluded.broken_down_at,
                 stated = CASE WHEN s.broken_down_at IS NULL THEN s.value ELSE s.stated END,
                 stated_changed_at = CASE WHEN s.broken_down_at IS NULL THEN s.changed_at
                                          ELSE s.stated_changed_at END,
                 value = coalesce(CASE WHEN s.broken_down_at IS NULL THEN s.value ELSE s.stated END,
                                  excluded.broken_down),
                 changed_at = CASE WHEN CASE WHEN s.broken_down_at IS NULL THEN s.value ELSE s.stated END IS NOT NULL
                                   THEN CASE WHEN s.broken_down_at IS NULL THEN s.changed_at
                                             ELSE s.stated_changed_at END
                                   ELSE greatest(CASE WHEN s.broken_down_at IS NULL THEN s.changed_at
                                                      ELSE s.stated_changed_at END, excluded.broken_down_at) END",
            epoch,
            &keys.workspaces,
            &keys.campaigns,
            &keys.series,
            &keys.measures,
            &keys.grains,
            &keys.zones,
            &keys.starts,
            &keys.ends,
            &keys.dates as _
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
