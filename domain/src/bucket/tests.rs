use std::collections::BTreeSet;

use chrono::{Month, Offset, TimeDelta, TimeZone, Weekday};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::*;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn cut(from: &str, to: &str, granularity: Granularity, name: &str) -> Calendar {
    Calendar::cut(date(from), date(to), granularity, zone(name), FiscalCalendar::ISO).unwrap()
}

/// The length of a day in minutes, where it starts, and how many hours it is cut into.
#[track_caller]
fn check_day(name: &str, day: &str, start: &str, minutes: i64, hours: usize) {
    let span = Bucket::Day(date(day)).resolve(Grain::Day, zone(name)).unwrap();
    assert_eq!(span.start, instant(start));
    assert_eq!((span.end - span.start).num_minutes(), minutes);
    assert_eq!(span.date, Some(date(day)));
    let calendar = cut(day, day, Granularity::Hour, name);
    let labels: BTreeSet<_> = calendar.cells().iter().map(|cell| &cell.label).collect();
    assert_eq!((calendar.cells().len(), labels.len()), (hours, hours));
    assert_eq!((calendar.start(), calendar.end()), (span.start, span.end));
    let quarters = cut(day, day, Granularity::QuarterHour, name);
    assert_eq!(quarters.cells().len() * 15, usize::try_from(minutes).unwrap());
}

#[test]
fn days_begin_at_local_midnight() {
    check_day("UTC", "2026-11-21", "2026-11-21T00:00:00Z", 1_440, 24);
    check_day("Europe/Berlin", "2026-11-21", "2026-11-20T23:00:00Z", 1_440, 24);
    check_day("Asia/Kathmandu", "2026-11-21", "2026-11-20T18:15:00Z", 1_440, 24);
    check_day("Asia/Kolkata", "2026-11-21", "2026-11-20T18:30:00Z", 1_440, 24);
    check_day("Pacific/Chatham", "2026-07-01", "2026-06-30T11:15:00Z", 1_440, 24);
    check_day("Pacific/Kiritimati", "2026-11-21", "2026-11-20T10:00:00Z", 1_440, 24);
}

#[test]
fn days_with_clock_changes_have_their_real_length() {
    check_day("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z", 1_380, 23);
    check_day("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z", 1_500, 25);
    check_day("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", 1_500, 25);
    // Clocks move by 30 minutes: one of the hours takes 90 minutes.
    check_day("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30:00Z", 1_410, 23);
    check_day("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", 1_470, 24);
    // Chatham's clocks change at 2:45 and 3:45.
    check_day("Pacific/Chatham", "2026-09-27", "2026-09-26T11:15:00Z", 1_380, 23);
}

#[test]
fn day_without_midnight_begins_at_its_first_instant() {
    check_day("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", 1_380, 23);
    check_day("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00Z", 1_380, 23);
    check_day("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z", 1_380, 23);
    // Clocks went from 24:00 to 00:15, and so the day's first hour takes 45 minutes.
    check_day("Asia/Kathmandu", "1986-01-01", "1985-12-31T18:30:00Z", 1_425, 24);
}

#[test]
fn day_with_two_midnights_begins_at_the_first() {
    check_day("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", 1_500, 25);
    // Saturday's last hour came twice.
    check_day("America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00:00Z", 1_500, 25);
    check_day("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z", 1_440, 24);
    // Clocks went from 0:01 back to 23:01 of the day before.
    check_day("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z", 1_500, 25);
}

#[test]
fn skipped_day_has_no_bucket_and_no_cell() {
    let apia = zone("Pacific/Apia");
    assert_eq!(Bucket::Day(date("2011-12-30")).resolve(Grain::Day, apia), Err(BucketError::NoSuchDay));
    let calendar = cut("2011-12-28", "2012-01-02", Granularity::Day, "Pacific/Apia");
    let labels: Vec<&str> = calendar.cells().iter().map(|cell| cell.label.as_str()).collect();
    assert_eq!(labels, ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]);
    assert!(calendar.cells().iter().all(|cell| cell.end - cell.start == TimeDelta::hours(24)));
    let from_the_skipped = cut("2011-12-30", "2012-01-02", Granularity::All, "Pacific/Apia");
    assert_eq!(from_the_skipped.cells()[0].label, "2011-12-31");
    let only_the_skipped = cut("2011-12-30", "2011-12-30", Granularity::Hour, "Pacific/Apia");
    assert_eq!(only_the_skipped.cells(), []);
    assert_eq!(only_the_skipped.start(), only_the_skipped.end());
}

