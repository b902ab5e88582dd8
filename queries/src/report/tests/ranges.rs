//! Ranges that lie from today, ranges of before, and what has elapsed of both.

use chrono::{Datelike, NaiveDate, TimeDelta};
use domain::bucket::{
    CalendarUnit, FiscalCalendar, Grain, MONTHS, RelativeRange, RetailWeeks, WEEKDAYS, local_date, month_name,
    weekday_name,
};
use domain::freshness::StatedGrain;
use domain::source::SourceKind;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::elapsed::Elapsed;
use super::super::plan::Plan;
use super::super::query::{DataState, ReportQuery};
use super::super::request::{ReportRequest, RequestDefaults};
use super::{ads, at, defaults, query};
use crate::sources::Source;

const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Chatham"];

fn any_calendar() -> impl Strategy<Value = FiscalCalendar> {
    let weeks = prop::option::of(prop::sample::select(RetailWeeks::ALL.to_vec()));
    (prop::sample::select(WEEKDAYS.to_vec()), prop::sample::select(MONTHS.to_vec()), weeks)
        .prop_map(|(week_start, year_start, retail_weeks)| FiscalCalendar { week_start, year_start, retail_weeks })
}

fn any_range() -> impl Strategy<Value = RelativeRange> {
    let unit = || prop::sample::select(CalendarUnit::ALL.to_vec());
    prop_oneof![
        Just(RelativeRange::Today),
        Just(RelativeRange::Yesterday),
        (1_u16..=400).prop_map(RelativeRange::LastDays),
        unit().prop_map(RelativeRange::This),
        unit().prop_map(RelativeRange::Last),
    ]
}

/// The request with a calendar of its own.
fn in_calendar(mut request: Value, calendar: FiscalCalendar) -> ReportQuery {
    request["week_start"] = json!(weekday_name(calendar.week_start));
    request["year_start"] = json!(month_name(calendar.year_start));
    request["retail_weeks"] = json!(calendar.retail_weeks.map_or("none", RetailWeeks::name));
    query(request)
}

/// Days between 1972 and 2190.
fn any_day() -> impl Strategy<Value = NaiveDate> {
    (800_i64..80_000).prop_map(|days| NaiveDate::from_ymd_opt(1970, 1, 1).unwrap() + TimeDelta::days(days))
}

