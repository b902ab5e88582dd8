//! The origin of an answer's result, in `Cache-Status` (RFC 9211) and `Server-Timing` (W3C).

use std::fmt::{self, Write as _};
use std::time::Duration;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use queries::{CacheStatus, ReadTrace};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Writes both headers.
pub(crate) fn write_trace(trace: &ReadTrace, headers: &mut HeaderMap) {
    let status = match (trace.status, trace.is_collapsed) {
        (CacheStatus::Hit, false) => "highwater; hit",
        (CacheStatus::Hit, true) => "highwater; fwd=stale; collapsed",
        (CacheStatus::SameVersion, _) => "highwater; fwd=stale; fwd-status=304",
        (CacheStatus::Computed, _) => "highwater; fwd=miss",
    };
    headers.insert(CACHE_STATUS, HeaderValue::from_static(status));
    let mut timing = String::with_capacity(64);
    if let Some(after) = trace.snapshot_after {
        let _ = write!(timing, "snapshot;dur={}, ", Milliseconds(after));
    }
    let _ = write!(timing, "total;dur={}", Milliseconds(trace.began.elapsed()));
    if let Ok(value) = HeaderValue::try_from(timing) {
        headers.insert(SERVER_TIMING, value);
    }
}

/// A duration in milliseconds, to the microsecond. Each answer has two, and formatting floats takes longer than
/// measuring.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_millis(), self.0.subsec_micros() % 1_000)
    }
}
