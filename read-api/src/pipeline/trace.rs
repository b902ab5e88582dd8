//! What the headers say of the way an answer took: `Cache-Status` (RFC 9211) and `Server-Timing` (W3C).

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Where a result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheStatus {
    /// It was kept, and the tip told that it holds.
    Kept,
    /// Its version was read, and a result of that version was there already.
    SameVersion,
    /// It was computed.
    Computed,
}

impl CacheStatus {
    /// As metrics label it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::SameVersion => "same_version",
            Self::Computed => "computed",
        }
    }
}

/// The way of one answer so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTiming {
    /// When the request came.
    pub(super) began: Instant,
    /// How long it took until its snapshot was there, waiting included.
    settled: Option<Duration>,
    pub(super) origin: CacheStatus,
    is_collapsed: bool,
}

impl RequestTiming {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), settled: None, origin: CacheStatus::Computed, is_collapsed: false }
    }

    /// The snapshot is there.
    pub(super) fn settled(&mut self) {
        self.settled = Some(self.began.elapsed());
    }

    /// Somebody else reads the same already.
    pub(super) fn collapsed(&mut self) {
        self.is_collapsed = true;
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let status = match (self.origin, self.is_collapsed) {
            (CacheStatus::Kept, false) => "highwater; hit",
            (CacheStatus::Kept, true) => "highwater; fwd=stale; collapsed",
            (CacheStatus::SameVersion, _) => "highwater; fwd=stale; fwd-status=304",
            (CacheStatus::Computed, _) => "highwater; fwd=miss",
        };
        headers.insert(CACHE_STATUS, HeaderValue::from_static(status));
        let mut timing = String::with_capacity(64);
        if let Some(settled) = self.settled {
            let _ = write!(timing, "snapshot;dur={}, ", Milliseconds(settled));
        }
        let _ = write!(timing, "total;dur={}", Milliseconds(self.began.elapsed()));
        if let Ok(value) = HeaderValue::from_str(&timing) {
            headers.insert(SERVER_TIMING, value);
        }
    }
}

/// To the microsecond. Each answer tells of two, and floats take longer to write than to measure.
struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0.as_millis(), self.0.subsec_micros() % 1_000)
    }
}
