//! What a caller asks the log to do, and what it answers.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::claims::Claim;
use crate::receipts::Receipt;

/// What is known about an event beside its content: who, why, when. Stored as a JSON object of strings, which is what
/// cqrs-es reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(pub BTreeMap<String, String>);

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A JSON document, stored verbatim.
    Json(String),
    /// A JSON document with one array whose elements are accepted or dropped one by one. What is stored is
    /// `head + join(",", accepted items) + tail`; no event is written when no item is accepted.
    Items {
        /// Everything up to and including the `[` of the array.
        head: String,
        /// The elements of the array.
        items: Vec<Item>,
        /// The `]` of the array and everything after it.
        tail: String,
    },
}

/// One element of [`Payload::Items`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What makes it unique; an item without a key is always accepted.
    pub key: Option<ItemKey>,
    /// What happens if its id is taken.
    pub when_taken: OnDuplicate,
    /// A JSON value.
    pub content: String,
}

/// What happens to an item whose id is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// It is left out, and the answer says so.
    #[default]
    Skip,
    /// The whole request is refused with [`AppendError::Item`](crate::AppendError::Item): it rests on the item being
    /// new.
    FailRequest,
}

/// An item that a request rests on: recorded with this fingerprint, by an earlier request or by this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPrecondition {
    /// The UTC day of the item.
    pub day: NaiveDate,
    /// The digest of what makes it unique.
    pub id: Uuid,
    /// The digest of its content, as it was seen.
    pub fingerprint: i64,
}

/// What makes an item unique in its workspace, and tells a repetition from a contradiction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemKey {
    /// The UTC day of the item: ids are unique within a day, and forgotten by whole days.
    pub day: NaiveDate,
    /// A 128-bit digest of what must be unique.
    pub id: Uuid,
    /// A digest of the content: the same id with the same fingerprint is a duplicate, with another one a conflict.
    pub fingerprint: i64,
}

/// An event that has no position yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The name of the event.
    pub event_type: String,
    /// The version of the payload's shape: an integer in decimal digits.
    pub event_version: String,
    /// The content.
    pub payload: Payload,
}

/// The version that the stream must have for the request to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Any: the events do not depend on what the stream holds.
    Any,
    /// The version that the decision was made on; 0 for a stream that must not exist.
    Exact(i64),
}

/// Events for one stream, and what must hold or be written with them: all of it happens, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRequest {
    /// The log.
    pub workspace: i32,
    /// The kind of stream: the aggregate type of cqrs-es.
    pub stream_type: &'static str,
    /// The stream, as `<workspace>/<id>`: the aggregate id of cqrs-es.
    pub stream_id: String,
    /// The stream's version that the request rests on.
    pub expected: ExpectedVersion,
    /// The events, in order. None at all is a request too: it checks, and leaves a receipt.
    pub events: Vec<NewEvent>,
    /// Stored with each of the events.
    pub metadata: Metadata,
    /// What must hold and what changes beside the stream. All are checked against the state before the request, then
    /// all are written, in order.
    pub claims: Vec<Claim>,
    /// What must be recorded, by earlier requests or by this one.
    pub item_preconditions: Vec<ItemPrecondition>,
    /// What makes the request safe to repeat.
    pub receipt: Option<Receipt>,
    /// The time of the append.
    pub recorded_at: DateTime<Utc>,
}

/// The answer to a request that was accepted, now or, when `replayed`, the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendOutcome {
    /// The stream's version after the request.
    pub version: i64,
    /// The position of the request's last event; the head if it wrote none.
    pub position: i64,
    /// What the stored receipt says, when replayed.
    pub response: Option<String>,
    /// The items that were already in the log with the same fingerprint. Items are counted from 0 through all events of
    /// the request.
    pub duplicates: Vec<usize>,
    /// The items whose id was already in the log with another fingerprint.
    pub conflicts: Vec<usize>,
    /// Nothing was written: the receipt of an earlier request answers.
    pub replayed: bool,
}
