//! Keeps every log's rows up to date.

use std::time::Duration;

use event_store::{LOG_CHANNEL, Wakeups};
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::announce::{self, Bell};
use super::backoff::Backoff;
use super::checkpoint::{self, First};
use super::event::Refused;
use super::leases::{self, LeaseConfig, Leases, Share};
use super::round::{Follower, Round};
use super::upkeep::{self, Upkeep};
use crate::views::PROJECTIONS;

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How to follow the logs.
#[derive(Clone)]
pub struct ProjectorConfig {
    /// How often the logs are looked at though nobody said that they moved.
    pub poll: Duration,
    /// Where this process runs, for people who look for it.
    pub name: String,
    /// What it may apply.
    pub leases: Leases,
    /// What it does beside following. Without it, nothing is built in the background or dropped.
    pub upkeep: Option<Upkeep>,
}

impl ProjectorConfig {
    /// The defaults, for a process with a new id.
    pub fn new(projector: Uuid, name: String) -> Self {
        let leases = Leases::new(projector, LeaseConfig::default());
        Self { poll: Duration::from_secs(1), name, leases, upkeep: None }
    }
}

/// Why the logs could not be followed.
#[derive(Debug, Error)]
pub enum ProjectorError {
    /// A log has an event that cannot be passed.
    #[error("a projection stopped following a log")]
    Stopped(#[source] Refused),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Follows this process's share of the logs until shutdown, and gives it back then. Whatever fails is retried; only shutdown
/// ends it.
pub async fn run(pool: PgPool, config: ProjectorConfig, shutdown: CancellationToken) -> Result<(), ProjectorError> {
    metrics::describe_counter!("highwater_projection_batches_total", "Transactions that moved checkpoints.");
    metrics::describe_counter!("highwater_projection_events_total", "Events applied.");
    let bell = Bell::default();
    // Where nobody builds aside, readers see the first epoch fill.
    let first = if config.upkeep.is_some() { First::IfShort } else { First::AtOnce };
    let followers = PROJECTIONS.iter().map(|&projection| {
        let follower = Follower::new(pool.clone(), projection, Share::Leased(config.leases.clone()));
        follow(follower, first, config.poll, bell.clone(), shutdown.clone())
    });
    let ended = CancellationToken::new();
    let followed = async {
        futures_util::future::join_all(followers).await;
        ended.cancel();
    };
    tokio::join!(
        followed,
        upkeep::run(&pool, config.upkeep.as_ref(), &shutdown),
        leases::keep(&pool, &config.name, &config.leases, shutdown.clone(), ended.clone()),
        announce::run(pool.clone(), bell.clone(), shutdown.clone())
    );
    Ok(())
}

/// Applies everything that is committed now, then returns. An error if a log cannot be followed to its end; the others are.
pub async fn catch_up(pool: &PgPool) -> Result<(), ProjectorError> {
    let mut first_stopped = None;
    for &projection in PROJECTIONS {
        let mut follower = Follower::new(pool.clone(), projection, Share::Everything);
        loop {
            let Round { moved, lost, stopped } = follow_once(&mut follower, First::AtOnce, &Bell::default()).await?;
            if !moved && !lost {
                first_stopped = first_stopped.or(stopped);
                break;
            }
        }
    }
    announce::announce(pool).await?;
    first_stopped.map_or(Ok(()), |refused| Err(ProjectorError::Stopped(refused)))
}

async fn follow(mut follower: Follower, first: First, poll: Duration, bell: Bell, shutdown: CancellationToken) {
    let mut wakeups = Wakeups::new(follower.pool.clone(), LOG_CHANNEL, poll);
    let mut changes = follower.share.changes();
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    while !shutdown.is_cancelled() {
        match follow_once(&mut follower, first, &bell).await {
            Ok(round) if round.moved || round.lost => backoff.reset(),
            Ok(_) => {
                backoff.reset();
                let retry = follower.next_retry();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = wakeups.changed() => {}
                    () = changes.next() => {}
                    () = tokio::time::sleep_until(retry.unwrap_or_else(tokio::time::Instant::now)), if retry.is_some() => {}
                }
            }
            Err(error) => {
                let wait = backoff.wait();
                tracing::warn!(
                    projection = follower.projection.name,
                    error = &error as &dyn std::error::Error,
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "the logs could not be followed: trying again"
                );
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}

async fn follow_once(follower: &mut Follower, first: First, bell: &Bell) -> Result<Round, sqlx::Error> {
    checkpoint::ensure(&follower.pool, follower.projection, first).await?;
    let round = follower.round(bell).await?;
    follower.share.goes_on(follower.projection);
    Ok(round)
}
