//! The fiscal calendar: how a workspace divides its days into weeks, months, quarters and years.
//!
//! Without retail weeks, months are those of the Gregorian calendar, and quarters and years begin with the first month
//! of the year. With them, months consist of whole weeks: each quarter has 13, in the order of the pattern. The year
//! begins on the day on which weeks begin that is nearest to the first of its first month. So it ends on the weekday
//! nearest to the end of the month before, which is one of the two rules for years of 52 and 53 weeks (26 U.S.C.
//! 441(f), 26 CFR 1.441-2). With weeks from Sunday, a year from February and `4-5-4` it is the retail calendar of the
//! National Retail Federation. A 53rd week belongs to the last month.

mod names;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, Days, Month, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use names::{MONTHS, WEEKDAYS, month_name, weekday_name};

const MONTHS_OF_YEAR: i32 = 12;
const MONTHS_OF_QUARTER: i32 = 3;
const WEEKS_OF_QUARTER: i64 = 13;

/// How a workspace divides its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FiscalCalendar {
    /// The day on which weeks begin.
    #[serde(with = "names::weekday")]
    #[cfg_attr(test, schemars(schema_with = "names::weekday::schema"))]
    pub week_start: Weekday,
    /// The month with which years begin.
    #[serde(with = "names::month")]
    #[cfg_attr(test, schemars(schema_with = "names::month::schema"))]
    pub year_start: Month,
    /// The months of a quarter in weeks. Left out where months are those of the Gregorian calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retail_weeks: Option<RetailWeeks>,
}

/// The three months of a quarter, in weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum RetailWeeks {
    /// The last month has five weeks.
    #[serde(rename = "4-4-5")]
    FourFourFive,
    /// The second month has five weeks.
    #[serde(rename = "4-5-4")]
    FourFiveFour,
    /// The first month has five weeks.
    #[serde(rename = "5-4-4")]
    FiveFourFour,
}

/// The error of a text that names no retail weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is none of 4-4-5, 4-5-4 and 5-4-4")]
pub struct RetailWeeksError;

/// The units of a calendar that are longer than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// Seven days.
    Week,
    /// A Gregorian month, or four or five weeks.
    Month,
    /// Three months.
    Quarter,
    /// Twelve months.
    Year,
}

/// The days of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first day.
    pub first: NaiveDate,
    /// The first day after it.
    pub after: NaiveDate,
}

impl Default for FiscalCalendar {
    fn default() -> Self {
        Self::ISO
    }
}

impl FiscalCalendar {
    /// The Gregorian calendar with weeks from Monday, as in ISO 8601.
    pub const ISO: Self = Self { week_start: Weekday::Mon, year_start: Month::January, retail_weeks: None };

    /// The unit that holds a date.
    pub fn period(self, unit: CalendarUnit, date: NaiveDate) -> Period {
        match unit {
            CalendarUnit::Week => {
                let first = days_before(date, i64::from(date.weekday().days_since(self.week_start)));
                Period { first, after: days_after(first, 7) }
            }
            CalendarUnit::Month => self.months(date, 1),
            CalendarUnit::Quarter => self.months(date, MONTHS_OF_QUARTER),
            CalendarUnit::Year => self.months(date, MONTHS_OF_YEAR),
        }
    }

    /// The day of the same number in the month that lies so many months before. Where that month is too short, the
    /// first day after it. So the order of dates is kept.
    pub fn months_earlier(self, date: NaiveDate, months: i32) -> NaiveDate {
        let month = self.month_number(date);
        let days = (date - self.first_of_month(month)).num_days();
        let earlier = month - months;
        days_after(self.first_of_month(earlier), days).min(self.first_of_month(earlier + 1))
    }

    /// The number of months that the days `from..=to` consist of, if they are whole months.
    pub fn whole_months(self, from: NaiveDate, to: NaiveDate) -> Option<i32> {
        let after = days_after(to, 1);
        let (first, last) = (self.month_number(from), self.month_number(after));
        let is_whole = self.first_of_month(first) == from && self.first_of_month(last) == after;
        (is_whole && first < last).then_some(last - first)
    }

