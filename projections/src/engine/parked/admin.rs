//! The operators' view of parked parts, and their decisions: to retry, or to skip an event for good.

use chrono::{DateTime, Utc};
use domain::ids::CampaignId;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use uuid::Uuid;

use super::super::parked_index::ParkedKey;
use super::super::{Projection, Registry, announce};
use super::retry::{PartRetryOutcome, retry};

/// A part that is parked in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedPart {
    /// The projection.
    pub projection: String,
    /// The epoch.
    pub epoch: i32,
    /// Whether this is the workspace's live epoch.
    pub is_live: bool,
    /// The workspace of the log.
    pub workspace: i32,
    /// The stream's type.
    pub stream_type: String,
    /// The stream, named `<workspace>/<id>`.
    pub stream_id: String,
    /// The campaign whose share of the stream is parked; `None` for the whole stream.
    pub campaign_id: Option<Uuid>,
    /// The position of the first parked event.
    pub position: i64,
    /// The position of the last one.
    pub last_position: i64,
    /// The number of parked events.
    pub waiting: i64,
    /// Why the first one is refused.
    pub reason: String,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
}

impl ParkedPart {
    pub(crate) fn part(&self) -> ParkedKey {
        let campaign = self.campaign_id.map(CampaignId);
        ParkedKey { stream_type: self.stream_type.clone(), stream_id: self.stream_id.clone(), campaign }
    }
}

/// The outcome of retrying a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    /// Everything that was parked is applied.
    Applied,
    /// An event of it is still refused, perhaps a later one than before.
    Refused {
        /// The event's position.
        position: i64,
        /// The reason.
        reason: String,
    },
    /// Another version of the projection built its epoch, and only that version can write there.
    OtherVersion,
}

/// The outcome of skipping an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The parts that the event was the first of, with the outcome of retrying them.
    pub parts: Vec<(ParkedPart, RetryOutcome)>,
}

/// Why an event was not skipped.
#[derive(Debug, Error)]
pub enum SkipError {
    /// No part begins at this position, and only refused events can be skipped.
    #[error("no part is parked at this position")]
    NotParked,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Every parked part of every epoch, except shadow epochs, which are only compared and dropped.
pub async fn list(pool: &PgPool) -> Result<Vec<ParkedPart>, sqlx::Error> {
    sqlx::query_as!(
        ParkedPart,
        r#"SELECT p.projection, p.epoch, l.epoch IS NOT NULL AS "is_live!", p.workspace, p.stream_type, p.stream_id,
                  p.campaign_id, p.position, p.last_position, p.waiting, p.reason, p.parked_at
           FROM read.parked p
           JOIN read.epochs e ON e.projection = p.projection AND e.epoch = p.epoch
           LEFT JOIN read.live_epochs l
                  ON l.projection = p.projection AND l.epoch = p.epoch AND l.workspace = p.workspace
           WHERE e.state NOT IN ('dropping', 'verifying')
           ORDER BY p.projection, p.workspace, p.epoch, p.position, p.stream_type, p.stream_id, p.campaign_id"#
    )
    .fetch_all(pool)
    .await
}

/// The parked parts of one log in one epoch.
pub(crate) async fn of_log(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    workspace: i32,
) -> Result<Vec<ParkedPart>, sqlx::Error> {
    sqlx::query_as!(
        ParkedPart,
        r#"SELECT p.projection, p.epoch, l.epoch IS NOT NULL AS "is_live!", p.workspace, p.stream_type, p.stream_id,
                  p.campaign_id, p.position, p.last_position, p.waiting, p.reason, p.parked_at
           FROM read.parked p
           LEFT JOIN read.live_epochs l
                  ON l.projection = p.projection AND l.epoch = p.epoch AND l.workspace = p.workspace
           WHERE p.projection = $1 AND p.epoch = $2 AND p.workspace = $3
           ORDER BY p.position, p.stream_type, p.stream_id, p.campaign_id"#,
        projection,
        epoch,
        workspace
    )
    .fetch_all(conn)
    .await
}

/// The number of parked parts in one epoch, of one workspace or of all.
pub async fn count(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    workspace: Option<i32>,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "parts!" FROM read.parked
           WHERE projection = $1 AND epoch = $2 AND ($3::integer IS NULL OR workspace = $3)"#,
        projection,
        epoch,
        workspace
    )
    .fetch_one(conn)
    .await
}

