//! Instants of items: to the millisecond, and not ahead of our clock.

use chrono::{DateTime, TimeDelta, Utc};

use crate::item_error::{ItemError, ItemErrorCode};

/// How far a sender's clock may run ahead of ours.
pub(crate) const SKEW: TimeDelta = TimeDelta::minutes(5);

/// Reads an RFC 3339 instant. Events keep milliseconds, so what is finer is cut here, once, for ids and values alike.
pub(crate) fn instant(field: &str, text: &str) -> Result<DateTime<Utc>, ItemError> {
    DateTime::parse_from_rfc3339(text).map(|instant| to_millis(instant.to_utc())).map_err(|_| {
        ItemError::at(ItemErrorCode::BadTime, field, "is not an RFC 3339 instant such as 2026-11-21T22:00:00Z")
    })
}

/// Cuts an instant to the millisecond.
pub(crate) fn to_millis(instant: DateTime<Utc>) -> DateTime<Utc> {
    // Every instant has a millisecond that it lies in.
    DateTime::from_timestamp_millis(instant.timestamp_millis()).unwrap_or(instant)
}

/// Refuses what has not happened yet.
pub(crate) fn not_ahead(field: &str, instant: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), ItemError> {
    if instant > now + SKEW {
        let detail = format!("lies more than {} minutes ahead of this server's clock", SKEW.num_minutes());
        return Err(ItemError::at(ItemErrorCode::InFuture, field, detail));
    }
    Ok(())
}
