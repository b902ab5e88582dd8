//! A batch as the columns of `log.append`.
//!
//! Heads, streams, receipts and claims are sent once each, numbered from 1; other columns refer to the numbers. So the
//! database works on array elements and looks up each of them once.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use crate::claims::{Claim, ClaimEffect, ClaimPrecondition};
use crate::json_text::JsonText;
use crate::validated_request::ValidatedRequest;

/// A batch as arrays.
#[derive(Default)]
pub(super) struct AppendColumns<'a> {
    pub(super) head_workspace: Vec<i32>,
    pub(super) stream_head: Vec<i32>,
    pub(super) stream_type: Vec<&'a str>,
    pub(super) stream_id: Vec<&'a str>,
    pub(super) receipt_head: Vec<i32>,
    pub(super) receipt_key: Vec<&'a str>,
    pub(super) receipt_day: Vec<NaiveDate>,
    pub(super) claim_head: Vec<i32>,
    pub(super) claim_kind: Vec<&'a str>,
    pub(super) claim_key: Vec<&'a str>,
    pub(super) request_stream: Vec<i32>,
    pub(super) request_expected: Vec<Option<i64>>,
    pub(super) request_events: Vec<i32>,
    pub(super) request_uses: Vec<i32>,
    pub(super) request_items: Vec<i32>,
    pub(super) request_metadata: Vec<JsonText<&'a str>>,
    pub(super) request_recorded_at: Vec<DateTime<Utc>>,
    pub(super) request_receipt: Vec<Option<i32>>,
    pub(super) request_digest: Vec<Option<&'a [u8]>>,
    pub(super) request_response: Vec<Option<&'a str>>,
    pub(super) event_type: Vec<&'a str>,
    pub(super) event_version: Vec<&'a str>,
    pub(super) event_payload: Vec<JsonText<&'a str>>,
    pub(super) event_items: Vec<i32>,
    pub(super) event_first_item: Vec<i32>,
    pub(super) event_batch: Vec<Option<i64>>,
    pub(super) use_claim: Vec<i32>,
    pub(super) use_expect: Vec<&'static str>,
    pub(super) use_expect_owner: Vec<Option<&'a str>>,
    pub(super) use_expect_state: Vec<Option<&'a str>>,
    pub(super) use_then: Vec<&'static str>,
    pub(super) use_owner: Vec<Option<&'a str>>,
    pub(super) use_state: Vec<Option<&'a str>>,
    pub(super) item_offset: Vec<i32>,
    pub(super) item_length: Vec<i32>,
    pub(super) key_head: Vec<i32>,
    pub(super) key_day: Vec<NaiveDate>,
    pub(super) key_id: Vec<Uuid>,
    pub(super) key_fingerprint: Vec<i64>,
    pub(super) key_request: Vec<i32>,
    pub(super) key_item: Vec<i32>,
    pub(super) key_event: Vec<i32>,
    pub(super) key_needed: Vec<bool>,
    pub(super) seen_head: Vec<i32>,
    pub(super) seen_day: Vec<NaiveDate>,
    pub(super) seen_id: Vec<Uuid>,
    pub(super) seen_fingerprint: Vec<i64>,
    pub(super) seen_request: Vec<i32>,
}

impl<'a> AppendColumns<'a> {
    pub(super) fn of(requests: &[&'a ValidatedRequest]) -> Self {
        let mut columns = Self::default();
        let workspaces: BTreeSet<i32> = requests.iter().map(|request| request.workspace).collect();
        columns.head_workspace.extend(&workspaces);
        let mut numbers = Interners::default();
        let mut keys = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            let head = columns.head_workspace.partition_point(|workspace| *workspace < request.workspace);
            let (first_item, first_event) = (columns.item_offset.len(), columns.event_type.len());
            keys.extend(request.keys.iter().map(|key| (head, *key, index, first_item, first_event)));
            columns.add(request, number(head), &mut numbers);
            for seen in &request.seen {
                columns.seen_head.push(number(head));
                columns.seen_day.push(seen.day);
                columns.seen_id.push(seen.id);
                columns.seen_fingerprint.push(seen.fingerprint);
                columns.seen_request.push(number(index));
            }
        }
        // A head's number grows with its workspace, so all processes take the ids in this order.
        keys.sort_unstable();
        for (head, key, request, first_item, first_event) in keys {
            columns.key_head.push(number(head));
            columns.key_day.push(key.day);
            columns.key_id.push(key.id);
            columns.key_fingerprint.push(key.fingerprint);
            columns.key_request.push(number(request));
            columns.key_item.push(number(first_item + key.item));
            columns.key_event.push(number(first_event + key.event));
            columns.key_needed.push(key.is_needed);
        }
        columns
    }

