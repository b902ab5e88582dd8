//! Days and hours of zones other than the query's.

use proptest::prelude::*;

use super::tests::{spend, terms};
use super::*;
use crate::bucket::{Granularity, day_start, local_date};

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
        is_push: true,
        terms: vec![terms(0, 0)],
        syncs: SourceSyncs { complete_through: Some(at("2026-11-22T21:33:00Z")), ..SourceSyncs::default() },
        ..SourceFreshness::default()
    };
    // Auckland's 22nd ended at 11:00Z; that of UTC, which is told under this date, is still on.
    let (auckland, end) = (days_of("UTC", "Pacific/Auckland"), at("2026-11-22T11:00:00Z"));
    let day = (at("2026-11-21T11:00:00Z"), end);
    let vouched = source.watermarks(&auckland, &spend(), at("2026-11-22T21:33:00Z"));
    assert_eq!(state(day, at("2026-11-22T21:33:00Z"), &[&vouched]), Finality::Live);
    assert_eq!(first_incomplete(day, &[&vouched]), Some(day.0));
    assert_eq!(auckland.to_source_time(end), at("2026-11-23T00:00:00Z"));
    let past = at("2026-11-23T00:00:00Z");
    assert_eq!(state(day, past, &[&source.watermarks(&auckland, &spend(), past)]), Finality::Provisional);

    // New York's 12th ends at 05:00Z on the 13th; the source's word ends with its own 12th, and is enough.
    let (new_york, end) = (days_of("UTC", "America/New_York"), at("2026-11-13T05:00:00Z"));
    let mut said = source.clone();
    said.syncs.complete_through = Some(at("2026-11-13T00:00:00Z"));
    let (day, now) = ((at("2026-11-12T05:00:00Z"), end), at("2026-11-13T06:00:00Z"));
    assert_eq!(state(day, now, &[&said.watermarks(&new_york, &spend(), now)]), Finality::Final);
    // Beside days it also pushes, and its word says nothing of the five hours that are missing.
    let cuts = [StatedGrain { grain: Grain::Day, time_zone: Zone::UTC }];
    let both = ZoneAlignment::new(&cuts, true, Granularity::Day, zone("America/New_York"));
    assert_eq!(state(day, now, &[&said.watermarks(&both, &spend(), now)]), Finality::Provisional);
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

const SOURCE_ZONES: [&str; 5] = ["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"];
const QUERY_ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"];

proptest! {
    #[test]
    fn source_time_is_the_inverse_of_query_time(
        source in prop::sample::select(SOURCE_ZONES.to_vec()),
        query in prop::sample::select(QUERY_ZONES.to_vec()),
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
