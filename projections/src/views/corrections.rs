//! `read.corrections`: the effect of each correction, and the bucket that it changed.
//!
//! A row describes one observation of one event, and its key is their place in the log. So nothing is combined. Rows
//! before the retention bound are left out. The bound is a stored input, which a rebuild reads too.

use chrono::{DateTime, Utc};
use domain::bucket::quarter_hour;
use domain::event::Event;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::observed::observed_campaign;
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// The columns of the rows, all of the same length.
#[derive(Debug, Default)]
pub(super) struct Corrections {
    workspaces: Vec<i32>,
    campaigns: Vec<Uuid>,
    buckets: Vec<DateTime<Utc>>,
    positions: Vec<i64>,
    items: Vec<i32>,
    sources: Vec<Uuid>,
    /// The currency, where it is not that of the source's first series.
    currencies: Vec<Option<String>>,
    types: Vec<String>,
    original_ids: Vec<String>,
    occurred: Vec<DateTime<Utc>>,
    correction_ids: Vec<String>,
    corrected: Vec<DateTime<Utc>>,
    recorded: Vec<DateTime<Utc>>,
    count_changes: Vec<i64>,
    value_changes: Vec<Option<i64>>,
    counts: Vec<i64>,
    values: Vec<Option<i64>>,
}

impl View for Corrections {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let batch = match &recorded.event {
            Event::Observations(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        for (n, observation) in batch.observations.iter().enumerate() {
            let Some(correction) = &observation.correction else { continue };
            // A batch has far fewer items.
            let item = i32::try_from(recorded.item_index(n)).unwrap_or(i32::MAX);
            self.workspaces.push(recorded.workspace);
            self.campaigns.push(observed_campaign(batch, observation)?.0);
            self.buckets.push(quarter_hour(observation.occurred_at));
            self.positions.push(recorded.position);
            self.items.push(item);
            self.sources.push(batch.source.0);
            self.currencies.push(batch.series.map(|_| batch.currency.to_string()));
            self.types.push(observation.kind.name().to_owned());
            self.original_ids.push(correction.of.clone());
            self.occurred.push(observation.occurred_at);
            self.correction_ids.push(observation.id.clone());
            self.corrected.push(correction.at);
            self.recorded.push(recorded.recorded_at);
            self.count_changes.push(observation.count);
            self.value_changes.push(observation.value_micros);
            self.counts.push(correction.count);
            self.values.push(correction.value_micros);
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        let later = downcast::<Self>(later);
        self.workspaces.extend(later.workspaces);
        self.campaigns.extend(later.campaigns);
        self.buckets.extend(later.buckets);
        self.positions.extend(later.positions);
        self.items.extend(later.items);
        self.sources.extend(later.sources);
        self.currencies.extend(later.currencies);
        self.types.extend(later.types);
        self.original_ids.extend(later.original_ids);
        self.occurred.extend(later.occurred);
        self.correction_ids.extend(later.correction_ids);
        self.corrected.extend(later.corrected);
        self.recorded.extend(later.recorded);
        self.count_changes.extend(later.count_changes);
        self.value_changes.extend(later.value_changes);
        self.counts.extend(later.counts);
        self.values.extend(later.values);
    }

    fn pending_rows(&self) -> usize {
        self.workspaces.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.workspaces.is_empty() {
                return Ok(());
            }
            sqlx::query!(
                "INSERT INTO read.corrections (epoch, workspace, campaign_id, bucket, position, item, source_id, type,
                                               original_id, occurred_at, correction_id, corrected_at, recorded_at,
                                               count_change, value_change, count, value, currency)
                 SELECT $1, n.* FROM unnest($2::integer[], $3::uuid[], $4::timestamptz[], $5::bigint[], $6::integer[],
                                            $7::uuid[], $8::text[], $9::text[], $10::timestamptz[], $11::text[],
                                            $12::timestamptz[], $13::timestamptz[], $14::bigint[], $15::bigint[],
                                            $16::bigint[], $17::bigint[], $18::text[])
                      AS n (workspace, campaign_id, bucket, position, item, source_id, type, original_id, occurred_at,
                            correction_id, corrected_at, recorded_at, count_change, value_change, count, value,
                            currency)
                 WHERE n.bucket >= coalesce((SELECT r.before FROM read.epoch_retention r
                                             WHERE r.table_name = 'corrections' AND r.epoch = $1), '-infinity')",
                epoch,
                &self.workspaces,
                &self.campaigns,
                &self.buckets,
                &self.positions,
                &self.items,
                &self.sources,
                &self.types,
                &self.original_ids,
                &self.occurred,
                &self.correction_ids,
                &self.corrected,
                &self.recorded,
                &self.count_changes,
                &self.value_changes as _,
                &self.counts,
                &self.values as _,
                &self.currencies as _,
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
