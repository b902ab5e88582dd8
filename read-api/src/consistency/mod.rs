//! How fresh a caller wants its answer: at least at a position (read your writes), at most so old, or whatever is there.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use http::header::HeaderName;
use http_edge::consistency::ConsistencyToken;
use tokio::time::{Instant, timeout_at};

use crate::ApiState;
use crate::error::ReadError;
use crate::model_head::ModelHead;
use crate::parked::ResourceScope;
use crate::report::request::FieldErrors;
use crate::snapshot::Snapshot;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The longest that a request may wait for the projection.
const MAX_WAIT_S: u64 = 30;

/// What a request says of it in its query string.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsistencyParams {
    pub(crate) min_position: Option<i64>,
    pub(crate) max_staleness: Option<String>,
    pub(crate) on_timeout: Option<String>,
}

/// What a caller wants of its answer's freshness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsistencyRequirement {
    min_position: Option<i64>,
    max_staleness: Option<TimeDelta>,
    /// Seconds that the caller would rather wait than get less.
    wait_s: Option<u64>,
    error_on_timeout: bool,
}

/// A snapshot, and whether it is as fresh as was asked.
#[derive(Debug)]
pub(crate) struct ConsistentSnapshot {
    pub(crate) snapshot: Snapshot,
    consistency: ConsistencyRequirement,
    pub(crate) satisfied: bool,
    /// Parts of the log that wait and belong to the answer.
    pub(crate) parked: usize,
    /// The `wait` that was honoured, for `Preference-Applied`.
    pub(crate) waited_s: Option<u64>,
}

impl ConsistencyRequirement {
    /// Reads the query string, `Consistency-Token` and `Prefer`.
    pub(crate) fn read(asked: &ConsistencyParams, headers: &HeaderMap, workspace: i32) -> Result<Self, ReadError> {
        let mut fields = FieldErrors::default();
        let token = ConsistencyToken::from_headers(headers).map_err(ReadError::ConsistencyToken)?;
        if token.is_some_and(|token| token.workspace != workspace) {
            return Err(ReadError::ForeignConsistencyToken);
        }
        if asked.min_position.is_some_and(|position| position < 0) {
            fields.push("min_position", "must not be negative");
        }
        let max_staleness = asked.max_staleness.as_deref().and_then(|text| {
            let duration = parse_duration(text);
            if duration.is_none() {
                fields.push("max_staleness", "is not a duration such as 500ms, 5s, 2m or 1h");
            }
            duration
        });
        let error_on_timeout = match asked.on_timeout.as_deref() {
            None | Some("stale") => false,
            Some("error") => true,
            Some(_) => {
                fields.push("on_timeout", "is neither stale nor error");
                false
            }
        };
        fields
            .finish(Self {
                min_position: token.map(|token| token.position).max(asked.min_position),
                max_staleness,
                wait_s: preferred_wait(headers),
                error_on_timeout,
            })
            .map_err(ReadError::Query)
    }

    /// The same, but for a caller who does not wait.
    pub(crate) fn without_waiting(self) -> Self {
        Self { wait_s: None, ..self }
    }

    /// Whether the caller says how fresh the answer must be.
    pub(crate) fn is_asked_for(self) -> bool {
        self.min_position.is_some() || self.max_staleness.is_some()
    }

    /// The `wait` of a caller who got what it wants.
    pub(crate) fn wait_s(self) -> Option<u64> {
        self.wait_s
    }

    /// Whether a snapshot may come too late for it and be waited for again, although a tip has met it.
    pub(crate) fn may_need_second_wait(self) -> bool {
        self.wait_s.is_some() && self.max_staleness.is_some()
    }

    /// Whether rows that are so far are as fresh as is wanted, and whole: nothing of them was ever parked.
    pub(crate) fn is_satisfied_by(self, tip: &ModelHead, now: DateTime<Utc>) -> bool {
        tip.revision.count == 0 && self.is_met_at(tip.applied, tip.lag(now))
    }

