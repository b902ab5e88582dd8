//! Buckets of time: the grains in which numbers are kept, and the calendar cuts of a query.
//!
//! Increments are kept in 15-minute UTC buckets, because every offset in use today is a multiple of 15 minutes: any zone's
//! hours and days (30- and 45-minute offsets, days of 23 and 25 hours) are whole numbers of them.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// How long a stored bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// A stored bucket: a local date, or the first instant of a shorter one. Untagged: `"2019-01-01"` or `"2019-01-01T10:15:00Z"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bucket {
    /// The first instant of an hour or a quarter of one.
    Starts(DateTime<Utc>),
    /// A local day.
    Day(NaiveDate),
}
