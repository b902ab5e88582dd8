//! The status of a read: where in the log its rows are, and how fresh they are. It changes while the result stays, so it is no
//! part of that.

use chrono::{DateTime, TimeDelta, Utc};
use domain::freshness::Finality;

use crate::consistency::{ConsistencyRequirement, ConsistentSnapshot};
use crate::model_head::ModelHead;
use crate::snapshot::Snapshot;

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
    /// The status of what is read from this snapshot, which was taken as the caller required.
    pub(crate) fn of_consistent(consistent: &ConsistentSnapshot) -> Self {
        let status = Self::of_snapshot(&consistent.snapshot, consistent.parked);
        Self { satisfied: consistent.satisfied, waited_s: consistent.waited_s, ..status }
    }

    /// The status of what is read from a snapshot of which nothing was required.
    pub(crate) fn of_snapshot(snapshot: &Snapshot, parked: usize) -> Self {
        let Snapshot { workspace, epoch, applied, head, .. } = *snapshot;
        let (satisfied, waited_s, numbers) = (true, None, None);
        Self { workspace, epoch, applied, head, lag: snapshot.lag(), satisfied, parked, waited_s, numbers }
    }

    /// The status of what is read at a model head of which nothing was ever parked.
    pub(crate) fn at_head(workspace: i32, at: &ModelHead, now: DateTime<Utc>) -> Self {
        let ModelHead { epoch, applied, head, .. } = *at;
        let (satisfied, parked, waited_s, numbers) = (true, 0, None, None);
        Self { workspace, epoch, applied, head, lag: at.lag(now), satisfied, parked, waited_s, numbers }
    }

    /// The same for a result that holds at this head too, where the log is applied up to the same position.
    pub(crate) fn moved_to(self, at: &ModelHead, now: DateTime<Utc>) -> Self {
        Self { head: at.head, lag: at.lag(now), ..self }
    }

    pub(crate) fn meets(&self, consistency: ConsistencyRequirement) -> bool {
        consistency.is_met_at(self.applied, self.lag)
    }

    /// The same for a caller whose requirement is met.
    pub(crate) fn satisfied_for(self, consistency: ConsistencyRequirement) -> Self {
        Self { satisfied: true, waited_s: consistency.wait_s, ..self }
    }
}
