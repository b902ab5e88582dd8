//! `read.source_syncs`: the last syncs that each source reported.
//!
//! Every column is a maximum. `failure_reason` and `grain` belong to one of these maxima; of equal ones the later
//! counts. A maximum does not depend on batches. Only the source's own sync stream is read.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use domain::bucket::Grain;
use domain::event::Event;
use domain::ids::SourceId;
use domain::sync::SyncEvent;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct SourceSyncs(BTreeMap<(i32, SourceId), SyncState>);

#[derive(Debug, Default)]
struct SyncState {
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    failed: Option<(DateTime<Utc>, String)>,
    complete: Option<(DateTime<Utc>, Grain)>,
}

impl SyncState {
    /// Applies a sync. Instants are truncated to the database's precision, so that a batch and its rows agree on the
    /// order.
    fn absorb(&mut self, event: &SyncEvent) {
        let kept = |instant: &DateTime<Utc>| instant.trunc_subsecs(6);
        match event {
            SyncEvent::SyncStarted { source: _, at } => self.started_at = self.started_at.max(Some(kept(at))),
            SyncEvent::SyncCompleted { source: _, at, complete_through, grain } => {
                self.completed_at = self.completed_at.max(Some(kept(at)));
                self.complete((kept(complete_through), *grain));
            }
            SyncEvent::SyncFailed { source: _, at, reason } => {
                self.fail((kept(at), reason.clone()));
            }
        }
    }

    fn complete(&mut self, through: (DateTime<Utc>, Grain)) {
        if self.complete.is_none_or(|(furthest, _)| furthest <= through.0) {
            self.complete = Some(through);
        }
    }

    fn fail(&mut self, failed: (DateTime<Utc>, String)) {
        if self.failed.as_ref().is_none_or(|(last, _)| *last <= failed.0) {
            self.failed = Some(failed);
        }
    }

    fn merge(&mut self, later: Self) {
        self.started_at = self.started_at.max(later.started_at);
        self.completed_at = self.completed_at.max(later.completed_at);
        later.failed.into_iter().for_each(|failed| self.fail(failed));
        later.complete.into_iter().for_each(|through| self.complete(through));
    }
}

impl View for SourceSyncs {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Sync(event) => self.0.entry((recorded.workspace, event.source())).or_default().absorb(event),
            Event::Workspace(_)
            | Event::Campaign(_)
            | Event::Source(_)
            | Event::Observations(_)
            | Event::Statements(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (source, runs) in downcast::<Self>(later).0 {
            self.0.entry(source).or_default().merge(runs);
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
            let instants = |of: fn(&SyncState) -> Option<DateTime<Utc>>| self.0.values().map(of).collect::<Vec<_>>();
            let (workspaces, ids): (Vec<i32>, Vec<Uuid>) =
                self.0.keys().map(|(workspace, id)| (*workspace, id.0)).unzip();
            let reasons: Vec<_> =
                self.0.values().map(|runs| runs.failed.as_ref().map(|(_, why)| why.clone())).collect();
            let grains: Vec<_> =
                self.0.values().map(|runs| runs.complete.map(|(_, grain)| grain.name().to_owned())).collect();
            sqlx::query!(
                "INSERT INTO read.source_syncs AS s (epoch, workspace, source_id, last_started_at, last_completed_at,
                                                     last_failed_at, failure_reason, complete_through, grain)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::timestamptz[], $5::timestamptz[],
                                          $6::timestamptz[], $7::text[], $8::timestamptz[], $9::text[])
                 ON CONFLICT (epoch, workspace, source_id) DO UPDATE
                 SET last_started_at = greatest(s.last_started_at, excluded.last_started_at),
                     last_completed_at = greatest(s.last_completed_at, excluded.last_completed_at),
                     last_failed_at = greatest(s.last_failed_at, excluded.last_failed_at),
                     failure_reason = CASE WHEN excluded.last_failed_at >= coalesce(s.last_failed_at, '-infinity')
                                           THEN excluded.failure_reason ELSE s.failure_reason END,
                     complete_through = greatest(s.complete_through, excluded.complete_through),
                     grain = CASE WHEN excluded.complete_through >= coalesce(s.complete_through, '-infinity')
                                  THEN excluded.grain ELSE s.grain END",
                epoch,
                &workspaces,
                &ids,
                &instants(|runs| runs.started_at) as _,
                &instants(|runs| runs.completed_at) as _,
                &instants(|runs| runs.failed.as_ref().map(|(at, _)| *at)) as _,
                &reasons as _,
                &instants(|runs| runs.complete.map(|(through, _)| through)) as _,
                &grains as _
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
