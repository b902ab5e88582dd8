//! Completeness by the clock: of a push source that never says how far it is complete.

use chrono::{DateTime, TimeDelta, Utc};

use crate::bucket::quarter_hour;
use crate::source::SourceDefinition;

/// How long after it was last heard of a source is taken for silent, unless it says otherwise.
const DEFAULT_QUIET_AFTER_S: i64 = 86_400;

/// The settings of a source that completes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfCompleting {
    /// How many seconds after a bucket closes it is complete.
    pub after_s: i64,
    /// How many seconds after it was last heard of it is late, and completes no further.
    pub quiet_after_s: i64,
}

/// What a read knows of such a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardOf {
    /// The start of the quarter of an hour in which something of it was last recorded.
    pub quarter: DateTime<Utc>,
    /// Everything that was recorded before this instant is in the rows.
    pub applied_until: DateTime<Utc>,
}

/// How far such a source is complete, and when the clock moves that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfCompletion {
    /// The instant through which it is complete.
    pub complete_through: DateTime<Utc>,
    /// When the clock last moved it.
    pub moved_at: DateTime<Utc>,
    /// When the clock moves it next. `None` while the source is silent, or its last run failed.
    pub moves_at: Option<DateTime<Utc>>,
    /// The instant from which it is late unless something of it arrives.
    pub late_at: DateTime<Utc>,
}

impl SelfCompleting {
    /// Those of a source, if the clock completes it.
    pub fn of(definition: &SourceDefinition) -> Option<Self> {
        let quiet_after_s = definition.quiet_after_s.unwrap_or(DEFAULT_QUIET_AFTER_S);
        definition.complete_after_s.map(|after_s| Self { after_s, quiet_after_s })
    }

    /// Its completeness. `failed_at`: when its last run failed, if that did. Completeness moves from one end of a
    /// bucket to the next. `None` past the end of time.
    pub fn complete(self, heard: HeardOf, failed_at: Option<DateTime<Utc>>) -> Option<SelfCompletion> {
        let after = TimeDelta::try_seconds(self.after_s)?;
        let quarter = TimeDelta::minutes(15);
        let late_at = heard.quarter + quarter + TimeDelta::try_seconds(self.quiet_after_s)?;
        // Of a run that failed, only what was there before counts.
        let until = failed_at.map_or(heard.applied_until, |failed_at| failed_at.min(heard.applied_until));
        if until >= late_at {
            let complete_through = heard.quarter;
            return Some(SelfCompletion { complete_through, moved_at: late_at, moves_at: None, late_at });
        }
        let complete_through = quarter_hour(until - after);
        Some(SelfCompletion {
            complete_through,
            moved_at: complete_through + after,
            moves_at: failed_at.is_none().then_some(complete_through + quarter + after),
            late_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::freshness::{SourceFreshness, SourceStatus, SourceSyncs, last_boundary, next_boundary};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn source(
        settings: SelfCompleting,
        quarter: DateTime<Utc>,
        syncs: SourceSyncs,
        now: DateTime<Utc>,
    ) -> SourceFreshness {
        let freshness = SourceFreshness { is_push: true, syncs, ..SourceFreshness::default() };
        freshness.completed_by_clock(Some(settings), Some(HeardOf { quarter, applied_until: now }))
    }

    const TEN_MINUTES: SelfCompleting = SelfCompleting { after_s: 600, quiet_after_s: 86_400 };

    #[test]
    fn completes_a_quarter_at_a_time_while_something_arrives() {
        let heard = at("2026-11-20T09:45:00Z");
        let through = |now| {
            let source = source(TEN_MINUTES, heard, SourceSyncs::default(), at(now));
            (source.complete_through(), source.status(at(now)))
        };
        let ok = |instant| (Some(at(instant)), SourceStatus::Ok);
        assert_eq!(through("2026-11-20T10:09:59Z"), ok("2026-11-20T09:45:00Z"));
        assert_eq!(through("2026-11-20T10:10:00Z"), ok("2026-11-20T10:00:00Z"));
        assert_eq!(through("2026-11-21T09:59:59Z"), ok("2026-11-21T09:45:00Z"));
        // Nothing came for a day.
        assert_eq!(through("2026-11-21T10:00:00Z"), (Some(heard), SourceStatus::Late));
        assert_eq!(through("2026-12-21T10:00:00Z"), (Some(heard), SourceStatus::Late));
    }

    #[test]
    fn failed_run_stops_it() {
        let syncs = SourceSyncs { last_failed_at: Some(at("2026-11-20T10:20:00Z")), ..SourceSyncs::default() };
        let now = at("2026-11-20T12:00:00Z");
        let source = source(TEN_MINUTES, at("2026-11-20T11:45:00Z"), syncs, now);
        assert_eq!(source.complete_through(), Some(at("2026-11-20T10:00:00Z")));
        assert_eq!(source.status(now), SourceStatus::Failed);
    }

    #[test]
    fn what_it_says_of_its_completeness_holds() {
        let through = Some(at("2026-11-20T08:00:00Z"));
        let syncs = SourceSyncs {
            last_completed_at: Some(at("2026-11-20T08:01:00Z")),
            complete_through: through,
            ..SourceSyncs::default()
        };
        let now = at("2026-11-20T12:00:00Z");
        let source = source(TEN_MINUTES, at("2026-11-20T11:45:00Z"), syncs, now);
        assert_eq!((source.complete_through(), source.self_completion), (through, None));
    }

    #[test]
    fn nothing_recorded_is_passed_over_while_the_rows_lag() {
        let freshness = SourceFreshness { is_push: true, ..SourceFreshness::default() };
        let heard = HeardOf { quarter: at("2026-11-20T09:45:00Z"), applied_until: at("2026-11-20T09:58:00Z") };
        let source = freshness.completed_by_clock(Some(TEN_MINUTES), Some(heard));
        assert_eq!(source.complete_through(), Some(at("2026-11-20T09:45:00Z")));
    }

    proptest! {
        #[test]
        fn nothing_changes_between_boundaries(
            after_s in 0..200_000_i64,
            quiet_after_s in 900..200_000_i64,
            heard_s in 0..500_000_i64,
            failed_s in prop::option::of(0..500_000_i64),
            asked_s in 0..500_000_i64,
            permille in 0..1_000_i64,
        ) {
            let epoch = at("2026-11-01T00:00:00Z");
            let instant = |seconds| epoch + TimeDelta::seconds(seconds);
            let now = instant(heard_s + asked_s);
            let failed_at = failed_s.map(instant).filter(|failed_at| *failed_at <= now);
            let syncs = SourceSyncs { last_failed_at: failed_at, ..SourceSyncs::default() };
            let settings = SelfCompleting { after_s, quiet_after_s };
            let of = |now| source(settings, quarter_hour(instant(heard_s)), syncs.clone(), now);
            let told = |now| (of(now).complete_through(), of(now).status(now), of(now).late_at());
            let here = of(now);
            let known_at = instant(heard_s).max(failed_at.unwrap_or(epoch));
            let first = last_boundary(now, &[], &[&here]).unwrap_or(now).max(known_at);
            let end = next_boundary(now, &[], &[&here]).unwrap_or(now + TimeDelta::days(400));
            prop_assert!(first <= now && now < end);
            let other = first + TimeDelta::milliseconds((end - first).num_milliseconds() / 1_000 * permille);
            prop_assert_eq!(told(first), told(now));
            prop_assert_eq!(told(other), told(now), "at {} and {}", other, now);
        }
    }
}
