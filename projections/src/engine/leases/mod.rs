//! Divides the logs among the projector processes of a database.
//!
//! Each process keeps one row alive ([`keeper`]) and applies those logs that are its own among the living ([`owner`]): there
//! is no leader, and nothing is written per log. A process whose row lapses stops by its own clock before the others take
//! its logs over; one that does not notice, because it was frozen, meets the compare-and-set of the checkpoints. So leases
//! save work, and never decide what is right: two owners of one log for a moment cost a lost transaction, none for a moment
//! costs that moment.

mod keeper; // keeps this process's row alive
mod owner; // whose log it is
mod registry; // the rows
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Projection, Registry};

pub(crate) use keeper::keep;
pub(crate) use registry::living;
pub use registry::{ProjectorStatus, projectors};

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

/// What one projector process may apply, and how it gets on. Clones look at the same.
#[derive(Debug, Clone)]
pub struct Leases(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    projector: Uuid,
    config: LeaseConfig,
    term: watch::Sender<LeaseState>,
    /// When each projection last got on.
    beats: Mutex<BTreeMap<&'static str, Instant>>,
}

/// What was true when the lease was last renewed.
#[derive(Debug, Default)]
struct LeaseState {
    /// Until when this process may act on it.
    until: Option<Instant>,
    /// Who shares the logs of each projection.
    living: BTreeMap<&'static str, Vec<Uuid>>,
}

impl LeaseState {
    fn holds(&self) -> bool {
        self.until.is_some_and(|until| until > Instant::now())
    }
}

impl Leases {
    /// None yet, for a process with this id.
    pub fn new(registry: Registry, projector: Uuid, config: LeaseConfig) -> Self {
        let now = Instant::now();
        let beats = registry.iter().map(|projection| (projection.name, now)).collect();
        Self(Arc::new(Shared { registry, projector, config, term: watch::Sender::default(), beats: Mutex::new(beats) }))
    }

    /// Whether a log is this process's to apply.
    pub fn has(&self, projection: &str, workspace: i32) -> bool {
        let term = self.0.term.borrow();
        let sharers = term.living.get(projection).map_or(&[][..], Vec::as_slice);
        term.holds() && owner::owner(workspace, sharers) == Some(self.0.projector)
    }

    /// For how long a projection has completed no round and no part of one: the one that is silent longest.
    pub fn stalled_for(&self) -> Duration {
        let beats = self.0.beats.lock().unwrap_or_else(PoisonError::into_inner);
        beats.values().map(Instant::elapsed).max().unwrap_or_default()
    }

    /// Sets the gauges of this process, for whoever looks at them now.
    pub fn set_gauges(&self) {
        metrics::describe_gauge!("highwater_projector_silence_seconds", "For how long this projector has not got on.");
        metrics::describe_gauge!("highwater_projector_lease", "1 while this projector has a share of the logs.");
        metrics::gauge!("highwater_projector_silence_seconds").set(self.stalled_for().as_secs_f64());
        metrics::gauge!("highwater_projector_lease").set(f64::from(u8::from(self.0.term.borrow().holds())));
    }

    fn registry(&self) -> Registry {
        self.0.registry
    }

    fn projector(&self) -> Uuid {
        self.0.projector
    }

    fn config(&self) -> &LeaseConfig {
        &self.0.config
    }

    /// Notes a renewal; wakes the followers if that gives them other logs than before.
    fn renewed(&self, new: LeaseState) {
        self.0.term.send_if_modified(|term| {
            let is_other = !term.holds() || term.living != new.living;
            *term = new;
            is_other
        });
    }

    fn give_up(&self) {
        self.0.term.send_replace(LeaseState::default());
    }
}

/// The logs that a follower may apply.
#[derive(Debug, Clone)]
pub(crate) enum LogAssignment {
    /// All of them, for one who catches up and goes: whoever else follows loses or wins by compare-and-set.
    Everything,
    /// Those that this process has at the moment.
    Leased(Leases),
}

impl LogAssignment {
    /// Whether a log is to be applied.
    pub(crate) fn has(&self, projection: &Projection, workspace: i32) -> bool {
        match self {
            Self::Everything => true,
            Self::Leased(leases) => leases.has(projection.name, workspace),
        }
    }

    /// Notes that the work goes on. `false` if it may not, because the lease is over.
    pub(crate) fn heartbeat(&self, projection: &Projection) -> bool {
        match self {
            Self::Everything => true,
            Self::Leased(leases) => {
                let mut beats = leases.0.beats.lock().unwrap_or_else(PoisonError::into_inner);
                beats.insert(projection.name, Instant::now());
                leases.0.term.borrow().holds()
            }
        }
    }

    /// Tells when there are other logs to apply than before. Never, if it is all of them.
    pub(crate) fn changes(&self) -> Changes {
        match self {
            Self::Everything => Changes(None),
            Self::Leased(leases) => Changes(Some(leases.0.term.subscribe())),
        }
    }
}

/// Changes of a share.
#[derive(Debug)]
pub(crate) struct Changes(Option<watch::Receiver<LeaseState>>);

impl Changes {
    /// Returns at the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        let changed = match &mut self.0 {
            Some(term) => term.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
    }
}

/// How a process says that it follows a projection.
fn follows(projection: &Projection) -> String {
    format!("{} {}", projection.name, projection.version)
}
