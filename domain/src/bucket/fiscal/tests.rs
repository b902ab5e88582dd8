use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::bucket::{FIRST_DATE, LAST_DATE};

/// The calendar of the National Retail Federation.
const NRF: FiscalCalendar = FiscalCalendar {
    week_start: Weekday::Sun,
    year_start: Month::February,
    retail_weeks: Some(RetailWeeks::FourFiveFour),
};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn starting_in(year_start: Month) -> FiscalCalendar {
    FiscalCalendar { year_start, ..FiscalCalendar::ISO }
}

#[track_caller]
fn check(calendar: FiscalCalendar, unit: CalendarUnit, day: &str, first: &str, after: &str) {
    assert_eq!(calendar.period(unit, date(day)), Period { first: date(first), after: date(after) });
}

#[test]
fn months_quarters_and_years_follow_the_first_month() {
    check(FiscalCalendar::ISO, CalendarUnit::Month, "2024-02-29", "2024-02-01", "2024-03-01");
    check(FiscalCalendar::ISO, CalendarUnit::Quarter, "2026-11-30", "2026-10-01", "2027-01-01");
    check(FiscalCalendar::ISO, CalendarUnit::Year, "2026-11-30", "2026-01-01", "2027-01-01");
    check(starting_in(Month::April), CalendarUnit::Year, "2026-03-31", "2025-04-01", "2026-04-01");
    check(starting_in(Month::April), CalendarUnit::Quarter, "2026-03-31", "2026-01-01", "2026-04-01");
    check(starting_in(Month::February), CalendarUnit::Quarter, "2026-01-01", "2025-11-01", "2026-02-01");
    check(starting_in(Month::December), CalendarUnit::Year, "2026-12-01", "2026-12-01", "2027-12-01");
}

#[test]
fn weeks_follow_their_first_day() {
    check(FiscalCalendar::ISO, CalendarUnit::Week, "2026-11-29", "2026-11-23", "2026-11-30");
    check(NRF, CalendarUnit::Week, "2026-11-29", "2026-11-29", "2026-12-06");
}

/// The fiscal years that the federation publishes: 2012, 2017 and 2023 have 53 weeks.
#[test]
fn retail_years_are_those_of_the_federation() {
    for (first, after, weeks) in [
        ("2012-01-29", "2013-02-03", 53),
        ("2017-01-29", "2018-02-04", 53),
        ("2022-01-30", "2023-01-29", 52),
        ("2023-01-29", "2024-02-04", 53),
        ("2024-02-04", "2025-02-02", 52),
    ] {
        check(NRF, CalendarUnit::Year, first, first, after);
        let last = date(after) - TimeDelta::days(1);
        check(NRF, CalendarUnit::Year, &last.to_string(), first, after);
        assert_eq!((date(after) - date(first)).num_days(), weeks * 7);
    }
    // November of 2023 has four weeks, December five, January five with the 53rd one.
    check(NRF, CalendarUnit::Month, "2023-11-24", "2023-10-29", "2023-11-26");
    check(NRF, CalendarUnit::Month, "2023-12-25", "2023-11-26", "2023-12-31");
    check(NRF, CalendarUnit::Month, "2024-02-03", "2023-12-31", "2024-02-04");
    check(NRF, CalendarUnit::Quarter, "2024-02-03", "2023-10-29", "2024-02-04");
}

#[test]
fn months_earlier_keep_the_day_or_collapse() {
    let earlier = |day: &str, months| FiscalCalendar::ISO.months_earlier(date(day), months).to_string();
    assert_eq!(earlier("2026-03-15", 1), "2026-02-15");
    assert_eq!(earlier("2026-03-29", 1), "2026-03-01");
    assert_eq!(earlier("2026-03-31", 1), "2026-03-01");
    assert_eq!(earlier("2026-04-01", 1), "2026-03-01");
    assert_eq!(earlier("2024-02-29", 12), "2023-03-01");
    assert_eq!(NRF.months_earlier(date("2024-02-03"), 12).to_string(), "2023-01-29");
}

#[test]
fn whole_months_are_counted() {
    let whole = |calendar: FiscalCalendar, from, to| calendar.whole_months(date(from), date(to));
    assert_eq!(whole(FiscalCalendar::ISO, "2026-03-01", "2026-03-31"), Some(1));
    assert_eq!(whole(FiscalCalendar::ISO, "2025-07-01", "2026-06-30"), Some(12));
    assert_eq!(whole(FiscalCalendar::ISO, "2026-03-01", "2026-03-30"), None);
    assert_eq!(whole(FiscalCalendar::ISO, "2026-03-02", "2026-03-31"), None);
    assert_eq!(whole(NRF, "2023-10-29", "2024-02-03"), Some(3));
}

