//! Events that cannot be applied, and what waits behind them.
//!
//! The smallest [`ParkedKey`](super::parked_index::ParkedKey) of the log that a refusal names is parked: what one campaign has in a stream of batches if the batch
//! can be read, else the whole stream. The checkpoint goes on. Later events of the part wait behind the first in order, while
//! everything else is applied; that rows do not depend on the order between parts is what makes this sound. What waits is not
//! copied: it is found again in the log, by the stream. What of a log waits is a [`parked_index`](super::parked_index).
//!
//! - [`isolate`]: applies what it can of a refused event, and tells which campaigns' share of it is refused.
//! - [`park`]: takes a log past a refused event.
//! - [`retry`]: applies what waits, once the reason is gone.
//! - [`retry_schedule`]: when a projector tries that by itself.
//! - [`admin`]: what operators see and decide.
//!
//! A log stops at a gap in its positions, which belongs to no part, and when more than [`MOST_PARTS`] of its parts would be
//! parked. Failures of the database that are not about rows never park anything.

pub(crate) mod admin; // what operators see and decide
mod isolate; // applies what it can of a refused event
pub(crate) mod park; // takes a log past a refused event
pub(crate) mod retry; // applies what waits
pub(crate) mod retry_schedule; // when a projector tries again by itself

pub use admin::{ParkedPart, RetryOutcome, SkipError, Skipped, count, list, retry_all, skip};

/// The most parts that one log may have parked. More of them are not poison events, but a fault of the program or of the
/// database: then the log stops.
pub(crate) const MOST_PARTS: usize = 1_000;