#[test]
fn repeated_hour_gives_two_cells() {
    let calendar = cut("2026-11-01", "2026-11-01", Granularity::Hour, "America/New_York");
    let labels: Vec<&str> = calendar.cells()[..4].iter().map(|cell| cell.label.as_str()).collect();
    assert_eq!(
        labels,
        ["2026-11-01T04:00:00Z", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"]
    );
}

#[test]
fn hours_follow_local_time() {
    let hour = |text, name| Bucket::Starts(instant(text)).resolve(Grain::Hour, zone(name));
    let span = |start, end| Ok(Span { start: instant(start), end: instant(end), date: None });
    assert_eq!(hour("2026-11-21T10:00:00Z", "UTC"), span("2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"));
    assert_eq!(hour("2026-11-21T10:15:00Z", "Asia/Kathmandu"), span("2026-11-21T10:15:00Z", "2026-11-21T11:15:00Z"));
    assert_eq!(hour("2026-11-21T10:00:00Z", "Asia/Kathmandu"), Err(BucketError::NotAligned));
    // 1:00 at +10:30 until 3:00 at +11:00.
    assert_eq!(
        hour("2026-10-03T14:30:00Z", "Australia/Lord_Howe"),
        span("2026-10-03T14:30:00Z", "2026-10-03T16:00:00Z")
    );
    assert_eq!(hour("2026-10-03T15:30:00Z", "Australia/Lord_Howe"), Err(BucketError::NotAligned));
    assert_eq!(hour("1985-12-31T18:30:00Z", "Asia/Kathmandu"), span("1985-12-31T18:30:00Z", "1985-12-31T19:15:00Z"));
}

#[test]
fn quarters_are_aligned_in_utc_in_every_zone() {
    let start = instant("2026-11-21T10:45:00Z");
    for name in ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe"] {
        let span = Bucket::Starts(start).resolve(Grain::QuarterHour, zone(name)).unwrap();
        assert_eq!((span.start, span.end), (start, instant("2026-11-21T11:00:00Z")));
    }
    for off in ["2026-11-21T10:50:00Z", "2026-11-21T10:45:00.001Z"] {
        let bucket = Bucket::Starts(instant(off));
        assert_eq!(bucket.resolve(Grain::QuarterHour, Zone::UTC), Err(BucketError::NotAligned));
        assert_eq!(bucket.resolve(Grain::Hour, Zone::UTC), Err(BucketError::NotAligned));
    }
    assert_eq!(quarter_hour(instant("2026-11-21T10:59:59.999Z")), start);
    assert_eq!(quarter_hour(instant("1969-12-31T23:59:59Z")), instant("1969-12-31T23:45:00Z"));
    assert_eq!(quarter_hour(DateTime::<Utc>::MIN_UTC), DateTime::<Utc>::MIN_UTC);
}

#[test]
fn rejects_buckets_that_do_not_fit_the_grain() {
    let day = Bucket::Day(date("2026-11-21"));
    let start = Bucket::Starts(instant("2026-11-21T00:00:00Z"));
    assert_eq!(day.resolve(Grain::Hour, Zone::UTC), Err(BucketError::InstantExpected));
    assert_eq!(day.resolve(Grain::QuarterHour, Zone::UTC), Err(BucketError::InstantExpected));
    assert_eq!(start.resolve(Grain::Day, Zone::UTC), Err(BucketError::DateExpected));
    for out in ["1969-12-31", "2200-01-01", "-0001-01-01", "+262142-12-31"] {
        assert_eq!(Bucket::Day(date(out)).resolve(Grain::Day, Zone::UTC), Err(BucketError::OutOfRange));
    }
    for (out, grain) in [(DateTime::<Utc>::MAX_UTC, Grain::Hour), (DateTime::<Utc>::MIN_UTC, Grain::QuarterHour)] {
        assert_eq!(Bucket::Starts(out).resolve(grain, Zone::UTC), Err(BucketError::OutOfRange));
    }
}

