//! Background builds of what this program's version of a projection lacks. That is the first epoch where the logs are
//! long, or a new epoch where an older version built the live rows. A build is a replay of the workspaces that need
//! one. A workspace that was rolled back to older rows needs none, because that was intended.

use platform::clock::SharedClock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::super::error::ReplayError;
use super::super::rebuild::{ReplayMemory, ReplayProgress};
use super::super::{Projection, checkpoint};
use super::{ReplayOptions, ReplayOutcome, replay};

/// Builds what is missing, unless another process builds it. `progress` is called after each step.
pub(in super::super) async fn build_missing(
    pool: &PgPool,
    projection: &'static Projection,
    memory: ReplayMemory,
    clock: &SharedClock,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<Option<ReplayOutcome>, ReplayError> {
    // Where the logs are short, the first epoch is created here as by a follower; otherwise both would create one.
    checkpoint::bootstrap(pool, projection, checkpoint::BootstrapPolicy::IfShort).await?;
    let workspaces = missing(pool, projection).await?;
    if workspaces.is_empty() {
        return Ok(None);
    }
    tracing::info!(
        projection = projection.name,
        version = projection.version,
        workspaces = workspaces.len(),
        "building an epoch in the background"
    );
    let options = ReplayOptions { workspaces: Some(workspaces), memory, ..ReplayOptions::new(clock.clone()) };
    match replay(pool, projection, &options, progress, shutdown).await {
        Err(ReplayError::AlreadyRunning) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Workspaces without rows while no epoch is applied, and those that read rows of an older version and never read any
/// of this one.
async fn missing(pool: &PgPool, projection: &Projection) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT h.workspace FROM log.heads h
         LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
         LEFT JOIN read.epochs e ON e.projection = l.projection AND e.epoch = l.epoch
         WHERE l.epoch IS NULL AND NOT EXISTS (
                   SELECT FROM read.epochs a WHERE a.projection = $1 AND a.state = 'applied')
            OR e.version < $2 AND NOT EXISTS (
                SELECT FROM read.checkpoints c JOIN read.epochs n USING (projection, epoch)
                WHERE c.projection = $1 AND c.workspace = h.workspace AND c.following AND n.version >= $2)
         ORDER BY h.workspace",
        projection.name,
        projection.version
    )
    .fetch_all(pool)
    .await
}
