//! The lag of the rows behind the true heads of the logs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{Projection, Registry};

/// The status of one projection on one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// The workspace of the log.
    pub workspace: i32,
    /// The projection.
    pub projection: String,
    /// The live epoch; `None` until a projector has met the log.
    pub epoch: Option<i32>,
    /// The log's last position.
    pub head: i64,
    /// The checkpoint. A missing one counts as 0.
    pub checkpoint: i64,
    /// Head minus checkpoint.
    pub lag_events: i64,
    /// When the oldest event that is not applied was recorded.
    pub oldest_unapplied: Option<DateTime<Utc>>,
    /// Why the log is stopped, if it is.
    pub stopped: Option<Stop>,
    /// What of the log is parked, while the rest continues.
    pub parked: Parked,
}

/// The parked parts of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parked {
    /// The number of parts: streams, and campaigns' shares of streams.
    pub parts: i64,
    /// The number of their events.
    pub events: i64,
}

impl LogStatus {
    /// The age of the oldest event that is not applied.
    pub fn lag(&self, now: DateTime<Utc>) -> Duration {
        self.oldest_unapplied.and_then(|recorded_at| (now - recorded_at).to_std().ok()).unwrap_or_default()
    }
}

/// The event at which a log's projection stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The position of the missing or refused event.
    pub position: i64,
    /// The reason.
    pub reason: String,
}

/// Every log under every projection.
pub(crate) async fn status(pool: &PgPool, registry: Registry) -> Result<Vec<LogStatus>, sqlx::Error> {
    let mut all = Vec::new();
    for &projection in registry {
        all.extend(status_of(pool, projection, false).await?);
    }
    Ok(all)
}

/// The logs that a projection is behind, or on which it is stopped.
pub(crate) async fn behind(pool: &PgPool, projection: &Projection) -> Result<Vec<LogStatus>, sqlx::Error> {
    status_of(pool, projection, true).await
}

async fn status_of(pool: &PgPool, projection: &Projection, only_behind: bool) -> Result<Vec<LogStatus>, sqlx::Error> {
    let logs = sqlx::query!(
        r#"SELECT h.workspace, l.epoch AS "epoch?", e.version AS "version?", h.position AS head,
                  coalesce(c.position, 0) AS "checkpoint!", oldest.recorded_at AS "oldest_unapplied?",
                  s.position AS "stopped_at?", s.reason AS "reason?",
                  parked.parts AS "parked_parts!", parked.events AS "parked_events!"
           FROM log.heads h
           LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
           LEFT JOIN read.epochs e ON e.projection = l.projection AND e.epoch = l.epoch
           LEFT JOIN read.checkpoints c ON c.projection = $1 AND c.epoch = l.epoch AND c.workspace = h.workspace
           LEFT JOIN read.stopped_logs s ON s.projection = $1 AND s.epoch = l.epoch AND s.workspace = h.workspace
           LEFT JOIN LATERAL (
               SELECT ev.recorded_at FROM log.events ev
               WHERE ev.workspace = h.workspace AND ev.position > coalesce(c.position, 0)
               ORDER BY ev.position LIMIT 1
           ) oldest ON h.position > coalesce(c.position, 0)
           CROSS JOIN LATERAL (
               SELECT count(*) AS parts, coalesce(sum(p.waiting), 0)::bigint AS events FROM read.parked p
               WHERE p.projection = $1 AND p.epoch = l.epoch AND p.workspace = h.workspace
           ) parked
           WHERE NOT $2 OR h.position > coalesce(c.position, 0) OR s.position IS NOT NULL OR e.version <> $3
           ORDER BY h.workspace"#,
        projection.name,
        only_behind,
        projection.version
    )
    .fetch_all(pool)
    .await?;
    let status = logs.into_iter().map(|log| {
        let noted = log.stopped_at.zip(log.reason).map(|(position, reason)| Stop { position, reason });
        let outdated = log.version.filter(|&version| version != projection.version).map(|version| Stop {
            position: log.checkpoint + 1,
            reason: format!(
                "its rows were built by version {version} of the projection, this program has version {}: replay it",
                projection.version
            ),
        });
        LogStatus {
            workspace: log.workspace,
            projection: projection.name.to_owned(),
            epoch: log.epoch,
            head: log.head,
            checkpoint: log.checkpoint,
            lag_events: log.head - log.checkpoint,
            oldest_unapplied: log.oldest_unapplied,
            stopped: noted.or(outdated),
            parked: Parked { parts: log.parked_parts, events: log.parked_events },
        }
    });
    Ok(status.collect())
}
