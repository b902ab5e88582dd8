//! What caches may do with an answer (RFC 9111, RFC 5861).

use http::HeaderValue;

/// What caches may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// Ask again each time, and show a copy of at most 5 seconds while that goes on. No number is so final that an older one
    /// could be shown: a correction is taken at any time.
    StaleWhileRevalidate,
    /// Ask again before it is shown: the caller said how fresh it must be, or it is a file, which nobody should be handed the
    /// old one of while the new one is written.
    NoCache,
    /// Show it for 5 minutes: only another version of the program changes it.
    MaxAge,
    /// Keep none: it is true only now, or answers a POST.
    NoStore,
}

impl CachePolicy {
    /// As `Cache-Control` says it.
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::StaleWhileRevalidate => "private, max-age=0, stale-while-revalidate=5",
            Self::NoCache => "private, no-cache",
            Self::MaxAge => "private, max-age=300",
            Self::NoStore => "no-store",
        })
    }
}
