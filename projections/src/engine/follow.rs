//! Keeps every log's rows up to date.

use std::time::Duration;

use event_store::LOG_CHANNEL;
use platform::notifications::NotificationListener;
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Registry;
use super::announce::{self, CommitNotifier};
use super::backoff::Backoff;
use super::checkpoint::{self, BootstrapPolicy};
use super::epoch_maintenance::{self, EpochMaintenance};
use super::event::RejectedEvent;
use super::leases::{self, LeaseConfig, Leases, LogAssignment};
use super::poll::{LogFollower, PollResult};

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How to follow the logs.
#[derive(Clone)]
pub struct ProjectorConfig {
    /// The projections that are kept up to date.
    pub registry: Registry,
    /// How often the logs are looked at though nobody said that they moved.
    pub poll: Duration,
    /// Where this process runs, for people who look for it.
    pub name: String,
    /// What it may apply.
    pub leases: Leases,
    /// What it does beside following. Without it, nothing is built in the background or dropped.
    pub upkeep: Option<EpochMaintenance>,
}

impl ProjectorConfig {
    /// The defaults, for a process with a new id.
    pub fn new(registry: Registry, projector: Uuid, name: String) -> Self {
        let leases = Leases::new(registry, projector, LeaseConfig::default());
        Self { registry, poll: Duration::from_secs(1), name, leases, upkeep: None }
    }
}

/// Why the logs could not be followed.
#[derive(Debug, Error)]
pub enum ProjectorError {
    /// A log has an event that cannot be passed.
    #[error("a projection stopped following a log")]
    Stopped(#[source] RejectedEvent),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Follows this process's share of the logs until shutdown, and gives it back then. Whatever fails is retried; only shutdown
/// ends it.
pub async fn run(pool: PgPool, config: ProjectorConfig, shutdown: CancellationToken) -> Result<(), ProjectorError> {
    metrics::describe_counter!("highwater_projection_batches_total", "Transactions that moved checkpoints.");
    metrics::describe_counter!("highwater_projection_events_total", "Events applied.");
    let bell = CommitNotifier::default();
    // Where nobody builds aside, readers see the first epoch fill.
    let first = if config.upkeep.is_some() { BootstrapPolicy::IfShort } else { BootstrapPolicy::AtOnce };
    let followers = config.registry.iter().map(|&projection| {
        let follower = LogFollower::new(pool.clone(), projection, LogAssignment::Leased(config.leases.clone()));
        follow(follower, first, config.poll, bell.clone(), shutdown.clone())
    });
    let ended = CancellationToken::new();
    let followed = async {
        futures_util::future::join_all(followers).await;
        ended.cancel();
    };
    tokio::join!(
        followed,
        epoch_maintenance::run(&pool, config.registry, config.upkeep.as_ref(), &shutdown),
        leases::keep(&pool, &config.name, &config.leases, shutdown.clone(), ended.clone()),
        announce::run(pool.clone(), bell.clone(), shutdown.clone())
    );
    Ok(())
}

/// Applies everything that is committed now, then returns. An error if a log cannot be followed to its end; the others are.
pub async fn catch_up(pool: &PgPool, registry: Registry) -> Result<(), ProjectorError> {
    let mut first_stopped = None;
    for &projection in registry {
        let mut follower = LogFollower::new(pool.clone(), projection, LogAssignment::Everything);
        loop {
            let PollResult { moved, lost, stopped } =
                follow_once(&mut follower, BootstrapPolicy::AtOnce, &CommitNotifier::default()).await?;
            if !moved && !lost {
                first_stopped = first_stopped.or(stopped);
                break;
            }
        }
    }
    announce::announce(pool).await?;
    first_stopped.map_or(Ok(()), |refused| Err(ProjectorError::Stopped(refused)))
}

async fn follow(
    mut follower: LogFollower,
    first: BootstrapPolicy,
    poll: Duration,
    bell: CommitNotifier,
    shutdown: CancellationToken,
) {
    let mut wakeups = NotificationListener::new(follower.pool.clone(), LOG_CHANNEL, poll);
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

async fn follow_once(
    follower: &mut LogFollower,
    first: BootstrapPolicy,
    bell: &CommitNotifier,
) -> Result<PollResult, sqlx::Error> {
    checkpoint::bootstrap(&follower.pool, follower.projection, first).await?;
    let round = follower.round(bell).await?;
    follower.share.heartbeat(follower.projection);
    Ok(round)
}
