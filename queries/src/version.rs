//! Versions: what a result depends on. A version may change needlessly; it never stays the same when the result
//! changed. A 304 rests on it: the ETag is model, epoch, version and the hash of the query
//! ([`ResultId`](crate::ResultId)).
//!
//! A version is `<position>@<recorded at>.<boundary>.<revision>.<sources>`. `recorded at` is when the event of that
//! position was recorded, in microseconds. After a restore, other events may come to stand at the same positions: the
//! instant tells them apart. `position` is the maximum of these:
//!
//! | input | what it covers | queries that use it |
//! | --- | --- | --- |
//! | `read.scope_marks`, `campaign:<id>:<month>` | a campaign's numbers in each UTC month of the ranges | reports (a) |
//! | `read.scope_marks`, `month:…`, `day:…`, `hour:…` | what was pushed in them, and totals of hours (c) | reports |
//! | `read.scope_marks`, `date:<date>` | totals of days that state this date (c) | reports |
//! | `read.campaigns`, the rows in scope | the campaigns and their own fields (d) | all but activity and leaderboard |
//! | `read.campaign_sources`, the rows in scope | when a source first fed a campaign (e) | all but the leaderboard |
//! | `read.activity`, the campaign's rows | what was decided and corrected | activity |
//! | `read.scope_marks`, `source:<id>:settings` | what the watched sources are, and reopened | reports (b) |
//! | `read.scope_marks`, `source:<id>` | their definition, completeness and status | campaigns filtered by source |
//! | the last event of the parked parts | what the result lacks | reports, dashboards, pacing, leaderboard |
//! | `read.checkpoints`, `calendar_position` | when the calendar was set | the workspace |
//! | `read.workspaces`, `money_limit_position` | when the money limit was set | the workspace |
//! | the position of the last revision | parts that were parked, retried or skipped | all |
//! | the position of the last refresh | the state of the log that the ranks show | leaderboard |
//!
//! (a) Those of at most 100 campaigns; also dashboards, pacing and corrections.
//!
//! (b) Also dashboards and pacing.
//!
//! (c) Of the workspace, in UTC, whatever the campaigns: of a range, its whole months, its whole days, and the hours at
//! its ends. Of at most 100 campaigns, (a) counts where that is less. Also dashboards.
//!
//! (d) In reports only where they group or filter by campaigns or their status.
//!
//! (e) In reports only as for (d), where the sides of a ratio are stated by two sources of a channel, and where a
//! source has no part of a total yet.
//!
//! The calendar of a report, and the time zone, stand in its canonical query, and so in the hash.
//!
//! A report watches the sources that feed its campaigns. It watches all sources if it is of the whole workspace, or
//! filters by source, channel or status.
//!
//! `boundary` is the last of these instants up to now:
//!
//! | input | queries that use it |
//! | --- | --- |
//! | the ends of buckets of both ranges, also in the zones of the watched sources | reports, dashboards, pacing |
//! | midnight in the query's zone, if its range lies from today | reports, dashboards |
//! | the end of the last closed bucket, with `compare_elapsed` | reports, dashboards |
//! | the ends of the watched sources' horizons, and when they become late (f) | reports, dashboards, pacing |
//! | the start of a launched campaign, which becomes active | one campaign, campaigns; reports filtered by status |
//! | when retention dropped rows of the range | reports, dashboards, pacing, corrections |
//! | the last refresh | leaderboard |
//!
//! (f) Nothing of a source whose numbers of the ranges are all final.
//!
//! `revision` counts how often parts of the log were parked, retried or skipped (`read.checkpoints`). It is in every
//! version, because rows then change without a new event.
//!
//! `sources` is a digest of what a report, a dashboard or pacing may say of the runs of its sources, cut to its ranges:
//! the freshness that it shows, and which buckets each source vouches for. A position cannot stand for it. Most runs
//! change nothing that is said of closed days, and which of many runs did follows from all of them together.
//!
//! A dashboard has the maximum of its reports. If one of them is refused as things are now, its version is the
//! checkpoint and the current time.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use crate::error::ReadError;

/// A result's version: `<position>@<recorded at>.<boundary>`, `.<revision>` once something was parked, and
/// `.<revision>.<sources>` where it says how far sources are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    event: RecordedEvent,
    revision: i32,
    /// `None` if the clock has not changed anything yet.
    boundary: Option<DateTime<Utc>>,
    /// `None` if it says nothing of runs of sources.
    sources: Option<SourcesDigest>,
}

/// A digest of what a result says of its sources' runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourcesDigest(u64);

impl SourcesDigest {
    /// The digest that begins a hash.
    pub(crate) fn of(hash: &[u8; 32]) -> Self {
        Self(hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
    }

    /// The digest of two results that are shown as one, in this order.
    fn and(self, other: Self) -> Self {
        // An odd factor loses nothing of the first.
        Self(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(other.0))
    }
}

/// The parts of a version, as a cursor keeps them: position, when it was recorded, in microseconds, boundary, in
/// seconds, revision, sources. An instant that there is not is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VersionKey(i64, i64, i64, i32, Option<SourcesDigest>);

impl VersionKey {
    /// The event of the position.
    pub(crate) fn event(self) -> RecordedEvent {
        let Self(position, recorded_at, ..) = self;
        let recorded_at = (position > 0).then(|| DateTime::from_timestamp_micros(recorded_at)).flatten();
        RecordedEvent { position, recorded_at }
    }
}

/// An event by its position, and when it was recorded. Two histories of a log may share positions, but not these
/// instants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedEvent {
    /// 0 for no event.
    pub position: i64,
    /// `None` for no event.
    pub recorded_at: Option<DateTime<Utc>>,
}

