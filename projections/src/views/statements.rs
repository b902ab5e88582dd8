//! `read.statements`: the totals that pull sources state, the newest (`stated_at`, position) per key. `source_id` is
//! the series that the event names: the source itself, unless it moved on to another. The view of breakdowns sets the
//! totals that nobody states; a stated one counts before them, whichever was recorded first.
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
use domain::statement::StatementsRecorded;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Statements(HashMap<TotalKey, StatedTotal>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TotalKey {
    pub(super) workspace: i32,
    pub(super) campaign: CampaignId,
    pub(super) series: SourceId,
    pub(super) measure: Measure,
    pub(super) grain: Grain,
    pub(super) time_zone: &'static str,
    pub(super) start: DateTime<Utc>,
}

/// What is stated of a key.
#[derive(Debug)]
pub(super) struct StatedTotal {
    pub(super) span: Span,
    /// `None`: the source took it back.
    pub(super) value: Option<i64>,
    pub(super) stated_at: DateTime<Utc>,
    pub(super) position: i64,
    pub(super) changed_at: DateTime<Utc>,
}

impl TotalKey {
    pub(super) fn of(
        workspace: i32,
        batch: &StatementsRecorded,
        campaign: CampaignId,
        measure: Measure,
        start: DateTime<Utc>,
    ) -> Self {
        let (series, grain, time_zone) = (batch.series(), batch.grain, batch.time_zone.name());
        Self { workspace, campaign, series, measure, grain, time_zone, start }
    }
}

impl StatedTotal {
    pub(super) fn of(recorded: &EventEnvelope<'_>, span: Span, value: Option<i64>, stated_at: DateTime<Utc>) -> Self {
        Self { span, value, stated_at, position: recorded.position, changed_at: recorded.recorded_at }
    }

    /// Whether another statement of the same key wins over it.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        (self.stated_at, self.position) < (other.stated_at, other.position)
    }
}

impl View for Statements {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let batch = match &recorded.event {
            Event::Statements(batch) if batch.breakdown.is_empty() => batch,
            Event::Workspace(_)
            | Event::Campaign(_)
            | Event::Source(_)
            | Event::Observations(_)
            | Event::Statements(_)
            | Event::Sync(_) => return Ok(()),
        };
        for statement in &batch.statements {
            let span = statement.bucket.resolve(batch.grain, batch.time_zone)?;
            for (&measure, &value) in &statement.measures {
                let key = TotalKey::of(recorded.workspace, batch, statement.campaign, measure, span.start);
                let total = StatedTotal::of(recorded, span, value, statement.stated_at);
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
    fn state(&mut self, key: TotalKey, total: StatedTotal) {
        match self.0.get(&key) {
            Some(newest) if total.is_older_than(newest) => {}
            Some(_) | None => {
                self.0.insert(key, total);
            }
        }
    }

    async fn upsert(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        // In key order, so that neighbours in the index are written together.
        let mut rows: Vec<(&TotalKey, &StatedTotal)> = self.0.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| **key);
        let keys = TotalKeys::of(rows.iter().map(|(key, total)| (**key, *total)));
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
             SET bucket_end = excluded.bucket_end, bucket_date = excluded.bucket_date,
                 value = coalesce(excluded.value, s.broken_down),
                 stated_at = excluded.stated_at, position = excluded.position,
                 changed_at = CASE WHEN excluded.value IS NULL THEN greatest(excluded.changed_at, s.broken_down_at)
                                   ELSE excluded.changed_at END,
                 stated = CASE WHEN s.broken_down_at IS NOT NULL THEN excluded.value END,
                 stated_changed_at = CASE WHEN s.broken_down_at IS NOT NULL THEN excluded.changed_at END
             WHERE (excluded.stated_at, excluded.position) > (s.stated_at, s.position)",
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

/// Keys of totals, column by column.
#[derive(Debug, Default)]
pub(super) struct TotalKeys {
    pub(super) workspaces: Vec<i32>,
    pub(super) campaigns: Vec<Uuid>,
    pub(super) series: Vec<Uuid>,
    pub(super) measures: Vec<String>,
    pub(super) grains: Vec<String>,
    pub(super) zones: Vec<String>,
    pub(super) starts: Vec<DateTime<Utc>>,
    pub(super) ends: Vec<DateTime<Utc>>,
    pub(super) dates: Vec<Option<NaiveDate>>,
}

impl TotalKeys {
    pub(super) fn of<'a>(keys: impl Iterator<Item = (TotalKey, &'a StatedTotal)>) -> Self {
        let mut columns = Self::default();
        for (key, stated) in keys {
            columns.workspaces.push(key.workspace);
            columns.campaigns.push(key.campaign.0);
            columns.series.push(key.series.0);
            columns.measures.push(key.measure.name().to_owned());
            columns.grains.push(key.grain.name().to_owned());
            columns.zones.push(key.time_zone.to_owned());
            columns.starts.push(key.start);
            columns.ends.push(stated.span.end);
            columns.dates.push(stated.span.date);
        }
        columns
    }
}
