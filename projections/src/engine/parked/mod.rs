//! Events that cannot be applied, and the events behind them.
//!
//! The smallest [`ParkedKey`](super::parked_index::ParkedKey) of the log that a refusal names is parked. That is one
//! campaign's share of a stream of batches if the batch can be decoded, else the whole stream. The checkpoint goes on.
//! Later events of the part are deferred in order, while everything else is applied. This is sound because rows do not
//! depend on the order between parts. Parked events are not copied: they are read again from the log, by the stream.
//! What is parked of a log is a [`parked_index`](super::parked_index).
//!
//! - [`isolate`]: applies what it can of a refused event, and finds the campaigns whose share is refused.
//! - [`park`]: advances a log past a refused event.
//! - [`retry`]: applies parked events, once the reason is gone.
//! - [`retry_schedule`]: when a projector retries by itself.
//! - [`admin`]: the operators' view and decisions.
//!
//! A log stops at a gap in its positions, which belongs to no part, and when more than [`MOST_PARTS`] of its parts
//! would be parked. Failures of the database that are not about rows never park anything.

pub(crate) mod admin; // the operators' view and decisions
mod isolate; // applies what it can of a refused event
pub(crate) mod park; // advances a log past a refused event
pub(crate) mod retry; // applies parked events
pub(crate) mod retry_schedule; // when a projector retries by itself

pub use admin::{ParkedPart, RetryOutcome, SkipError, Skipped, count, list, retry_all, skip};

/// The most parts that one log may have parked. More of them are not poison events, but a fault of the program or of
/// the database: then the log stops.
pub(crate) const MOST_PARTS: usize = 1_000;
