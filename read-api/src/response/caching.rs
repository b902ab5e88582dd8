//! The cache policies of answers (RFC 9111, RFC 5861).

use http::HeaderValue;

/// The cache policy of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// Revalidate each time, and show a copy of at most 5 seconds meanwhile. Even final numbers must be revalidated,
    /// because a correction is possible at any time.
    StaleWhileRevalidate,
    /// Revalidate before showing it: the caller requires a freshness, or it is a file, of which an old copy must not be
    /// served.
    NoCache,
    /// Show it for 5 minutes: only another version of the program changes it.
    MaxAge,
    /// Do not store it: it is true only now, or answers a POST.
    NoStore,
}

impl CachePolicy {
    /// The value of `Cache-Control`.
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::StaleWhileRevalidate => "private, max-age=0, stale-while-revalidate=5",
            Self::NoCache => "private, no-cache",
            Self::MaxAge => "private, max-age=300",
            Self::NoStore => "no-store",
        })
    }
}