/// Retries the parked parts that `wanted` selects.
pub async fn retry_all(
    pool: &PgPool,
    registry: Registry,
    wanted: impl Fn(&ParkedPart) -> bool,
) -> Result<Vec<(ParkedPart, RetryOutcome)>, sqlx::Error> {
    let mut tried = Vec::new();
    for part in list(pool).await?.into_iter().filter(wanted) {
        if let Some(retried) = retry_one(pool, registry, &part).await? {
            tried.push((part, retried));
        }
    }
    announce::announce(pool).await?;
    Ok(tried)
}

/// Skips an event for good, or the share of the campaigns for which it is refused. Then applies the events that waited
/// behind it. Every epoch skips it from now on, so that rebuilds give the same rows.
pub async fn skip(
    pool: &PgPool,
    registry: Registry,
    projection: &str,
    workspace: i32,
    position: i64,
    reason: &str,
) -> Result<Skipped, SkipError> {
    let is_first =
        |part: &ParkedPart| part.projection == projection && part.workspace == workspace && part.position == position;
    let mut tx = pool.begin().await?;
    // Checkpoints are locked in the usual order. A fold under the old index cannot commit any more.
    sqlx::query!(
        "SELECT FROM read.checkpoints WHERE projection = $1 AND workspace = $2 ORDER BY epoch FOR UPDATE",
        projection,
        workspace
    )
    .execute(&mut *tx)
    .await?;
    let left_out = sqlx::query!(
        "INSERT INTO read.skipped_events (projection, workspace, position, campaign_id, reason)
         SELECT DISTINCT projection, workspace, position, campaign_id, $4 FROM read.parked
         WHERE projection = $1 AND workspace = $2 AND position = $3
         ON CONFLICT DO NOTHING",
        projection,
        workspace,
        position,
        reason
    )
    .execute(&mut *tx)
    .await?;
    let parts: Vec<ParkedPart> = list(pool).await?.into_iter().filter(is_first).collect();
    if parts.is_empty() {
        return Err(SkipError::NotParked);
    }
    sqlx::query!(
        "UPDATE read.checkpoints SET revision = revision + 1, revised_at = position
         WHERE projection = $1 AND workspace = $2",
        projection,
        workspace
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    tracing::warn!(
        projection,
        workspace,
        position,
        reason,
        shares = left_out.rows_affected(),
        "skipped an event for good"
    );
    let mut tried = Vec::new();
    for part in parts {
        // A part that is not parked any more was applied by a projector, which retries on its own schedule.
        let retried = retry_one(pool, registry, &part).await?.unwrap_or(RetryOutcome::Applied);
        tried.push((part, retried));
    }
    announce::announce(pool).await?;
    Ok(Skipped { parts: tried })
}

/// `None` if the part is not parked any more.
async fn retry_one(
    pool: &PgPool,
    registry: Registry,
    parked: &ParkedPart,
) -> Result<Option<RetryOutcome>, sqlx::Error> {
    let version = sqlx::query_scalar!(
        "SELECT version FROM read.epochs WHERE projection = $1 AND epoch = $2",
        parked.projection,
        parked.epoch
    )
    .fetch_optional(pool)
    .await?;
    let projection: Option<&Projection> = registry.iter().copied().find(|known| known.name == parked.projection);
    let Some(projection) = projection.filter(|projection| version == Some(projection.version)) else {
        return Ok(Some(RetryOutcome::OtherVersion));
    };
    Ok(match retry(pool, projection, parked.epoch, parked.workspace, &parked.part()).await? {
        PartRetryOutcome::Applied => Some(RetryOutcome::Applied),
        PartRetryOutcome::Refused { position, reason, moved: _ } => Some(RetryOutcome::Refused { position, reason }),
        PartRetryOutcome::NotParked => None,
    })
}