    /// Whether rows that hold the log up to this position, and lag by so much, are as fresh as is wanted.
    pub(crate) fn is_met_at(self, applied: i64, lag: TimeDelta) -> bool {
        self.min_position.is_none_or(|position| position <= applied)
            && self.max_staleness.is_none_or(|bound| lag <= bound)
    }

    /// Takes a snapshot that is as fresh as is wanted, waiting for the projection as long as the caller would.
    /// What hides behind a parked part is not waited for.
    pub(crate) async fn acquire_snapshot(
        self,
        state: &ApiState,
        workspace: i32,
        about: &ResourceScope,
    ) -> Result<ConsistentSnapshot, ReadError> {
        let mut watch = self.wait_s.map(|_| state.progress.watch(workspace));
        let deadline = Instant::now() + Duration::from_secs(self.wait_s.unwrap_or(0));
        let mut snapshot = Snapshot::take(state, workspace).await?;
        self.refuse_unknown(&snapshot)?;
        while let (Some(missing), Some(watch)) = (self.missing(&snapshot), &mut watch) {
            drop(snapshot);
            let reached = timeout_at(deadline, watch.reaches(missing)).await.is_ok();
            snapshot = Snapshot::take(state, workspace).await?;
            if !reached {
                break;
            }
        }
        let mut settled =
            ConsistentSnapshot { snapshot, consistency: self, satisfied: true, parked: 0, waited_s: None };
        settled.check(about)?;
        Ok(settled)
    }

    /// The position that has to be applied before this snapshot would do.
    fn missing(&self, snapshot: &Snapshot) -> Option<i64> {
        let too_stale = self.max_staleness.is_some_and(|bound| snapshot.lag() > bound);
        // Whatever is committed by now is fresh enough.
        let for_staleness = too_stale.then_some(snapshot.head);
        self.min_position.max(for_staleness).filter(|position| *position > snapshot.applied)
    }

    fn refuse_unknown(&self, snapshot: &Snapshot) -> Result<(), ReadError> {
        match self.min_position.filter(|asked| *asked > snapshot.head) {
            Some(asked) => Err(ReadError::UnknownPosition { asked, head: snapshot.head }),
            None => Ok(()),
        }
    }
}

impl ConsistentSnapshot {
    /// Whether the snapshot is as fresh as is wanted, once more after it was told to show an older state.
    pub(crate) fn check(&mut self, about: &ResourceScope) -> Result<(), ReadError> {
        let (snapshot, wanted) = (&self.snapshot, self.consistency);
        wanted.refuse_unknown(snapshot)?;
        if snapshot.is_building {
            return Err(ReadError::Building);
        }
        if let Some(bound) = wanted.max_staleness
            && snapshot.lag() > bound
        {
            return Err(ReadError::StalenessBoundUnmet { lag: snapshot.lag() });
        }
        let is_there = |position| position <= snapshot.applied && !snapshot.parked.blocks_position(about, position);
        self.satisfied = wanted.min_position.is_none_or(is_there);
        if !self.satisfied && wanted.error_on_timeout {
            return Err(ReadError::NotYetVisible {
                asked: wanted.min_position.unwrap_or(0),
                applied: snapshot.applied,
            });
        }
        self.parked = snapshot.parked.count(about);
        self.waited_s = wanted.wait_s.filter(|_| self.satisfied);
        Ok(())
    }
}

/// The `wait` of `Prefer: wait=5, …` (RFC 7240). A preference that cannot be read is not one; a long one is cut short.
fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut each = preferences.flat_map(|value| value.split(','));
    each.find_map(|preference| {
        let (name, rest) = preference.split_once('=')?;
        let value = rest.split(';').next().unwrap_or_default().trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u64>().ok()).flatten()
    })
    .map(|seconds| seconds.min(MAX_WAIT_S))
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
