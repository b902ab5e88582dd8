//! Begins, finishes and drops epochs. Who lives where is read and changed under one lock ([`checkpoint::lock_epochs`]).

use std::time::Duration;

use sqlx::PgPool;

use super::super::backoff::Backoff;
use super::super::{Projection, checkpoint};

/// How long readers may have to queue behind one try to detach a table.
const LOCK_TIMEOUT: &str = "50ms";
const DETACH_ATTEMPTS: u32 = 60;

/// A log whose readers do not see the new epoch yet.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Elsewhere {
    pub(in super::super) workspace: i32,
    /// How far the new epoch is filled.
    pub(in super::super) filled: i64,
    /// How far the live one has come.
    pub(in super::super) live: i64,
}

/// The epoch to fill: the one that an interrupted replay of the same version left, else a new one.
pub(super) async fn begin(pool: &PgPool, projection: &Projection) -> Result<i32, sqlx::Error> {
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    let left = sqlx::query_scalar!(
        "SELECT epoch FROM read.epochs WHERE projection = $1 AND state = 'building' AND version = $2
         ORDER BY epoch DESC LIMIT 1",
        projection.name,
        projection.version
    )
    .fetch_optional(&mut *tx)
    .await?;
    let epoch = match left {
        Some(epoch) => epoch,
        None => checkpoint::create_epoch(&mut tx, projection).await?,
    };
    tx.commit().await?;
    tracing::info!(projection = projection.name, epoch, resumed = left.is_some(), "replaying");
    Ok(epoch)
}

/// Logs that are live on another epoch than the new one.
pub(super) async fn live_elsewhere(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
) -> Result<Vec<Elsewhere>, sqlx::Error> {
    sqlx::query_as!(
        Elsewhere,
        r#"SELECT l.workspace, coalesce(n.position, 0) AS "filled!", coalesce(o.position, 0) AS "live!"
           FROM read.live_epochs l
           LEFT JOIN read.checkpoints o ON o.projection = $1 AND o.epoch = l.epoch AND o.workspace = l.workspace
           LEFT JOIN read.checkpoints n ON n.projection = $1 AND n.epoch = $2 AND n.workspace = l.workspace
           WHERE l.projection = $1 AND l.epoch <> $2
           ORDER BY l.workspace"#,
        projection.name,
        epoch
    )
    .fetch_all(pool)
    .await
}

/// How far one log's new epoch is behind its live one.
pub(super) async fn gap(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    workspace: i32,
) -> Result<Elsewhere, sqlx::Error> {
    sqlx::query_as!(
        Elsewhere,
        r#"SELECT l.workspace, coalesce(n.position, 0) AS "filled!", coalesce(o.position, 0) AS "live!"
           FROM read.live_epochs l
           LEFT JOIN read.checkpoints o ON o.projection = $1 AND o.epoch = l.epoch AND o.workspace = l.workspace
           LEFT JOIN read.checkpoints n ON n.projection = $1 AND n.epoch = $2 AND n.workspace = l.workspace
           WHERE l.projection = $1 AND l.workspace = $3"#,
        projection.name,
        epoch,
        workspace
    )
    .fetch_one(pool)
    .await
}

/// Marks the new epoch applied, if every workspace reads it. From then on new workspaces start on it.
pub(super) async fn finish(pool: &PgPool, projection: &Projection, epoch: i32) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    let is_everywhere = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (SELECT FROM read.live_epochs WHERE projection = $1 AND epoch <> $2) AS "is_everywhere!""#,
        projection.name,
        epoch
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_everywhere {
        checkpoint::mark_applied(&mut tx, projection.name, epoch).await?;
    }
    tx.commit().await?;
    Ok(is_everywhere)
}

/// Drops epochs that nobody reads, except the newest of them: the way back. Half-built ones of another version go too,
/// unless a workspace already lives there. What cannot be dropped now because readers are busy is left for next time.
pub(super) async fn drop_stale(pool: &PgPool, projection: &Projection) -> Result<(), sqlx::Error> {
    condemn(pool, projection).await?;
    let condemned = sqlx::query!(
        "SELECT epoch, tables FROM read.epochs WHERE projection = $1 AND state = 'dropping' ORDER BY epoch",
        projection.name
    )
    .fetch_all(pool)
    .await?;
    for stale in condemned {
        let mut dropped = true;
        for table in &stale.tables {
            dropped &= drop_table(pool, table, stale.epoch).await?;
        }
        if dropped {
            sqlx::query!("DELETE FROM read.epochs WHERE projection = $1 AND epoch = $2", projection.name, stale.epoch)
                .execute(pool)
                .await?;
            tracing::info!(projection = projection.name, epoch = stale.epoch, "dropped an epoch");
        } else {
            tracing::warn!(
                projection = projection.name,
                epoch = stale.epoch,
                "readers are busy: an epoch is dropped later"
            );
        }
    }
    Ok(())
}

/// Takes stale epochs away from the projector: without a checkpoint it cannot write to them any more.
async fn condemn(pool: &PgPool, projection: &Projection) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    sqlx::query!(
        "UPDATE read.epochs e SET state = CASE WHEN l.epoch IS NULL THEN 'dropping' ELSE 'applied' END
         FROM read.epochs b LEFT JOIN (SELECT DISTINCT projection, epoch FROM read.live_epochs) l USING (projection, epoch)
         WHERE e.projection = b.projection AND e.epoch = b.epoch
           AND b.projection = $1 AND b.state = 'building' AND b.version <> $2",
        projection.name,
        projection.version
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "WITH unread AS (
             SELECT e.epoch FROM read.epochs e
             WHERE e.projection = $1 AND e.state = 'applied'
               AND NOT EXISTS (SELECT FROM read.live_epochs l WHERE l.projection = e.projection AND l.epoch = e.epoch)
         )
         UPDATE read.epochs SET state = 'dropping'
         WHERE projection = $1 AND epoch IN (SELECT epoch FROM unread) AND epoch < (SELECT max(epoch) FROM unread)",
        projection.name
    )
    .execute(&mut *tx)
    .await?;
    // In the projector's order, so that neither waits for the other in a circle.
    sqlx::query!(
        "WITH condemned AS MATERIALIZED (
             SELECT c.epoch, c.workspace FROM read.checkpoints c JOIN read.epochs e USING (projection, epoch)
             WHERE projection = $1 AND e.state = 'dropping' ORDER BY c.epoch, c.workspace FOR UPDATE OF c
         )
         DELETE FROM read.checkpoints c USING condemned d
         WHERE c.projection = $1 AND c.epoch = d.epoch AND c.workspace = d.workspace",
        projection.name
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Detaches and drops one table of an epoch. `false` if readers kept it busy all the time.
async fn drop_table(pool: &PgPool, table: &str, epoch: i32) -> Result<bool, sqlx::Error> {
    let mut backoff = Backoff::up_to(Duration::from_secs(1));
    for _ in 0..DETACH_ATTEMPTS {
        let mut tx = pool.begin().await?;
        sqlx::query_scalar!("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT).fetch_one(&mut *tx).await?;
        match sqlx::query!("SELECT read.drop_epoch_table($1, $2)", table, epoch).execute(&mut *tx).await {
            Ok(_) => {
                tx.commit().await?;
                return Ok(true);
            }
            Err(error) if is_lock_timeout(&error) => {
                tx.rollback().await?;
                tokio::time::sleep(backoff.wait()).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}
