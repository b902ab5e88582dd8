//! What every handler needs.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use domain::campaign::Campaign;
use domain::event;
use event_store::{AggregateStore, Appender, UpcastError};
use http_edge::limit::SourceRateLimiter;
use platform::authenticator::Authenticator;
use platform::clock::SharedClock;
use serde_json::Value;
use sqlx::PgPool;

use crate::claims::ClaimCache;
use crate::idempotency::InFlight;

/// How much one request may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most observations of one request.
    pub observations: usize,
    /// The most statements of one request.
    pub statements: usize,
    /// Of requests that are recorded as they arrive.
    pub stream: StreamLimits,
}

/// How a request is taken that is recorded chunk by chunk as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// The most lines of a chunk. A chunk's receipt is found again only as long as chunks are cut the same.
    pub chunk_lines: usize,
    /// A chunk ends with the line that reaches so many bytes.
    pub chunk_bytes: usize,
    /// A longer line is rejected by itself.
    pub line_bytes: usize,
    /// The most lines of one request.
    pub lines: u64,
    /// The most bytes of one request, after they are unpacked.
    pub bytes: u64,
    /// The most results that its answer lists.
    pub results: usize,
    /// How long a chunk is tried where the log has no room for it.
    pub patience: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            chunk_lines: 1_000,
            chunk_bytes: 512 << 10,
            line_bytes: 64 << 10,
            lines: 10_000_000,
            bytes: 8 << 30,
            results: 1_000,
            patience: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { observations: 5_000, statements: 5_000, stream: StreamLimits::default() }
    }
}

/// What every handler needs.
#[derive(Debug, Clone)]
pub struct ApiState {
    /// Reads claims, receipts and streams, as the command part.
    pub(crate) pool: PgPool,
    /// Writes.
    pub(crate) appender: Appender,
    /// The streams of campaigns.
    pub(crate) campaigns: Arc<AggregateStore<Campaign>>,
    pub(crate) claims: Arc<ClaimCache>,
    pub(crate) clock: SharedClock,
    pub(crate) limits: Limits,
    pub(crate) in_flight: InFlight,
    pub(crate) source_rate: SourceRateLimiter,
    authenticator: Authenticator,
}

impl ApiState {
    /// `pool` must act as `platform::database::Part::JsonCommand`.
    pub fn new(
        pool: PgPool,
        appender: Appender,
        authenticator: Authenticator,
        clock: SharedClock,
        limits: Limits,
    ) -> Self {
        let stamp = Arc::clone(&clock);
        let campaigns = AggregateStore::new(pool.clone(), appender.clone(), upcast, move || stamp.now());
        let (campaigns, claims) = (Arc::new(campaigns), Arc::new(ClaimCache::default()));
        let (in_flight, source_rate) = (InFlight::default(), SourceRateLimiter::default());
        Self { pool, appender, campaigns, claims, clock, limits, in_flight, source_rate, authenticator }
    }

    /// With a limit to what each source may send.
    #[must_use]
    pub fn with_source_rate(self, source_rate: SourceRateLimiter) -> Self {
        Self { source_rate, ..self }
    }
}

/// Loads read old events as projections do.
fn upcast(event_type: &str, event_version: &str, payload: Value) -> Result<Value, UpcastError> {
    Ok(event::upcast(event_type, event_version, payload)?)
}

impl FromRef<ApiState> for Authenticator {
    fn from_ref(state: &ApiState) -> Self {
        state.authenticator.clone()
    }
}
