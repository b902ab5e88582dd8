//! The one transaction of a fold: checkpoints first, then rows.

use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::batch::Accumulator;
use super::error::WriteError;
use super::{Projection, checkpoint, parked_index};

/// The outcome of committing a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitOutcome {
    /// Rows and checkpoints are written.
    Written,
    /// Another process moved a checkpoint first, and nothing was written.
    Conflict,
}

/// Applies a fold to epochs in a transaction of its own.
pub(crate) async fn commit(
    pool: &PgPool,
    projection: &Projection,
    epochs: &[i32],
    fold: &Accumulator,
) -> Result<CommitOutcome, WriteError> {
    commit_in(pool.begin().await?, projection, epochs, fold).await
}

/// Like [`commit`] for an epoch that is being filled, without waiting for the disk. What a crash loses, rows and
/// checkpoint together, is filled again. Commits reach the disk in their order, and the switch waits for its own.
pub(crate) async fn commit_filled(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    fold: &Accumulator,
) -> Result<CommitOutcome, WriteError> {
    let tx = pool.begin_with("BEGIN; SET LOCAL synchronous_commit = off").await?;
    commit_in(tx, projection, &[epoch], fold).await
}

#[tracing::instrument(level = "debug", name = "commit", skip_all, fields(projection = projection.name, ?epochs))]
async fn commit_in(
    mut tx: Transaction<'_, Postgres>,
    projection: &Projection,
    epochs: &[i32],
    fold: &Accumulator,
) -> Result<CommitOutcome, WriteError> {
    let applied = write(&mut tx, projection, epochs, fold).await?;
    match applied {
        CommitOutcome::Written => tx.commit().await?,
        CommitOutcome::Conflict => tx.rollback().await?,
    }
    Ok(applied)
}

/// Applies a fold inside the caller's transaction, which must be rolled back after [`CommitOutcome::Conflict`].
///
/// Checkpoint rows are locked by epoch, then workspace. Every process that locks several of them uses this order.
pub(crate) async fn write(
    conn: &mut PgConnection,
    projection: &Projection,
    epochs: &[i32],
    fold: &Accumulator,
) -> Result<CommitOutcome, WriteError> {
    for &epoch in epochs {
        if !checkpoint::advance(conn, projection.name, epoch, fold.moves()).await? {
            return Ok(CommitOutcome::Conflict);
        }
    }
    for &epoch in epochs {
        rows(conn, projection, epoch, fold).await?;
    }
    Ok(CommitOutcome::Written)
}

/// Writes the rows of a fold to one epoch, and the number of deferred events. The caller holds the checkpoints.
pub(crate) async fn rows(
    conn: &mut PgConnection,
    projection: &Projection,
    epoch: i32,
    fold: &Accumulator,
) -> Result<(), WriteError> {
    for view in fold.views() {
        view.flush(epoch, conn).await?;
    }
    if !fold.waiting().is_empty() {
        parked_index::defer(conn, projection.name, epoch, fold.waiting()).await?;
    }
    Ok(())
}
