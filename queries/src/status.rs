//! The status of a read: where in the log its rows are, and how fresh they are. It changes while the result stays, so
//! it is no part of that.

use chrono::{DateTime, TimeDelta, Utc};
use domain::freshness::Finality;

/// Where in the log the rows of a read are, and how fresh they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadStatus {
    pub workspace: i32,
    /// The epoch whose rows were read.
    pub epoch: i32,
    /// The position up to which they hold the log.
    pub applied: i64,
    /// The log's last position.
    pub head: i64,
    /// The age of the oldest event that is not applied.
    pub lag: TimeDelta,
    /// Whether it is as fresh as the caller required.
    pub satisfied: bool,
    /// How many parked parts of the log belong to the result.
    pub parked: usize,
    /// The wait in seconds that was honoured.
    pub waited_s: Option<u64>,
    /// How settled its numbers are and through when they are complete, if it has numbers.
    pub numbers: Option<(Finality, Option<DateTime<Utc>>)>,
}

impl ReadStatus {
    /// The same for a caller whose requirement is met, having waited for it.
    pub(crate) fn satisfied(self, waited_s: Option<u64>) -> Self {
        Self { satisfied: true, waited_s, ..self }
    }
}
