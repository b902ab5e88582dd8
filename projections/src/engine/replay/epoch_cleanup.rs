//! Retention of epochs that no workspace reads, and how they are dropped.
//!
//! An epoch that no workspace reads gets a drop date. Until then it is kept applied, for a rollback. The projector
//! drops it at that date, or an operator earlier. A replay at once drops the epochs that no workspace could roll back
//! to, so that every workspace has at most one old epoch. Epochs that readers still use are dropped later.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::super::error::ReplayError;
use super::super::locks::{SessionLock, ShortLockWaits};
use super::super::{Projection, checkpoint};
use super::{KEEP_OLD, epochs, lock, maintenance_lock};

const DETACH_ATTEMPTS: u32 = 60;

/// Drops every epoch of a projection that no workspace reads, whatever its drop date, and what an interrupted replay
/// left. Returns the dropped epochs.
pub(crate) async fn drop_old(pool: &PgPool, projection: &'static Projection) -> Result<Vec<i32>, ReplayError> {
    let lock = lock(pool, projection).await?;
    let dropped = async {
        let condemned = mark_dropping(pool, projection, Selection::All).await?;
        drop_condemned(pool, projection).await?;
        Ok(condemned)
    }
    .await;
    lock.release().await;
    dropped
}

/// Finishes a replay that died after its last switch, sets drop dates, and drops the epochs that are due. A running
/// replay does this itself.
pub(in super::super) async fn maintain_epochs(
    pool: &PgPool,
    projection: &Projection,
    now: DateTime<Utc>,
) -> Result<(), ReplayError> {
    let has_work = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM read.epochs e
               WHERE e.projection = $1 AND (
                   e.state = 'dropping' OR e.drop_at <= $2 OR e.state = 'applied' AND (e.drop_at IS NULL)
                   = NOT EXISTS (SELECT FROM read.live_epochs l WHERE l.projection = $1 AND l.epoch = e.epoch))
           ) AS "has_work!""#,
        projection.name,
        now
    )
    .fetch_one(pool)
    .await?;
    let left = epochs::finish_if_complete(pool, projection).await?;
    if !has_work && left.is_none() {
        return Ok(());
    }
    let Some(lock) = SessionLock::take(pool, &maintenance_lock(projection)).await? else { return Ok(()) };
    let done = async {
        if let Some(epoch) = left {
            epochs::finish(pool, projection, epoch, None, now).await?;
        }
        let mut tx = pool.begin().await?;
        checkpoint::lock_epochs(&mut tx).await?;
        let keep_old_s = i64::try_from(KEEP_OLD.as_secs()).unwrap_or(i64::MAX);
        epochs::set_drop_dates(&mut tx, projection.name, keep_old_s, now).await?;
        tx.commit().await?;
        drop_due(pool, projection, now).await
    }
    .await;
    lock.release().await;
    Ok(done?)
}

/// Drops the epochs that are due.
pub(super) async fn drop_due(pool: &PgPool, projection: &Projection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    mark_dropping(pool, projection, Selection::Due(now)).await?;
    drop_condemned(pool, projection).await
}

/// Drops what a replay need not keep: epochs that no workspace reads or could roll back to, and half-built ones of
/// another version, unless a workspace already reads them.
pub(super) async fn drop_unneeded(pool: &PgPool, projection: &Projection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE read.epochs e SET state = CASE WHEN l.epoch IS NULL THEN 'dropping' ELSE 'applied' END
         FROM read.epochs b LEFT JOIN (SELECT DISTINCT projection, epoch FROM read.live_epochs) l
              USING (projection, epoch)
         WHERE e.projection = b.projection AND e.epoch = b.epoch
           AND b.projection = $1 AND b.state = 'building' AND b.version <> $2",
        projection.name,
        projection.version
    )
    .execute(pool)
    .await?;
    mark_dropping(pool, projection, Selection::NoRollbackTarget).await?;
    drop_condemned(pool, projection).await
}

/// Which of the epochs that no workspace reads are dropped.
#[derive(Debug, Clone, Copy)]
enum Selection {
    /// All of them, half-built ones too.
    All,
    /// Those whose drop date has come.
    Due(DateTime<Utc>),
    /// Those that no workspace could roll back to.
    NoRollbackTarget,
}

/// Marks epochs as dropping and deletes their checkpoints, without which the projector cannot write to them. Returns
/// them.
async fn mark_dropping(pool: &PgPool, projection: &Projection, which: Selection) -> Result<Vec<i32>, sqlx::Error> {
    let (states, due, keeps_ways_back) = match which {
        Selection::All => (["applied", "building"].as_slice(), None, false),
        Selection::Due(now) => (["applied"].as_slice(), Some(now), false),
        Selection::NoRollbackTarget => (["applied"].as_slice(), None, true),
    };
    let states: Vec<String> = states.iter().map(|&state| state.to_owned()).collect();
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    let start = checkpoint::start_epoch(&mut tx, projection.name).await?;
    let condemned = sqlx::query_scalar!(
        "UPDATE read.epochs e SET state = 'dropping'
         WHERE e.projection = $1 AND e.state = ANY($5) AND e.epoch IS DISTINCT FROM $2
           AND NOT EXISTS (SELECT FROM read.live_epochs l WHERE l.projection = $1 AND l.epoch = e.epoch)
           AND ($3::timestamptz IS NULL OR e.drop_at <= $3)
           AND NOT ($4 AND EXISTS (
               SELECT FROM read.checkpoints c WHERE c.projection = $1 AND c.epoch = e.epoch AND c.following
               AND NOT EXISTS (
                   SELECT FROM read.checkpoints newer
                   JOIN read.epochs n ON n.projection = newer.projection AND n.epoch = newer.epoch
                       AND n.state = 'applied'
                   LEFT JOIN read.live_epochs l
                       ON l.projection = $1 AND l.workspace = newer.workspace AND l.epoch = newer.epoch
                   WHERE newer.projection = $1 AND newer.workspace = c.workspace AND newer.following
                     AND newer.epoch > c.epoch AND l.epoch IS NULL)))
         RETURNING e.epoch",
        projection.name,
        start,
        due,
        keeps_ways_back,
        &states
    )
    .fetch_all(&mut *tx)
    .await?;
    // In the projector's order, so that they never deadlock.
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
    tx.commit().await?;
    Ok(condemned)
}

async fn drop_condemned(pool: &PgPool, projection: &Projection) -> Result<(), sqlx::Error> {
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
                "readers are busy: the epoch is dropped later"
            );
        }
    }
    Ok(())
}

/// Detaches and drops one table of an epoch. Returns `false` if readers used it all the time.
async fn drop_table(pool: &PgPool, table: &str, epoch: i32) -> Result<bool, sqlx::Error> {
    let mut tries = ShortLockWaits::new(DETACH_ATTEMPTS);
    while let Some(mut tx) = tries.begin(pool).await? {
        let tried = sqlx::query!("SELECT read.drop_epoch_table($1, $2)", table, epoch).execute(&mut *tx).await;
        if tries.finish(tx, tried).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
