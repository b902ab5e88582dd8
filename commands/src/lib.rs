//! The use cases that write: campaigns, sources, and the reports of sources. They know no HTTP: a route, a webhook and
//! a broker's consumer call the same functions.
//!
//! A use case takes a [`CommandContext`] (actor, trace, idempotency key) and typed input. It looks up what the decision
//! depends on (a stream, or claims) and lets the domain decide. It appends events, claims and receipt in one
//! transaction, and retries after a lost race. A key that was used before is answered by its receipt.
//!
//! No use case reads a read table. What a decision needs beyond its own stream is a claim, which the append asserts.
#![warn(missing_docs)]

mod append; // append with retry
mod batch_result; // the result of each item of a batch
mod campaigns; // create, edit, budget, lifecycle
mod claims; // claims: lookups and uniqueness
mod context; // actor, trace and idempotency key
mod error;
mod ids;
mod in_flight; // idempotency keys in flight
pub mod ingest; // observations, statements, syncs
mod outcome; // the result of a command, as its receipt keeps it
mod rejection; // rejections by the domain
pub mod rejections; // items that were not taken, and are kept
mod source_activity; // what was done to a source
mod source_rate; // rate limits of sources
mod sources; // registration, changes and ends of sources
mod workspace; // the calendar of the workspace

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::campaign::Campaign;
use domain::event;
use domain::workspace::Workspace;
use event_store::{AggregateStore, Appender, UpcastError};
use platform::clock::SharedClock;
use serde_json::Value;
use sqlx::PgPool;

use claims::{CachePolicy, ClaimCache, ClaimReader};
use in_flight::InFlightKeys;
use rejections::RejectionStore;

pub use campaigns::{ChangedCampaign, VersionPrecondition};
pub use context::{CommandContext, Idempotency};
pub use error::CommandError;
pub use outcome::Completed;
pub use rejection::DomainRejection;
pub use source_activity::SourceActivity;
pub use source_rate::SourceRateLimiter;
pub use sources::{RegisteredSource, SourceSnapshot};

/// The most items of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most observations of one batch.
    pub observations: usize,
    /// The most statements of one batch.
    pub statements: usize,
    /// The most values that one batch of statements takes back by replacing.
    pub retractions: usize,
    /// The most campaigns that one source creates on a UTC day.
    pub new_campaigns: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { observations: 5_000, statements: 5_000, retractions: 20_000, new_campaigns: 1_000 }
    }
}

/// The use cases with their dependencies. Clones share them.
#[derive(Debug, Clone)]
pub struct Commands {
    /// A pool that acts as the command role. It reads claims, receipts and streams.
    pool: PgPool,
    appender: Appender,
    campaigns: Arc<AggregateStore<Campaign>>,
    workspaces: Arc<AggregateStore<Workspace>>,
    claims: Arc<ClaimCache>,
    clock: SharedClock,
    limits: Limits,
    in_flight: InFlightKeys,
    source_rate: SourceRateLimiter,
    rejections: RejectionStore,
}

impl Commands {
    /// Use cases without a limit on sources. `pool` must act as `platform::database::DatabaseRole::Command`.
    pub fn new(pool: PgPool, appender: Appender, clock: SharedClock, limits: Limits) -> Self {
        let campaigns = AggregateStore::new(pool.clone(), appender.clone(), upcast);
        let workspaces = AggregateStore::new(pool.clone(), appender.clone(), upcast);
        Self {
            pool,
            appender,
            campaigns: Arc::new(campaigns),
            workspaces: Arc::new(workspaces),
            claims: Arc::default(),
            clock,
            limits,
            in_flight: InFlightKeys::default(),
            source_rate: SourceRateLimiter::default(),
            rejections: RejectionStore::default(),
        }
    }

    /// Sets the rate limit of each source.
    #[must_use]
    pub fn with_source_rate(self, source_rate: SourceRateLimiter) -> Self {
        Self { source_rate, ..self }
    }

    /// Sets where rejected items are kept.
    #[must_use]
    pub fn with_rejections(self, rejections: RejectionStore) -> Self {
        Self { rejections, ..self }
    }

    /// A reader of the claims of the caller's workspace.
    pub(crate) fn claim_reader(&self, context: &CommandContext, policy: CachePolicy) -> ClaimReader<'_> {
        let workspace = context.workspace().0;
        ClaimReader::new(&self.pool, &self.claims, workspace, self.appender.server(), policy)
    }

    /// The time by the clock of the use cases.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The most items of one batch.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

/// Turns the payload of an older version of an event into today's. Loads upcast old events like projections.
pub fn upcast(event_type: &str, event_version: &str, payload: Value) -> Result<Value, UpcastError> {
    Ok(event::upcast(event_type, event_version, payload)?)
}

/// Describes the metrics of the use cases.
pub fn describe_metrics() {
    metrics::describe_counter!("highwater_command_items_total", "Items of batches, by kind and status.");
    metrics::describe_counter!(
        "highwater_rejected_items_total",
        "Rejected items, by workspace, source, reason, and whether they are kept."
    );
}
