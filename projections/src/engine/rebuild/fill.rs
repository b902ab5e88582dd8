//! Fills one log's part of the new epoch. Three stages run at the same time: read, fold and write. Several pages are
//! folded at once, each on a thread of its own, and merged in their order. A write begins after a merge, when the fold
//! is worth a transaction and no other write is running.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::super::batch::{Accumulator, IndexedPage};
use super::super::error::ReplayError;
use super::super::parked_index::{self, ParkedIndex};
use super::super::{Projection, apply};
use super::Rebuild;
use super::memory::MemoryBudget;
use super::pages::{self, Page};

/// The number of pages that are read ahead of the fold.
const PAGES_AHEAD: usize = 4;
/// The number of pages of one log that are folded at once: one for each core of a small machine.
const SEGMENTS: usize = 2;

/// A fold to write, and the permit to write it, which is released afterwards.
type ToWrite = (Accumulator, OwnedSemaphorePermit);

/// Creates the checkpoint of a log to fill.
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

/// Applies a log's events after `filled` up to `through`. Returns early on shutdown.
pub(in super::super) async fn fill(
    rebuild: &Rebuild<'_>,
    workspace: i32,
    filled: i64,
    through: i64,
) -> Result<(), ReplayError> {
    let holds = {
        let mut conn = rebuild.pool.acquire().await?;
        parked_index::of_log(&mut conn, rebuild.projection.name, rebuild.epoch, workspace).await?
    };
    let (read, pages_read) = mpsc::channel(PAGES_AHEAD);
    let (folds, mut folded) = mpsc::channel(1);
    // Dropped on every return, which ends both stages.
    let mut stages = JoinSet::new();
    let room = rebuild.room.clone();
    stages.spawn(pages::read(rebuild.pool.clone(), room.clone(), (workspace, filled, through), read));
    let projection = rebuild.projection;
    let first = if filled == 0 { Accumulator::of_new_log(projection) } else { Accumulator::new(projection) };
    stages.spawn(fold_pages((projection, first), holds, room, pages_read, folds));
    while let Some(fold) = folded.recv().await {
        let (fold, turn) = match fold {
            Err(ReplayError::Stopped(refused)) if refused.is_parkable() => {
                return rebuild.apply_serially(workspace, refused.position).await;
            }
            fold => fold?,
        };
        match apply::commit_filled(rebuild.pool, projection, rebuild.epoch, &fold).await {
            Err(error) if error.is_data_error() => {
                return rebuild.apply_serially(workspace, fold.moves().last().map_or(through, |step| step.to)).await;
            }
            Err(error) => return Err(error.into()),
            Ok(apply::CommitOutcome::Written) => {
                drop(turn);
                for step in fold.moves() {
                    rebuild.tally.applied(workspace, step.from, step.to);
                }
            }
            // Another process moved this checkpoint: the fill restarts from there.
            Ok(apply::CommitOutcome::Conflict) => return Ok(()),
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

/// Folds pages in parallel, and merges the folds in the order of the pages.
async fn fold_pages(
    (projection, mut fold): (&'static Projection, Accumulator),
    holds: Arc<ParkedIndex>,
    room: MemoryBudget,
    mut pages: mpsc::Receiver<Result<Page, ReplayError>>,
    folds: mpsc::Sender<Result<ToWrite, ReplayError>>,
) {
    let turns = Arc::new(Semaphore::new(1));
    let mut segments = FuturesOrdered::new();
    let mut is_open = true;
    loop {
        let segment = tokio::select! {
            page = pages.recv(), if is_open && segments.len() < SEGMENTS => {
                match page {
                    Some(page) => segments.push_back(fold_segment(projection, Arc::clone(&holds), page)),
                    None => is_open = false,
                }
                continue;
            }
            Some(segment) = segments.next() => segment,
            else => break,
        };
        match segment {
            Ok(segment) => fold.merge(segment),
            Err(error) => {
                // A closed channel loses nothing: the replay has ended already.
                let _ = folds.send(Err(error)).await;
                return;
            }
        }
        let turn = if room.is_full(&fold) {
            Arc::clone(&turns).acquire_owned().await.ok()
        } else if room.should_flush(&fold) {
            Arc::clone(&turns).try_acquire_owned().ok()
        } else {
            None
        };
        if let Some(turn) = turn {
            let next = fold.successor(projection);
            if folds.send(Ok((std::mem::replace(&mut fold, next), turn))).await.is_err() {
                return;
            }
        }
    }
    // The semaphore is never closed.
    if fold.events > 0
        && let Ok(turn) = turns.acquire_owned().await
    {
        let _ = folds.send(Ok((fold, turn))).await;
    }
}

async fn fold_segment(
    projection: &'static Projection,
    holds: Arc<ParkedIndex>,
    page: Result<Page, ReplayError>,
) -> Result<Accumulator, ReplayError> {
    let Page { page, room } = page?;
    let folding = tokio::task::spawn_blocking(move || {
        let mut segment = Accumulator::new(projection);
        segment.absorb(&IndexedPage { page, parked: holds }).map_err(ReplayError::Stopped)?;
        drop(room);
        Ok(segment)
    });
    match folding.await {
        Ok(folded) => folded,
        // The task is never cancelled, so it panicked: the panic continues here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
