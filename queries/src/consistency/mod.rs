//! Consistency: how fresh a caller requires a result. At least at a position (read your writes), within a bound of
//! staleness, or neither.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, timeout_at};

use crate::database::Database;
use crate::database::model_head::ModelHead;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::fields::FieldErrors;
use crate::parked::ResourceScope;
use crate::status::ReadStatus;
use crate::version::{RecordedEvent, recorded_at};

/// The longest that a read may wait for the projection.
pub const MAX_WAIT_S: u64 = 30;

/// A consistency requirement as it was sent.
#[derive(Debug, Clone, Default)]
pub struct ConsistencyParams {
    pub min_position: Option<i64>,
    pub max_staleness: Option<String>,
    pub on_timeout: Option<String>,
}

/// How fresh a caller requires a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsistencyRequirement {
    pub min_position: Option<i64>,
    /// An event that the caller has seen, of a token. `min_position` is not before it.
    pub seen: Option<RecordedEvent>,
    pub max_staleness: Option<TimeDelta>,
    /// How many seconds the caller would wait for it; at most [`MAX_WAIT_S`].
    pub wait_s: Option<u64>,
    pub error_on_timeout: bool,
}

/// A snapshot, and whether it meets the requirement.
#[derive(Debug)]
pub struct ConsistentSnapshot {
    pub snapshot: Snapshot,
    consistency: ConsistencyRequirement,
    pub satisfied: bool,
    /// How many parked parts of the log belong to the result.
    pub parked: usize,
    /// The `wait` that was honoured, for `Preference-Applied`.
    pub waited_s: Option<u64>,
}

impl ConsistencyRequirement {
    /// This status for a caller whose requirement is met.
    pub(crate) fn met(self, status: ReadStatus) -> ReadStatus {
        ReadStatus { satisfied: self.is_asked_for().then_some(true), waited_s: self.wait_s, ..status }
    }

    /// The requirement, or every wrong field. `seen`: an event that the caller has already seen. `wait_s`: how long it
    /// would wait.
    pub fn read(
        params: &ConsistencyParams,
        seen: Option<RecordedEvent>,
        wait_s: Option<u64>,
    ) -> Result<Self, ReadError> {
        let mut fields = FieldErrors::default();
        if params.min_position.is_some_and(|position| position < 0) {
            fields.push("min_position", "must not be negative");
        }
        let max_staleness = params.max_staleness.as_deref().and_then(|text| {
            let duration = parse_duration(text);
            if duration.is_none() {
                fields.push("max_staleness", "is not a duration such as 500ms, 5s, 2m or 1h");
            }
            duration
        });
        let error_on_timeout = match params.on_timeout.as_deref() {
            None | Some("stale") => false,
            Some("error") => true,
            Some(_) => {
                fields.push("on_timeout", "is neither stale nor error");
                false
            }
        };
        let min_position = seen.map(|seen| seen.position).max(params.min_position);
        let wait_s = wait_s.map(|seconds| seconds.min(MAX_WAIT_S));
        fields.finish(Self { min_position, seen, max_staleness, wait_s, error_on_timeout }).map_err(ReadError::Query)
    }

    /// The same requirement without a wait.
    pub(crate) fn without_waiting(self) -> Self {
        Self { wait_s: None, ..self }
    }

    /// Whether it requires anything.
    pub fn is_asked_for(self) -> bool {
        self.min_position.is_some() || self.max_staleness.is_some()
    }

    /// Whether a snapshot may be too stale for it, although the model head met it, so that the caller waits again.
    pub fn may_need_second_wait(self) -> bool {
        self.wait_s.is_some() && self.max_staleness.is_some()
    }

    /// Whether rows at this head meet it. Only if nothing of them was ever parked.
    pub fn is_satisfied_by(self, head: &ModelHead, now: DateTime<Utc>) -> bool {
        head.revision.count == 0 && self.is_met_at(head.applied, head.lag(now))
    }

    /// Whether a read with this status meets it.
    pub(crate) fn is_met_by(self, status: &ReadStatus) -> bool {
        self.is_met_at(status.applied, status.lag)
    }

    /// Whether rows at this position, with this lag, meet it.
    fn is_met_at(self, applied: i64, lag: TimeDelta) -> bool {
        self.min_position.is_none_or(|position| position <= applied)
            && self.max_staleness.is_none_or(|bound| lag <= bound)
    }

