//! Lets one workspace's readers see the new epoch, in one transaction: both checkpoint rows are locked, the small rest that
//! the new epoch lacks is applied, so that both stand at the same position, and one row changes. Readers take their
//! snapshot before it or after it; nobody waits for a table, and the log's head is not touched.

use super::super::batch::Fold;
use super::super::{announce, apply, page};
use super::{Rebuild, ReplayError};

/// The most events that may be applied while the live checkpoint is locked.
pub(in super::super) const LARGEST_GAP: i64 = 1_000;
/// Payloads, as stored, that are read at once meanwhile.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// Switches a workspace. `false` if the new epoch has fallen too far behind meanwhile.
pub(super) async fn switch(rebuild: &Rebuild<'_>, workspace: i32) -> Result<bool, ReplayError> {
    let projection = rebuild.projection;
    let mut tx = rebuild.pool.begin().await?;
    // Locked by epoch: the order that everybody keeps.
    let checkpoints = sqlx::query!(
        "SELECT c.epoch, c.position FROM read.checkpoints c
         WHERE c.projection = $1 AND c.workspace = $2 AND c.epoch IN (
             SELECT l.epoch FROM read.live_epochs l WHERE l.projection = $1 AND l.workspace = $2 UNION ALL SELECT $3
         )
         ORDER BY c.epoch FOR UPDATE OF c",
        projection.name,
        workspace,
        rebuild.epoch
    )
    .fetch_all(&mut *tx)
    .await?;
    let position = |is_new: bool| {
        checkpoints.iter().find(|row| (row.epoch == rebuild.epoch) == is_new).map_or(0, |row| row.position)
    };
    // A live epoch that lost its checkpoint and started over may stand behind the new one: then readers move forward.
    let (filled, live) = (position(true), position(false));
    if live - filled > LARGEST_GAP {
        tx.rollback().await?;
        return Ok(false);
    }
    let mut fold = Fold::new(projection);
    let mut reached = filled;
    while reached < live {
        let limit = page::Limit { events: live - reached, bytes: PAGE_BYTES };
        let mut batch = page::read(&mut tx, workspace, reached, live, limit).await?;
        fold.absorb(&batch).map_err(ReplayError::Stopped)?;
        reached = batch.last();
        if let Some(refused) = batch.dead_end() {
            return Err(ReplayError::Stopped(refused));
        }
    }
    if apply::write(&mut tx, projection, &[rebuild.epoch], &fold).await? == apply::Applied::Lost {
        tx.rollback().await?;
        return Ok(false);
    }
    sqlx::query!(
        "UPDATE read.live_epochs SET epoch = $3 WHERE projection = $1 AND workspace = $2",
        projection.name,
        workspace,
        rebuild.epoch
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "UPDATE read.checkpoints SET following = true WHERE projection = $1 AND workspace = $2 AND epoch = $3",
        projection.name,
        workspace,
        rebuild.epoch
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    rebuild.tally.applied(workspace, filled, filled.max(live));
    tracing::info!(
        projection = projection.name,
        workspace,
        epoch = rebuild.epoch,
        position = live,
        "switched a workspace"
    );
    announce::announce(rebuild.pool).await?;
    Ok(true)
}