impl RecordedEvent {
    /// Checks that the log holds it, given when the event at its position was recorded.
    pub(crate) fn check(self, found: Option<DateTime<Utc>>) -> Result<(), ReadError> {
        let micros = |at: Option<DateTime<Utc>>| at.map(|at| at.timestamp_micros());
        let holds = micros(self.recorded_at) == micros(found);
        if holds { Ok(()) } else { Err(ReadError::LogRestored { position: self.position }) }
    }
}

/// When the event of a position was recorded. `None` for no event.
pub(crate) async fn recorded_at(
    db: impl PgExecutor<'_>,
    workspace: i32,
    position: i64,
) -> Result<Option<DateTime<Utc>>, ReadError> {
    if position == 0 {
        return Ok(None);
    }
    Ok(sqlx::query_scalar!("SELECT log.recorded_at_of($1, $2)", workspace, position).fetch_one(db).await?)
}

/// The changes of an epoch's rows without a new event: parts that were parked, retried or skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    /// How many there were.
    pub count: i32,
    /// The position up to which the log was applied at the last of them.
    pub position: i64,
}

impl Version {
    /// The version of a result that last changed with this event, which is not before the last revision, and at this
    /// boundary.
    pub(crate) fn new(event: RecordedEvent, revision: i32, boundary: Option<DateTime<Utc>>) -> Self {
        Self { event, revision, boundary, sources: None }
    }

    /// The version of a result that follows from the clock alone.
    pub(crate) fn of_clock(boundary: Option<DateTime<Utc>>) -> Self {
        Self { event: RecordedEvent::default(), revision: 0, boundary, sources: None }
    }

    /// The version of the same result, which also says this of its sources.
    #[must_use]
    pub(crate) fn with_sources(self, sources: SourcesDigest) -> Self {
        Self { sources: Some(sources), ..self }
    }

    /// The version of two results that are shown as one.
    pub(crate) fn max(self, other: Self) -> Self {
        let sources = match (self.sources, other.sources) {
            (Some(own), Some(others)) => Some(own.and(others)),
            (own, others) => own.or(others),
        };
        Self {
            event: self.event.max(other.event),
            revision: self.revision.max(other.revision),
            boundary: self.boundary.max(other.boundary),
            sources,
        }
    }

    /// Its parts as numbers.
    pub(crate) fn key(self) -> VersionKey {
        let recorded_at = self.event.recorded_at.map_or(0, |recorded_at| recorded_at.timestamp_micros());
        let boundary = self.boundary.map_or(0, |boundary| boundary.timestamp());
        VersionKey(self.event.position, recorded_at, boundary, self.revision, self.sources)
    }

    /// When the last event that changed the result was recorded.
    pub fn last_changed_at(self) -> Option<DateTime<Utc>> {
        self.event.recorded_at
    }

    /// When the result last changed, by an event or by the clock.
    pub fn last_modified(self) -> Option<DateTime<Utc>> {
        self.event.recorded_at.max(self.boundary)
    }

    /// The last clock boundary. Values that move with the clock are computed as of it.
    pub fn as_of(self) -> DateTime<Utc> {
        self.boundary.unwrap_or_default()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event.position)?;
        if let Some(recorded_at) = self.event.recorded_at {
            write!(f, "@{}", recorded_at.timestamp_micros())?;
        }
        write!(f, ".{}", self.boundary.map_or(0, |boundary| boundary.timestamp()))?;
        match self.sources {
            Some(SourcesDigest(digest)) => write!(f, ".{}.{digest:016x}", self.revision),
            None if self.revision > 0 => write!(f, ".{}", self.revision),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordedEvent, SourcesDigest, Version};

    #[test]
    fn displays_event_and_boundary() {
        let boundary = "2026-11-22T00:00:00Z".parse().unwrap();
        let recorded_at = "2026-11-21T09:30:00.000123Z".parse().unwrap();
        let event = RecordedEvent { position: 1204, recorded_at: Some(recorded_at) };
        assert_eq!(Version::new(event, 0, Some(boundary)).to_string(), "1204@1795253400000123.1795305600");
        assert_eq!(Version::new(event, 2, None).to_string(), "1204@1795253400000123.0.2");
        assert_eq!(Version::of_clock(None).to_string(), "0.0");
        let sources = SourcesDigest::of(&[0xab; 32]);
        assert_eq!(Version::of_clock(None).with_sources(sources).to_string(), "0.0.0.abababababababab");
        assert_eq!(Version::new(event, 0, Some(boundary)).last_modified(), Some(boundary));
        assert_eq!(Version::new(event, 0, Some(boundary)).last_changed_at(), Some(recorded_at));
    }

    #[test]
    fn later_of_two_has_the_instant_of_the_later_event() {
        let event = |position, recorded_at: &str| RecordedEvent { position, recorded_at: recorded_at.parse().ok() };
        let (one, other) = (event(7, "2026-11-21T09:00:00Z"), event(9, "2026-11-21T08:00:00Z"));
        let version = |event| Version::new(event, 0, None);
        assert_eq!(version(one).max(version(other)), version(other));
    }
}
