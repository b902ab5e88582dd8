use proptest::prelude::*;

use super::*;
use crate::bucket::{Granularity, day_start, local_date};
use crate::zone::Zone;

/// An instant, in minutes of some day.
fn minute(minutes: i64) -> DateTime<Utc> {
    "2026-11-21T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

fn runs(started: Option<i64>, completed: Option<i64>, failed: Option<i64>, through: Option<i64>) -> SourceFreshness {
    SourceFreshness {
        expected_delay_s: 30 * 60,
        restatement_horizon_s: 120 * 60,
        syncs: SourceSyncs {
            last_started_at: started.map(minute),
            last_completed_at: completed.map(minute),
            last_failed_at: failed.map(minute),
            complete_through: through.map(minute),
            failure_reason: failed.map(|_| "quota exceeded".to_owned()),
            grain: Some(Grain::QuarterHour),
        },
    }
}

fn never() -> SourceFreshness {
    runs(None, None, None, None)
}

/// The state of a bucket that ends at this minute, at another, where all sources have the query's time.
fn state_at(end: i64, now: i64, primaries: &[&SourceFreshness]) -> Finality {
    state(minute(end), minute(now), &vouched(now, primaries))
}

fn vouched(now: i64, sources: &[&SourceFreshness]) -> Vec<Watermarks> {
    sources.iter().map(|source| source.watermarks(&shared(), minute(now))).collect()
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
    let quick = SourceFreshness { restatement_horizon_s: 0, ..runs(None, Some(62), None, Some(60)) };
    let slow = SourceFreshness { restatement_horizon_s: 600 * 60, ..runs(None, Some(62), None, Some(60)) };
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
    assert_eq!(source.final_through(minute(150)), Some(minute(30)));
    assert_eq!(source.final_through(minute(500)), Some(minute(60)));
    assert_eq!(never().final_through(minute(500)), None);
}

#[test]
fn first_incomplete_follows_the_slowest_primary_source() {
    let at_30 = runs(None, Some(31), None, Some(30));
    let at_60 = runs(None, Some(61), None, Some(60));
    let incomplete = |start, end, primaries: &[&SourceFreshness]| {
        first_incomplete(minute(start), minute(end), &vouched(1_000, primaries))
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
fn flags_a_change_only_after_finality() {
    let flagged = |changed_at, completed: Option<i64>| {
        restated_after_final(minute(60), 120 * 60, minute(changed_at), completed.map(minute))
    };
    assert!(flagged(180, Some(62)));
    assert!(flagged(180, Some(180)));
    assert!(!flagged(179, Some(62)));
    assert!(!flagged(500, Some(501)));
    assert!(!flagged(500, None));
}

#[test]
fn largest_instants_do_not_panic() {
    let mut source = runs(None, Some(62), None, None);
    source.syncs.complete_through = Some(DateTime::<Utc>::MAX_UTC);
    source.restatement_horizon_s = i64::MAX;
    source.expected_delay_s = i64::MAX;
    assert_eq!(source.late_at(), None);
    check_status(&source, 100, SourceStatus::Ok);
    assert_eq!(source.final_through(minute(100)), None);
    assert_eq!(state_at(60, 100, &[&source]), Finality::Provisional);
    assert_eq!(next_boundary(minute(0), &[minute(60)], &[&source]), Some(minute(60)));
    assert!(!restated_after_final(minute(60), i64::MAX, minute(100), Some(minute(62))));
}

fn any_source() -> impl Strategy<Value = SourceFreshness> {
    let moment = || prop::option::of(0_i64..600);
    let grain = prop::option::of(prop::sample::select(Grain::ALL.to_vec()));
    (moment(), moment(), moment(), moment(), grain, 0_i64..200, 0_i64..500).prop_map(
        |(started, completed, failed, through, grain, delay, horizon)| {
            let mut source = runs(started, completed, failed, through);
            source.syncs.grain = grain;
            source.expected_delay_s = delay * 60;
            source.restatement_horizon_s = horizon * 60;
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
                primaries.iter().map(|source| source.watermarks(&shared(), instant)).collect();
            let states: Vec<_> = ends.iter().map(|end| state(*end, instant, &vouched)).collect();
            let statuses: Vec<_> = all.iter().map(|source| source.status(instant)).collect();
            let incomplete = first_incomplete(minute(0), minute(600), &vouched);
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

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

/// A source that states days of a zone and nothing else, of a query by day in another.
fn days_of(source: &str, query: &str) -> ZoneAlignment {
    let cuts = [StatedGrain { grain: Grain::Day, time_zone: zone(source) }];
    ZoneAlignment::new(&cuts, false, Granularity::Day, zone(query))
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn day_of_another_zone_is_final_when_it_ends_there() {
    let source = SourceFreshness {
        restatement_horizon_s: 0,
        syncs: SourceSyncs { complete_through: Some(at("2026-11-22T21:33:00Z")), ..SourceSyncs::default() },
        ..SourceFreshness::default()
    };
    // Auckland's 22nd ended at 11:00Z; that of UTC, which is told under this date, is still on.
    let (auckland, end) = (days_of("UTC", "Pacific/Auckland"), at("2026-11-22T11:00:00Z"));
    let vouched = source.watermarks(&auckland, at("2026-11-22T21:33:00Z"));
    assert_eq!(state(end, at("2026-11-22T21:33:00Z"), &[vouched]), Finality::Live);
    assert_eq!(first_incomplete(at("2026-11-21T11:00:00Z"), end, &[vouched]), Some(at("2026-11-21T11:00:00Z")));
    assert_eq!(auckland.to_source_time(end), at("2026-11-23T00:00:00Z"));
    let past = at("2026-11-23T00:00:00Z");
    assert_eq!(state(end, past, &[source.watermarks(&auckland, past)]), Finality::Provisional);

    // New York's 12th ends at 05:00Z on the 13th; the source's word ends with its own 12th, and is enough.
    let (new_york, end) = (days_of("UTC", "America/New_York"), at("2026-11-13T05:00:00Z"));
    let mut said = source.clone();
    said.syncs.complete_through = Some(at("2026-11-13T00:00:00Z"));
    assert_eq!(
        state(end, at("2026-11-13T06:00:00Z"), &[said.watermarks(&new_york, at("2026-11-13T06:00:00Z"))]),
        Finality::Final
    );
    // Beside days it also pushes, and its word says nothing of the five hours that are missing.
    let cuts = [StatedGrain { grain: Grain::Day, time_zone: Zone::UTC }];
    let both = ZoneAlignment::new(&cuts, true, Granularity::Day, zone("America/New_York"));
    let vouched = said.watermarks(&both, at("2026-11-13T06:00:00Z"));
    assert_eq!(state(end, at("2026-11-13T06:00:00Z"), &[vouched]), Finality::Provisional);
}

#[test]
fn aligns_hours_of_zones_with_other_offsets() {
    let hours = |granularity, query| {
        let cuts = [StatedGrain { grain: Grain::Hour, time_zone: Zone::UTC }];
        ZoneAlignment::new(&cuts, false, granularity, zone(query))
    };
    let kathmandu = |granularity| hours(granularity, "Asia/Kathmandu");
    // The day ends at 18:15Z; the hour that began within it, at 19:00Z.
    assert_eq!(kathmandu(Granularity::Day).to_source_time(at("2026-11-21T18:15:00Z")), at("2026-11-21T19:00:00Z"));
    assert_eq!(kathmandu(Granularity::Day).to_query_time(at("2026-11-21T18:59:00Z")), at("2026-11-21T18:00:00Z"));
    // They are in no quarter.
    assert_eq!(
        kathmandu(Granularity::QuarterHour).to_source_time(at("2026-11-21T18:15:00Z")),
        at("2026-11-21T18:15:00Z")
    );
    let berlin = hours(Granularity::Day, "Europe/Berlin");
    assert_eq!(berlin.to_query_time(at("2026-11-21T18:59:00Z")), at("2026-11-21T18:59:00Z"));
}

proptest! {
    #[test]
    fn source_time_is_the_inverse_of_query_time(
        source in prop::sample::select(vec!["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]),
        query in prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"]),
        grain in prop::sample::select(vec![Grain::Day, Grain::Hour]),
        // Around a change of clocks, and around a date that Apia skipped.
        day in prop_oneof![20_387_i64..20_395, 15_335_i64..15_341],
        minutes in -3_000_i64..3_000,
    ) {
        let noon = DateTime::from_timestamp(day * 86_400 + 43_200, 0).unwrap();
        let (cuts, query) = ([StatedGrain { grain, time_zone: zone(source) }], zone(query));
        let reckoning = ZoneAlignment::new(&cuts, false, Granularity::Day, query);
        let edge = day_start(local_date(noon, query), query);
        let instant = noon + TimeDelta::minutes(minutes);
        prop_assert_eq!(edge <= reckoning.to_query_time(instant), reckoning.to_source_time(edge) <= instant);
    }
}
