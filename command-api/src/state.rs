//! What every handler needs.

use std::sync::Arc;

use axum::extract::FromRef;
use domain::campaign::Campaign;
use event_store::{Appender, LogStore};
use platform::clock::SharedClock;
use platform::http::limit::SourceRate;
use platform::keys::Keys;
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
}

impl Default for Limits {
    fn default() -> Self {
        Self { observations: 5_000, statements: 5_000 }
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
    pub(crate) campaigns: Arc<LogStore<Campaign>>,
    pub(crate) claims: Arc<ClaimCache>,
    pub(crate) clock: SharedClock,
    pub(crate) limits: Limits,
    pub(crate) in_flight: InFlight,
    pub(crate) source_rate: SourceRate,
    keys: Keys,
}

impl ApiState {
    /// `pool` must act as `platform::database::Part::Command`.
    pub fn new(pool: PgPool, appender: Appender, keys: Keys, clock: SharedClock, limits: Limits) -> Self {
        let stamp = Arc::clone(&clock);
        let campaigns = LogStore::new(pool.clone(), appender.clone(), &[], move || stamp.now());
        let (campaigns, claims) = (Arc::new(campaigns), Arc::new(ClaimCache::default()));
        let (in_flight, source_rate) = (InFlight::default(), SourceRate::default());
        Self { pool, appender, campaigns, claims, clock, limits, in_flight, source_rate, keys }
    }

    /// With a limit to what each source may send.
    #[must_use]
    pub fn with_source_rate(self, source_rate: SourceRate) -> Self {
        Self { source_rate, ..self }
    }
}

impl FromRef<ApiState> for Keys {
    fn from_ref(state: &ApiState) -> Self {
        state.keys.clone()
    }
}