#[test]
fn bucket_names_round_trip() {
    for (bucket, json) in [
        (Bucket::Day(date("2019-01-01")), "\"2019-01-01\""),
        (Bucket::Starts(instant("2019-01-01T10:15:00Z")), "\"2019-01-01T10:15:00Z\""),
    ] {
        assert_eq!(serde_json::to_string(&bucket).unwrap(), json);
        assert_eq!(serde_json::from_str::<Bucket>(json).unwrap(), bucket);
    }
    for grain in Grain::ALL {
        assert_eq!(grain.name().parse(), Ok(grain));
        assert_eq!(serde_json::to_string(&grain).unwrap(), format!("\"{grain}\""));
    }
    for granularity in Granularity::ALL {
        assert_eq!(granularity.name().parse(), Ok(granularity));
        assert_eq!(serde_json::to_string(&granularity).unwrap(), format!("\"{granularity}\""));
    }
}

/// The labels of the cells, each with a `+` where it is only a part.
#[track_caller]
fn check_labels(from: &str, to: &str, granularity: Granularity, fiscal: FiscalCalendar, labels: &[&str]) {
    let calendar = Calendar::cut(date(from), date(to), granularity, zone("Europe/Berlin"), fiscal).unwrap();
    let label = |cell: &ReportBucket| format!("{}{}", cell.label, if cell.is_partial { "+" } else { "" });
    let found: Vec<String> = calendar.cells().iter().map(label).collect();
    assert_eq!(found, labels);
}

const ISO: FiscalCalendar = FiscalCalendar::ISO;
const NRF: FiscalCalendar = FiscalCalendar {
    week_start: Weekday::Sun,
    year_start: Month::February,
    retail_weeks: Some(RetailWeeks::FourFiveFour),
};

#[test]
fn units_are_clipped_to_the_range_and_say_so() {
    // 2026-11-18 is a Wednesday.
    let weeks = |fiscal, labels: &[&str]| check_labels("2026-11-18", "2026-12-01", Granularity::Week, fiscal, labels);
    weeks(ISO, &["2026-11-18+", "2026-11-23", "2026-11-30+"]);
    weeks(NRF, &["2026-11-18+", "2026-11-22", "2026-11-29+"]);
    let fiscal = FiscalCalendar { year_start: Month::February, ..ISO };
    let longer = |granularity, labels: &[&str]| {
        check_labels("2026-11-18", "2027-02-05", granularity, fiscal, labels);
    };
    longer(Granularity::Month, &["2026-11-18+", "2026-12-01", "2027-01-01", "2027-02-01+"]);
    longer(Granularity::Quarter, &["2026-11-18+", "2027-02-01+"]);
    longer(Granularity::Year, &["2026-11-18+", "2027-02-01+"]);
    longer(Granularity::All, &["2026-11-18"]);
    check_labels("2026-10-01", "2026-12-31", Granularity::Quarter, ISO, &["2026-10-01"]);
    check_labels("2026-10-02", "2026-12-31", Granularity::Quarter, ISO, &["2026-10-02+"]);
    check_labels("2025-01-01", "2026-12-31", Granularity::Year, ISO, &["2025-01-01", "2026-01-01"]);
    check_labels("2023-10-29", "2024-02-03", Granularity::Month, NRF, &["2023-10-29", "2023-11-26", "2023-12-31"]);
    let months = cut("2026-11-18", "2026-12-05", Granularity::Month, "Europe/Berlin");
    assert_eq!(months.cells()[0].end, instant("2026-11-30T23:00:00Z"));
    assert_eq!(months.cells()[1].end, instant("2026-12-05T23:00:00Z"));
}

