//! Brings both sides of a comparison to one position, with the same parts of the log parked.

use std::time::Duration;

use event_store::follow::Backoff;

use super::super::error::ReplayError;
use super::super::parked::retry::retry;
use super::super::rebuild::{LARGEST_GAP, Rebuild, fill};
use super::parts::Parts;
use super::snapshot::LiveSnapshot;
use super::{Problem, VerifyRun, shadow_epoch};

/// The attempts before a live side that is behind the rebuild is an error.
const POSITION_ATTEMPTS: u32 = 20;
/// The attempts while other parts are parked on one side than on the other.
const PARKED_ATTEMPTS: u32 = 6;

/// Both sides, ready to be compared.
pub(super) struct AlignedSides {
    pub(super) live: LiveSnapshot,
    /// What is parked in the rebuild.
    pub(super) rebuilt: Parts,
}

impl VerifyRun<'_> {
    /// Fills the shadow epoch up to the position of a live snapshot, and returns that snapshot. A part that is parked
    /// on one side only may be in transition: the reason may be gone, and the other side has not retried yet.
    pub(super) async fn align(&self, workspace: i32) -> Result<AlignedSides, Problem> {
        let Rebuild { pool, projection, epoch, .. } = self.rebuild;
        let skipped = shadow_epoch::skipped_events(&self.rebuild, workspace).await?;
        fill::start(&self.rebuild, workspace).await.map_err(rebuild_failed)?;
        let mut backoff = Backoff::up_to(Duration::from_millis(500));
        let mut attempts = 0;
        loop {
            let live = self.catch_up(workspace).await?;
            let rebuilt = {
                let mut conn = pool.acquire().await?;
                Parts::read(&mut conn, projection, epoch, workspace).await?
            };
            if shadow_epoch::skipped_events(&self.rebuild, workspace).await? != skipped {
                return Err(Problem::LeftOut);
            }
            if live.parked.is_same_as(&rebuilt) || attempts == PARKED_ATTEMPTS {
                return Ok(AlignedSides { live, rebuilt });
            }
            attempts += 1;
            for part in rebuilt.difference(&live.parked) {
                retry(pool, projection, epoch, workspace, part).await?;
            }
            // The snapshot is released while nothing is compared.
            drop(live);
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    async fn catch_up(&self, workspace: i32) -> Result<LiveSnapshot, Problem> {
        let mut backoff = Backoff::up_to(Duration::from_millis(500));
        let mut attempts = 0;
        loop {
            let filled = shadow_epoch::filled(&self.rebuild, workspace).await?;
            let live = LiveSnapshot::take(self.rebuild.pool, self.rebuild.projection, workspace).await?;
            self.rebuild.tally.reached(workspace, filled, live.position.max(filled));
            if live.position < filled {
                // The workspace was switched to an epoch that is not quite there yet, or its checkpoint was lost.
                attempts += 1;
                if attempts > POSITION_ATTEMPTS {
                    return Err(Problem::WentBack { filled, live: live.position });
                }
                tokio::time::sleep(backoff.wait()).await;
                continue;
            }
            let gap = live.position - filled;
            // A snapshot that stays open during a long fill would keep the database from vacuuming.
            let kept = if gap > LARGEST_GAP { Err(live.position) } else { Ok(live) };
            let through = kept.as_ref().map_or_else(|position| *position, |live| live.position);
            if gap > 0 {
                fill::fill(&self.rebuild, workspace, filled, through).await.map_err(rebuild_failed)?;
            }
            if let Ok(live) = kept
                && shadow_epoch::filled(&self.rebuild, workspace).await? == live.position
            {
                return Ok(live);
            }
        }
    }
}

fn rebuild_failed(error: ReplayError) -> Problem {
    if let ReplayError::Stopped(refused) = error { Problem::Log(refused) } else { Problem::Rebuild(error) }
}