    /// The group of so many months that holds a date.
    fn months(self, date: NaiveDate, length: i32) -> Period {
        let month = self.month_number(date);
        let first = month - month.rem_euclid(length);
        Period { first: self.first_of_month(first), after: self.first_of_month(first + length) }
    }

    /// The number of the month that holds a date: twelve for each year, from the first month of the year 0 on.
    fn month_number(self, date: NaiveDate) -> i32 {
        let Some(weeks) = self.retail_weeks else {
            let month = i32::try_from(date.month0()).unwrap_or_default();
            return date.year() * MONTHS_OF_YEAR + month - self.months_before_year_start();
        };
        let begun = |year: &i32| self.first_of_year(*year) <= date;
        // A year begins at most three days before the first of its first month.
        let year = [date.year() + 1, date.year()].into_iter().find(begun).unwrap_or(date.year() - 1);
        let week = (date - self.first_of_year(year)).num_days() / 7;
        let quarter = (week / WEEKS_OF_QUARTER).min(3);
        let week = week - quarter * WEEKS_OF_QUARTER;
        let later = weeks.weeks_before().into_iter().skip(1).filter(|before| *before <= week).count();
        let month = quarter * i64::from(MONTHS_OF_QUARTER) + i64::try_from(later).unwrap_or_default();
        year * MONTHS_OF_YEAR + i32::try_from(month).unwrap_or_default()
    }

    /// The first day of the month with this number.
    fn first_of_month(self, number: i32) -> NaiveDate {
        let Some(weeks) = self.retail_weeks else {
            return first_of_gregorian_month(number + self.months_before_year_start());
        };
        let (year, month) = (number.div_euclid(MONTHS_OF_YEAR), number.rem_euclid(MONTHS_OF_YEAR));
        let (quarter, month) = (month / MONTHS_OF_QUARTER, month % MONTHS_OF_QUARTER);
        let before = usize::try_from(month).ok().and_then(|month| weeks.weeks_before().get(month).copied());
        let week = i64::from(quarter) * WEEKS_OF_QUARTER + before.unwrap_or_default();
        days_after(self.first_of_year(year), week * 7)
    }

    /// The first day of a year of retail weeks: the start of a week that is nearest to the first of its first month.
    fn first_of_year(self, year: i32) -> NaiveDate {
        let first = first_of_gregorian_month(year * MONTHS_OF_YEAR + self.months_before_year_start());
        let back = i64::from(first.weekday().days_since(self.week_start));
        if back <= 3 { days_before(first, back) } else { days_after(first, 7 - back) }
    }

    fn months_before_year_start(self) -> i32 {
        i32::try_from(self.year_start.number_from_month()).unwrap_or(1) - 1
    }
}

impl CalendarUnit {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}

impl RetailWeeks {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FourFourFive, Self::FourFiveFour, Self::FiveFourFour];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::FourFourFive => "4-4-5",
            Self::FourFiveFour => "4-5-4",
            Self::FiveFourFour => "5-4-4",
        }
    }

    /// The weeks of a quarter before each of its months.
    fn weeks_before(self) -> [i64; 3] {
        match self {
            Self::FourFourFive => [0, 4, 8],
            Self::FourFiveFour => [0, 4, 9],
            Self::FiveFourFour => [0, 5, 9],
        }
    }
}

impl fmt::Display for RetailWeeks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RetailWeeks {
    type Err = RetailWeeksError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|weeks| weeks.name() == text).ok_or(RetailWeeksError)
    }
}

/// The first day of a Gregorian month, counted from January of the year 0.
fn first_of_gregorian_month(number: i32) -> NaiveDate {
    let month = u32::try_from(number.rem_euclid(MONTHS_OF_YEAR)).unwrap_or_default() + 1;
    NaiveDate::from_ymd_opt(number.div_euclid(MONTHS_OF_YEAR), month, 1).unwrap_or(NaiveDate::MIN)
}

fn days_after(date: NaiveDate, days: i64) -> NaiveDate {
    date.checked_add_days(Days::new(days.unsigned_abs())).unwrap_or(NaiveDate::MAX)
}

fn days_before(date: NaiveDate, days: i64) -> NaiveDate {
    date.checked_sub_days(Days::new(days.unsigned_abs())).unwrap_or(NaiveDate::MIN)
}
