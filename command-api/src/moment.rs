//! Dates and instants of requests, which have one form each: for members that say `deserialize_with`.

use chrono::{DateTime, NaiveDate, Utc};
use domain::rfc3339::{parse_date, parse_instant};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::raw_number::StrictStr;

/// A date as it is sent.
struct SentDate(NaiveDate);

/// An instant as it is sent.
struct SentInstant(DateTime<Utc>);

impl<'de> Deserialize<'de> for SentDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictStr(text) = StrictStr::deserialize(deserializer)?;
        parse_date(&text).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for SentInstant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StrictStr(text) = StrictStr::deserialize(deserializer)?;
        parse_instant(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Reads a date.
pub(crate) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    SentDate::deserialize(deserializer).map(|SentDate(date)| date)
}

/// Reads a date, or null.
pub(crate) fn date_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    Ok(Option::<SentDate>::deserialize(deserializer)?.map(|SentDate(date)| date))
}

/// Reads an instant.
pub(crate) fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    SentInstant::deserialize(deserializer).map(|SentInstant(instant)| instant)
}

/// Reads an instant, or null.
pub(crate) fn instant_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    Ok(Option::<SentInstant>::deserialize(deserializer)?.map(|SentInstant(instant)| instant))
}