    /// Checks that the event which the caller has seen is in the log, where the workspace is at this head.
    pub(crate) async fn check_seen(
        self,
        database: &Database,
        workspace: i32,
        head: &ModelHead,
    ) -> Result<(), ReadError> {
        let Some(seen) = self.seen else { return Ok(()) };
        let is_applied_last = seen.position == head.applied;
        let found = if is_applied_last {
            head.applied_at
        } else {
            recorded_at(&database.pool, workspace, seen.position).await?
        };
        seen.check(found)
    }

    /// Takes a snapshot that meets it, and waits for the projection as long as the caller would. Events behind a parked
    /// part are not waited for.
    pub async fn acquire_snapshot(
        self,
        database: &Database,
        workspace: i32,
        about: &ResourceScope,
    ) -> Result<ConsistentSnapshot, ReadError> {
        let mut watch = self.wait_s.map(|_| database.progress.watch(workspace));
        let deadline = Instant::now() + Duration::from_secs(self.wait_s.unwrap_or(0));
        let mut snapshot = Snapshot::take(database, workspace).await?;
        self.refuse_unknown(&mut snapshot).await?;
        while let (Some(missing), Some(watch)) = (self.missing(&snapshot), &mut watch) {
            drop(snapshot);
            let reached = timeout_at(deadline, watch.reaches(missing)).await.is_ok();
            snapshot = Snapshot::take(database, workspace).await?;
            self.refuse_unknown(&mut snapshot).await?;
            if !reached {
                break;
            }
        }
        let mut consistent =
            ConsistentSnapshot { snapshot, consistency: self, satisfied: true, parked: 0, waited_s: None };
        consistent.check(about)?;
        Ok(consistent)
    }

    /// The position that must be applied before a snapshot meets it.
    fn missing(&self, snapshot: &Snapshot) -> Option<i64> {
        let too_stale = self.max_staleness.is_some_and(|bound| snapshot.lag() > bound);
        // All that is committed by now is fresh enough.
        let for_staleness = too_stale.then_some(snapshot.head);
        self.min_position.max(for_staleness).filter(|position| *position > snapshot.applied)
    }

    /// Refuses a position beyond the head, and an event that the log does not hold.
    async fn refuse_unknown(&self, snapshot: &mut Snapshot) -> Result<(), ReadError> {
        if let Some(seen) = self.seen {
            seen.check(snapshot.recorded_at(seen.position).await?)?;
        }
        self.refuse_beyond_head(snapshot)
    }

    fn refuse_beyond_head(&self, snapshot: &Snapshot) -> Result<(), ReadError> {
        match self.min_position.filter(|position| *position > snapshot.head) {
            Some(requested) => Err(ReadError::UnknownPosition { requested, head: snapshot.head }),
            None => Ok(()),
        }
    }
}

impl ConsistentSnapshot {
    /// The status of what is read from it.
    pub(crate) fn status(&self) -> ReadStatus {
        let satisfied = self.consistency.is_asked_for().then_some(self.satisfied);
        ReadStatus { satisfied, waited_s: self.waited_s, ..self.snapshot.status(self.parked) }
    }

    /// Checks the requirement, again after the snapshot was set to an older state.
    pub fn check(&mut self, about: &ResourceScope) -> Result<(), ReadError> {
        let (snapshot, required) = (&self.snapshot, self.consistency);
        required.refuse_beyond_head(snapshot)?;
        if snapshot.is_building {
            return Err(ReadError::Building);
        }
        if let Some(bound) = required.max_staleness
            && snapshot.lag() > bound
        {
            return Err(ReadError::StalenessBoundUnmet { lag: snapshot.lag() });
        }
        let is_visible = |position| position <= snapshot.applied && !snapshot.parked.blocks_position(about, position);
        self.satisfied = required.min_position.is_none_or(is_visible);
        if !self.satisfied && required.error_on_timeout {
            return Err(ReadError::NotYetVisible {
                requested: required.min_position.unwrap_or(0),
                applied: snapshot.applied,
            });
        }
        self.parked = snapshot.parked.count(about);
        self.waited_s = required.wait_s.filter(|_| self.satisfied);
        Ok(())
    }
}

fn parse_duration(text: &str) -> Option<TimeDelta> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().ok()?;
    match unit {
        "ms" => TimeDelta::try_milliseconds(number),
        "s" => TimeDelta::try_seconds(number),
        "m" => TimeDelta::try_minutes(number),
        "h" => TimeDelta::try_hours(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
