//! Stopped logs. They are recorded where operators and readers see them. They are retried with growing waits, because
//! newer code or a repaired log can get past the event.

use std::collections::HashMap;
use std::time::Duration;

use event_store::follow::Backoff;
use sqlx::PgPool;
use tokio::time::Instant;

use super::Projection;
use super::checkpoint::LaggingEpoch;
use super::event::RejectedEvent;

const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The stopped logs that this projector knows, by (epoch, workspace).
#[derive(Debug, Default)]
pub(crate) struct StoppedLogs(HashMap<(i32, i32), Retry>);

#[derive(Debug)]
struct Retry {
    at: Instant,
    backoff: Backoff,
}

impl StoppedLogs {
    /// Whether the next retry of a log is not due yet.
    pub(crate) fn is_backing_off(&self, epoch: i32, workspace: i32) -> bool {
        self.0.get(&(epoch, workspace)).is_some_and(|retry| retry.at > Instant::now())
    }

    /// Forgets logs that another projector advanced, or that are no longer followed.
    pub(crate) fn keep(&mut self, pending: &[LaggingEpoch]) {
        self.0.retain(|key, _| pending.iter().any(|log| (log.epoch, log.workspace) == *key));
    }

    /// When the next retry is due.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.0.values().map(|retry| retry.at).min()
    }

    /// Records that a log stopped. Logs it once, not at each retry.
    pub(crate) async fn note(
        &mut self,
        pool: &PgPool,
        projection: &Projection,
        epochs: &[i32],
        refused: &RejectedEvent,
    ) -> Result<(), sqlx::Error> {
        let reason = refused.reason.full_text();
        for &epoch in epochs {
            let retry = self
                .0
                .entry((epoch, refused.workspace))
                .or_insert_with(|| Retry { at: Instant::now(), backoff: Backoff::up_to(LONGEST_WAIT) });
            retry.at = Instant::now() + retry.backoff.wait();
            let noted = sqlx::query!(
                "INSERT INTO read.stopped_logs AS s (projection, epoch, workspace, position, reason)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (projection, epoch, workspace)
                 DO UPDATE SET position = excluded.position, reason = excluded.reason, stopped_at = excluded.stopped_at
                 WHERE (s.position, s.reason) IS DISTINCT FROM (excluded.position, excluded.reason)",
                projection.name,
                epoch,
                refused.workspace,
                refused.position,
                reason
            )
            .execute(pool)
            .await?;
            if noted.rows_affected() > 0 {
                tracing::error!(
                    projection = projection.name,
                    epoch,
                    workspace = refused.workspace,
                    position = refused.position,
                    reason,
                    "the projection stopped following a log"
                );
            }
        }
        Ok(())
    }

    /// Deletes the record of a log that continues.
    pub(crate) async fn clear(
        &mut self,
        pool: &PgPool,
        projection: &Projection,
        epochs: &[i32],
        workspace: i32,
    ) -> Result<(), sqlx::Error> {
        for &epoch in epochs {
            self.0.remove(&(epoch, workspace));
        }
        sqlx::query!(
            "DELETE FROM read.stopped_logs WHERE projection = $1 AND epoch = ANY($2) AND workspace = $3",
            projection.name,
            epochs,
            workspace
        )
        .execute(pool)
        .await?;
        tracing::info!(projection = projection.name, workspace, "a stopped log continues");
        Ok(())
    }
}
