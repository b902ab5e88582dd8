//! The trace of a read: where its result came from, and how long that took.

use std::time::{Duration, Instant};

/// Where a result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// From the cache: it holds at the model head.
    Hit,
    /// From the cache or the caller: it has the version that was probed.
    SameVersion,
    /// It was computed.
    Computed,
}

impl CacheStatus {
    /// Its label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "kept",
            Self::SameVersion => "same_version",
            Self::Computed => "computed",
        }
    }
}

/// Where the result of a read came from, and how long its snapshot took.
#[derive(Debug, Clone, Copy)]
pub struct ReadTrace {
    /// When it began.
    pub began: Instant,
    /// The time until its snapshot was taken, waits included.
    pub snapshot_after: Option<Duration>,
    pub status: CacheStatus,
    /// Whether it waited for another read of the same result.
    pub is_collapsed: bool,
}

impl ReadTrace {
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), snapshot_after: None, status: CacheStatus::Computed, is_collapsed: false }
    }

    /// Records that the snapshot was taken.
    pub(crate) fn has_snapshot(&mut self) {
        self.snapshot_after = Some(self.began.elapsed());
    }
}
