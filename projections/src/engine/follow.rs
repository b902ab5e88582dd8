//! Keeps the rows of every log up to date.

use std::sync::Arc;
use std::time::Duration;

use event_store::LOG_CHANNEL;
use event_store::follow::{self, LEASES_CHANNEL, LeaseConfig, Leases, LogAssignment};
use platform::notifications::NotificationListener;
use sqlx::PgPool;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Registry;
use super::announce::{self, CommitNotifier};
use super::checkpoint::BootstrapPolicy;
use super::epoch_maintenance::{self, EpochMaintenance};
use super::event::RejectedEvent;
use super::poll::{LogFollower, PollResult};

/// The configuration of a projector.
#[derive(Clone)]
pub struct ProjectorConfig {
    /// The projections that are kept up to date.
    pub registry: Registry,
    /// How often the logs are polled without a notification.
    pub poll: Duration,
    /// The process and host name, for operators.
    pub name: String,
    /// The leases, which decide the logs that it may apply.
    pub leases: Leases,
    /// Epoch maintenance. Without it, nothing is built or dropped in the background.
    pub upkeep: Option<EpochMaintenance>,
}

impl ProjectorConfig {
    /// The defaults, for a process with a new id.
    pub fn new(registry: Registry, projector: Uuid, name: String) -> Self {
        Self::with_lease(registry, projector, name, LeaseConfig::default())
    }

    /// The defaults, with another lease configuration.
    pub fn with_lease(registry: Registry, projector: Uuid, name: String, lease: LeaseConfig) -> Self {
        let consumers = registry.iter().map(|projection| projection.consumer()).collect();
        let leases = Leases::new(projector, consumers, lease);
        Self { registry, poll: Duration::from_secs(1), name, leases, upkeep: None }
    }
}

/// Why the logs could not be followed.
#[derive(Debug, Error)]
pub enum ProjectorError {
    /// A log has an event that can be neither applied nor parked.
    #[error("a projection stopped following a log")]
    Stopped(#[source] RejectedEvent),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Follows this process's share of the logs until shutdown, and then gives it back. Every failure is retried: only
/// shutdown ends it.
pub async fn run(pool: PgPool, config: ProjectorConfig, shutdown: CancellationToken) -> Result<(), ProjectorError> {
    metrics::describe_counter!("highwater_projection_batches_total", "Transactions that moved checkpoints.");
    metrics::describe_counter!("highwater_projection_events_total", "Events applied.");
    let ProjectorConfig { registry, poll, name, leases, upkeep } = config;
    let notifier = CommitNotifier::default();
    // Without background builds, readers see the first epoch fill.
    let first = if upkeep.is_some() { BootstrapPolicy::IfShort } else { BootstrapPolicy::AtOnce };
    let mut grown = Vec::new();
    let followers = registry.iter().map(|&projection| {
        let (share, wakeups) = (leases.assignment(&projection.consumer()), Arc::new(Notify::new()));
        grown.push(Arc::clone(&wakeups));
        let follower = LogFollower::new(pool.clone(), projection, first, share.clone(), notifier.clone());
        let shutdown = shutdown.clone();
        async move { follow::run(follower, &share, &wakeups, &shutdown).await }
    });
    let followers = futures_util::future::join_all(followers);
    let ended = CancellationToken::new();
    let followed = async {
        followers.await;
        ended.cancel();
    };
    let lease_pool = follow::lease_pool(&pool, leases.config());
    let lease_changes = [Arc::new(Notify::new())];
    let logs = NotificationListener::new(pool.clone(), LOG_CHANNEL, poll);
    let holders = NotificationListener::new(lease_pool.clone(), LEASES_CHANNEL, leases.config().renew_every);
    tokio::join!(
        followed,
        wake(logs, &grown, &shutdown),
        wake(holders, &lease_changes, &shutdown),
        follow::keep_leases(lease_pool, &name, &leases, &lease_changes[0], &shutdown, &ended),
        epoch_maintenance::run(&pool, registry, upkeep.as_ref(), &shutdown),
        announce::run(pool.clone(), notifier.clone(), shutdown.clone())
    );
    Ok(())
}

/// Forwards a listener's notifications until shutdown.
async fn wake(mut listener: NotificationListener, sleepers: &[Arc<Notify>], shutdown: &CancellationToken) {
    while shutdown.run_until_cancelled(listener.changed()).await.is_some() {
        for sleeper in sleepers {
            sleeper.notify_one();
        }
    }
}

/// Applies everything that is committed now, then returns. If a log cannot be followed to its end, the result is an
/// error, and the other logs are applied all the same.
pub(crate) async fn catch_up(pool: &PgPool, registry: Registry) -> Result<(), ProjectorError> {
    let mut first_stopped = None;
    for &projection in registry {
        let notifier = CommitNotifier::default();
        let share = LogAssignment::Everything;
        let mut follower = LogFollower::new(pool.clone(), projection, BootstrapPolicy::AtOnce, share, notifier);
        loop {
            let PollResult { moved, conflict, stopped } = follower.poll().await?;
            if !moved && !conflict {
                first_stopped = first_stopped.or(stopped);
                break;
            }
        }
    }
    announce::announce(pool).await?;
    first_stopped.map_or(Ok(()), |refused| Err(ProjectorError::Stopped(refused)))
}
