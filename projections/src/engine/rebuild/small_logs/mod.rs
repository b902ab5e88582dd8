//! Many small logs at once: their events are folded together and written in one transaction, as the projector does with
//! logs that are behind. What is left of a log, or wrong with it, is left to [`super::fill`], which takes it alone.

use std::sync::Arc;

use event_store::PageLimit;
use event_store::follow::{LaggingLog, read_page};

use super::super::apply::{self, CommitOutcome};
use super::super::batch::{Accumulator, IndexedPage};
use super::super::error::ReplayError;
use super::super::parked_index;
use super::{PendingWorkspace, Rebuild};

/// Events of a log that counts as small.
const SMALL: i64 = 2_000;
/// Logs that share a transaction at most.
const TOGETHER: usize = 200;
/// Events that they have together at most.
const EVENTS_TOGETHER: i64 = 50_000;
/// Payloads, as stored, of one small log: what is larger is not small.
const PAGE_BYTES: i64 = 1024 * 1024;

/// Fills small logs, many in a transaction. Failing is no loss: each log is met again alone.
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

/// Cuts logs into neighbours that share a transaction.
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
        // As if nothing was ever parked in this epoch. If something was, the checkpoint does not move.
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
        // Never cancelled, so it panicked: a bug, which goes on its way.
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
