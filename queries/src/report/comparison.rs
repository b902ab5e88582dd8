//! The range that a report is compared with.

use chrono::{NaiveDate, TimeDelta};
use domain::bucket::{CalendarUnit, FiscalCalendar, Granularity};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::dates::QueryDates;

const MONTHS_OF_QUARTER: i32 = 3;
const MONTHS_OF_YEAR: i32 = 12;
const DAYS_OF_WEEK: i64 = 7;
const WEEKS_OF_YEAR: i64 = 52;

/// The range that numbers are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareTo {
    /// As much time right before: as many months where the range consists of whole ones, else as many days. Of a week,
    /// month, quarter or year up to today, as much of the one before.
    PreviousPeriod,
    /// The same days of the month before.
    PreviousMonth,
    /// The same days of the months of the quarter before.
    PreviousQuarter,
    /// The same dates of the year before.
    PreviousYear,
    /// The same weekdays of the year before: 52 weeks earlier.
    PreviousYearWeekday,
    /// Other dates, cell by cell in their order.
    Range { date_from: NaiveDate, date_to: NaiveDate },
}

impl CompareTo {
    /// The ranges that have names.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("previous_period", Self::PreviousPeriod),
        ("previous_month", Self::PreviousMonth),
        ("previous_quarter", Self::PreviousQuarter),
        ("previous_year", Self::PreviousYear),
        ("previous_year_weekday", Self::PreviousYearWeekday),
    ];

    /// The range of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(known, _)| *known == name).map(|(_, named)| named)
    }

    /// The unit of the calendar that decides on its days.
    pub(super) fn unit(self) -> Option<CalendarUnit> {
        match self {
            Self::PreviousPeriod | Self::PreviousMonth | Self::PreviousQuarter | Self::PreviousYear => {
                Some(CalendarUnit::Month)
            }
            Self::PreviousYearWeekday | Self::Range { .. } => None,
        }
    }

    /// The day of the other range that a day of the range corresponds to. It keeps the order of days.
    pub(super) fn mapping(
        self,
        dates: QueryDates,
        granularity: Granularity,
        fiscal: FiscalCalendar,
    ) -> impl Fn(NaiveDate) -> NaiveDate {
        let (from, to) = (dates.from, dates.to);
        let shift = match (self, dates.running_unit()) {
            (Self::PreviousPeriod, Some(unit)) => Shift::one_earlier(unit),
            (Self::PreviousPeriod, None) => {
                let days = (to - from).num_days() + 1;
                // Whole weeks are compared with weeks, also where they make a month.
                let is_of_weeks = granularity == Granularity::Week
                    && fiscal.period(CalendarUnit::Week, from).first == from
                    && days % DAYS_OF_WEEK == 0;
                let months = if is_of_weeks { None } else { fiscal.whole_months(from, to) };
                months.map_or(Shift::Days(-days), Shift::MonthsEarlier)
            }
            (Self::PreviousMonth, _) => Shift::MonthsEarlier(1),
            (Self::PreviousQuarter, _) => Shift::MonthsEarlier(MONTHS_OF_QUARTER),
            (Self::PreviousYear, _) => Shift::MonthsEarlier(MONTHS_OF_YEAR),
            (Self::PreviousYearWeekday, _) => Shift::Days(-WEEKS_OF_YEAR * DAYS_OF_WEEK),
            (Self::Range { date_from, .. }, _) => Shift::Days((date_from - from).num_days()),
        };
        move |date| match shift {
            Shift::Days(days) => date.checked_add_signed(TimeDelta::days(days)).unwrap_or(NaiveDate::MIN),
            Shift::MonthsEarlier(months) => fiscal.months_earlier(date, months),
        }
    }
}

/// How far the other range lies from a range.
#[derive(Debug, Clone, Copy)]
enum Shift {
    Days(i64),
    MonthsEarlier(i32),
}

impl Shift {
    /// To the unit of the calendar before.
    fn one_earlier(unit: CalendarUnit) -> Self {
        match unit {
            CalendarUnit::Week => Self::Days(-DAYS_OF_WEEK),
            CalendarUnit::Month => Self::MonthsEarlier(1),
            CalendarUnit::Quarter => Self::MonthsEarlier(MONTHS_OF_QUARTER),
            CalendarUnit::Year => Self::MonthsEarlier(MONTHS_OF_YEAR),
        }
    }
}

impl Serialize for CompareTo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Range { date_from, date_to } = self {
            let mut range = serializer.serialize_struct("Range", 2)?;
            range.serialize_field("date_from", date_from)?;
            range.serialize_field("date_to", date_to)?;
            return range.end();
        }
        let named = Self::NAMED.into_iter().find(|(_, named)| named == self);
        named.map(|(name, _)| name).serialize(serializer)
    }
}
