//! The progress of a rebuild, as a progress bar shows it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::PendingWorkspace;

/// The progress of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplayProgress {
    /// Workspaces that read the new epoch.
    pub workspaces_done: usize,
    /// Workspaces in all.
    pub workspaces: usize,
    /// Events that the new epoch has applied, those of an interrupted run included.
    pub events_done: i64,
    /// Events that it has to apply. The number grows while logs grow.
    pub events_total: i64,
    /// Events that this run applied, per second.
    pub events_per_second: f64,
}

/// Counts the steps of a replay and reports them.
pub(in super::super) struct ProgressTracker<'a> {
    tell: &'a (dyn Fn(ReplayProgress) + Send + Sync),
    started: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    logs: HashMap<i32, Log>,
    applied: i64,
}

#[derive(Debug, Default)]
struct Log {
    done: i64,
    total: i64,
    switched: bool,
}

impl<'a> ProgressTracker<'a> {
    pub(in super::super) fn new(tell: &'a (dyn Fn(ReplayProgress) + Send + Sync)) -> Self {
        Self { tell, started: Instant::now(), counts: Mutex::default() }
    }

    /// Adds the logs to rebuild.
    pub(in super::super) fn expect(&self, logs: &[PendingWorkspace]) {
        self.change(|counts| {
            for log in logs {
                counts.logs.insert(log.workspace, Log { done: log.filled, total: log.live, switched: false });
            }
        });
    }

    /// Records that a log is filled up to `done` of `total`.
    pub(in super::super) fn reached(&self, workspace: i32, done: i64, total: i64) {
        self.change(|counts| {
            let log = counts.logs.entry(workspace).or_default();
            log.done = done;
            log.total = total.max(done);
        });
    }

    /// Records that events of a log were applied.
    pub(in super::super) fn applied(&self, workspace: i32, from: i64, to: i64) {
        self.change(|counts| {
            counts.applied += to - from;
            let log = counts.logs.entry(workspace).or_default();
            log.done = to;
            log.total = log.total.max(to);
        });
    }

    /// Records that a workspace reads the new epoch.
    pub(in super::super) fn switched(&self, workspace: i32) {
        self.change(|counts| counts.logs.entry(workspace).or_default().switched = true);
    }

    /// Events that this run applied.
    pub(in super::super) fn events(&self) -> i64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).applied
    }

    fn change(&self, change: impl FnOnce(&mut Counts)) {
        let progress = {
            // Counts are plain numbers, which stay valid when a holder of the lock panics.
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut counts);
            ReplayProgress {
                workspaces_done: counts.logs.values().filter(|log| log.switched).count(),
                workspaces: counts.logs.len(),
                events_done: counts.logs.values().map(|log| log.done).sum(),
                events_total: counts.logs.values().map(|log| log.total).sum(),
                events_per_second: rate(counts.applied, self.started),
            }
        };
        (self.tell)(progress);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to look at")]
fn rate(events: i64, since: Instant) -> f64 {
    let seconds = since.elapsed().as_secs_f64();
    if seconds > 0.0 { events as f64 / seconds } else { 0.0 }
}
