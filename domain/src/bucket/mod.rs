//! Buckets of time: the grains of stored numbers, and the calendar cells of a query.
//!
//! Increments are kept in 15-minute UTC buckets, because every offset in use today is a multiple of 15 minutes. So the
//! hours and days of any zone are whole numbers of them, with offsets of 30 and 45 minutes and days of 23 and 25 hours.
//! Every edge that this module computes lies on a quarter of an hour in UTC. (Two zones had other offsets in the 1970s,
//! Monrovia and Kiritimati; theirs are rounded.)

mod calendar;
mod fiscal;
mod local;
mod relative;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::zone::Zone;

pub use calendar::{Calendar, CalendarError, Granularity, MAX_CELLS, ReportBucket, moved};
pub use fiscal::{
    CalendarUnit, FiscalCalendar, MONTHS, Period, RetailWeeks, RetailWeeksError, WEEKDAYS, month_name, weekday_name,
};
pub use local::{
    DayStart, day_end, day_start, is_in_range, local_date, quarter_hour, quarter_hour_s, utc_bucket, utc_month,
};
pub use relative::{RelativeRange, RelativeRangeError};

/// The first day that dates and buckets may name.
pub const FIRST_DATE: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("1970-01-01 is a date");
/// The last day that dates and buckets may name.
pub const LAST_DATE: NaiveDate = NaiveDate::from_ymd_opt(2199, 12, 31).expect("2199-12-31 is a date");

/// The length of a stored bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Grain {
    /// 15 minutes, aligned in UTC.
    #[serde(rename = "15m")]
    QuarterHour,
    /// An hour of the statement's zone.
    #[serde(rename = "hour")]
    Hour,
    /// A local day of the statement's zone.
    #[serde(rename = "day")]
    Day,
}

/// The error of a name that is not a grain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a grain: 15m, hour or day")]
pub struct GrainError;

impl Grain {
    /// All of them, shortest first.
    pub const ALL: [Self; 3] = [Self::QuarterHour, Self::Hour, Self::Day];

    /// The name on the wire and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::QuarterHour => "15m",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its usual length. A day with a clock change is an hour longer or shorter.
    pub fn seconds(self) -> i64 {
        match self {
            Self::QuarterHour => 900,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

impl fmt::Display for Grain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Grain {
    type Err = GrainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|grain| grain.name() == text).ok_or(GrainError)
    }
}

/// A stored bucket: a local date, or the first instant of a shorter one. Untagged: `"2019-01-01"` or
/// `"2019-01-01T10:15:00Z"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Bucket {
    /// The first instant of an hour or a quarter of one.
    Starts(DateTime<Utc>),
    /// A local day.
    Day(NaiveDate),
}

/// The time that a bucket covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// The local date of a day's bucket.
    pub date: Option<NaiveDate>,
}

/// The error of a bucket that does not fit its grain and zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BucketError {
    /// A day's bucket is named by its date.
    #[error("must be a date such as 2026-11-21, because the grain is day")]
    DateExpected,
    /// A shorter bucket is named by its first instant.
    #[error("must be an instant such as 2026-11-21T10:00:00Z, because the grain is shorter than a day")]
    InstantExpected,
    /// It is not the first instant of a bucket of this grain.
    #[error("is not the start of a bucket of this grain in this time zone")]
    NotAligned,
    /// The zone's calendar skipped this date.
    #[error("is a date that this time zone skipped")]
    NoSuchDay,
    /// Before [`FIRST_DATE`] or after [`LAST_DATE`].
    #[error("must lie in the years 1970 to 2199")]
    OutOfRange,
}

impl Bucket {
    /// The time that this bucket covers, if it fits this grain in this zone.
    ///
    /// An hour's bucket starts where the local time is a whole hour, or at the first instant of a date whose midnight
    /// does not exist. It ends where the next one starts. So an hour with a clock change of 30 minutes
    /// (`Australia/Lord_Howe`) is 90 minutes long.
    pub fn resolve(self, grain: Grain, zone: Zone) -> Result<Span, BucketError> {
        match (grain, self) {
            (Grain::Day, Self::Day(date)) => resolve_day(date, zone),
            (Grain::Day, Self::Starts(_)) => Err(BucketError::DateExpected),
            (Grain::QuarterHour | Grain::Hour, Self::Day(_)) => Err(BucketError::InstantExpected),
            (Grain::QuarterHour, Self::Starts(start)) => resolve_instant(start, |start| {
                (quarter_hour(start) == start).then(|| start + chrono::TimeDelta::minutes(15))
            }),
            (Grain::Hour, Self::Starts(start)) => {
                resolve_instant(start, |start| local::is_hour_start(start, zone).then(|| local::next_hour(start, zone)))
            }
        }
    }
}

fn resolve_day(date: NaiveDate, zone: Zone) -> Result<Span, BucketError> {
    if !is_in_range(date) {
        return Err(BucketError::OutOfRange);
    }
    let (start, end) = (day_start(date, zone), local::day_end(date, zone));
    if start < end { Ok(Span { start, end, date: Some(date) }) } else { Err(BucketError::NoSuchDay) }
}

fn resolve_instant(
    start: DateTime<Utc>,
    end_if_aligned: impl Fn(DateTime<Utc>) -> Option<DateTime<Utc>>,
) -> Result<Span, BucketError> {
    if !is_in_range(start.date_naive()) {
        return Err(BucketError::OutOfRange);
    }
    let end = end_if_aligned(start).ok_or(BucketError::NotAligned)?;
    Ok(Span { start, end, date: None })
}
