//! Live, provisional, final: freshness as a pure function of syncs, deadlines and a given now.
//!
//! Everything here changes by an event, or by the clock at an instant that [`next_boundary`] gives beforehand. Between
//! two boundaries nothing changes, so that an answer may be kept until the next one.

mod alignment; // alignment of a source's time with a query's

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::bucket::Grain;

pub use alignment::{StatedGrain, ZoneAlignment};

#[cfg(test)]
mod tests;

/// The reports of a source on its runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceSyncs {
    /// When its newest run started.
    pub last_started_at: Option<DateTime<Utc>>,
    /// When a run last ended well.
    pub last_completed_at: Option<DateTime<Utc>>,
    /// When a run last failed.
    pub last_failed_at: Option<DateTime<Utc>>,
    /// The instant through which it is complete.
    pub complete_through: Option<DateTime<Utc>>,
    /// The reason of the last failed run.
    pub failure_reason: Option<String>,
    /// The steps in which its completeness moves.
    pub grain: Option<Grain>,
}

/// The inputs of a source's freshness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFreshness {
    /// How long after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// How long after a bucket closes it may still change its numbers.
    pub restatement_horizon_s: i64,
    /// Its runs.
    pub syncs: SourceSyncs,
}

/// The status of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceStatus {
    /// Complete as far as expected.
    Ok,
    /// A run is in progress.
    Running,
    /// Not complete as far as expected.
    Late,
    /// Its last finished run failed.
    Failed,
    /// No run was ever reported.
    Never,
}

impl SourceStatus {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Running => "running",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Never => "never",
        }
    }
}

/// The finality of a bucket's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finality {
    /// The bucket is still open.
    Live,
    /// Closed, but a primary source has not completed past it, or may still restate it.
    Provisional,
    /// Every primary source has completed past it, and its restatement horizon has passed since.
    Final,
}

impl Finality {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Provisional => "provisional",
            Self::Final => "final",
        }
    }
}

impl SourceFreshness {
    /// The instant from which it is late without a further report. That is one grain after its completeness, plus its
    /// expected delay, rounded up to a whole second, because versions name boundaries in seconds. A day counts 24 hours
    /// here, whatever the clock changes.
    pub fn late_at(&self) -> Option<DateTime<Utc>> {
        let step_s = self.syncs.grain.unwrap_or(Grain::QuarterHour).seconds();
        let complete_through = self.syncs.complete_through?;
        let whole = complete_through.trunc_subsecs(0);
        let rounding_s = i64::from(whole < complete_through);
        later(whole, step_s.saturating_add(self.expected_delay_s).saturating_add(rounding_s))
    }

    /// Its status.
    pub fn status(&self, now: DateTime<Utc>) -> SourceStatus {
        let SourceSyncs { last_started_at, last_completed_at, last_failed_at, complete_through, .. } = self.syncs;
        let last_ended_at = last_completed_at.max(last_failed_at);
        // `None` is before any instant, so a first run is in progress and a first failure is the last end.
        let underway = last_started_at > last_ended_at;
        if last_failed_at > last_completed_at && !underway {
            SourceStatus::Failed
        } else if self.late_at().is_some_and(|late_at| now >= late_at) {
            SourceStatus::Late
        } else if underway {
            SourceStatus::Running
        } else if last_ended_at.is_none() && complete_through.is_none() {
            SourceStatus::Never
        } else {
            SourceStatus::Ok
        }
    }

    /// The instant before which this source's numbers are final. It moves with the clock, so an answer that must not
    /// change between boundaries uses its [`last_boundary`].
    pub fn final_through(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(self.syncs.complete_through?.min(earlier(now, self.restatement_horizon_s)?))
    }

    /// Its watermarks in the time of a query.
    pub fn watermarks(&self, reckoning: &ZoneAlignment, now: DateTime<Utc>) -> Watermarks {
        Watermarks {
            complete_through: self.syncs.complete_through.map(|through| reckoning.to_query_time(through)),
            final_through: self.final_through(now).map(|through| reckoning.to_query_time(through)),
            elapsed_through: reckoning.to_query_time(now),
        }
    }
}

/// The watermarks of a source, in the time of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// The instant through which it is complete.
    pub complete_through: Option<DateTime<Utc>>,
    /// The instant through which it is final.
    pub final_through: Option<DateTime<Utc>>,
    /// The instant before which all its own days and hours are over.
    pub elapsed_through: DateTime<Utc>,
}

