//! Append requests and their outcomes.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::claims::Claim;
use crate::receipts::Receipt;

/// The metadata of an event: actor, cause and time. It is stored as a JSON object of strings, as cqrs-es reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(pub BTreeMap<String, String>);

/// The content of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A JSON document, stored verbatim.
    Json(String),
    /// A JSON document with one array, whose elements are accepted or dropped one by one. The stored text is `head +
    /// join(",", accepted items) + tail`. If no item is accepted, no event is written.
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
    /// The key that makes it unique. An item without a key is always accepted.
    pub key: Option<ItemKey>,
    /// The effect if its id is taken.
    pub when_taken: OnDuplicate,
    /// A JSON value.
    pub content: String,
}

/// The effect on an item whose id is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The item is left out, and the outcome reports it.
    #[default]
    Skip,
    /// The whole request is rejected with [`AppendError::Item`](crate::AppendError::Item), because it depends on the
    /// item being new.
    FailRequest,
}

/// An item that a request depends on: it must be recorded with this fingerprint, by an earlier request or by this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPrecondition {
    /// The day under which its id is kept.
    pub day: NaiveDate,
    /// The digest of its identity.
    pub id: Uuid,
    /// The digest of its content, as it was read.
    pub fingerprint: i64,
}

/// The key of an item. It makes the item unique in its workspace, and distinguishes a duplicate from a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemKey {
    /// The day under which the id is kept: the UTC day of the item, or the first day of the period in which it was
    /// received ([`ItemPeriods`](crate::ItemPeriods)). Ids are unique within a day, and dropped by whole days.
    pub day: NaiveDate,
    /// A second day under which the id is kept, so that it must be new under both.
    pub also_under: Option<NaiveDate>,
    /// A 128-bit digest of the item's identity.
    pub id: Uuid,
    /// A digest of the content. The same id with the same fingerprint is a duplicate, with another one a conflict.
    pub fingerprint: i64,
}

/// An event without a position yet.
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
    /// Any version: the events do not depend on the stream.
    Any,
    /// The version of the decision; 0 for a stream that must not exist.
    Exact(i64),
}

/// The events for one stream, with preconditions and further changes. All of it is written, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendRequest {
    /// The log.
    pub workspace: i32,
    /// The kind of stream: the aggregate type of cqrs-es.
    pub stream_type: &'static str,
    /// The stream, as `<workspace>/<id>`: the aggregate id of cqrs-es.
    pub stream_id: String,
    /// The version of the stream that the request depends on.
    pub expected: ExpectedVersion,
    /// The events, in order. A request without events checks its preconditions and writes its receipt.
    pub events: Vec<NewEvent>,
    /// Stored with each of the events.
    pub metadata: Metadata,
    /// The claims to check and change. All are checked against the state before the request, then all are written, in
    /// order.
    pub claims: Vec<Claim>,
    /// The items that must be recorded, by earlier requests or by this one.
    pub item_preconditions: Vec<ItemPrecondition>,
    /// The receipt, which makes the request safe to repeat.
    pub receipt: Option<Receipt>,
    /// The time of the append.
    pub recorded_at: DateTime<Utc>,
}

/// The outcome of an accepted request. With `replayed`, it was accepted before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendOutcome {
    /// The stream's version after the request.
    pub version: i64,
    /// The position of the request's last event; the head if it wrote none.
    pub position: i64,
    /// When the event of that position was recorded, if that is known without a lookup.
    pub recorded_at: Option<DateTime<Utc>>,
    /// The response of the stored receipt, if replayed.
    pub response: Option<String>,
    /// The items that were already in the log with the same fingerprint. Their numbers count from 0 through all events
    /// of the request.
    pub duplicates: Vec<usize>,
    /// The items whose id was already in the log with another fingerprint.
    pub conflicts: Vec<usize>,
    /// Whether nothing was written, because the receipt of an earlier request answers.
    pub replayed: bool,
}
