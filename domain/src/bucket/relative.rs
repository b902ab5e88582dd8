//! Relative ranges: days named by where they lie from today.

use std::fmt;
use std::str::FromStr;

use chrono::{Days, NaiveDate};
use thiserror::Error;

use super::fiscal::{CalendarUnit, FiscalCalendar};

/// The most days that one of `last_N_days` has.
const MAX_DAYS: u16 = 400;

/// A range of days named by where it lies from today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelativeRange {
    /// Today, which is not over.
    Today,
    /// The day before.
    Yesterday,
    /// So many days before today, without it.
    LastDays(u16),
    /// The unit of the calendar that holds today, up to today.
    This(CalendarUnit),
    /// The whole unit before that.
    Last(CalendarUnit),
}

/// The error of a text that names no relative range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "is none of today, yesterday, this_week, last_week, this_month, last_month, this_quarter, last_quarter, \
     this_year, last_year, and last_7_days or as many days as you like from 1 to 400"
)]
pub struct RelativeRangeError;

impl RelativeRange {
    /// The first and the last day that it stands for.
    pub fn dates(self, today: NaiveDate, fiscal: FiscalCalendar) -> (NaiveDate, NaiveDate) {
        let yesterday = days_before(today, 1);
        match self {
            Self::Today => (today, today),
            Self::Yesterday => (yesterday, yesterday),
            Self::LastDays(days) => (days_before(today, u64::from(days)), yesterday),
            Self::This(unit) => (fiscal.period(unit, today).first, today),
            Self::Last(unit) => {
                let last = days_before(fiscal.period(unit, today).first, 1);
                (fiscal.period(unit, last).first, last)
            }
        }
    }

    /// The unit of the calendar that decides on its days.
    pub fn unit(self) -> Option<CalendarUnit> {
        match self {
            Self::Today | Self::Yesterday | Self::LastDays(_) => None,
            Self::This(unit) | Self::Last(unit) => Some(unit),
        }
    }
}

impl fmt::Display for RelativeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Today => f.write_str("today"),
            Self::Yesterday => f.write_str("yesterday"),
            Self::LastDays(days) => write!(f, "last_{days}_days"),
            Self::This(unit) => write!(f, "this_{}", unit.name()),
            Self::Last(unit) => write!(f, "last_{}", unit.name()),
        }
    }
}

impl FromStr for RelativeRange {
    type Err = RelativeRangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let days = text.strip_prefix("last_").and_then(|rest| rest.strip_suffix("_days"));
        let days = days.and_then(|days| days.parse().ok()).filter(|days| (1..=MAX_DAYS).contains(days));
        let units = CalendarUnit::ALL;
        let named =
            [Self::Today, Self::Yesterday].into_iter().chain(units.map(Self::This)).chain(units.map(Self::Last));
        let mut all = named.chain(days.map(Self::LastDays));
        // By the name that it would have, because a number can be written in several ways.
        all.find(|range| range.to_string() == text).ok_or(RelativeRangeError)
    }
}

fn days_before(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
}

#[cfg(test)]
mod tests {
    use chrono::{Month, Weekday};
    use proptest::prelude::*;

    use super::*;
    use crate::bucket::{FIRST_DATE, MONTHS, RetailWeeks, WEEKDAYS};

    #[track_caller]
    fn check(fiscal: FiscalCalendar, today: &str, range: &str, from: &str, to: &str) {
        let range: RelativeRange = range.parse().unwrap();
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(range.dates(date(today), fiscal), (date(from), date(to)), "{range}");
    }

    #[test]
    fn ranges_lie_before_today_or_end_with_it() {
        // A Monday.
        let check = |range, from, to| check(FiscalCalendar::ISO, "2026-11-30", range, from, to);
        check("today", "2026-11-30", "2026-11-30");
        check("yesterday", "2026-11-29", "2026-11-29");
        check("last_1_days", "2026-11-29", "2026-11-29");
        check("last_7_days", "2026-11-23", "2026-11-29");
        check("last_400_days", "2025-10-26", "2026-11-29");
        check("this_week", "2026-11-30", "2026-11-30");
        check("last_week", "2026-11-23", "2026-11-29");
        check("this_month", "2026-11-01", "2026-11-30");
        check("last_month", "2026-10-01", "2026-10-31");
        check("this_quarter", "2026-10-01", "2026-11-30");
        check("last_quarter", "2026-07-01", "2026-09-30");
        check("this_year", "2026-01-01", "2026-11-30");
        check("last_year", "2025-01-01", "2025-12-31");
    }

    #[test]
    fn units_are_those_of_the_calendar() {
        let fiscal = FiscalCalendar { week_start: Weekday::Sun, year_start: Month::April, retail_weeks: None };
        check(fiscal, "2026-11-30", "this_week", "2026-11-29", "2026-11-30");
        check(fiscal, "2026-02-28", "last_year", "2024-04-01", "2025-03-31");
        let retail =
            FiscalCalendar { year_start: Month::February, retail_weeks: Some(RetailWeeks::FourFiveFour), ..fiscal };
        check(retail, "2024-02-04", "last_month", "2023-12-31", "2024-02-03");
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["today", "yesterday", "last_30_days", "this_week", "last_month", "this_quarter", "last_year"] {
            assert_eq!(name.parse::<RelativeRange>().unwrap().to_string(), name);
        }
        let wrong =
            ["", "Today", "last_0_days", "last_401_days", "last_07_days", "last_+7_days", "last_7_day", "this_day"];
        for name in wrong {
            assert_eq!(name.parse::<RelativeRange>(), Err(RelativeRangeError), "{name}");
        }
    }

    proptest! {
        /// In any calendar, a unit before follows without a gap on that of before, and today lies in or behind each.
        #[test]
        fn last_units_touch_this_one(
            week_start in prop::sample::select(WEEKDAYS.to_vec()),
            year_start in prop::sample::select(MONTHS.to_vec()),
            retail_weeks in prop::option::of(prop::sample::select(RetailWeeks::ALL.to_vec())),
            unit in prop::sample::select(CalendarUnit::ALL.to_vec()),
            days in 1_000_i64..80_000,
            n in 1..=MAX_DAYS,
        ) {
            let fiscal = FiscalCalendar { week_start, year_start, retail_weeks };
            let today = FIRST_DATE + chrono::TimeDelta::days(days);
            let (first, last) = RelativeRange::This(unit).dates(today, fiscal);
            let (before_from, before_to) = RelativeRange::Last(unit).dates(today, fiscal);
            prop_assert_eq!(last, today);
            prop_assert_eq!(before_to.succ_opt(), Some(first));
            prop_assert_eq!(fiscal.period(unit, before_from).after, first);
            prop_assert_eq!(fiscal.period(unit, before_from).first, before_from);
            let (from, to) = RelativeRange::LastDays(n).dates(today, fiscal);
            prop_assert_eq!((to - from).num_days() + 1, i64::from(n));
            prop_assert_eq!(to.succ_opt(), Some(today));
        }
    }
}