#[test]
fn rejects_impossible_ranges() {
    let cut =
        |from, to, granularity| Calendar::cut(date(from), date(to), granularity, Zone::UTC, FiscalCalendar::ISO).err();
    assert_eq!(cut("2026-11-21", "2026-11-20", Granularity::All), Some(CalendarError::Reversed));
    assert_eq!(cut("1969-12-31", "2026-11-20", Granularity::All), Some(CalendarError::OutOfRange));
    assert_eq!(cut("2026-11-21", "9999-12-31", Granularity::All), Some(CalendarError::OutOfRange));
    assert_eq!(cut("1970-01-01", "2199-12-31", Granularity::QuarterHour), Some(CalendarError::TooManyCells));
    assert_eq!(cut("1970-01-01", "2199-12-31", Granularity::Day), Some(CalendarError::TooManyCells));
    assert_eq!(cut("1970-01-01", "2199-12-31", Granularity::Month), None);
    assert_eq!(cut("2000-01-01", "2027-05-18", Granularity::Day), None);
    assert_eq!(cut("2000-01-01", "2027-05-19", Granularity::Day), Some(CalendarError::TooManyCells));
}

#[test]
fn finds_the_cell_of_an_instant() {
    let calendar = cut("2026-11-20", "2026-11-22", Granularity::Day, "Europe/Berlin");
    assert_eq!(calendar.find(instant("2026-11-19T22:59:59Z")), None);
    assert_eq!(calendar.find(instant("2026-11-19T23:00:00Z")), Some(0));
    assert_eq!(calendar.find(instant("2026-11-21T22:59:59Z")), Some(1));
    assert_eq!(calendar.find(instant("2026-11-22T22:59:59Z")), Some(2));
    assert_eq!(calendar.find(instant("2026-11-22T23:00:00Z")), None);
}

/// The first quarter of an hour in which a calendar of the zone shows the date or a later one, found by looking at
/// each.
fn first_quarter_of(date: NaiveDate, zone: Zone) -> DateTime<Utc> {
    let mut quarter = date.and_time(chrono::NaiveTime::MIN).and_utc() - TimeDelta::hours(27);
    while quarter.with_timezone(&zone.0).date_naive() < date {
        quarter += TimeDelta::minutes(15);
    }
    quarter
}

#[test]
fn every_offset_since_1980_is_a_multiple_of_15_minutes() {
    for zone in TZ_VARIANTS {
        let mut day = date("1980-01-01");
        while day < LAST_DATE {
            let offset = zone.offset_from_utc_date(&day).fix().local_minus_utc();
            assert_eq!(offset % 900, 0, "{zone} on {day}");
            day += TimeDelta::days(40);
        }
    }
}

#[test]
fn rounds_odd_offsets_of_the_1970s_up_to_a_quarter() {
    // 0:44:30 behind UTC, and 10:40.
    check_day("Africa/Monrovia", "1971-06-01", "1971-06-01T00:30:00Z", 1_440, 24);
    check_day("Africa/Monrovia", "1972-01-06", "1972-01-06T00:30:00Z", 1_440, 24);
    check_day("Africa/Monrovia", "1972-01-07", "1972-01-07T00:30:00Z", 1_410, 24);
    check_day("Pacific/Kiritimati", "1975-06-01", "1975-06-01T10:30:00Z", 1_440, 24);
    for zone in TZ_VARIANTS {
        let calendar =
            Calendar::cut(FIRST_DATE, FIRST_DATE, Granularity::Hour, Zone(zone), FiscalCalendar::ISO).unwrap();
        for cell in calendar.cells() {
            let span = Bucket::Starts(cell.start).resolve(Grain::Hour, Zone(zone));
            if cell.start >= FIRST_DATE.and_time(chrono::NaiveTime::MIN).and_utc() {
                assert_eq!(span.map(|span| (span.start, span.end)), Ok((cell.start, cell.end)), "{zone}");
            } else {
                assert_eq!(span, Err(BucketError::OutOfRange), "{zone}");
            }
        }
    }
}

#[test]
fn day_starts_around_clock_changes_match_a_search() {
    for each in TZ_VARIANTS {
        let mut week = date("2017-01-01");
        while week < date("2028-01-01") {
            let next = week + TimeDelta::days(7);
            if each.offset_from_utc_date(&week) != each.offset_from_utc_date(&next) {
                for days in -1..8 {
                    let day = week + TimeDelta::days(days);
                    assert_eq!(day_start(day, Zone(each)), first_quarter_of(day, Zone(each)), "{each} on {day}");
                }
            }
            week = next;
        }
    }
}

