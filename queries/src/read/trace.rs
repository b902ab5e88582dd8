//! How a read got its result, and how long that took.

use std::time::{Duration, Instant};

/// Where a result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// From the cache, as the model head says that it holds.
    Hit,
    /// Its version was read, and a result of that version was there already.
    SameVersion,
    /// It was computed.
    Computed,
}

impl CacheStatus {
    /// As metrics label it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "kept",
            Self::SameVersion => "same_version",
            Self::Computed => "computed",
        }
    }
}

/// How a read got its result.
#[derive(Debug, Clone, Copy)]
pub struct ReadTrace {
    /// When it began.
    pub began: Instant,
    /// How long it took until its snapshot was there, waiting included.
    pub snapshot_after: Option<Duration>,
    pub status: CacheStatus,
    /// Whether it waited for another read of the same.
    pub is_collapsed: bool,
}

impl ReadTrace {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), snapshot_after: None, status: CacheStatus::Computed, is_collapsed: false }
    }

    /// Notes that the snapshot is there.
    pub(crate) fn has_snapshot(&mut self) {
        self.snapshot_after = Some(self.began.elapsed());
    }
}
