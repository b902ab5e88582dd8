//! Fills logs and switches their workspaces, several at a time.

use std::time::Duration;

use event_store::follow::Backoff;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};

use super::super::error::{self, ReplayError};
use super::super::rebuild::{LARGEST_GAP, LOGS_AT_ONCE, PendingWorkspace, Rebuild, fill, small_logs};
use super::switch_guard::SwitchPolicy;
use super::{epochs, switch};

/// The attempts in a row for one log when the database fails.
const ATTEMPTS: u32 = 6;

/// The outcome for one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rebuilt {
    Switched,
    Interrupted,
}

/// Fills logs and switches their workspaces. Returns how many; `None` on shutdown. A failure does not block the other
/// logs, and the first one is returned in the end.
pub(super) async fn fill_and_switch_all(
    rebuild: &Rebuild<'_>,
    logs: &[PendingWorkspace],
    allowed: SwitchPolicy<'_>,
) -> Result<Option<usize>, ReplayError> {
    rebuild.tally.expect(logs);
    small_logs::fill(rebuild, logs).await;
    let work: Vec<BoxFuture<'_, _>> =
        logs.iter().map(|log| fill_and_switch_retrying(rebuild, log.workspace, allowed).boxed()).collect();
    let rebuilt: Vec<_> = stream::iter(work).buffer_unordered(LOGS_AT_ONCE).collect().await;
    let mut switched = 0;
    for result in rebuilt {
        match result? {
            Rebuilt::Switched => switched += 1,
            Rebuilt::Interrupted => return Ok(None),
        }
    }
    Ok(Some(switched))
}

/// Fills one log and switches its workspace, with a few attempts if the database fails. An error in the log or in its
/// rows is recorded for operators.
async fn fill_and_switch_retrying(
    rebuild: &Rebuild<'_>,
    workspace: i32,
    allowed: SwitchPolicy<'_>,
) -> Result<Rebuilt, ReplayError> {
    let mut backoff = Backoff::up_to(Duration::from_secs(5));
    let mut attempts = 1;
    loop {
        let before = rebuild.tally.events();
        match fill_and_switch(rebuild, workspace, allowed).await {
            Err(ReplayError::Database(error)) if attempts < ATTEMPTS && !error::is_about_rows(&error) => {
                attempts = if rebuild.tally.events() > before { 1 } else { attempts + 1 };
                tracing::warn!(
                    workspace,
                    error = &error as &dyn std::error::Error,
                    "the replay of a log failed: it is retried"
                );
                tokio::select! {
                    () = rebuild.shutdown.cancelled() => return Ok(Rebuilt::Interrupted),
                    () = tokio::time::sleep(backoff.wait()) => {}
                }
            }
            Err(error) => {
                epochs::note(rebuild, workspace, &error).await?;
                return Err(error);
            }
            Ok(rebuilt) => return Ok(rebuilt),
        }
    }
}

async fn fill_and_switch(
    rebuild: &Rebuild<'_>,
    workspace: i32,
    allowed: SwitchPolicy<'_>,
) -> Result<Rebuilt, ReplayError> {
    fill::start(rebuild, workspace).await?;
    loop {
        if rebuild.shutdown.is_cancelled() {
            return Ok(Rebuilt::Interrupted);
        }
        let log = rebuild.gap(workspace).await?;
        rebuild.tally.reached(workspace, log.filled, log.live);
        if log.live - log.filled > LARGEST_GAP {
            fill::fill(rebuild, workspace, log.filled, log.live).await?;
        } else if switch::switch(rebuild, workspace, allowed).await? {
            rebuild.tally.switched(workspace);
            return Ok(Rebuilt::Switched);
        }
    }
}
