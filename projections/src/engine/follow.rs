//! Keeps every log's rows up to date.

use std::time::Duration;

use event_store::{LOG_CHANNEL, Wakeups};
use platform::clock::SharedClock;
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::announce::{self, Bell};
use super::backoff::Backoff;
use super::event::Refused;
use super::round::{Follower, Round};
use super::{checkpoint, meter};
use crate::views::PROJECTIONS;

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How to follow the logs.
#[derive(Clone)]
pub struct ProjectorConfig {
    /// Tells the age of events that are not applied yet.
    pub clock: SharedClock,
    /// How often the logs are looked at though nobody said that they moved.
    pub poll: Duration,
    /// How often the lag metrics are measured.
    pub measure_every: Duration,
}

impl ProjectorConfig {
    /// The defaults, with this clock.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, poll: Duration::from_secs(1), measure_every: Duration::from_secs(2) }
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

/// Follows every log until shutdown. Whatever fails is retried; only shutdown ends it.
pub async fn run(pool: PgPool, config: ProjectorConfig, shutdown: CancellationToken) -> Result<(), ProjectorError> {
    let bell = Bell::default();
    let followers = PROJECTIONS.iter().map(|&projection| {
        follow(Follower::new(pool.clone(), projection), config.poll, bell.clone(), shutdown.clone())
    });
    tokio::join!(
        futures_util::future::join_all(followers),
        announce::run(pool.clone(), bell.clone(), shutdown.clone()),
        meter::run(pool.clone(), config, shutdown.clone())
    );
    Ok(())
}

/// Applies everything that is committed now, then returns. An error if a log cannot be followed to its end; the others are.
pub async fn catch_up(pool: &PgPool) -> Result<(), ProjectorError> {
    let mut first_stopped = None;
    for &projection in PROJECTIONS {
        let mut follower = Follower::new(pool.clone(), projection);
        loop {
            let Round { moved, lost, stopped } = follow_once(&mut follower, &Bell::default()).await?;
            if !moved && !lost {
                first_stopped = first_stopped.or(stopped);
                break;
            }
        }
    }
    announce::announce(pool).await?;
    first_stopped.map_or(Ok(()), |refused| Err(ProjectorError::Stopped(refused)))
}

async fn follow(mut follower: Follower, poll: Duration, bell: Bell, shutdown: CancellationToken) {
    let mut wakeups = Wakeups::new(follower.pool.clone(), LOG_CHANNEL, poll);
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    while !shutdown.is_cancelled() {
        match follow_once(&mut follower, &bell).await {
            Ok(round) if round.moved || round.lost => backoff.reset(),
            Ok(_) => {
                backoff.reset();
                let retry = follower.stops.next_retry();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = wakeups.changed() => {}
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

async fn follow_once(follower: &mut Follower, bell: &Bell) -> Result<Round, sqlx::Error> {
    checkpoint::ensure(&follower.pool, follower.projection).await?;
    follower.round(bell).await
}