proptest! {
    /// A whole unit of any calendar is compared with the unit before it, bucket by bucket.
    #[test]
    fn whole_units_are_compared_with_whole_units(
        calendar in any_calendar(),
        unit in prop::sample::select(CalendarUnit::ALL.to_vec()),
        by_unit in any::<bool>(),
        day in any_day(),
    ) {
        let whole = calendar.period(unit, day);
        let granularity = if by_unit || unit == CalendarUnit::Week { unit.name() } else { "all" };
        let query = in_calendar(json!({
            "date_from": whole.first.to_string(), "date_to": whole.after.pred_opt().unwrap().to_string(),
            "granularity": granularity, "time_zone": "UTC", "compare_to": "previous_period",
        }), calendar);
        let own = Plan::new(&query).unwrap();
        let before = Plan::compared(&query, &own).unwrap().unwrap();
        let last = whole.first.pred_opt().unwrap();
        prop_assert_eq!(before.dates, (calendar.period(unit, last).first, last));
        prop_assert_eq!(before.calendar.end(), own.calendar.start());
        prop_assert_eq!(before.cells().len(), 1);
    }

    /// The days of a unit of any calendar up to today are compared with as much of the unit before.
    #[test]
    fn running_units_are_compared_with_as_much_of_the_unit_before(
        calendar in any_calendar(),
        unit in prop::sample::select(CalendarUnit::ALL.to_vec()),
        granularity in prop::sample::select(vec!["day", "week", "month", "all"]),
        today in any_day(),
    ) {
        let now = today.and_hms_opt(12, 0, 0).unwrap().and_utc();
        let request: ReportRequest = serde_json::from_value(json!({
            "range": RelativeRange::This(unit).to_string(), "time_zone": "UTC", "granularity": granularity,
            "compare_to": "previous_period",
        })).unwrap();
        let query = request.canonical(RequestDefaults { calendar, now, ..defaults() }, DataState::All).unwrap().0;
        let own = Plan::new(&query).unwrap();
        let before = Plan::compared(&query, &own).unwrap().unwrap();
        let this = calendar.period(unit, today);
        let last = calendar.period(unit, this.first.pred_opt().unwrap());
        prop_assert_eq!((own.dates, before.dates.0), ((this.first, today), last.first));
        prop_assert!(before.dates.1 < this.first);
        let lengths = [own.dates, before.dates].map(|(from, to)| (to - from).num_days());
        match unit {
            CalendarUnit::Week => prop_assert_eq!(lengths[0], lengths[1]),
            // The unit before may end earlier; a whole one is compared with the whole one before.
            CalendarUnit::Month => {
                prop_assert!(lengths[0] == lengths[1] || before.dates.1 == last.after.pred_opt().unwrap());
            }
            CalendarUnit::Quarter | CalendarUnit::Year => {
                let month = |date| (calendar.period(CalendarUnit::Month, date).first - last.first).num_days() / 28;
                let first = (calendar.period(CalendarUnit::Month, today).first - this.first).num_days() / 28;
                prop_assert_eq!(month(before.dates.1), first);
            }
        }
    }

    /// A relative range has the cells of the days that it stands for, at any instant in any zone.
    #[test]
    fn relative_ranges_are_explicit_ones(
        calendar in any_calendar(),
        range in any_range(),
        zone in prop::sample::select(ZONES.to_vec()),
        granularity in prop::sample::select(vec!["day", "week", "month", "quarter", "year", "all"]),
        seconds in 100_000_000_i64..6_000_000_000,
    ) {
        let now = at("1970-01-01T00:00:00Z") + TimeDelta::seconds(seconds);
        let canonical = |request: Value| {
            let request: ReportRequest = serde_json::from_value(request).unwrap();
            request.canonical(RequestDefaults { calendar, now, ..defaults() }, DataState::All).unwrap().0
        };
        let relative = canonical(json!({"range": range.to_string(), "time_zone": zone, "granularity": granularity}));
        let (from, to) = range.dates(local_date(now, zone.parse().unwrap()), calendar);
        let given = canonical(json!({
            "date_from": from.to_string(), "date_to": to.to_string(), "time_zone": zone, "granularity": granularity,
        }));
        prop_assert_eq!((relative.dates.from, relative.dates.to), (from, to));
        let [relative_plan, given_plan] = [&relative, &given].map(|query| Plan::new(query).unwrap());
        prop_assert_eq!(relative_plan.calendar, given_plan.calendar);
        // It means other days from midnight on, and the same until then.
        let (midnight, next) = relative.midnights().unwrap();
        prop_assert!(midnight <= now && now < next);
        prop_assert!(relative.holds_at(next - TimeDelta::seconds(1)) && !relative.holds_at(next));
        prop_assert!(given.holds_at(next));
    }

    /// What has elapsed ends at the same distance in both ranges.
    #[test]
    fn both_ranges_are_cut_alike(
        compare_to in prop::sample::select(vec!["previous_period", "previous_month", "previous_year_weekday"]),
        granularity in prop::sample::select(vec!["hour", "day", "week", "month", "all"]),
        day in any_day(),
        length in 1_i64..70,
        quarters in 0_i64..7_000,
    ) {
        let to = day + TimeDelta::days(length - 1);
        let query = query(json!({
            "date_from": day.to_string(), "date_to": to.to_string(), "granularity": granularity, "time_zone": "UTC",
            "compare_to": compare_to,
        }));
        let whole = Plan::new(&query).unwrap();
        let end = whole.calendar.start() + TimeDelta::minutes(15 * quarters);
        let own = Plan::new(&query).unwrap().until(&query, end).unwrap();
        prop_assert_eq!(own.calendar.end(), end.min(whole.calendar.end()));
        let before = Plan::compared(&query, &own).unwrap().unwrap();
        // Each cell is one of the whole range, and no day with a total of its own reaches behind the end.
        for (cell, whole) in own.cells().iter().zip(whole.cells()) {
            prop_assert_eq!((&cell.label, cell.start), (&whole.label, whole.start));
            prop_assert!(cell.end == whole.end || cell.end == end);
        }
        prop_assert!(own.days.iter().all(|day| day.span.is_none_or(|(_, day_end)| day_end <= own.calendar.end())));
        // A whole month has the whole one before it beside it, which may be longer.
        let is_cut = own.calendar.end() < whole.calendar.end();
        prop_assert!(before.cells().len() <= own.cells().len() || !is_cut);
        for (cell, before) in own.cells().iter().zip(before.cells()) {
            let clipped = before.end - before.start;
            prop_assert!(clipped <= cell.end - cell.start || compare_to == "previous_month");
        }
        if compare_to != "previous_month" && is_cut {
            prop_assert_eq!(before.calendar.end() - before.calendar.start(), own.calendar.end() - own.calendar.start());
        }
    }
}

