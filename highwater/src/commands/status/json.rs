//! What `status --json` prints: what the tables show, by names that stay.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use projections::{LogStatus, ProjectorStatus};
use serde::Serialize;
use uuid::Uuid;

use super::state;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    /// When this was true.
    at: DateTime<Utc>,
    logs: Vec<Log<'a>>,
    projectors: Vec<Projector<'a>>,
}

/// One log under one projection.
#[derive(Debug, Serialize)]
struct Log<'a> {
    workspace: Option<&'a str>,
    workspace_id: i32,
    projection: &'a str,
    epoch: Option<i32>,
    head: i64,
    checkpoint: i64,
    lag_events: i64,
    /// The age of the oldest event that is not applied.
    lag_s: f64,
    state: &'static str,
    stopped: Option<Stopped<'a>>,
}

#[derive(Debug, Serialize)]
struct Stopped<'a> {
    position: i64,
    reason: &'a str,
}

/// One projector process.
#[derive(Debug, Serialize)]
struct Projector<'a> {
    id: Uuid,
    name: &'a str,
    living: bool,
    started_at: DateTime<Utc>,
    renewed_at: DateTime<Utc>,
    silent_s: f64,
    follows: &'a [String],
    /// How many logs it has, by projection.
    logs: BTreeMap<&'a str, usize>,
}

impl<'a> Status<'a> {
    pub(super) fn new(
        logs: &'a [LogStatus],
        names: &'a HashMap<i32, String>,
        projectors: &'a [ProjectorStatus],
        now: DateTime<Utc>,
    ) -> Self {
        let log = |log: &'a LogStatus| Log {
            workspace: names.get(&log.workspace).map(String::as_str),
            workspace_id: log.workspace,
            projection: &log.projection,
            epoch: log.epoch,
            head: log.head,
            checkpoint: log.checkpoint,
            lag_events: log.lag_events,
            lag_s: log.lag(now).as_secs_f64(),
            state: state(log),
            stopped: log.stopped.as_ref().map(|stop| Stopped { position: stop.position, reason: &stop.reason }),
        };
        let projector = |projector: &'a ProjectorStatus| Projector {
            id: projector.projector,
            name: &projector.name,
            living: projector.is_living,
            started_at: projector.started_at,
            renewed_at: projector.renewed_at,
            silent_s: projector.silent_for.as_secs_f64(),
            follows: &projector.follows,
            logs: projector.logs.iter().copied().collect(),
        };
        Self { at: now, logs: logs.iter().map(log).collect(), projectors: projectors.iter().map(projector).collect() }
    }
}
