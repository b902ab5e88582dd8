//! Begins and finishes epochs, and finds the workspaces that do not read one yet. The live epochs are read and changed
//! under one lock ([`checkpoint::lock_epochs`]).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::super::error::ReplayError;
use super::super::rebuild::{PendingWorkspace, Rebuild};
use super::super::{Projection, checkpoint};

/// The epoch to fill. The first choice is a half-built one of this version. For some workspaces it is the newest one
/// that none of them ever read. Otherwise it is a new one.
pub(super) async fn begin(
    pool: &PgPool,
    projection: &Projection,
    only: Option<&[i32]>,
    keep_old: Duration,
) -> Result<i32, sqlx::Error> {
    let keep_old_s = i64::try_from(keep_old.as_secs()).unwrap_or(i64::MAX);
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    let left = sqlx::query_scalar!(
        "SELECT e.epoch FROM read.epochs e
         WHERE e.projection = $1 AND e.version = $2 AND (e.state = 'building' OR (
             $3::integer[] IS NOT NULL AND e.state = 'applied'
             AND NOT EXISTS (SELECT FROM read.checkpoints c
                             WHERE c.projection = $1 AND c.epoch = e.epoch AND c.following AND c.workspace = ANY($3))
             AND e.epoch > ALL (SELECT l.epoch FROM read.live_epochs l
                                WHERE l.projection = $1 AND l.workspace = ANY($3))))
         ORDER BY e.epoch DESC LIMIT 1",
        projection.name,
        projection.version,
        only
    )
    .fetch_optional(&mut *tx)
    .await?;
    let epoch = match left {
        Some(epoch) => epoch,
        None => checkpoint::create_epoch(&mut tx, projection).await?,
    };
    sqlx::query!(
        "UPDATE read.epochs SET keep_old_s = $3, drop_at = NULL WHERE projection = $1 AND epoch = $2",
        projection.name,
        epoch,
        keep_old_s
    )
    .execute(&mut *tx)
    .await?;
    // The checkpoints are created at once, because progress is measured against all of them.
    sqlx::query!(
        "INSERT INTO read.checkpoints (projection, epoch, workspace, position, following)
         SELECT $1, $2, h.workspace, 0, false FROM log.heads h
         WHERE $3::integer[] IS NULL OR h.workspace = ANY($3) ON CONFLICT DO NOTHING",
        projection.name,
        epoch,
        only
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    tracing::info!(projection = projection.name, epoch, resumed = left.is_some(), "replaying");
    Ok(epoch)
}

/// The logs whose workspaces read another epoch: of all workspaces, or of some.
pub(super) async fn live_elsewhere(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    only: Option<&[i32]>,
) -> Result<Vec<PendingWorkspace>, sqlx::Error> {
    sqlx::query_as!(
        PendingWorkspace,
        r#"SELECT h.workspace, coalesce(n.position, 0) AS "filled!",
                  CASE WHEN e.version = $4 THEN coalesce(o.position, 0) ELSE h.position END AS "live!"
           FROM log.heads h
           LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
           LEFT JOIN read.epochs e ON e.projection = l.projection AND e.epoch = l.epoch
           LEFT JOIN read.checkpoints o ON o.projection = $1 AND o.epoch = l.epoch AND o.workspace = h.workspace
           LEFT JOIN read.checkpoints n ON n.projection = $1 AND n.epoch = $2 AND n.workspace = h.workspace
           WHERE l.epoch IS DISTINCT FROM $2 AND ($3::integer[] IS NULL OR h.workspace = ANY($3))
           ORDER BY h.workspace"#,
        projection.name,
        epoch,
        only,
        projection.version
    )
    .fetch_all(pool)
    .await
}

/// Marks the new epoch applied, if every workspace that was to switch reads it. From then on new workspaces start on
/// it, and the epochs that it replaced get drop dates.
pub(super) async fn finish(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    only: Option<&[i32]>,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    let is_complete = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (
               SELECT FROM log.heads h LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
               WHERE l.epoch IS DISTINCT FROM $2 AND ($3::integer[] IS NULL OR h.workspace = ANY($3))
           ) AS "is_complete!""#,
        projection.name,
        epoch,
        only
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_complete {
        checkpoint::mark_applied(&mut tx, projection.name, epoch).await?;
        let keep_old_s = sqlx::query_scalar!(
            "SELECT keep_old_s FROM read.epochs WHERE projection = $1 AND epoch = $2",
            projection.name,
            epoch
        )
        .fetch_one(&mut *tx)
        .await?;
        set_drop_dates(&mut tx, projection.name, keep_old_s, now).await?;
    }
    tx.commit().await?;
    Ok(is_complete)
}

/// Sets the drop dates of the epochs that no workspace reads, and clears those of epochs that one reads again. The
/// epoch of new workspaces has none.
pub(super) async fn set_drop_dates(
    conn: &mut PgConnection,
    projection: &str,
    keep_old_s: i64,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let start = checkpoint::start_epoch(conn, projection).await?;
    sqlx::query!(
        "UPDATE read.epochs e
         SET drop_at = CASE WHEN l.epoch IS NULL THEN coalesce(e.drop_at, $3) END
         FROM read.epochs b LEFT JOIN (SELECT DISTINCT projection, epoch FROM read.live_epochs) l
              USING (projection, epoch)
         WHERE e.projection = b.projection AND e.epoch = b.epoch
           AND b.projection = $1 AND b.state = 'applied' AND (l.epoch IS NULL) = (b.drop_at IS NULL)
           AND b.epoch IS DISTINCT FROM $2",
        projection,
        start,
        until(now, keep_old_s)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The drop date. A duration of more than a thousand years counts as a thousand years.
fn until(now: DateTime<Utc>, keep_s: i64) -> DateTime<Utc> {
    now + TimeDelta::seconds(keep_s.clamp(0, 365_250 * 86_400))
}

/// The epoch that every workspace reads but that is still marked as half built: its replay died after its last switch.
pub(super) async fn finish_if_complete(pool: &PgPool, projection: &Projection) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT e.epoch FROM read.epochs e
         WHERE e.projection = $1 AND e.state = 'building' AND EXISTS (SELECT FROM log.heads) AND NOT EXISTS (
             SELECT FROM log.heads h LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
             WHERE l.epoch IS DISTINCT FROM e.epoch)",
        projection.name
    )
    .fetch_optional(pool)
    .await
}

/// Records why a workspace was not switched, where operators and readers look. The record is deleted by the switch.
pub(super) async fn note(rebuild: &Rebuild<'_>, workspace: i32, error: &ReplayError) -> Result<(), sqlx::Error> {
    let (position, reason) = match error {
        ReplayError::Stopped(refused) => (refused.position, refused.reason.full_text()),
        ReplayError::SwitchBlocked { reason: unlike, .. } => (rebuild.gap(workspace).await?.filled, unlike.to_string()),
        ReplayError::UnknownProjection(_)
        | ReplayError::UnknownWorkspaces(_)
        | ReplayError::AlreadyRunning
        | ReplayError::NoWayBack(_)
        | ReplayError::OldVersionBehind { .. }
        | ReplayError::Database(_) => return Ok(()),
    };
    sqlx::query!(
        "INSERT INTO read.stopped_logs AS s (projection, epoch, workspace, position, reason)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (projection, epoch, workspace)
         DO UPDATE SET position = excluded.position, reason = excluded.reason, stopped_at = excluded.stopped_at
         WHERE (s.position, s.reason) IS DISTINCT FROM (excluded.position, excluded.reason)",
        rebuild.projection.name,
        rebuild.epoch,
        workspace,
        position,
        reason
    )
    .execute(rebuild.pool)
    .await?;
    Ok(())
}
