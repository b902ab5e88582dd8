//! Fills one log's part of the new epoch. Three stages work at the same time, each a step ahead of the next: pages are
//! read, folded on a thread of their own into as many rows as a transaction should carry, and written.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::batch::{Batch, Fold};
use super::super::parked::holds::{self, Holds};
use super::super::{Projection, apply};
use super::rebuild::Rebuild;
use super::{ReplayError, pages};

/// Pages read ahead of the fold.
const PAGES_AHEAD: usize = 4;
/// Rows that a fold gathers before it is written: enough for events to meet in one row, and few enough that the database
/// writes some while others are folded.
const FOLD_ROWS: usize = 20_000;
/// Events that a fold gathers at most, so that progress shows and an interruption costs little.
const FOLD_EVENTS: u64 = 200_000;

/// Makes the checkpoint of a log that is to be filled.
pub(in super::super) async fn start(rebuild: &Rebuild<'_>, workspace: i32) -> Result<(), ReplayError> {
    sqlx::query!(
        "INSERT INTO read.checkpoints (projection, epoch, workspace, position, following) VALUES ($1, $2, $3, 0, false)
         ON CONFLICT DO NOTHING",
        rebuild.projection.name,
        rebuild.epoch,
        workspace
    )
    .execute(rebuild.pool)
    .await?;
    Ok(())
}

/// Applies a log's events after `filled` up to `through`. Returns early when shutdown comes.
pub(in super::super) async fn fill(
    rebuild: &Rebuild<'_>,
    workspace: i32,
    filled: i64,
    through: i64,
) -> Result<(), ReplayError> {
    let holds = {
        let mut conn = rebuild.pool.acquire().await?;
        holds::of_log(&mut conn, rebuild.projection.name, rebuild.epoch, workspace).await?
    };
    let (read, pages_read) = mpsc::channel(PAGES_AHEAD);
    let (folds, mut folded) = mpsc::channel(1);
    // Dropped on every way out, which ends both stages.
    let mut stages = JoinSet::new();
    stages.spawn(pages::read(rebuild.pool.clone(), workspace, filled, through, read));
    let projection = rebuild.projection;
    stages.spawn_blocking(move || fold_pages(projection, &holds, pages_read, &folds));
    while let Some(fold) = folded.recv().await {
        let fold = match fold {
            Err(ReplayError::Stopped(refused)) if refused.is_of_an_event() => {
                return rebuild.with_care(workspace, refused.position).await;
            }
            fold => fold?,
        };
        match apply::commit(rebuild.pool, projection, &[rebuild.epoch], &fold).await {
            Err(error) if error.is_about_rows() => {
                return rebuild.with_care(workspace, fold.moves().last().map_or(through, |step| step.to)).await;
            }
            Err(error) => return Err(error.into()),
            Ok(apply::Applied::Written) => {
                for step in fold.moves() {
                    rebuild.tally.applied(workspace, step.from, step.to);
                }
            }
            // Somebody moved this checkpoint: start again from where it is.
            Ok(apply::Applied::Lost) => return Ok(()),
        }
        if rebuild.shutdown.is_cancelled() {
            return Ok(());
        }
    }
    while let Some(stage) = stages.join_next().await {
        if let Err(error) = stage {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    Ok(())
}

fn fold_pages(
    projection: &'static Projection,
    holds: &Arc<Holds>,
    mut pages: mpsc::Receiver<Result<Batch, ReplayError>>,
    folds: &mpsc::Sender<Result<Fold, ReplayError>>,
) {
    let mut fold = Fold::new(projection);
    while let Some(page) = pages.blocking_recv() {
        let absorbed =
            page.and_then(|batch| fold.absorb(&batch.under(Arc::clone(holds))).map_err(ReplayError::Stopped));
        if let Err(error) = absorbed {
            // Nobody listening is no loss: then the replay has ended already.
            let _ = folds.blocking_send(Err(error));
            return;
        }
        if fold.rows() >= FOLD_ROWS || fold.events >= FOLD_EVENTS {
            let full = std::mem::replace(&mut fold, Fold::new(projection));
            if folds.blocking_send(Ok(full)).is_err() {
                return;
            }
        }
    }
    if fold.events > 0 {
        let _ = folds.blocking_send(Ok(fold));
    }
}
