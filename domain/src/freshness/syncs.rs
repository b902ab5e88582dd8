//! What a source has said of its runs, folded in the order in which it said so.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::reads::ReadHistory;
use crate::bucket::Grain;
use crate::sync::{FinalThrough, SyncEvent};

/// What a source has said of its own runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceSyncs {
    /// When its newest run started.
    pub last_started_at: Option<DateTime<Utc>>,
    /// When a run last ended well.
    pub last_completed_at: Option<DateTime<Utc>>,
    /// When a run last failed.
    pub last_failed_at: Option<DateTime<Utc>>,
    /// Everything before this instant is there.
    pub complete_through: Option<DateTime<Utc>>,
    /// Why the last failed run failed.
    pub failure_reason: Option<String>,
    /// In which steps its completeness moves.
    pub grain: Option<Grain>,
    /// When the run started that is underway.
    pub open_run_at: Option<DateTime<Utc>>,
    /// When the run started that last moved its completeness.
    pub last_read_at: Option<DateTime<Utc>>,
    /// Up to where it calls its numbers final itself.
    pub final_through: FinalThrough,
    /// Which buckets were read when.
    pub reads: ReadHistory,
}

/// A run that ended well, or that took completeness back: what tells later whether a change came after the number was
/// final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRecord {
    /// When it was reported.
    pub completed_at: DateTime<Utc>,
    /// When the run started; when it was reported, if it was not announced.
    pub started_at: DateTime<Utc>,
    /// The buckets that it read end after this instant; `None`: it read every earlier one.
    pub covers_from: Option<DateTime<Utc>>,
    /// The last end of a bucket that it read. Of a run that took completeness back: the last one that is still
    /// complete.
    pub covers_to: DateTime<Utc>,
    /// Whether it took completeness back.
    pub is_reopening: bool,
}

impl SourceSyncs {
    /// Takes in what the source said next. Instants are kept as exactly as the database keeps them, so that a rebuild
    /// and the rows agree.
    pub fn apply(&mut self, event: &SyncEvent) -> Option<RunRecord> {
        let kept = |instant: &DateTime<Utc>| instant.trunc_subsecs(6);
        match event {
            SyncEvent::SyncStarted { source: _, at } => {
                let at = kept(at);
                self.last_started_at = self.last_started_at.max(Some(at));
                self.open_run_at = Some(at);
                None
            }
            SyncEvent::SyncFailed { source: _, at, reason } => {
                let at = kept(at);
                if self.last_failed_at <= Some(at) {
                    (self.last_failed_at, self.failure_reason) = (Some(at), Some(reason.clone()));
                }
                self.open_run_at = None;
                None
            }
            SyncEvent::SyncCompleted { source: _, at, complete_through, grain, covers, lookback_s, final_through } => {
                let at = kept(at);
                self.last_completed_at = self.last_completed_at.max(Some(at));
                let started_at = self.open_run_at.take().unwrap_or(at);
                let covers = covers.map(|range| (Some(kept(&range.from)), kept(&range.to)));
                let before = self.complete_through;
                let of_completeness = complete_through.as_ref().map(|through| {
                    let through = kept(through);
                    self.complete(through, *grain, started_at, *lookback_s)
                });
                // A run that says what it read again has read that, and what had not been complete before.
                let read = match (covers, of_completeness) {
                    (Some(covers), Some((_, through))) if before < Some(through) => {
                        self.reads.record((before, through), started_at, *lookback_s);
                        covers
                    }
                    (Some(covers), _) | (None, Some(covers)) => covers,
                    (None, None) => return None,
                };
                self.reads.record(read, started_at, *lookback_s);
                let (before, of) = (self.final_through, final_through.map(|instant| kept(&instant)));
                self.final_through = FinalThrough {
                    delivery: before.delivery.max(of.delivery),
                    conversions: before.conversions.max(of.conversions),
                };
                Some(RunRecord {
                    completed_at: at,
                    started_at,
                    covers_from: read.0,
                    covers_to: read.1,
                    is_reopening: false,
                })
            }
            SyncEvent::SyncReopened { source: _, at, complete_through } => {
                let (at, through) = (kept(at), kept(complete_through));
                self.complete_through = self.complete_through.map(|before| before.min(through));
                self.final_through = self.final_through.map(|instant| instant.min(through));
                self.reads.reopen(through);
                Some(RunRecord {
                    completed_at: at,
                    started_at: at,
                    covers_from: None,
                    covers_to: through,
                    is_reopening: true,
                })
            }
        }
    }

    /// Moves completeness, and tells what the run has read: without a word of its own, from where the last run left
    /// numbers that could still change.
    fn complete(
        &mut self,
        through: DateTime<Utc>,
        grain: Grain,
        started_at: DateTime<Utc>,
        lookback_s: i64,
    ) -> (Option<DateTime<Utc>>, DateTime<Utc>) {
        let open_from = self.complete_through.and_then(|before| {
            let settled_until = self.last_read_at.map_or(before, |read_at| read_at.min(before));
            settled_until.checked_sub_signed(TimeDelta::try_seconds(lookback_s)?)
        });
        if self.complete_through <= Some(through) {
            (self.complete_through, self.grain) = (Some(through), Some(grain));
        }
        self.last_read_at = Some(started_at);
        (open_from, self.complete_through.unwrap_or(through).max(through))
    }
}
