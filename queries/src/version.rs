//! Versions: what a result depends on. A version may change needlessly; it never stays the same when the result
//! changed. A 304 rests on it: the ETag is model, epoch, version and the hash of the query
//! ([`ResultId`](crate::ResultId)).
//!
//! A version is `<position>.<boundary>.<revision>`. `position` is the maximum of these:
//!
//! | input | what it covers | queries that use it |
//! | --- | --- | --- |
//! | `read.scope_marks`, `campaign:<id>:<month>` | a campaign's numbers in each UTC month of the ranges | reports (a) |
//! | `read.scope_marks`, `month:<month>` | all numbers in those months | reports of more campaigns, dashboards |
//! | `read.campaigns`, the rows in scope | the campaigns and their own fields | all but activity and leaderboard |
//! | `read.campaign_sources`, the rows in scope | when a source first fed a campaign | all but the leaderboard |
//! | `read.activity`, the campaign's rows | what was decided and corrected | activity |
//! | `read.scope_marks`, `source:<id>` | definition, completeness and status of the watched sources | reports (b) |
//! | the last event of the parked parts | what the result lacks | reports, dashboards, pacing, leaderboard |
//! | `read.checkpoints`, `calendar_position` | when the calendar was set | the workspace |
//! | the position of the last revision | parts that were parked, retried or skipped | all |
//! | the position of the last refresh | the state of the log that the ranks show | leaderboard |
//!
//! (a) Those of at most 100 campaigns; also dashboards, pacing and corrections.
//!
//! (b) Also dashboards, pacing, and campaigns filtered by source.
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
//! | the deadlines of the watched sources: the end of a restatement horizon, a late run | reports, dashboards, pacing |
//! | the start of a launched campaign, which becomes active | one campaign, campaigns; reports filtered by status |
//! | when retention dropped rows of the range | reports, dashboards, pacing, corrections |
//! | the last refresh | leaderboard |
//!
//! `revision` counts how often parts of the log were parked, retried or skipped (`read.checkpoints`). It is in every
//! version, because rows then change without a new event.
//!
//! A dashboard has the maximum of its reports. If one of them is refused as things are now, its version is the
//! checkpoint and the current time.

use std::fmt;

use chrono::{DateTime, Utc};

/// A result's version: `<position>.<boundary>`, and `.<revision>` once something was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    position: i64,
    revision: i32,
    /// `None` if the clock has not changed anything yet.
    boundary: Option<DateTime<Utc>>,
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
    pub fn new(revision: Revision, position: i64, boundary: Option<DateTime<Utc>>) -> Self {
        Self { position: position.max(revision.position), revision: revision.count, boundary }
    }

    /// The version of two results that are shown as one.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            position: self.position.max(other.position),
            revision: self.revision.max(other.revision),
            boundary: self.boundary.max(other.boundary),
        }
    }

    /// The last clock boundary. Values that move with the clock are computed as of it.
    pub fn as_of(self) -> DateTime<Utc> {
        self.boundary.unwrap_or_default()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.boundary.map_or(0, |boundary| boundary.timestamp()))?;
        if self.revision > 0 { write!(f, ".{}", self.revision) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Revision, Version};

    #[test]
    fn displays_position_and_boundary() {
        let boundary = "2026-11-22T00:00:00Z".parse().unwrap();
        let never = Revision::default();
        assert_eq!(Version::new(never, 1204, Some(boundary)).to_string(), "1204.1795305600");
        assert_eq!(Version::new(never, 0, None).to_string(), "0.0");
    }

    #[test]
    fn revision_never_lowers_the_position() {
        let revision = Revision { count: 2, position: 1300 };
        assert_eq!(Version::new(revision, 1204, None).to_string(), "1300.0.2");
        assert_eq!(Version::new(revision, 1400, None).to_string(), "1400.0.2");
    }
}
