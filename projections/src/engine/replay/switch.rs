//! Switches one workspace to another epoch, in one transaction. It locks both checkpoint rows, applies the few events
//! that the other epoch lacks, so that both are at the same position, and changes one row. Readers take their snapshot
//! before or after it. Nobody waits for a table, and the log's head is not touched.

use std::sync::Arc;

use event_store::PageLimit;
use event_store::follow::{LaggingLog, read_page};
use sqlx::PgConnection;

use super::super::batch::{Accumulator, IndexedPage, gap_error};
use super::super::error::ReplayError;
use super::super::rebuild::{LARGEST_GAP, Rebuild};
use super::super::{announce, apply, parked_index};
use super::switch_guard::{self, Locked, SwitchPolicy};

/// The bytes of payloads, as stored, that are read at once meanwhile.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// Whether the other epoch reached the live position.
enum CatchUpOutcome {
    Even,
    /// Another process moved its checkpoint all the same.
    Conflict,
    /// An event that it lacks is refused.
    Refused,
}

/// Switches a workspace. Returns `false` if the new epoch has fallen too far behind meanwhile, or on shutdown.
pub(super) async fn switch(
    rebuild: &Rebuild<'_>,
    workspace: i32,
    allowed: SwitchPolicy<'_>,
) -> Result<bool, ReplayError> {
    if let Some(proof) = allowed.proof
        && !proof.holds(rebuild, workspace).await?
    {
        return Ok(false);
    }
    let mut tx = rebuild.pool.begin().await?;
    let locked = lock(&mut tx, rebuild, workspace).await?;
    if locked.position - locked.filled > LARGEST_GAP {
        tx.rollback().await?;
        return Ok(false);
    }
    match catch_up(&mut tx, rebuild, locked).await? {
        CatchUpOutcome::Even => {}
        CatchUpOutcome::Conflict => {
            tx.rollback().await?;
            return Ok(false);
        }
        CatchUpOutcome::Refused => {
            tx.rollback().await?;
            rebuild.apply_serially(workspace, locked.position).await?;
            return Ok(false);
        }
    }
    switch_guard::may_switch(&mut tx, rebuild, locked, allowed).await?;
    flip(&mut tx, rebuild, workspace).await?;
    tx.commit().await?;
    rebuild.tally.applied(workspace, locked.filled, locked.filled.max(locked.position));
    tracing::info!(
        projection = rebuild.projection.name,
        workspace,
        from = locked.live,
        epoch = rebuild.epoch,
        position = locked.position.max(locked.filled),
        "switched a workspace"
    );
    announce::announce(rebuild.pool).await?;
    Ok(true)
}

/// Locks the two checkpoints by epoch, the usual order.
async fn lock(conn: &mut PgConnection, rebuild: &Rebuild<'_>, workspace: i32) -> Result<Locked, sqlx::Error> {
    let projection = rebuild.projection;
    let live = sqlx::query!(
        "SELECT l.epoch, e.version FROM read.live_epochs l JOIN read.epochs e USING (projection, epoch)
         WHERE l.projection = $1 AND l.workspace = $2",
        projection.name,
        workspace
    )
    .fetch_optional(&mut *conn)
    .await?;
    let mut epochs = vec![rebuild.epoch];
    epochs.extend(live.as_ref().map(|live| live.epoch));
    let checkpoints = sqlx::query!(
        "SELECT c.epoch, c.position FROM read.checkpoints c
         WHERE c.projection = $1 AND c.workspace = $2 AND c.epoch = ANY($3)
         ORDER BY c.epoch FOR UPDATE OF c",
        projection.name,
        workspace,
        &epochs
    )
    .fetch_all(&mut *conn)
    .await?;
    let position = |epoch: i32| checkpoints.iter().find(|row| row.epoch == epoch).map_or(0, |row| row.position);
    Ok(Locked {
        workspace,
        live: live.as_ref().map(|live| live.epoch),
        is_same_version: live.as_ref().is_some_and(|live| live.version == projection.version),
        position: live.as_ref().map_or(0, |live| position(live.epoch)),
        filled: position(rebuild.epoch),
    })
}

/// Applies the events that the other epoch lacks. It may also be ahead of a live epoch that lost its checkpoint and
/// started again, or that only another version can apply. Then readers move forward.
async fn catch_up(
    conn: &mut PgConnection,
    rebuild: &Rebuild<'_>,
    locked: Locked,
) -> Result<CatchUpOutcome, ReplayError> {
    let Locked { workspace, position, filled, .. } = locked;
    let projection = rebuild.projection;
    let parked = parked_index::of_log(conn, projection.name, rebuild.epoch, workspace).await?;
    let mut fold = Accumulator::new(projection);
    let mut reached = filled;
    while reached < position {
        let limit = PageLimit { events: position - reached, bytes: PAGE_BYTES };
        let log = LaggingLog { workspace, after: reached, head: position };
        let batch = IndexedPage { page: read_page(conn, log, limit).await?, parked: Arc::clone(&parked) };
        if fold.absorb(&batch).is_err() {
            return Ok(CatchUpOutcome::Refused);
        }
        reached = batch.page.last();
        if let Some(refused) = gap_error(&batch.page) {
            return Err(ReplayError::Stopped(refused));
        }
    }
    match apply::write(conn, projection, &[rebuild.epoch], &fold).await {
        Ok(apply::CommitOutcome::Written) => Ok(CatchUpOutcome::Even),
        Ok(apply::CommitOutcome::Conflict) => Ok(CatchUpOutcome::Conflict),
        Err(error) if error.is_data_error() => Ok(CatchUpOutcome::Refused),
        Err(error) => Err(error.into()),
    }
}

/// Changes the live epoch, and lets the projector follow the new one.
async fn flip(conn: &mut PgConnection, rebuild: &Rebuild<'_>, workspace: i32) -> Result<(), sqlx::Error> {
    let projection = rebuild.projection.name;
    sqlx::query!(
        "INSERT INTO read.live_epochs (projection, workspace, epoch) VALUES ($1, $2, $3)
         ON CONFLICT (projection, workspace) DO UPDATE SET epoch = excluded.epoch",
        projection,
        workspace,
        rebuild.epoch
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE read.checkpoints SET following = true WHERE projection = $1 AND workspace = $2 AND epoch = $3",
        projection,
        workspace,
        rebuild.epoch
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "DELETE FROM read.stopped_logs WHERE projection = $1 AND workspace = $2 AND epoch = $3",
        projection,
        workspace,
        rebuild.epoch
    )
    .execute(&mut *conn)
    .await?;
    Ok(())
}
