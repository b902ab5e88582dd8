//! Rebuilds a projection beside its live rows.
//!
//! A new epoch is filled from the start of every log, in large folds, while the projector goes on with the live one. Each
//! workspace then switches alone ([`switch`]): readers see the old rows or the new ones, at the same position, and never
//! wait. The old epoch stays applied and followed: the way back. Nothing is lost when a replay is interrupted: the next one
//! goes on with the same epoch, as long as the projection's version is the same.

mod epochs; // begins, finishes and drops epochs
pub(super) mod fill; // reads, folds and writes one log
mod pages; // reads a log ahead of the fold
mod progress; // what a progress bar shows
mod switch; // lets a workspace's readers see the new epoch

use std::time::Duration;

use futures_util::{StreamExt, stream};
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

pub(super) use self::epochs::Elsewhere;
pub use self::progress::ReplayProgress;
pub(super) use self::progress::Tally;
pub(super) use self::switch::LARGEST_GAP;
use super::backoff::Backoff;
use super::event::Refused;
use super::{Projection, WriteError, apply, checkpoint};
use crate::views::PROJECTIONS;

/// Logs that are filled at the same time: one reads while another writes.
const AT_ONCE: usize = 2;
/// How often in a row one log may fail for the database's sake.
const ATTEMPTS: u32 = 6;

/// What became of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplayOutcome {
    /// Every workspace reads the new epoch.
    Completed {
        /// The new epoch.
        epoch: i32,
        /// How many workspaces switched.
        workspaces: usize,
        /// How many events this run applied.
        events: i64,
    },
    /// Shutdown came first. The next replay goes on from here.
    Interrupted {
        /// The epoch that is half built.
        epoch: i32,
    },
}

/// Why a replay did not complete. Workspaces that had switched stay on the new epoch; the next replay goes on from here.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// No projection has this name.
    #[error("there is no projection {0:?}")]
    UnknownProjection(String),
    /// Another process replays this projection.
    #[error("another replay of this projection is running")]
    AlreadyRunning,
    /// A log has an event that the projection does not take; the other logs were rebuilt.
    #[error("a log could not be replayed")]
    Stopped(#[source] Refused),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Fills a new epoch of a projection and switches every workspace to it. `progress` is told of each step.
pub async fn replay(
    pool: &PgPool,
    projection: &str,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<ReplayOutcome, ReplayError> {
    let named = PROJECTIONS.iter().copied().find(|known| known.name == projection);
    let projection = named.ok_or_else(|| ReplayError::UnknownProjection(projection.to_owned()))?;
    let lock = lock(pool, projection).await?;
    let outcome = replay_alone(pool, projection, progress, shutdown).await;
    // Closing the session gives the lock back; so does dropping it when this future is dropped.
    if let Err(error) = sqlx::Connection::close(lock).await {
        tracing::debug!(%error, "the replay's lock was lost before its end");
    }
    outcome
}

/// A session that holds the right to replay this projection.
async fn lock(pool: &PgPool, projection: &Projection) -> Result<PgConnection, ReplayError> {
    let mut session = pool.acquire().await?.detach();
    let is_ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtext('highwater.replay.' || $1)) AS "is_ours!""#,
        projection.name
    )
    .fetch_one(&mut session)
    .await?;
    if is_ours { Ok(session) } else { Err(ReplayError::AlreadyRunning) }
}

async fn replay_alone(
    pool: &PgPool,
    projection: &'static Projection,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<ReplayOutcome, ReplayError> {
    checkpoint::ensure(pool, projection).await?;
    epochs::drop_stale(pool, projection).await?;
    let epoch = epochs::begin(pool, projection).await?;
    let rebuild = Rebuild { pool, projection, epoch, shutdown, tally: Tally::new(progress) };
    let mut switched = 0;
    loop {
        // Workspaces that appear meanwhile start on the old epoch; they are met by the next turn of this loop.
        checkpoint::ensure(pool, projection).await?;
        let elsewhere = epochs::live_elsewhere(pool, projection, epoch).await?;
        if elsewhere.is_empty() && epochs::finish(pool, projection, epoch).await? {
            break;
        }
        rebuild.tally.expect(&elsewhere);
        let workspaces = elsewhere.into_iter().map(|log| log.workspace);
        let rebuilt: Vec<_> =
            stream::iter(workspaces).map(|workspace| rebuild.log(workspace)).buffer_unordered(AT_ONCE).collect().await;
        switched += rebuilt.iter().filter(|result| matches!(result, Ok(Rebuilt::Switched))).count();
        for result in rebuilt {
            if result? == Rebuilt::Interrupted {
                return Ok(ReplayOutcome::Interrupted { epoch });
            }
        }
    }
    epochs::drop_stale(pool, projection).await?;
    Ok(ReplayOutcome::Completed { epoch, workspaces: switched, events: rebuild.tally.events() })
}

/// An epoch that is being filled: by a replay, or to be compared with the live rows.
pub(super) struct Rebuild<'a> {
    pub(super) pool: &'a PgPool,
    pub(super) projection: &'static Projection,
    pub(super) epoch: i32,
    pub(super) shutdown: CancellationToken,
    pub(super) tally: Tally<'a>,
}

/// What became of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rebuilt {
    Switched,
    Interrupted,
}

impl Rebuild<'_> {
    /// Fills one log and switches its workspace, however often the database fails in between, within reason.
    async fn log(&self, workspace: i32) -> Result<Rebuilt, ReplayError> {
        let mut backoff = Backoff::up_to(Duration::from_secs(5));
        let mut attempts = 1;
        loop {
            let before = self.tally.events();
            match self.fill_and_switch(workspace).await {
                Err(ReplayError::Database(error)) if attempts < ATTEMPTS && !apply::is_about_rows(&error) => {
                    attempts = if self.tally.events() > before { 1 } else { attempts + 1 };
                    tracing::warn!(
                        workspace,
                        error = &error as &dyn std::error::Error,
                        "the replay of a log failed: trying again"
                    );
                    tokio::select! {
                        () = self.shutdown.cancelled() => return Ok(Rebuilt::Interrupted),
                        () = tokio::time::sleep(backoff.wait()) => {}
                    }
                }
                Err(error) => return Err(error),
                Ok(rebuilt) => return Ok(rebuilt),
            }
        }
    }

    async fn fill_and_switch(&self, workspace: i32) -> Result<Rebuilt, ReplayError> {
        fill::start(self, workspace).await?;
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(Rebuilt::Interrupted);
            }
            let log = epochs::gap(self.pool, self.projection, self.epoch, workspace).await?;
            self.tally.reached(workspace, log.filled, log.live);
            if log.live - log.filled > switch::LARGEST_GAP {
                fill::fill(self, workspace, log.filled, log.live).await?;
            } else if switch::switch(self, workspace).await? {
                self.tally.switched(workspace);
                return Ok(Rebuilt::Switched);
            }
        }
    }
}

impl From<WriteError> for ReplayError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(refused) => Self::Stopped(refused),
            WriteError::Database(error) => Self::Database(error),
        }
    }
}
