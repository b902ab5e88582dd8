//! The status of a read: the log position of its rows, and how fresh they are. It changes while the result stays the
//! same, so it is no part of the result.

use chrono::{DateTime, TimeDelta, Utc};
use domain::freshness::Finality;

/// The log position of the rows of a read, and how fresh they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadStatus {
    pub workspace: i32,
    /// The epoch whose rows were read.
    pub epoch: i32,
    /// The position up to which the log is applied in them.
    pub applied: i64,
    /// When the event of that position was recorded.
    pub applied_at: Option<DateTime<Utc>>,
    /// The log's last position.
    pub head: i64,
    /// The age of the oldest event that is not applied.
    pub lag: TimeDelta,
    /// Whether they are as fresh as the caller required, if it required anything.
    pub satisfied: Option<bool>,
    /// How many parked parts of the log belong to the result.
    pub parked: usize,
    /// The wait in seconds that was honoured.
    pub waited_s: Option<u64>,
    /// The finality of its numbers and the instant through which they are complete, if it has numbers.
    pub numbers: Option<(Finality, Option<DateTime<Utc>>)>,
}