/// The finality of a bucket that ends at `end`. Without a primary source it stays provisional.
pub fn state(end: DateTime<Utc>, now: DateTime<Utc>, primaries: &[Watermarks]) -> Finality {
    let is_final = |source: &Watermarks| source.final_through.is_some_and(|through| through >= end);
    if end > now || primaries.iter().any(|source| source.elapsed_through < end) {
        Finality::Live
    } else if !primaries.is_empty() && primaries.iter().all(is_final) {
        Finality::Final
    } else {
        Finality::Provisional
    }
}

/// The first instant between `start` and `end` whose numbers are incomplete. It moves by reports of sources, never by
/// the clock.
pub fn first_incomplete(start: DateTime<Utc>, end: DateTime<Utc>, primaries: &[Watermarks]) -> Option<DateTime<Utc>> {
    let complete_through = primaries.iter().map(|source| source.complete_through.unwrap_or(start)).min();
    Some(complete_through.unwrap_or(start).max(start)).filter(|incomplete| *incomplete < end)
}

/// The last instant up to `now` at which the clock alone may have changed the state of a cell or the status of a
/// source. `cell_ends` is sorted, and contains the result of [`ZoneAlignment::to_source_time`] for each. `sources` may
/// contain reference sources: they add unnecessary boundaries, but omit none.
pub fn last_boundary(
    now: DateTime<Utc>,
    cell_ends: &[DateTime<Utc>],
    sources: &[&SourceFreshness],
) -> Option<DateTime<Utc>> {
    debug_assert!(cell_ends.is_sorted());
    let last_end_up_to = |limit| cell_ends.get(..cell_ends.partition_point(|end| *end <= limit))?.last().copied();
    let of_sources = sources.iter().flat_map(|source| {
        let horizon_passed =
            source.final_through(now).and_then(last_end_up_to).and_then(|end| later(end, source.restatement_horizon_s));
        [horizon_passed, source.late_transition().filter(|late_at| *late_at <= now)]
    });
    of_sources.flatten().chain(last_end_up_to(now)).max()
}

/// The first instant after `now` at which the clock alone may change the state of a cell or the status of a source.
/// `cell_ends` and `sources` are like those of [`last_boundary`].
pub fn next_boundary(
    now: DateTime<Utc>,
    cell_ends: &[DateTime<Utc>],
    sources: &[&SourceFreshness],
) -> Option<DateTime<Utc>> {
    debug_assert!(cell_ends.is_sorted());
    let first_end_after = |limit| cell_ends.get(cell_ends.partition_point(|end| *end <= limit)).copied();
    let of_sources = sources.iter().flat_map(|source| {
        let horizon_passes = earlier(now, source.restatement_horizon_s)
            .and_then(first_end_after)
            .filter(|end| source.syncs.complete_through >= Some(*end))
            .and_then(|end| later(end, source.restatement_horizon_s));
        [horizon_passes, source.late_transition().filter(|late_at| *late_at > now)]
    });
    of_sources.flatten().chain(first_end_after(now)).min()
}

/// Whether a change came after its number was final: the horizon had passed and the source had completed past the
/// bucket, both at or before the change.
pub fn restated_after_final(
    end: DateTime<Utc>,
    horizon_s: i64,
    changed_at: DateTime<Utc>,
    first_completed_past_end: Option<DateTime<Utc>>,
) -> bool {
    let horizon_had_passed = later(end, horizon_s).is_some_and(|passes| changed_at >= passes);
    horizon_had_passed && first_completed_past_end.is_some_and(|completed_at| completed_at <= changed_at)
}

impl SourceFreshness {
    /// The instant at which the clock makes it late. A failed source stays failed.
    fn late_transition(&self) -> Option<DateTime<Utc>> {
        self.late_at().filter(|late_at| self.status(*late_at) == SourceStatus::Late)
    }
}

/// `None` past the representable time, which never comes.
fn later(instant: DateTime<Utc>, seconds: i64) -> Option<DateTime<Utc>> {
    instant.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}

fn earlier(instant: DateTime<Utc>, seconds: i64) -> Option<DateTime<Utc>> {
    instant.checked_sub_signed(TimeDelta::try_seconds(seconds)?)
}
