//! The schedule by which a projector retries parked parts. It retries each part as soon as it finds it, because its
//! code may be newer than the code that parked it. Then it retries with growing waits, because the cause may be
//! repaired.

use std::collections::HashMap;
use std::time::Duration;

use domain::ids::CampaignId;
use event_store::follow::{Backoff, LogAssignment};
use sqlx::PgPool;
use tokio::time::Instant;

use super::super::Projection;
use super::super::parked_index::ParkedKey;
use super::retry::{PartRetryOutcome, retry};

const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// How long a part that another process parked may go unnoticed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The most parts of one run, so that they do not delay the logs.
const AT_ONCE: usize = 8;
/// The most parts of the schedule. Further parts follow when some of these are done.
const MOST_KNOWN: i64 = 10_000;

/// The parked parts that this projector knows, by (epoch, workspace, part).
#[derive(Debug, Default)]
pub(crate) struct RetrySchedule {
    known: HashMap<(i32, i32, ParkedKey), Retry>,
    look_at: Option<Instant>,
    /// Whether new parts were parked by this projector just now.
    are_ours: bool,
}

#[derive(Debug)]
struct Retry {
    at: Instant,
    backoff: Backoff,
}

impl RetrySchedule {
    /// Records that this projector parked a part.
    pub(crate) fn note(&mut self) {
        self.look_at = None;
        self.are_ours = true;
    }

    /// When the next retry is due, if anything is parked.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.look_at.filter(|_| !self.known.is_empty())
    }

    /// Retries the parts that are due. Returns whether any rows changed.
    pub(crate) async fn run(
        &mut self,
        pool: &PgPool,
        projection: &Projection,
        share: &LogAssignment,
    ) -> Result<bool, sqlx::Error> {
        if self.look_at.is_some_and(|at| at > Instant::now()) {
            return Ok(false);
        }
        self.look(pool, projection, share).await?;
        let now = Instant::now();
        let due: Vec<_> = self.known.iter().filter(|(_, retry)| retry.at <= now).map(|(key, _)| key.clone()).collect();
        let mut changed = false;
        for key in due.into_iter().take(AT_ONCE) {
            let (epoch, workspace, part) = &key;
            let tried = retry(pool, projection, *epoch, *workspace, part).await;
            if let Err(error) = &tried {
                // A failure here does not affect the logs.
                tracing::warn!(
                    projection = projection.name,
                    epoch,
                    workspace,
                    error = error as &dyn std::error::Error,
                    "the retry of a parked part failed"
                );
            }
            changed |= matches!(tried, Ok(PartRetryOutcome::Applied | PartRetryOutcome::Refused { moved: true, .. }));
            match self.known.get_mut(&key) {
                Some(retry) if matches!(tried, Ok(PartRetryOutcome::Refused { .. }) | Err(_)) => {
                    retry.at = Instant::now() + retry.backoff.wait();
                }
                Some(_) | None => drop(self.known.remove(&key)),
            }
        }
        let next = self.known.values().map(|retry| retry.at).min();
        let look = Instant::now() + LOOK_EVERY;
        self.look_at = Some(next.map_or(look, |next| next.min(look)));
        Ok(changed)
    }

    /// Loads the parked parts of its logs in the epochs that this program follows.
    async fn look(&mut self, pool: &PgPool, projection: &Projection, share: &LogAssignment) -> Result<(), sqlx::Error> {
        let rows = sqlx::query!(
            "SELECT p.epoch, p.workspace, p.stream_type, p.stream_id, p.campaign_id
             FROM read.parked p
             JOIN read.epochs e ON e.projection = p.projection AND e.epoch = p.epoch
             JOIN read.checkpoints c ON c.projection = p.projection AND c.epoch = p.epoch AND c.workspace = p.workspace
             WHERE p.projection = $1 AND e.version = $2 AND c.following
             ORDER BY p.parked_at, p.epoch, p.workspace, p.position LIMIT $3",
            projection.name,
            projection.version,
            MOST_KNOWN
        )
        .fetch_all(pool)
        .await?;
        let mut before = std::mem::take(&mut self.known);
        let are_ours = std::mem::take(&mut self.are_ours);
        for row in rows.into_iter().filter(|row| share.has(row.workspace)) {
            let campaign = row.campaign_id.map(CampaignId);
            let part = ParkedKey { stream_type: row.stream_type, stream_id: row.stream_id, campaign };
            let key = (row.epoch, row.workspace, part);
            let retry = before.remove(&key).unwrap_or_else(|| {
                let mut backoff = Backoff::up_to(LONGEST_WAIT);
                let wait = if are_ours { backoff.wait() } else { Duration::ZERO };
                Retry { at: Instant::now() + wait, backoff }
            });
            self.known.insert(key, retry);
        }
        Ok(())
    }
}
