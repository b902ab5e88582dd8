//! How far the rows are behind the logs, measured against the true heads.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{Projection, Registry};

/// How one projection stands to one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStatus {
    /// Whose log.
    pub workspace: i32,
    /// Which projection.
    pub projection: String,
    /// The epoch that its readers see; `None` until the projector has met the log.
    pub epoch: Option<i32>,
    /// The log's last position.
    pub head: i64,
    /// The position up to which the rows go. A checkpoint that is missing counts as 0.
    pub checkpoint: i64,
    /// Head minus checkpoint.
    pub lag_events: i64,
    /// When the oldest event that is not applied was recorded.
    pub oldest_unapplied: Option<DateTime<Utc>>,
    /// Why it does not go on, if it cannot.
    pub stopped: Option<Stop>,
    /// What of it waits because it cannot be applied, while the rest goes on.
    pub parked: Parked,
}

/// What of a log waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parked {
    /// Streams, and campaigns' shares of streams.
    pub parts: i64,
    /// Their events.
    pub events: i64,
}

impl LogStatus {
    /// The age of the oldest event that is not applied.
    pub fn lag(&self, now: DateTime<Utc>) -> Duration {
        self.oldest_unapplied.and_then(|recorded_at| (now - recorded_at).to_std().ok()).unwrap_or_default()
    }
}

/// What a log's projection cannot get past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The event that is missing or refused.
    pub position: i64,
    /// Why.
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

/// The logs that a projection is behind, or cannot follow.
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
