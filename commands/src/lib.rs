//! The use cases that write: campaigns, sources, and what sources report. They know no HTTP: a route, a webhook and a
//! broker's consumer call the same functions.
//!
//! A use case takes a [`CommandContext`] (who acts, in which flow, under which idempotency key) and typed input. It
//! looks up what the decision rests on (a stream, or claims), lets the domain decide, and appends events, claims and
//! receipt in one transaction, again if it lost a race. A key that was used before is answered by its receipt.
//!
//! No use case reads a read table. What a decision must look up beside its own stream is a claim, which the append
//! asserts.
#![warn(missing_docs)]

mod append; // append with retry
mod batch_result; // what became of each item of a batch
mod campaigns; // create, edit, budget, lifecycle
mod claims; // what is looked up or kept unique
mod context; // who acts, in which flow, under which key
mod error;
mod ids;
mod in_flight; // keys that are being carried out
pub mod ingest; // what sources report: observations, statements, syncs
mod outcome; // what a command did, as its receipt keeps it
mod rejection; // by the domain
mod source_rate; // how many items each source may send
mod sources; // registration

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::campaign::Campaign;
use domain::event;
use event_store::{AggregateStore, Appender, UpcastError};
use platform::clock::SharedClock;
use serde_json::Value;
use sqlx::PgPool;

use claims::ClaimCache;
use in_flight::InFlightKeys;

pub use campaigns::VersionPrecondition;
pub use context::{CommandContext, Idempotency};
pub use error::CommandError;
pub use outcome::Completed;
pub use rejection::DomainRejection;
pub use source_rate::SourceRateLimiter;
pub use sources::RegisteredSource;

/// How many items one batch may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most observations of one batch.
    pub observations: usize,
    /// The most statements of one batch.
    pub statements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { observations: 5_000, statements: 5_000 }
    }
}

/// The use cases, with everything that they work with. Clones share it.
#[derive(Debug, Clone)]
pub struct Commands {
    /// Reads claims, receipts and streams, as the command part.
    pool: PgPool,
    appender: Appender,
    campaigns: Arc<AggregateStore<Campaign>>,
    claims: Arc<ClaimCache>,
    clock: SharedClock,
    limits: Limits,
    in_flight: InFlightKeys,
    source_rate: SourceRateLimiter,
}

impl Commands {
    /// `pool` must act as `platform::database::DatabaseRole::Command`. Sources may send without limit.
    pub fn new(pool: PgPool, appender: Appender, clock: SharedClock, limits: Limits) -> Self {
        let campaigns = AggregateStore::new(pool.clone(), appender.clone(), upcast);
        Self {
            pool,
            appender,
            campaigns: Arc::new(campaigns),
            claims: Arc::default(),
            clock,
            limits,
            in_flight: InFlightKeys::default(),
            source_rate: SourceRateLimiter::default(),
        }
    }

    /// The same with a limit to what each source may send.
    #[must_use]
    pub fn with_source_rate(self, source_rate: SourceRateLimiter) -> Self {
        Self { source_rate, ..self }
    }

    /// The time by the clock of the use cases.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// How many items one batch may have.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

/// Loads read old events as projections do.
fn upcast(event_type: &str, event_version: &str, payload: Value) -> Result<Value, UpcastError> {
    Ok(event::upcast(event_type, event_version, payload)?)
}

/// Says what the metrics of the use cases mean.
pub fn describe_metrics() {
    metrics::describe_counter!("highwater_command_items_total", "Items of batches, by kind and status.");
}
