//! Fills many small logs at once. Their events are folded together and written in one transaction, as a projector does
//! with logs that are behind. The rest of a log, and any failure of it, is left to [`super::fill`], which takes it
//! alone.

use std::sync::Arc;

use event_store::PageLimit;
use event_store::follow::{LaggingLog, read_page};

use super::super::apply::{self, CommitOutcome};
use super::super::batch::{Accumulator, IndexedPage};
use super::super::error::ReplayError;
use super::super::parked_index;
use super::{PendingWorkspace, Rebuild};

/// The most events of a small log.
const SMALL: i64 = 2_000;
/// The most logs that share a transaction.
const TOGETHER: usize = 200;
/// The most events of a transaction.
const EVENTS_TOGETHER: i64 = 50_000;
/// The most bytes of one small log's payloads, as stored.
const PAGE_BYTES: i64 = 1024 * 1024;

/// Fills small logs, many in a transaction. A failure costs nothing: each log is filled alone later.
pub(in super::super) async fn fill(rebuild: &Rebuild<'_>, logs: &[PendingWorkspace]) {
    let small: Vec<PendingWorkspace> =
        logs.iter().copied().filter(|log| (1..=SMALL).contains(&(log.live - log.filled))).collect();
    if small.len() < 2 {
        return;
    }
    for group in group(&small) {
        if rebuild.shutdown.is_cancelled() {
            return;
        }
        if let Err(error) = fill_group(rebuild, group).await {
            tracing::debug!(
                epoch = rebuild.epoch,
                logs = group.len(),
                error = &error as &dyn std::error::Error,
                "small logs could not be filled together: each is filled alone"
            );
        }
    }
}

/// Groups neighbouring logs that share a transaction.
fn group(mut logs: &[PendingWorkspace]) -> Vec<&[PendingWorkspace]> {
    let mut groups = Vec::new();
    while !logs.is_empty() {
        let mut events = 0;
        let fits = logs.iter().take(TOGETHER).take_while(|log| {
            events += log.live - log.filled;
            events <= EVENTS_TOGETHER
        });
        let (together, rest) = logs.split_at(fits.count().max(1));
        groups.push(together);
        logs = rest;
    }
    groups
}

async fn fill_group(rebuild: &Rebuild<'_>, logs: &[PendingWorkspace]) -> Result<(), ReplayError> {
    let mut batches = Vec::new();
    {
        let mut conn = rebuild.pool.acquire().await?;
        let workspaces: Vec<i32> = logs.iter().map(|log| log.workspace).collect();
        let epochs = vec![rebuild.epoch; logs.len()];
        // The revision is assumed to be 0, as if nothing was ever parked in this epoch. If something was, the
        // checkpoint does not move.
        let mut held = parked_index::load(&mut conn, rebuild.projection.name, &epochs, &workspaces).await?;
        for log in logs {
            let limit = PageLimit { events: log.live - log.filled, bytes: PAGE_BYTES };
            let lagging = LaggingLog { workspace: log.workspace, after: log.filled, head: log.live };
            let page = read_page(&mut conn, lagging, limit).await?;
            let parked = held.remove(&(rebuild.epoch, log.workspace)).unwrap_or_default();
            batches.push(IndexedPage { page, parked: Arc::new(parked) });
        }
    }
    let projection = rebuild.projection;
    let folding = tokio::task::spawn_blocking(move || {
        let mut fold = Accumulator::new(projection);
        for batch in batches.iter().filter(|batch| !batch.page.events().is_empty()) {
            fold.absorb(batch).map_err(ReplayError::Stopped)?;
        }
        Ok::<_, ReplayError>(fold)
    });
    let fold = match folding.await {
        Ok(fold) => fold?,
        // The task is never cancelled, so it panicked: the panic continues here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    if apply::commit_filled(rebuild.pool, projection, rebuild.epoch, &fold).await? == CommitOutcome::Written {
        for step in fold.moves() {
            rebuild.tally.applied(step.workspace, step.from, step.to);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
