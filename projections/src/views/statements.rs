//! `read.statements`: the totals that pull sources state, the newest (`stated_at`, position) per key. `source_id` is
//! the series that the event names: the source itself, unless it moved on to another.
//!
//! Buckets that end before the retention bound are left out for good. The bound is a stored input, which a rebuild
//! reads too.
//!
//! A maximum does not depend on batches; within one event the later of two equal ones counts. A key belongs to one
//! source, and so to one stream. `changed_at` is the time of the event that won.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::{Grain, Span};
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Statements(HashMap<Key, Total>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    workspace: i32,
    campaign: CampaignId,
    series: SourceId,
    measure: Measure,
    grain: Grain,
    time_zone: &'static str,
    start: DateTime<Utc>,
}

#[derive(Debug)]
struct Total {
    span: Span,
    /// `None`: the source took it back.
    value: Option<i64>,
    stated_at: DateTime<Utc>,
    position: i64,
    changed_at: DateTime<Utc>,
}

impl View for Statements {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let batch = match &recorded.event {
            Event::Statements(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Observations(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        for statement in &batch.statements {
            let span = statement.bucket.resolve(batch.grain, batch.time_zone)?;
            for (&measure, &value) in &statement.measures {
                let key = Key {
                    workspace: recorded.workspace,
                    campaign: statement.campaign,
                    series: batch.series(),
                    measure,
                    grain: batch.grain,
                    time_zone: batch.time_zone.name(),
                    start: span.start,
                };
                let total = Total {
                    span,
                    value,
                    stated_at: statement.stated_at,
                    position: recorded.position,
                    changed_at: recorded.recorded_at,
                };
                self.state(key, total);
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (key, total) in downcast::<Self>(later).0 {
            self.state(key, total);
        }
    }

    fn pending_rows(&self) -> usize {
        self.0.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if !self.0.is_empty() {
                self.upsert(epoch, conn).await?;
            }
            Ok(())
        })
    }
}

impl Statements {
    fn state(&mut self, key: Key, total: Total) {
        match self.0.get(&key) {
            Some(newest) if (total.stated_at, total.position) < (newest.stated_at, newest.position) => {}
            Some(_) | None => {
                self.0.insert(key, total);
            }
        }
    }

    async fn upsert(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        // In key order, so that neighbours in the index are written together.
        let mut rows: Vec<(&Key, &Total)> = self.0.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        let workspaces: Vec<i32> = rows.iter().map(|(key, _)| key.workspace).collect();
        let campaigns: Vec<Uuid> = rows.iter().map(|(key, _)| key.campaign.0).collect();
        let sources: Vec<Uuid> = rows.iter().map(|(key, _)| key.series.0).collect();
        let measures: Vec<String> = rows.iter().map(|(key, _)| key.measure.name().to_owned()).collect();
        let grains: Vec<String> = rows.iter().map(|(key, _)| key.grain.name().to_owned()).collect();
        let zones: Vec<String> = rows.iter().map(|(key, _)| key.time_zone.to_owned()).collect();
        let starts: Vec<DateTime<Utc>> = rows.iter().map(|(key, _)| key.start).collect();
        let ends: Vec<DateTime<Utc>> = rows.iter().map(|(_, total)| total.span.end).collect();
        let dates: Vec<Option<NaiveDate>> = rows.iter().map(|(_, total)| total.span.date).collect();
        let values: Vec<Option<i64>> = rows.iter().map(|(_, total)| total.value).collect();
        let stated_at: Vec<DateTime<Utc>> = rows.iter().map(|(_, total)| total.stated_at).collect();
        let positions: Vec<i64> = rows.iter().map(|(_, total)| total.position).collect();
        let changed: Vec<DateTime<Utc>> = rows.iter().map(|(_, total)| total.changed_at).collect();
        sqlx::query!(
            "INSERT INTO read.statements AS s (epoch, workspace, campaign_id, source_id, measure, grain, time_zone,
                                               bucket_start, bucket_end, bucket_date, value, stated_at, position,
                                               changed_at)
             SELECT $1, n.* FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                                        $8::timestamptz[], $9::timestamptz[], $10::date[], $11::bigint[],
                                        $12::timestamptz[], $13::bigint[], $14::timestamptz[])
                  AS n (workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start, bucket_end,
                        bucket_date, value, stated_at, position, changed_at)
             WHERE n.bucket_end > coalesce((SELECT r.before FROM read.epoch_retention r
                                            WHERE r.table_name = 'statements' AND r.epoch = $1), '-infinity')
             ON CONFLICT (epoch, workspace, campaign_id, source_id, measure, grain, time_zone, bucket_start) DO UPDATE
             SET bucket_end = excluded.bucket_end, bucket_date = excluded.bucket_date, value = excluded.value,
                 stated_at = excluded.stated_at, position = excluded.position, changed_at = excluded.changed_at
             WHERE (excluded.stated_at, excluded.position) > (s.stated_at, s.position)",
            epoch,
            &workspaces,
            &campaigns,
            &sources,
            &measures,
            &grains,
            &zones,
            &starts,
            &ends,
            &dates as _,
            &values as _,
            &stated_at,
            &positions,
            &changed
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}
