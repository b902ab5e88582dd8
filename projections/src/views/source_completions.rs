//! `read.source_completions`: one row for each instant through which a source reported completeness, with the first
//! report. The time at which a source first completed past some `end` is the minimum of `completed_at` over
//! `complete_through >= end`.
//!
//! A minimum per key does not depend on batches. Only the source's own sync stream is read.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use domain::event::Event;
use domain::ids::SourceId;
use domain::sync::SyncEvent;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// Workspace, source, complete through.
type Key = (i32, SourceId, DateTime<Utc>);

/// The time of the first report.
#[derive(Debug, Default)]
pub(super) struct SourceCompletions(BTreeMap<Key, DateTime<Utc>>);

impl SourceCompletions {
    fn complete(&mut self, key: Key, at: DateTime<Utc>) {
        self.0.entry(key).and_modify(|first| *first = (*first).min(at)).or_insert(at);
    }
}

impl View for SourceCompletions {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Sync(SyncEvent::SyncCompleted { source, at, complete_through, grain: _ }) => {
                // Truncated to the database's precision: instants that are equal there must be one key here.
                let key = (recorded.workspace, *source, complete_through.trunc_subsecs(6));
                let at = at.trunc_subsecs(6);
                self.complete(key, at);
            }
            Event::Sync(SyncEvent::SyncStarted { .. } | SyncEvent::SyncFailed { .. })
            | Event::Workspace(_)
            | Event::Campaign(_)
            | Event::Source(_)
            | Event::Observations(_)
            | Event::Statements(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (key, at) in downcast::<Self>(later).0 {
            self.complete(key, at);
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
            let workspaces: Vec<i32> = self.0.keys().map(|(workspace, ..)| *workspace).collect();
            let sources: Vec<Uuid> = self.0.keys().map(|(_, source, _)| source.0).collect();
            let through: Vec<DateTime<Utc>> = self.0.keys().map(|(.., through)| *through).collect();
            let completed: Vec<DateTime<Utc>> = self.0.values().copied().collect();
            sqlx::query!(
                "INSERT INTO read.source_completions AS c (epoch, workspace, source_id, complete_through, completed_at)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
                 ON CONFLICT (epoch, workspace, source_id, complete_through) DO UPDATE
                 SET completed_at = excluded.completed_at WHERE excluded.completed_at < c.completed_at",
                epoch,
                &workspaces,
                &sources,
                &through,
                &completed
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
