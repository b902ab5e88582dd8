use proptest::prelude::*;

use super::*;
use crate::bucket::Granularity;
use crate::zone::Zone;

/// An instant, in minutes of some day.
fn minute(minutes: i64) -> DateTime<Utc> {
    "2026-11-21T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

/// A push source with these runs, a delay of half an hour and horizons of two hours.
fn runs(started: Option<i64>, completed: Option<i64>, failed: Option<i64>, through: Option<i64>) -> SourceFreshness {
    SourceFreshness {
        is_push: true,
        terms: vec![terms(30, 120)],
        syncs: SourceSyncs {
            last_started_at: started.map(minute),
            last_completed_at: completed.map(minute),
            last_failed_at: failed.map(minute),
            complete_through: through.map(minute),
            failure_reason: failed.map(|_| "quota exceeded".to_owned()),
            grain: Some(Grain::QuarterHour),
            ..SourceSyncs::default()
        },
        ..SourceFreshness::default()
    }
}

/// Terms from the beginning of time, in minutes.
pub(super) fn terms(delay: i64, horizon: i64) -> DeliveryTerms {
    DeliveryTerms {
        expected_delay_s: delay * 60,
        horizons: Horizons::uniform(Horizon::Seconds(horizon * 60)),
        ..DeliveryTerms::default()
    }
}

pub(super) fn spend() -> BTreeSet<Measure> {
    BTreeSet::from([Measure::Spend])
}

fn never() -> SourceFreshness {
    runs(None, None, None, None)
}

/// The state of a bucket that ends at this minute, at another, where all sources have the query's time.
fn state_at(end: i64, now: i64, primaries: &[&SourceFreshness]) -> Finality {
    state_of((end - 15, end), now, primaries)
}

/// The state of a range between two minutes.
fn state_of((start, end): (i64, i64), now: i64, primaries: &[&SourceFreshness]) -> Finality {
    let vouched = vouched(now, primaries);
    state((minute(start), minute(end)), minute(now), &vouched.iter().collect::<Vec<_>>())
}

fn vouched(now: i64, sources: &[&SourceFreshness]) -> Vec<Watermarks> {
    sources.iter().map(|source| source.watermarks(&shared(), &spend(), minute(now))).collect()
}

/// That of a source whose time is the query's.
fn shared() -> ZoneAlignment {
    ZoneAlignment::new(&[], true, Granularity::Day, Zone::UTC)
}

#[track_caller]
fn check_status(source: &SourceFreshness, now: i64, status: SourceStatus) {
    assert_eq!(source.status(minute(now)), status, "{source:?} at minute {now}");
}

#[test]
fn source_without_syncs_has_status_never() {
    check_status(&never(), 0, SourceStatus::Never);
    check_status(&never(), 1_000_000, SourceStatus::Never);
}

#[test]
fn first_run_is_running_until_it_ends() {
    check_status(&runs(Some(10), None, None, None), 10, SourceStatus::Running);
    check_status(&runs(Some(10), None, None, None), 9_999, SourceStatus::Running);
    check_status(&runs(Some(10), None, Some(20), None), 20, SourceStatus::Failed);
    check_status(&runs(Some(30), None, Some(20), None), 30, SourceStatus::Running);
    check_status(&runs(Some(10), Some(20), None, Some(15)), 20, SourceStatus::Ok);
    // Sources need not announce their runs.
    check_status(&runs(None, None, Some(20), None), 20, SourceStatus::Failed);
    check_status(&runs(None, Some(20), None, Some(15)), 20, SourceStatus::Ok);
}

#[test]
fn source_is_late_one_grain_and_its_delay_after_its_watermark() {
    let synced = runs(Some(60), Some(65), None, Some(60));
    assert_eq!(synced.late_at(), Some(minute(105)));
    check_status(&synced, 65, SourceStatus::Ok);
    check_status(&synced, 104, SourceStatus::Ok);
    check_status(&synced, 105, SourceStatus::Late);
    let mut hourly = synced.clone();
    hourly.syncs.grain = Some(Grain::Hour);
    assert_eq!(hourly.late_at(), Some(minute(150)));
    hourly.syncs.grain = Some(Grain::Day);
    assert_eq!(hourly.late_at(), Some(minute(60 + 1_440 + 30)));
    hourly.syncs.grain = None;
    assert_eq!(hourly.late_at(), Some(minute(105)));
    assert_eq!(never().late_at(), None);
}

#[test]
fn running_status_lasts_until_the_source_is_late() {
    let running = runs(Some(80), Some(65), None, Some(60));
    check_status(&running, 80, SourceStatus::Running);
    check_status(&running, 104, SourceStatus::Running);
    check_status(&running, 105, SourceStatus::Late);
    // A run that started before the last one ended is not underway.
    check_status(&runs(Some(60), Some(65), None, Some(60)), 80, SourceStatus::Ok);
    check_status(&runs(Some(65), Some(65), None, Some(60)), 80, SourceStatus::Ok);
}

#[test]
fn failed_status_lasts_until_the_next_run() {
    let failed = runs(Some(80), Some(65), Some(82), Some(60));
    check_status(&failed, 82, SourceStatus::Failed);
    check_status(&failed, 105, SourceStatus::Failed);
    check_status(&runs(Some(90), Some(65), Some(82), Some(60)), 90, SourceStatus::Running);
    check_status(&runs(Some(90), Some(65), Some(82), Some(60)), 105, SourceStatus::Late);
    check_status(&runs(Some(80), Some(95), Some(82), Some(90)), 95, SourceStatus::Ok);
    check_status(&runs(Some(80), Some(82), Some(82), Some(60)), 82, SourceStatus::Ok);
}

#[test]
fn finality_follows_the_clock_and_the_primary_source() {
    use Finality::{Final, Live, Provisional};
    // The bucket ends at minute 60 and the horizon is 120 minutes.
    let nows = [0, 59, 60, 179, 180, 100_000];
    for (case, source, states) in [
        ("never", never(), [Live, Live, Provisional, Provisional, Provisional, Provisional]),
        (
            "first run",
            runs(Some(50), None, None, None),
            [Live, Live, Provisional, Provisional, Provisional, Provisional],
        ),
        (
            "only failed",
            runs(None, None, Some(5), None),
            [Live, Live, Provisional, Provisional, Provisional, Provisional],
        ),
        (
            "short of it",
            runs(None, Some(62), None, Some(59)),
            [Live, Live, Provisional, Provisional, Provisional, Provisional],
        ),
        ("just past it", runs(None, Some(62), None, Some(60)), [Live, Live, Provisional, Provisional, Final, Final]),
        (
            "past it, and running",
            runs(Some(80), Some(62), None, Some(60)),
            [Live, Live, Provisional, Provisional, Final, Final],
        ),
        (
            "past it, then failed",
            runs(None, Some(62), Some(80), Some(60)),
            [Live, Live, Provisional, Provisional, Final, Final],
        ),
        (
            "far past it, not late",
            runs(None, Some(62), None, Some(99_999)),
            [Live, Live, Provisional, Provisional, Final, Final],
        ),
    ] {
        for (now, expected) in nows.into_iter().zip(states) {
            assert_eq!(state_at(60, now, &[&source]), expected, "{case}, minute {now}");
        }
    }
}

#[test]
fn finality_waits_for_every_primary_source() {
    let quick = SourceFreshness { terms: vec![terms(30, 0)], ..runs(None, Some(62), None, Some(60)) };
    let slow = SourceFreshness { terms: vec![terms(30, 600)], ..runs(None, Some(62), None, Some(60)) };
    assert_eq!(state_at(60, 60, &[&quick]), Finality::Final);
    assert_eq!(state_at(60, 659, &[&quick, &slow]), Finality::Provisional);
    assert_eq!(state_at(60, 660, &[&quick, &slow]), Finality::Final);
    assert_eq!(state_at(60, 660, &[&quick, &slow, &never()]), Finality::Provisional);
    // Nobody vouches for it.
    assert_eq!(state_at(60, 100_000, &[]), Finality::Provisional);
}

#[test]
fn final_through_is_the_earlier_of_watermark_and_horizon() {
    let source = runs(None, Some(62), None, Some(60));
    assert_eq!(source.final_through(&spend(), minute(150)), Some(minute(30)));
    assert_eq!(source.final_through(&spend(), minute(500)), Some(minute(60)));
    assert_eq!(never().final_through(&spend(), minute(500)), None);
}

#[test]
fn first_incomplete_follows_the_slowest_primary_source() {
    let at_30 = runs(None, Some(31), None, Some(30));
    let at_60 = runs(None, Some(61), None, Some(60));
    let incomplete = |start, end, primaries: &[&SourceFreshness]| {
        let vouched = vouched(1_000, primaries);
        first_incomplete((minute(start), minute(end)), &vouched.iter().collect::<Vec<_>>())
    };
    assert_eq!(incomplete(0, 90, &[&at_60]), Some(minute(60)));
    assert_eq!(incomplete(0, 90, &[&at_30, &at_60]), Some(minute(30)));
    assert_eq!(incomplete(45, 90, &[&at_30, &at_60]), Some(minute(45)));
    assert_eq!(incomplete(0, 60, &[&at_60]), None);
    assert_eq!(incomplete(0, 61, &[&at_60]), Some(minute(60)));
    assert_eq!(incomplete(0, 90, &[&at_60, &never()]), Some(minute(0)));
    assert_eq!(incomplete(0, 90, &[]), Some(minute(0)));
    assert_eq!(incomplete(90, 90, &[]), None);
}

#[test]
fn boundaries_are_cell_ends_horizons_and_deadlines() {
    let source = runs(None, Some(62), None, Some(60));
    let ends = [minute(30), minute(60), minute(90)];
    let mut found = Vec::new();
    let mut now = minute(0);
    while let Some(boundary) = next_boundary(now, &ends, &[&source]) {
        found.push((boundary - minute(0)).num_minutes());
        now = boundary;
    }
    // Ends, the deadline at 105, and the horizons of the two cells that it is complete past.
    assert_eq!(found, [30, 60, 90, 105, 150, 180]);
    assert_eq!(last_boundary(minute(29), &ends, &[&source]), None);
    assert_eq!(last_boundary(minute(149), &ends, &[&source]), Some(minute(105)));
    assert_eq!(last_boundary(minute(150), &ends, &[&source]), Some(minute(150)));
    assert_eq!(last_boundary(minute(9_999), &ends, &[&source]), Some(minute(180)));
    assert_eq!(next_boundary(minute(0), &[], &[]), None);
    assert_eq!(next_boundary(minute(0), &[], &[&never()]), None);
    // A source that failed is not late at any time.
    assert_eq!(next_boundary(minute(0), &[], &[&runs(None, Some(62), Some(80), Some(60))]), None);
}

#[test]
fn largest_instants_do_not_panic() {
    let mut source = runs(None, Some(62), None, None);
    source.syncs.complete_through = Some(DateTime::<Utc>::MAX_UTC);
    source.terms = vec![DeliveryTerms {
        expected_delay_s: i64::MAX,
        horizons: Horizons::uniform(Horizon::Seconds(i64::MAX)),
        ..DeliveryTerms::default()
    }];
    assert_eq!(source.late_at(), None);
    check_status(&source, 100, SourceStatus::Ok);
    assert_eq!(source.final_through(&spend(), minute(100)), None);
    assert_eq!(state_at(60, 100, &[&source]), Finality::Provisional);
    assert_eq!(next_boundary(minute(0), &[minute(60)], &[&source]), Some(minute(60)));
}

fn any_source() -> impl Strategy<Value = SourceFreshness> {
    let moment = || prop::option::of(0_i64..600);
    let grain = prop::option::of(prop::sample::select(Grain::ALL.to_vec()));
    (moment(), moment(), moment(), moment(), grain, 0_i64..200, 0_i64..500).prop_map(
        |(started, completed, failed, through, grain, delay, horizon)| {
            let mut source = runs(started, completed, failed, through);
            source.syncs.grain = grain;
            source.terms = vec![terms(delay, horizon)];
            source
        },
    )
}

fn any_ends() -> impl Strategy<Value = Vec<DateTime<Utc>>> {
    (0_i64..400, 1_i64..100, 0_i64..8)
        .prop_map(|(first, step, count)| (0..count).map(|index| minute(first + index * step)).collect())
}

proptest! {
    #[test]
    fn finality_never_goes_back(
        sources in prop::collection::vec(any_source(), 0..4),
        end in 0_i64..600,
        now in 0_i64..2_500,
        wait in 0_i64..2_500,
    ) {
        let sources: Vec<_> = sources.iter().collect();
        prop_assert!(state_at(end, now, &sources) <= state_at(end, now + wait, &sources));
    }

    #[test]
    fn wider_question_is_never_more_settled(
        sources in prop::collection::vec((any_source(), any::<bool>()), 1..5),
        (start, length) in (0_i64..500, 15_i64..200),
        more in 0_i64..200,
        now in 0_i64..2_500,
    ) {
        let all: Vec<_> = sources.iter().map(|(source, _)| source).collect();
        let some: Vec<_> = sources.iter().filter(|(_, is_admitted)| *is_admitted).map(|(source, _)| source).collect();
        let range = (start, start + length);
        // Where nobody is expected, nobody vouches.
        prop_assume!(!some.is_empty());
        prop_assert!(state_of(range, now, &all) <= state_of(range, now, &some));
        prop_assert!(state_of((start, start + length + more), now, &all) <= state_of(range, now, &all));
    }

    #[test]
    fn states_change_only_at_boundaries(
        sources in prop::collection::vec((any_source(), any::<bool>()), 0..4),
        ends in any_ends(),
        now in -10_i64..3_000,
        earlier in 0.0..1.0,
        later in 0.0..1.0,
    ) {
        let all: Vec<_> = sources.iter().map(|(source, _)| source).collect();
        let primaries: Vec<_> = sources.iter().filter(|(_, primary)| *primary).map(|(source, _)| source).collect();
        let last = last_boundary(minute(now), &ends, &all);
        let next = next_boundary(minute(now), &ends, &all);
        prop_assert!(last <= Some(minute(now)));
        prop_assert!(next.is_none_or(|next| next > minute(now)));
        let (from, to) = (last.unwrap_or(minute(-1_000)), next.unwrap_or(minute(10_000)));
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "picks any second in between")]
        let within = |part: f64| from + TimeDelta::seconds(((to - from).num_seconds() as f64 * part) as i64);
        let seen = |instant: DateTime<Utc>| {
            let vouched: Vec<_> =
                primaries.iter().map(|source| source.watermarks(&shared(), &spend(), instant)).collect();
            let vouched: Vec<_> = vouched.iter().collect();
            let states: Vec<_> =
                ends.iter().map(|end| state((*end - TimeDelta::minutes(15), *end), instant, &vouched)).collect();
            let statuses: Vec<_> = all.iter().map(|source| source.status(instant)).collect();
            let incomplete = first_incomplete((minute(0), minute(600)), &vouched);
            let boundaries = (last_boundary(instant, &ends, &all), next_boundary(instant, &ends, &all));
            (states, statuses, incomplete, boundaries)
        };
        prop_assert_eq!(seen(within(earlier)), seen(minute(now)));
        prop_assert_eq!(seen(within(later)), seen(from));
        if let Some(next) = next {
            prop_assert_eq!(last_boundary(next, &ends, &all), Some(next));
        }
    }
}