    fn add(&mut self, request: &'a ValidatedRequest, head: i32, numbers: &mut Interners<'a>) {
        let (stream, new) = numbers.streams.of((request.stream_type, &request.stream_id));
        if new {
            self.stream_head.push(head);
            self.stream_type.push(request.stream_type);
            self.stream_id.push(&request.stream_id);
        }
        self.request_stream.push(stream);
        self.request_expected.push(request.expected);
        self.request_events.push(count(request.events.len()));
        self.request_uses.push(count(request.claims.len()));
        self.request_items.push(count(request.items.len()));
        self.request_metadata.push(JsonText(&request.metadata));
        self.request_recorded_at.push(request.recorded_at);
        self.add_receipt(request, head, numbers);
        for event in &request.events {
            self.event_type.push(&event.event_type);
            self.event_version.push(&event.event_version);
            self.event_payload.push(JsonText(&event.payload));
            self.event_items.push(count(event.items));
            self.event_first_item.push(count(event.first_item));
            self.event_batch.push((event.items > 0).then(|| first_batch(request.recorded_at.date_naive())));
        }
        for (offset, length) in &request.items {
            self.item_offset.push(count(*offset));
            self.item_length.push(count(*length));
        }
        for claim in &request.claims {
            self.add_use(claim, head, numbers);
        }
    }

    fn add_receipt(&mut self, request: &'a ValidatedRequest, head: i32, numbers: &mut Interners<'a>) {
        let Some(receipt) = &request.receipt else {
            self.request_receipt.push(None);
            self.request_digest.push(None);
            self.request_response.push(None);
            return;
        };
        let (slot, new) = numbers.receipts.of((head, &receipt.key));
        if new {
            self.receipt_head.push(head);
            self.receipt_key.push(&receipt.key);
            self.receipt_day.push(request.recorded_at.date_naive());
        }
        self.request_receipt.push(Some(slot));
        self.request_digest.push(Some(&receipt.digest));
        self.request_response.push(Some(&receipt.response));
    }

    fn add_use(&mut self, claim: &'a Claim, head: i32, numbers: &mut Interners<'a>) {
        let (slot, new) = numbers.claims.of((head, claim.kind, &claim.key));
        if new {
            self.claim_head.push(head);
            self.claim_kind.push(claim.kind);
            self.claim_key.push(&claim.key);
        }
        let (expect, expect_owner, expect_state) = match &claim.expect {
            ClaimPrecondition::Any => ("any", None, None),
            ClaimPrecondition::Absent => ("absent", None, None),
            ClaimPrecondition::Held { owner, state } => ("held", Some(owner.as_str()), Some(state.as_str())),
        };
        let (then, owner, state) = match &claim.then {
            ClaimEffect::Keep => ("keep", None, None),
            ClaimEffect::Put { owner, state } => ("put", Some(owner.as_str()), Some(state.as_str())),
            ClaimEffect::Remove => ("remove", None, None),
        };
        self.use_claim.push(slot);
        self.use_expect.push(expect);
        self.use_expect_owner.push(expect_owner);
        self.use_expect_state.push(expect_state);
        self.use_then.push(then);
        self.use_owner.push(owner);
        self.use_state.push(state);
    }
}

/// The numbers of values that are sent once.
#[derive(Default)]
struct Interners<'a> {
    streams: Interner<(&'a str, &'a str)>,
    receipts: Interner<(i32, &'a str)>,
    claims: Interner<(i32, &'a str, &'a str)>,
}

struct Interner<K>(HashMap<K, i32>);

impl<K> Default for Interner<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Interner<K> {
    /// The number of a key, and whether it is new.
    fn of(&mut self, key: K) -> (i32, bool) {
        let next = number(self.0.len());
        let number = *self.0.entry(key).or_insert(next);
        (number, number == next)
    }
}

/// The database's number, from 1, of an index.
pub(super) fn number(index: usize) -> i32 {
    count(index + 1)
}

/// The limits of requests and batches keep counts and sizes far below the limit of this type.
fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The lowest number that a batch of items of this day may have, like `log.first_batch`. The database assigns the
/// numbers within a day.
fn first_batch(day: NaiveDate) -> i64 {
    day.signed_duration_since(NaiveDate::default()).num_days() << 48
}
