//! Ids: UUIDs of version 7, which sort by creation time.

use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

/// A new id, created at `now`.
pub(crate) fn new_id(now: DateTime<Utc>) -> Uuid {
    // A clock before 1970 affects only the order.
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}
