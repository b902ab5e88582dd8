//! The output of `status --json`: the content of the tables, with stable names.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use event_store::{Generation, GenerationHead};
use projections::parked::ParkedPart;
use projections::retention::Retention;
use projections::{EpochStatus, LastVerified, LogStatus, ProjectorStatus};
use serde::Serialize;
use uuid::Uuid;

use super::state;

/// The inputs of the report.
pub(super) struct StatusReport<'a> {
    pub(super) logs: &'a [LogStatus],
    pub(super) names: &'a HashMap<i32, String>,
    pub(super) generations: &'a [Generation],
    /// The heads of the logs where the newest generation began.
    pub(super) generation_heads: &'a HashMap<i32, GenerationHead>,
    pub(super) projectors: &'a [ProjectorStatus],
    pub(super) epochs: &'a [EpochStatus],
    pub(super) verified: &'a [LastVerified],
    pub(super) parked: &'a [ParkedPart],
    pub(super) retention: &'a [Retention],
}

/// The report.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    /// The time of the report.
    at: DateTime<Utc>,
    /// The lives of the logs between restores and failovers, the newest last.
    generations: Vec<GenerationInfo<'a>>,
    logs: Vec<Log<'a>>,
    projectors: Vec<Projector<'a>>,
    epochs: Vec<EpochInfo<'a>>,
    verifications: Vec<Verified<'a>>,
    parked: Vec<ParkedInfo<'a>>,
    retention: Vec<Limit<'a>>,
}

/// One log under one projection.
#[derive(Debug, Serialize)]
struct Log<'a> {
    workspace: Option<&'a str>,
    workspace_id: i32,
    projection: &'a str,
    epoch: Option<i32>,
    head: i64,
    /// The head where the newest generation began. `None` for a log that was opened since.
    generation_began_at: Option<i64>,
    checkpoint: i64,
    lag_events: i64,
    /// The age of the oldest event that is not applied.
    lag_s: f64,
    state: &'static str,
    stopped: Option<Stopped<'a>>,
    parked_parts: i64,
    parked_events: i64,
}

#[derive(Debug, Serialize)]
struct GenerationInfo<'a> {
    generation: i32,
    began_at: DateTime<Utc>,
    cause: &'static str,
    note: Option<&'a str>,
    /// A string, because a number of JSON may lose digits of it.
    system_identifier: String,
    timeline: i32,
}

#[derive(Debug, Serialize)]
struct Stopped<'a> {
    position: i64,
    reason: &'a str,
}

/// A projector process.
#[derive(Debug, Serialize)]
struct Projector<'a> {
    id: Uuid,
    name: &'a str,
    living: bool,
    started_at: DateTime<Utc>,
    renewed_at: DateTime<Utc>,
    silent_s: f64,
    follows: &'a [String],
    /// How many logs it holds, by projection.
    logs: BTreeMap<&'a str, usize>,
}

/// A built instance of a projection: live, being built by a replay, or kept.
#[derive(Debug, Serialize)]
struct EpochInfo<'a> {
    projection: &'a str,
    epoch: i32,
    state: &'static str,
    version: i32,
    /// Workspaces whose readers see it.
    workspaces: i64,
    /// Events that it has applied, of the total.
    applied: i64,
    events: i64,
    created_at: DateTime<Utc>,
    drop_at: Option<DateTime<Utc>>,
}

/// The last verification of the rows.
#[derive(Debug, Serialize)]
struct Verified<'a> {
    projection: &'a str,
    scope: &'static str,
    passed_at: DateTime<Utc>,
    differences: i64,
    problems: i64,
}

/// A part of a log that waits in an epoch.
#[derive(Debug, Serialize)]
struct ParkedInfo<'a> {
    workspace: Option<&'a str>,
    workspace_id: i32,
    projection: &'a str,
    epoch: i32,
    /// Whether readers see that epoch.
    live: bool,
    stream_type: &'a str,
    stream_id: &'a str,
    campaign_id: Option<Uuid>,
    position: i64,
    waiting: i64,
    parked_at: DateTime<Utc>,
    reason: &'a str,
}

