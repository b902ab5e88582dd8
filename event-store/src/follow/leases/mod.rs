//! Leases: they divide the logs among the processes of one kind of consumer.
//!
//! Each process renews one row for each kind of consumer that it runs ([`keeper`]). It processes those logs that it
//! owns among the living holders ([`mod@owner`]). There is no leader, and nothing is written per log. A process whose
//! lease expires stops by its own clock before others take its logs over. A frozen process does not notice, so its
//! cursors move by compare-and-set. Leases thus save work, and never ensure correctness. If a log has two owners for a
//! moment, one loses a transaction; if it has none, it waits for that moment.

mod keeper; // renews this process's leases
mod owner; // the owner of a log
mod rows; // the table log.leases
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

pub use keeper::{keep_leases, lease_pool};
pub use owner::owner;
pub use rows::{LEASES_CHANNEL, LeaseStatus, leases};

/// The durations of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseConfig {
    /// The lifetime of a lease. Without a renewal, others take the logs over.
    pub lasts: Duration,
    /// How often it is renewed.
    pub renew_every: Duration,
    /// The longest time without progress. After it, a process does not renew its lease.
    pub standstill: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        let (lasts, renew_every) = (Duration::from_secs(5), Duration::from_secs(1));
        Self { lasts, renew_every, standstill: Duration::from_secs(20) }
    }
}

/// The leases of one process: the logs of its consumers, and their progress. Clones share the state.
#[derive(Debug, Clone)]
pub struct Leases(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    holder: Uuid,
    consumers: Vec<String>,
    config: LeaseConfig,
    state: watch::Sender<LeaseState>,
    /// When each consumer last made progress.
    beats: Mutex<BTreeMap<String, Instant>>,
}

/// The state at the last renewal.
#[derive(Debug, Default)]
struct LeaseState {
    /// The end of its validity.
    until: Option<Instant>,
    /// The holders that share the logs of each consumer.
    living: BTreeMap<String, Vec<Uuid>>,
}

impl LeaseState {
    fn holds(&self) -> bool {
        self.until.is_some_and(|until| until > Instant::now())
    }
}

impl Leases {
    /// The leases of a process with this id that runs these kinds of consumers; none is held yet.
    pub fn new(holder: Uuid, consumers: Vec<String>, config: LeaseConfig) -> Self {
        let now = Instant::now();
        let beats = Mutex::new(consumers.iter().map(|consumer| (consumer.clone(), now)).collect());
        Self(Arc::new(Shared { holder, consumers, config, state: watch::Sender::default(), beats }))
    }

    /// The share of the logs of one of its consumers.
    pub fn assignment(&self, consumer: &str) -> LogAssignment {
        LogAssignment::Leased { leases: self.clone(), consumer: consumer.to_owned() }
    }

    /// The time since the last progress of the consumer that is silent longest.
    pub fn stalled_for(&self) -> Duration {
        let beats = self.0.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.values().map(Instant::elapsed).max().unwrap_or_default()
    }

    /// Whether this process has a share of the logs now.
    pub fn holds(&self) -> bool {
        self.0.state.borrow().holds()
    }

    /// The durations.
    pub fn config(&self) -> &LeaseConfig {
        &self.0.config
    }

    fn has(&self, consumer: &str, workspace: i32) -> bool {
        let state = self.0.state.borrow();
        let sharers = state.living.get(consumer).map_or(&[][..], Vec::as_slice);
        state.holds() && owner(workspace, sharers) == Some(self.0.holder)
    }

    /// Stores a renewal, and wakes the consumers if it changes their logs.
    fn renewed(&self, new: LeaseState) {
        self.0.state.send_if_modified(|state| {
            let is_other = !state.holds() || state.living != new.living;
            *state = new;
            is_other
        });
    }

    fn give_up(&self) {
        self.0.state.send_replace(LeaseState::default());
    }
}

/// The logs of a consumer.
#[derive(Debug, Clone)]
pub enum LogAssignment {
    /// All logs, for a consumer that catches up and ends. Any other consumer of them wins or loses by compare-and-set.
    Everything,
    /// The logs that this process owns now.
    Leased {
        /// The leases of the process.
        leases: Leases,
        /// The kind of consumer.
        consumer: String,
    },
}

impl LogAssignment {
    /// Whether the consumer processes a log.
    pub fn has(&self, workspace: i32) -> bool {
        match self {
            Self::Everything => true,
            Self::Leased { leases, consumer } => leases.has(consumer, workspace),
        }
    }

    /// Records progress. `false` if the lease is over, so that the work must stop.
    pub fn heartbeat(&self) -> bool {
        match self {
            Self::Everything => true,
            Self::Leased { leases, consumer } => {
                let mut beats = leases.0.beats.lock().unwrap_or_else(PoisonError::into_inner);
                beats.insert(consumer.clone(), Instant::now());
                drop(beats);
                leases.holds()
            }
        }
    }

    /// The changes of the share. There are none if it is all logs.
    pub(super) fn changes(&self) -> Changes {
        match self {
            Self::Everything => Changes(None),
            Self::Leased { leases, .. } => Changes(Some(leases.0.state.subscribe())),
        }
    }
}

/// The changes of a share.
#[derive(Debug)]
pub(super) struct Changes(Option<watch::Receiver<LeaseState>>);

impl Changes {
    /// Returns at the next change. It is cancel-safe.
    pub(super) async fn next(&mut self) {
        let changed = match &mut self.0 {
            Some(state) => state.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
    }
}
