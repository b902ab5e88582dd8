//! What operators see of parked parts, and what they decide: to try again, or to leave an event out for good.

use chrono::{DateTime, Utc};
use domain::ids::CampaignId;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use uuid::Uuid;

use super::super::parked_index::ParkedKey;
use super::super::{Projection, Registry, announce};
use super::retry::{PartRetryOutcome, retry};

/// A part that waits in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedPart {
    /// Which projection.
    pub projection: String,
    /// In which epoch.
    pub epoch: i32,
    /// Whether that is the epoch that the workspace's readers see.
    pub is_live: bool,
    /// Whose log.
    pub workspace: i32,
    /// The kind of stream.
    pub stream_type: String,
    /// The stream, named `<workspace>/<id>`.
    pub stream_id: String,
    /// The campaign whose share of the stream waits; `None` for all of it.
    pub campaign_id: Option<Uuid>,
    /// The first event that waits.
    pub position: i64,
    /// The last one.
    pub last_position: i64,
    /// How many there are.
    pub waiting: i64,
    /// Why the first one is refused.
    pub reason: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

impl ParkedPart {
    pub(crate) fn part(&self) -> ParkedKey {
        let campaign = self.campaign_id.map(CampaignId);
        ParkedKey { stream_type: self.stream_type.clone(), stream_id: self.stream_id.clone(), campaign }
    }
}

/// What trying a part again came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    /// What waited is applied.
    Applied,
    /// An event of it is still refused, perhaps a later one than before.
    Refused {
        /// Which one.
        position: i64,
        /// Why.
        reason: String,
    },
    /// Another version of this program built its epoch: only that can write there.
    OtherVersion,
}

/// What leaving an event out came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The parts that it was the first of, with what became of what waited behind it.
    pub parts: Vec<(ParkedPart, RetryOutcome)>,
}

/// Why an event was not left out.
#[derive(Debug, Error)]
pub enum SkipError {
    /// Only what is refused can be left out.
    #[error("no part is parked at this position")]
    NotParked,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Every part that waits, in every epoch that is kept. What is rebuilt only to be compared is nobody's to decide on.
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

/// The parts of one log that wait in one epoch.
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

/// How many parts wait in one epoch: of one workspace, or of all.
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

/// Tries parts again, those that fit `wanted`.
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

/// Leaves an event out for good, or the share of the campaigns for which it is refused; then applies what waited behind it.
/// Every epoch leaves it out from now on, so that rebuilds give the same rows.
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
    // In the order that everybody keeps. Whoever folded under what was held before cannot commit any more.
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
        "UPDATE read.checkpoints SET revision = revision + 1, revised_at = position WHERE projection = $1 AND workspace = $2",
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
        "left out an event for good"
    );
    let mut tried = Vec::new();
    for part in parts {
        // A part that is gone by now was applied by a projector, which retries by its own schedule.
        let retried = retry_one(pool, registry, &part).await?.unwrap_or(RetryOutcome::Applied);
        tried.push((part, retried));
    }
    announce::announce(pool).await?;
    Ok(Skipped { parts: tried })
}

/// `None` if it does not wait any more.
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
