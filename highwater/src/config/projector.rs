//! The configuration of the projector.

use std::net::SocketAddr;
use std::time::Duration;

use projections::{RebuildMode, ReplayMemory};
use serde::Deserialize;

use crate::system::ProjectorLimits;

/// The projector.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectorConfig {
    /// The address of /healthz, /readyz and /metrics, besides those of the APIs that the process serves.
    pub health_addr: Option<SocketAddr>,
    /// The longest time without a complete round over the logs. After it, the projector is not ready.
    pub max_silence_s: u64,
    /// The greatest age of an unapplied event of its logs. Above it, the projector is not ready.
    pub max_lag_s: u64,
    /// How often the leaderboard is refreshed. 0: only on demand.
    pub leaderboard_every_s: u64,
    /// Who rebuilds the epochs of an older version, and builds those of a new projection.
    pub rebuild: Rebuild,
    /// The memory limit of a rebuild or a verification.
    pub replay_memory_mb: u32,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        Self {
            health_addr: None,
            max_silence_s: 30,
            max_lag_s: 900,
            leaderboard_every_s: 60,
            rebuild: Rebuild::default(),
            replay_memory_mb: 64,
        }
    }
}

/// Who builds an epoch that this program's version of a projection lacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rebuild {
    /// The projector, in the background.
    #[default]
    Automatic,
    /// An operator, with `highwater replay`.
    Manual,
}

impl From<Rebuild> for RebuildMode {
    fn from(rebuild: Rebuild) -> Self {
        match rebuild {
            Rebuild::Automatic => Self::Automatic,
            Rebuild::Manual => Self::Manual,
        }
    }
}

impl ProjectorConfig {
    /// The limits of readiness.
    pub fn limits(&self) -> ProjectorLimits {
        ProjectorLimits { silence: Duration::from_secs(self.max_silence_s), lag: Duration::from_secs(self.max_lag_s) }
    }

    /// How often the leaderboard is refreshed, if at all.
    pub fn leaderboard_every(&self) -> Option<Duration> {
        (self.leaderboard_every_s > 0).then(|| Duration::from_secs(self.leaderboard_every_s))
    }

    /// The memory limit of a rebuild or a verification.
    pub fn replay_memory(&self) -> ReplayMemory {
        // Loading has rejected values out of bounds.
        ReplayMemory::of_mib(self.replay_memory_mb).unwrap_or_default()
    }
}
