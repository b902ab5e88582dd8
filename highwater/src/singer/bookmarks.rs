//! The bookmarks of a state: how far a tap has read a stream.
//!
//! Taps write them in many shapes: a date, a date in an object, one for each account, partitions. So each date below
//! the stream's bookmark counts, and the earliest holds.

use chrono::NaiveDate;
use serde_json::Value;

/// Members that say nothing of how far a stream was read: what a run began with, and what it has not finished.
const NO_BOOKMARK: &[&str] = &["starting_replication_value", "replication_key_signpost", "progress_markers", "context"];

/// The day that a stream was read to, by the slowest of its bookmarks.
pub fn bookmark(state: &Value, stream: &str) -> Option<NaiveDate> {
    let of_streams = state.get("bookmarks").unwrap_or(state).as_object()?;
    // Some taps begin the name with that of an account.
    let suffix = format!("_{stream}");
    let is_of_stream = |name: &String| name == stream || name.ends_with(&suffix);
    of_streams.iter().filter(|(name, _)| is_of_stream(name)).filter_map(|(_, value)| earliest(value)).min()
}

fn earliest(value: &Value) -> Option<NaiveDate> {
    match value {
        Value::String(text) => day(text),
        Value::Array(values) => values.iter().filter_map(earliest).min(),
        Value::Object(members) => {
            let says = members.iter().filter(|(name, _)| !NO_BOOKMARK.contains(&name.as_str()));
            says.filter_map(|(_, value)| earliest(value)).min()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The day that a text begins with.
pub fn day(text: &str) -> Option<NaiveDate> {
    let (day, rest) = text.split_at_checked(10)?;
    let ends = rest.is_empty() || rest.starts_with(['T', ' ']);
    day.parse().ok().filter(|_| ends)
}
