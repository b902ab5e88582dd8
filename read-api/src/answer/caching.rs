//! What caches may do with an answer (RFC 9111, RFC 5861).

use http::HeaderValue;

/// What caches may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Ask again each time, and show a copy of at most 5 seconds while that goes on. No number is so final that an older one
    /// could be shown: a correction is taken at any time.
    ShowMeanwhile,
    /// Ask again before it is shown: the caller said how fresh it must be, or it is a file, which nobody should be handed the
    /// old one of while the new one is written.
    AskFirst,
    /// Show it for 5 minutes: only another version of the program changes it.
    ShowUnasked,
    /// Keep none: it is true only now, or answers a POST.
    KeepNone,
}

impl Caching {
    /// As `Cache-Control` says it.
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::ShowMeanwhile => "private, max-age=0, stale-while-revalidate=5",
            Self::AskFirst => "private, no-cache",
            Self::ShowUnasked => "private, max-age=300",
            Self::KeepNone => "no-store",
        })
    }
}