/// The retention of a table.
#[derive(Debug, Serialize)]
struct Limit<'a> {
    projection: &'a str,
    table: &'a str,
    keep_months: Option<i32>,
    kept_from: Option<DateTime<Utc>>,
    /// Rows before this instant are dropped until a replay.
    dropped_before: Option<DateTime<Utc>>,
}

impl<'a> Status<'a> {
    pub(super) fn new(report: &StatusReport<'a>, now: DateTime<Utc>) -> Self {
        let name = |workspace: i32| report.names.get(&workspace).map(String::as_str);
        Self {
            at: now,
            generations: report.generations.iter().map(GenerationInfo::new).collect(),
            logs: report
                .logs
                .iter()
                .map(|log| Log::new(log, name(log.workspace), report.generation_heads.get(&log.workspace), now))
                .collect(),
            projectors: report.projectors.iter().map(Projector::new).collect(),
            epochs: report.epochs.iter().map(EpochInfo::new).collect(),
            verifications: report.verified.iter().map(Verified::new).collect(),
            parked: report.parked.iter().map(|part| ParkedInfo::new(part, name(part.workspace))).collect(),
            retention: report.retention.iter().map(Limit::new).collect(),
        }
    }
}

impl<'a> Log<'a> {
    fn new(log: &'a LogStatus, workspace: Option<&'a str>, began: Option<&GenerationHead>, now: DateTime<Utc>) -> Self {
        Self {
            workspace,
            workspace_id: log.workspace,
            projection: &log.projection,
            epoch: log.epoch,
            head: log.head,
            generation_began_at: began.map(|head| head.position),
            checkpoint: log.checkpoint,
            lag_events: log.lag_events,
            lag_s: log.lag(now).as_secs_f64(),
            state: state(log),
            stopped: log.stopped.as_ref().map(|stop| Stopped { position: stop.position, reason: &stop.reason }),
            parked_parts: log.parked.parts,
            parked_events: log.parked.events,
        }
    }
}

impl<'a> GenerationInfo<'a> {
    fn new(generation: &'a Generation) -> Self {
        Self {
            generation: generation.number,
            began_at: generation.began_at,
            cause: generation.cause.name(),
            note: generation.note.as_deref(),
            system_identifier: generation.system_identifier.to_string(),
            timeline: generation.timeline,
        }
    }
}

impl<'a> Projector<'a> {
    fn new(projector: &'a ProjectorStatus) -> Self {
        Self {
            id: projector.projector,
            name: &projector.name,
            living: projector.is_living,
            started_at: projector.started_at,
            renewed_at: projector.renewed_at,
            silent_s: projector.silent_for.as_secs_f64(),
            follows: &projector.follows,
            logs: projector.logs.iter().copied().collect(),
        }
    }
}

impl<'a> EpochInfo<'a> {
    fn new(epoch: &'a EpochStatus) -> Self {
        Self {
            projection: &epoch.projection,
            epoch: epoch.epoch,
            state: epoch.state.name(),
            version: epoch.version,
            workspaces: epoch.workspaces,
            applied: epoch.applied,
            events: epoch.events,
            created_at: epoch.created_at,
            drop_at: epoch.drop_at,
        }
    }
}

impl<'a> Verified<'a> {
    fn new(last: &'a LastVerified) -> Self {
        Self {
            projection: &last.projection,
            scope: if last.sampled { "sample" } else { "whole" },
            passed_at: last.passed_at,
            differences: last.differences,
            problems: last.problems,
        }
    }
}

impl<'a> ParkedInfo<'a> {
    fn new(part: &'a ParkedPart, workspace: Option<&'a str>) -> Self {
        Self {
            workspace,
            workspace_id: part.workspace,
            projection: &part.projection,
            epoch: part.epoch,
            live: part.is_live,
            stream_type: &part.stream_type,
            stream_id: &part.stream_id,
            campaign_id: part.campaign_id,
            position: part.position,
            waiting: part.waiting,
            parked_at: part.parked_at,
            reason: &part.reason,
        }
    }
}

impl<'a> Limit<'a> {
    fn new(kept: &'a Retention) -> Self {
        Self {
            projection: &kept.projection,
            table: &kept.table,
            keep_months: kept.keep_months,
            kept_from: kept.before,
            dropped_before: kept.dropped_before,
        }
    }
}