proptest! {
    #[test]
    fn cells_tile_the_range_in_whole_quarters(
        variant in 0..TZ_VARIANTS.len(),
        first_day in 1_i64..79_000,
        length in 0_i64..100,
        granularity in prop::sample::select(Granularity::ALL.to_vec()),
        week_start in prop::sample::select(WEEKDAYS.to_vec()),
        year_start in prop::sample::select(MONTHS.to_vec()),
        retail_weeks in prop::option::of(prop::sample::select(RetailWeeks::ALL.to_vec())),
    ) {
        let zone = Zone(TZ_VARIANTS[variant]);
        let date_from = FIRST_DATE + TimeDelta::days(first_day);
        let date_to = date_from + TimeDelta::days(length);
        let fiscal = FiscalCalendar { week_start, year_start, retail_weeks };
        let calendar = Calendar::cut(date_from, date_to, granularity, zone, fiscal).unwrap();
        let mut edge = calendar.start();
        let mut labels = BTreeSet::new();
        for (index, cell) in calendar.cells().iter().enumerate() {
            prop_assert_eq!(cell.start, edge);
            prop_assert!(cell.start < cell.end);
            prop_assert_eq!(quarter_hour(cell.start), cell.start);
            prop_assert!(labels.insert(&cell.label));
            prop_assert!((date_from..=date_to).contains(&cell.first_date));
            prop_assert_eq!(calendar.find(cell.start), Some(index));
            let stored = match granularity {
                Granularity::QuarterHour => Some((Grain::QuarterHour, Bucket::Starts(cell.start))),
                Granularity::Hour => Some((Grain::Hour, Bucket::Starts(cell.start))),
                Granularity::Day => Some((Grain::Day, Bucket::Day(cell.first_date))),
                Granularity::Week | Granularity::Month | Granularity::Quarter | Granularity::Year | Granularity::All => None,
            };
            if let Some(unit) = granularity.unit() {
                let whole = fiscal.period(unit, cell.first_date);
                let is_whole = cell.start <= day_start(whole.first, zone) && cell.end >= day_start(whole.after, zone);
                // A unit whose only missing days the zone skipped holds all that there is of it.
                prop_assert!(cell.is_partial || is_whole);
                prop_assert!(index == 0 || cell.first_date == whole.first || cell.start == day_start(whole.first, zone));
            } else {
                prop_assert!(!cell.is_partial);
            }
            if let Some((grain, bucket)) = stored {
                let span = bucket.resolve(grain, zone).unwrap();
                prop_assert_eq!((span.start, span.end), (cell.start, cell.end));
            }
            edge = cell.end;
        }
        prop_assert_eq!(edge, calendar.end());
    }

    /// Whatever the zone and its clocks, what is compared is cut without gap or overlap, one cell for each.
    #[test]
    fn shifted_cells_keep_their_number_without_gap_or_overlap(
        variant in 0..TZ_VARIANTS.len(),
        first_day in 1_000_i64..80_000,
        length in 0_i64..40,
        back in 1_i64..800,
        granularity in prop::sample::select(Granularity::ALL.to_vec()),
    ) {
        let zone = Zone(TZ_VARIANTS[variant]);
        let date_from = FIRST_DATE + TimeDelta::days(first_day);
        let date_to = date_from + TimeDelta::days(length);
        let calendar = Calendar::cut(date_from, date_to, granularity, zone, FiscalCalendar::ISO).unwrap();
        let earlier = |date: NaiveDate| date - TimeDelta::days(back);
        let moved = calendar.moved(granularity, zone, earlier).unwrap();
        prop_assert_eq!(moved.cells().len(), calendar.cells().len());
        let moved_start = |edge| day_start(earlier(local_date(edge, zone)), zone);
        prop_assert_eq!((moved.start(), moved.end()), (moved_start(calendar.start()), moved_start(calendar.end())));
        let mut edge = moved.start();
        for cell in moved.cells() {
            prop_assert!(cell.start == edge && cell.start <= cell.end);
            prop_assert_eq!(quarter_hour(cell.start), cell.start);
            edge = cell.end;
        }
        prop_assert!(edge == moved.end() || moved.cells().is_empty());
    }
}
