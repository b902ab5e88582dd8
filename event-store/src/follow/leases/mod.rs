//! Leases: they divide the logs among the processes of one kind of consumer.
//!
//! Each process keeps one row alive for each kind of consumer that it runs ([`keeper`]) and deals with those logs that
//! are its own among the living ([`mod@owner`]). There is no leader, and nothing is written per log. A process whose
//! row lapses stops by its own clock before the others take its logs over. One that does not notice, because it was
//! frozen, must meet a compare-and-set of its cursors. So leases save work, and never decide what is right: two owners
//! of one log for a moment cost a lost transaction, none for a moment costs that moment.

mod keeper; // keeps this process's rows alive
mod owner; // whose log it is
mod rows; // log.leases
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

/// How long leases last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseConfig {
    /// After this long without a renewal, others take the logs over.
    pub lasts: Duration,
    /// How often it is renewed.
    pub renew_every: Duration,
    /// A process that has not got on with its work for so long does not renew its lease.
    pub standstill: Duration,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        let (lasts, renew_every) = (Duration::from_secs(5), Duration::from_secs(1));
        Self { lasts, renew_every, standstill: Duration::from_secs(20) }
    }
}

/// The leases of one process: what its consumers may deal with, and how they get on. Clones look at the same.
#[derive(Debug, Clone)]
pub struct Leases(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    holder: Uuid,
    consumers: Vec<String>,
    config: LeaseConfig,
    state: watch::Sender<LeaseState>,
    /// When each consumer last got on.
    beats: Mutex<BTreeMap<String, Instant>>,
}

/// What was true when the leases were last renewed.
#[derive(Debug, Default)]
struct LeaseState {
    /// Until when this process may act on it.
    until: Option<Instant>,
    /// Who shares the logs of each consumer.
    living: BTreeMap<String, Vec<Uuid>>,
}

impl LeaseState {
    fn holds(&self) -> bool {
        self.until.is_some_and(|until| until > Instant::now())
    }
}

impl Leases {
    /// None yet, for a process with this id that runs these kinds of consumers.
    pub fn new(holder: Uuid, consumers: Vec<String>, config: LeaseConfig) -> Self {
        let now = Instant::now();
        let beats = Mutex::new(consumers.iter().map(|consumer| (consumer.clone(), now)).collect());
        Self(Arc::new(Shared { holder, consumers, config, state: watch::Sender::default(), beats }))
    }

    /// The share of the logs that one of its consumers has.
    pub fn assignment(&self, consumer: &str) -> LogAssignment {
        LogAssignment::Leased { leases: self.clone(), consumer: consumer.to_owned() }
    }

    /// For how long a consumer has completed no round and no part of one: the one that is silent longest.
    pub fn stalled_for(&self) -> Duration {
        let beats = self.0.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.values().map(Instant::elapsed).max().unwrap_or_default()
    }

    /// Whether this process has a share of the logs at the moment.
    pub fn holds(&self) -> bool {
        self.0.state.borrow().holds()
    }

    /// How long they last.
    pub fn config(&self) -> &LeaseConfig {
        &self.0.config
    }

    fn has(&self, consumer: &str, workspace: i32) -> bool {
        let state = self.0.state.borrow();
        let sharers = state.living.get(consumer).map_or(&[][..], Vec::as_slice);
        state.holds() && owner(workspace, sharers) == Some(self.0.holder)
    }

    /// Notes a renewal; wakes the consumers if that gives them other logs than before.
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

/// The logs that a consumer may deal with.
#[derive(Debug, Clone)]
pub enum LogAssignment {
    /// All of them, for one who catches up and goes: whoever else follows loses or wins by compare-and-set.
    Everything,
    /// Those that this process has at the moment.
    Leased {
        /// The process's.
        leases: Leases,
        /// Which of its consumers.
        consumer: String,
    },
}

impl LogAssignment {
    /// Whether a log is to be dealt with.
    pub fn has(&self, workspace: i32) -> bool {
        match self {
            Self::Everything => true,
            Self::Leased { leases, consumer } => leases.has(consumer, workspace),
        }
    }

    /// Notes that the work goes on. `false` if it may not, because the lease is over.
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

    /// Tells when there are other logs to deal with than before. Never, if it is all of them.
    pub(super) fn changes(&self) -> Changes {
        match self {
            Self::Everything => Changes(None),
            Self::Leased { leases, .. } => Changes(Some(leases.0.state.subscribe())),
        }
    }
}

/// Changes of a share.
#[derive(Debug)]
pub(super) struct Changes(Option<watch::Receiver<LeaseState>>);

impl Changes {
    /// Returns at the next one. Cancel-safe.
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