#[test]
fn calendar_is_written_by_names() {
    let text = r#"{"week_start":"sunday","year_start":"february","retail_weeks":"4-5-4"}"#;
    assert_eq!(serde_json::to_string(&NRF).unwrap(), text);
    assert_eq!(serde_json::from_str::<FiscalCalendar>(text).unwrap(), NRF);
    for weeks in RetailWeeks::ALL {
        assert_eq!(weeks.name().parse(), Ok(weeks));
        assert_eq!(serde_json::to_string(&weeks).unwrap(), format!("\"{weeks}\""));
    }
    let wrong = serde_json::from_str::<FiscalCalendar>(r#"{"week_start":"sun","year_start":"february"}"#);
    assert!(wrong.unwrap_err().to_string().starts_with("\"sun\" is none of monday, tuesday"));
}

fn any_calendar() -> impl Strategy<Value = FiscalCalendar> {
    let weeks = prop::option::of(prop::sample::select(RetailWeeks::ALL.to_vec()));
    (prop::sample::select(WEEKDAYS.to_vec()), prop::sample::select(MONTHS.to_vec()), weeks)
        .prop_map(|(week_start, year_start, retail_weeks)| FiscalCalendar { week_start, year_start, retail_weeks })
}

proptest! {
    /// Whatever the calendar, each unit holds its dates alone, and the next one follows without a gap.
    #[test]
    fn units_partition_the_days(calendar in any_calendar(), days in 800_i64..82_000) {
        let day = FIRST_DATE + TimeDelta::days(days);
        prop_assume!(day < LAST_DATE - TimeDelta::days(800));
        for unit in CalendarUnit::ALL {
            let Period { first, after } = calendar.period(unit, day);
            prop_assert!(first <= day && day < after);
            for edge in [first, after - TimeDelta::days(1)] {
                prop_assert_eq!(calendar.period(unit, edge), Period { first, after });
            }
            prop_assert_eq!(calendar.period(unit, after).first, after);
            let length = (after - first).num_days();
            let lengths = match (unit, calendar.retail_weeks) {
                (CalendarUnit::Week, _) => 7..=7,
                (CalendarUnit::Month, None) => 28..=31,
                (CalendarUnit::Quarter, None) => 89..=92,
                (CalendarUnit::Year, None) => 365..=366,
                (CalendarUnit::Month, Some(_)) => 28..=42,
                (CalendarUnit::Quarter, Some(_)) => 91..=98,
                (CalendarUnit::Year, Some(_)) => 364..=371,
            };
            prop_assert!(lengths.contains(&length), "{:?} has {} days", unit, length);
            if calendar.retail_weeks.is_some() {
                prop_assert_eq!(first.weekday(), calendar.week_start);
                prop_assert_eq!(length % 7, 0);
            }
        }
    }

    /// Months lie within quarters, and quarters within years.
    #[test]
    fn longer_units_consist_of_shorter_ones(calendar in any_calendar(), days in 800_i64..80_000) {
        let day = FIRST_DATE + TimeDelta::days(days);
        for (unit, longer, count) in
            [(CalendarUnit::Month, CalendarUnit::Quarter, 3), (CalendarUnit::Quarter, CalendarUnit::Year, 4)]
        {
            let whole = calendar.period(longer, day);
            let next = |edge: &NaiveDate| Some(calendar.period(unit, *edge).after);
            let edges: Vec<_> = std::iter::successors(Some(whole.first), next).take(count + 1).collect();
            prop_assert_eq!(edges.last().copied(), Some(whole.after));
        }
    }

    /// What lies months before keeps the order of dates, and whole months go to whole months.
    #[test]
    fn months_earlier_keep_the_order(calendar in any_calendar(), days in 2_000_i64..80_000, months in 1_i32..30) {
        let day = FIRST_DATE + TimeDelta::days(days);
        let next = day + TimeDelta::days(1);
        prop_assert!(calendar.months_earlier(day, months) <= calendar.months_earlier(next, months));
        let Period { first, after } = calendar.period(CalendarUnit::Month, day);
        let (from, to) = (calendar.months_earlier(first, months), calendar.months_earlier(after, months));
        prop_assert_eq!(calendar.period(CalendarUnit::Month, from), Period { first: from, after: to });
        prop_assert_eq!(calendar.whole_months(from, first - TimeDelta::days(1)), Some(months));
    }
}
