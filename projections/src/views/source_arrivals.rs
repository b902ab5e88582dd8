//! `read.source_arrivals`: the quarter of an hour in which observations of each source were last recorded. It tells a
//! source that completes by the clock from one that has fallen silent.
//!
//! A maximum does not depend on batches, nor on any order. It is kept by the quarter, so that few batches change a row.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::bucket::quarter_hour;
use domain::event::Event;
use domain::ids::SourceId;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// By workspace and source: the last quarter.
#[derive(Debug, Default)]
pub(super) struct SourceArrivals(BTreeMap<(i32, SourceId), DateTime<Utc>>);

impl SourceArrivals {
    fn hear(&mut self, key: (i32, SourceId), quarter: DateTime<Utc>) {
        self.0.entry(key).and_modify(|last| *last = quarter.max(*last)).or_insert(quarter);
    }
}

impl View for SourceArrivals {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Observations(batch) => {
                // History that is loaded says nothing of the present.
                if batch.backfill.is_none() {
                    self.hear((recorded.workspace, batch.source), quarter_hour(recorded.recorded_at));
                }
            }
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (key, quarter) in downcast::<Self>(later).0 {
            self.hear(key, quarter);
        }
    }

    fn pending_rows(&self) -> usize {
        self.0.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let workspaces: Vec<i32> = self.0.keys().map(|(workspace, _)| *workspace).collect();
            let sources: Vec<Uuid> = self.0.keys().map(|(_, source)| source.0).collect();
            let quarters: Vec<_> = self.0.values().copied().collect();
            sqlx::query!(
                "INSERT INTO read.source_arrivals AS a (epoch, workspace, source_id, quarter)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::timestamptz[])
                 ON CONFLICT (epoch, workspace, source_id) DO UPDATE
                 SET quarter = excluded.quarter WHERE excluded.quarter > a.quarter",
                epoch,
                &workspaces,
                &sources,
                &quarters
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
