//! Events that cannot be applied, and what waits behind them.
//!
//! The smallest [`ParkedKey`] of the log that a refusal names is parked: what one campaign has in a stream of batches if the batch
//! can be read, else the whole stream. The checkpoint goes on. Later events of the part wait behind the first in order, while
//! everything else is applied; that rows do not depend on the order between parts is what makes this sound. What waits is not
//! copied: it is found again in the log, by the stream.
//!
//! - [`index`]: what of a log waits in one epoch, and what is left out for good. Every batch is folded under one of these; the
//!   checkpoint's `revision` is compared when it moves, so that nobody folds under an outdated one.
//! - [`isolate`]: applies what it can of a refused event, and tells which campaigns' share of it is refused.
//! - [`park`]: takes a log past a refused event.
//! - [`retry`]: applies what waits, once the reason is gone.
//! - [`retry_schedule`]: when a projector tries that by itself.
//! - [`admin`]: what operators see and decide.
//!
//! A hole is no part of anything and is never passed. Failures of the database that are not about rows never park.

pub(crate) mod admin; // what operators see and decide
pub(crate) mod index; // what of a log waits, and what is left out
mod isolate; // applies what it can of a refused event
pub(crate) mod park; // takes a log past a refused event
pub(crate) mod retry;
pub(crate) mod retry_schedule; // when a projector tries again by itself // applies what waits

use domain::ids::CampaignId;
use event_store::StoredEvent;

pub use admin::{ParkedPart, Retried, SkipError, Skipped, count, list, retry_all, skip};

/// The most parts that one log may have parked. More of them are not poison events, but a fault of the program or of the
/// database: then the log stops.
pub(crate) const MOST_PARTS: usize = 1_000;

/// What is held back as one: a stream, or what one campaign has in a stream of batches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ParkedKey {
    pub(crate) stream_type: String,
    /// Named `<workspace>/<id>`.
    pub(crate) stream_id: String,
    /// `None`: all of the stream.
    pub(crate) campaign: Option<CampaignId>,
}

impl ParkedKey {
    /// The part of an event's stream.
    pub(crate) fn of(raw: &StoredEvent, campaign: Option<CampaignId>) -> Self {
        Self { stream_type: raw.stream_type().to_owned(), stream_id: raw.stream_id().to_owned(), campaign }
    }
}