#[test]
fn this_week_is_compared_with_last_week_up_to_the_same_day() {
    // Until the Sunday that is today, a week begins on Monday.
    let before = |request: Value| {
        let mut asked = json!({"time_zone": "UTC", "granularity": "all", "compare_to": "previous_period"});
        asked.as_object_mut().unwrap().extend(request.as_object().unwrap().clone());
        let query = query(asked);
        let own = Plan::new(&query).unwrap();
        Plan::compared(&query, &own).unwrap().unwrap().dates
    };
    let days = |from: &str, to: &str| (from.parse().unwrap(), to.parse().unwrap());
    assert_eq!(before(json!({"range": "this_week"})), days("2026-11-09", "2026-11-15"));
    assert_eq!(before(json!({"range": "this_week", "week_start": "saturday"})), days("2026-11-14", "2026-11-15"));
    assert_eq!(before(json!({"range": "this_month"})), days("2026-10-01", "2026-10-22"));
    assert_eq!(before(json!({"range": "this_quarter"})), days("2026-07-01", "2026-08-22"));
    assert_eq!(before(json!({"range": "this_year"})), days("2025-01-01", "2025-11-22"));
    assert_eq!(before(json!({"range": "today"})), days("2026-11-21", "2026-11-21"));
    // Days that are given are not taken for a part of a month.
    let given = json!({"date_from": "2026-11-01", "date_to": "2026-11-22"});
    assert_eq!(before(given), days("2026-10-10", "2026-10-31"));
}

fn stating(mut source: Source, grain: Grain, zone: &str) -> Source {
    source.definition.kind = SourceKind::Pull;
    source.stated_grains = vec![StatedGrain { grain, time_zone: zone.parse().unwrap() }];
    source
}

#[test]
fn elapsed_part_ends_with_a_bucket_that_all_sources_state() {
    let query = query(json!({"time_zone": "Europe/Berlin", "measures": ["clicks"], "granularity": "day"}));
    let through = |sources: &[Source]| {
        let expected: Vec<_> = sources.iter().collect();
        let Elapsed { through, next } = Elapsed::of(&expected, &query, at("2026-11-22T10:20:00Z")).unwrap();
        [through, next].map(|instant| instant.format("%d %H:%M").to_string())
    };
    let pushing = || ads(1);
    assert_eq!(through(&[]), ["22 10:15", "22 10:30"]);
    assert_eq!(through(&[pushing()]), ["22 10:15", "22 10:30"]);
    let hourly = || stating(ads(2), Grain::Hour, "Europe/Berlin");
    assert_eq!(through(&[pushing(), hourly()]), ["22 10:00", "22 11:00"]);
    let daily = |zone| stating(ads(3), Grain::Day, zone);
    assert_eq!(through(&[pushing(), hourly(), daily("Europe/Berlin")]), ["21 23:00", "22 23:00"]);
    // Its days end hours after those of the query: there it is still the 21st.
    assert_eq!(through(&[daily("Pacific/Pago_Pago")]), ["20 23:00", "21 23:00"]);
    // A source of totals that has stated nothing yet may state days.
    let mut silent = daily("UTC");
    silent.stated_grains.clear();
    assert_eq!(through(&[pushing(), silent]), ["21 23:00", "22 23:00"]);
}

#[test]
fn range_stands_in_the_query_as_it_was_asked() {
    let form = |request: Value| serde_json::to_value(query(request)).unwrap();
    let relative = form(json!({"range": "this_quarter"}));
    assert_eq!(relative["range"], "this_quarter");
    assert_eq!((&relative["date_from"], &relative["date_to"]), (&Value::Null, &Value::Null));
    // The calendar decides on its days.
    assert_eq!(relative["year_start"], "january");
    assert_eq!(form(json!({"range": "last_7_days"}))["year_start"], Value::Null);
    let given = form(json!({"date_from": "2026-11-01"}));
    assert_eq!((&given["range"], &given["date_from"]), (&Value::Null, &json!("2026-11-01")));
    let month = query(json!({"range": "this_month"}));
    assert_eq!((month.dates.from.day(), month.dates.to.to_string()), (1, "2026-11-22".to_owned()));
}
