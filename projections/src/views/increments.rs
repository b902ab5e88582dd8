//! `read.increments`: pushed observations, summed into 15-minute UTC buckets.
//!
//! A sum does not depend on batches. A cell belongs to one source, and so to one stream: `changed_at` is the time of the
//! last event in that stream's order.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::bucket::quarter_hour;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::observed::observed_campaign;
use crate::engine::{Recorded, Refusal, View, WriteError};

#[derive(Debug, Default)]
pub(super) struct Increments(HashMap<Cell, Sum>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    workspace: i32,
    campaign: CampaignId,
    source: SourceId,
    bucket: DateTime<Utc>,
    measure: Measure,
}

#[derive(Debug)]
struct Sum {
    value: i128,
    changed_at: DateTime<Utc>,
}

impl View for Increments {
    fn absorb(&mut self, recorded: &Recorded<'_>) -> Result<(), Refusal> {
        let batch = match &recorded.event {
            Event::Observations(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        for observation in &batch.observations {
            let campaign = observed_campaign(batch, observation)?;
            let bucket = quarter_hour(observation.occurred_at);
            for (measure, value) in observation.increments() {
                let cell = Cell { workspace: recorded.workspace, campaign, source: batch.source, bucket, measure };
                let sum = self.0.entry(cell).or_insert(Sum { value: 0, changed_at: recorded.recorded_at });
                sum.value += i128::from(value);
                sum.changed_at = recorded.recorded_at;
            }
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn write<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            // In key order, so that neighbours in the index are written together.
            let mut rows: Vec<(&Cell, &Sum)> = self.0.iter().collect();
            rows.sort_unstable_by_key(|(cell, _)| **cell);
            let workspaces: Vec<i32> = rows.iter().map(|(cell, _)| cell.workspace).collect();
            let campaigns: Vec<Uuid> = rows.iter().map(|(cell, _)| cell.campaign.0).collect();
            let sources: Vec<Uuid> = rows.iter().map(|(cell, _)| cell.source.0).collect();
            let buckets: Vec<DateTime<Utc>> = rows.iter().map(|(cell, _)| cell.bucket).collect();
            let measures: Vec<String> = rows.iter().map(|(cell, _)| cell.measure.name().to_owned()).collect();
            // As text: no integer of PostgreSQL holds an i128.
            let values: Vec<String> = rows.iter().map(|(_, sum)| sum.value.to_string()).collect();
            let changed: Vec<DateTime<Utc>> = rows.iter().map(|(_, sum)| sum.changed_at).collect();
            sqlx::query!(
                "INSERT INTO read.increments AS i (epoch, workspace, campaign_id, source_id, bucket, measure, value, changed_at)
                 SELECT $1, n.workspace, n.campaign_id, n.source_id, n.bucket, n.measure, n.value::numeric, n.changed_at
                 FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[],
                             $8::timestamptz[])
                      AS n (workspace, campaign_id, source_id, bucket, measure, value, changed_at)
                 ON CONFLICT (epoch, workspace, campaign_id, source_id, bucket, measure) DO UPDATE
                 SET value = i.value + excluded.value, changed_at = excluded.changed_at",
                epoch,
                &workspaces,
                &campaigns,
                &sources,
                &buckets,
                &measures,
                &values,
                &changed
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
