//! A batch as the columns that `log.append` takes, and its answers.
//!
//! Heads, streams, receipts and claims are sent once each and numbered from 1; whatever mentions one holds its number.
//! So the function judges with array elements, and looks each of them up once.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::append::Appended;
use crate::claims::{Claim, Expect, FoundClaim, Then};
use crate::error::AppendError;
use crate::json_text::JsonText;
use crate::prepared::Prepared;
use crate::receipts::item_indices;

/// What a caller is answered.
pub(super) type Answer = Result<Appended, AppendError>;

/// Appends a batch in one round trip, which is one transaction.
pub(super) async fn append(connection: &mut PgConnection, requests: &[&Prepared]) -> Result<Vec<Answer>, sqlx::Error> {
    let batch = Columns::of(requests);
    let answers = sqlx::query_as!(
        AnswerRow,
        r#"SELECT outcome AS "outcome!", reason, at_version, at_position, stored_response,
                  duplicate_items AS "duplicate_items!", conflicting_items AS "conflicting_items!",
                  failed_use, found_owner, found_state
           FROM log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                           $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39,
                           $40, $41, $42, $43, $44, $45, $46, $47)"#,
        &batch.head_workspace,
        &batch.stream_head,
        &batch.stream_type as _,
        &batch.stream_id as _,
        &batch.receipt_head,
        &batch.receipt_key as _,
        &batch.receipt_day,
        &batch.claim_head,
        &batch.claim_kind as _,
        &batch.claim_key as _,
        &batch.request_stream,
        &batch.request_expected as _,
        &batch.request_events,
        &batch.request_uses,
        &batch.request_items,
        &batch.request_metadata as _,
        &batch.request_recorded_at,
        &batch.request_receipt as _,
        &batch.request_digest as _,
        &batch.request_response as _,
        &batch.event_type as _,
        &batch.event_version as _,
        &batch.event_payload as _,
        &batch.event_items,
        &batch.event_first_item,
        &batch.use_claim,
        &batch.use_expect as _,
        &batch.use_expect_owner as _,
        &batch.use_expect_state as _,
        &batch.use_then as _,
        &batch.use_owner as _,
        &batch.use_state as _,
        &batch.item_offset,
        &batch.item_length,
        &batch.key_head,
        &batch.key_day,
        &batch.key_id,
        &batch.key_fingerprint,
        &batch.key_request,
        &batch.key_item,
        &batch.key_event,
        &batch.key_needed,
        &batch.seen_head,
        &batch.seen_day,
        &batch.seen_id,
        &batch.seen_fingerprint,
        &batch.seen_request,
    )
    .fetch_all(connection)
    .await?;
    if answers.len() != requests.len() {
        return Err(sqlx::Error::Protocol(format!("{} answers to {} requests", answers.len(), requests.len())));
    }
    requests.iter().zip(answers).map(|(request, answer)| answer.to(request)).collect()
}

#[derive(Default)]
struct Columns<'a> {
    head_workspace: Vec<i32>,
    stream_head: Vec<i32>,
    stream_type: Vec<&'a str>,
    stream_id: Vec<&'a str>,
    receipt_head: Vec<i32>,
    receipt_key: Vec<&'a str>,
    receipt_day: Vec<NaiveDate>,
    claim_head: Vec<i32>,
    claim_kind: Vec<&'a str>,
    claim_key: Vec<&'a str>,
    request_stream: Vec<i32>,
    request_expected: Vec<Option<i64>>,
    request_events: Vec<i32>,
    request_uses: Vec<i32>,
    request_items: Vec<i32>,
    request_metadata: Vec<JsonText<&'a str>>,
    request_recorded_at: Vec<DateTime<Utc>>,
    request_receipt: Vec<Option<i32>>,
    request_digest: Vec<Option<&'a [u8]>>,
    request_response: Vec<Option<&'a str>>,
    event_type: Vec<&'a str>,
    event_version: Vec<&'a str>,
    event_payload: Vec<JsonText<&'a str>>,
    event_items: Vec<i32>,
    event_first_item: Vec<i32>,
    use_claim: Vec<i32>,
    use_expect: Vec<&'static str>,
    use_expect_owner: Vec<Option<&'a str>>,
    use_expect_state: Vec<Option<&'a str>>,
    use_then: Vec<&'static str>,
    use_owner: Vec<Option<&'a str>>,
    use_state: Vec<Option<&'a str>>,
    item_offset: Vec<i32>,
    item_length: Vec<i32>,
    key_head: Vec<i32>,
    key_day: Vec<NaiveDate>,
    key_id: Vec<Uuid>,
    key_fingerprint: Vec<i64>,
    key_request: Vec<i32>,
    key_item: Vec<i32>,
    key_event: Vec<i32>,
    key_needed: Vec<bool>,
    seen_head: Vec<i32>,
    seen_day: Vec<NaiveDate>,
    seen_id: Vec<Uuid>,
    seen_fingerprint: Vec<i64>,
    seen_request: Vec<i32>,
}

impl<'a> Columns<'a> {
    fn of(requests: &[&'a Prepared]) -> Self {
        let mut columns = Self::default();
        let workspaces: BTreeSet<i32> = requests.iter().map(|request| request.workspace).collect();
        columns.head_workspace.extend(&workspaces);
        let mut numbers = Numbers::default();
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
        // A head's number grows with its workspace, so this is the order in which all processes take the ids.
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

    fn add(&mut self, request: &'a Prepared, head: i32, numbers: &mut Numbers<'a>) {
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
        }
        for (offset, length) in &request.items {
            self.item_offset.push(count(*offset));
            self.item_length.push(count(*length));
        }
        for claim in &request.claims {
            self.add_use(claim, head, numbers);
        }
    }

    fn add_receipt(&mut self, request: &'a Prepared, head: i32, numbers: &mut Numbers<'a>) {
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

    fn add_use(&mut self, claim: &'a Claim, head: i32, numbers: &mut Numbers<'a>) {
        let (slot, new) = numbers.claims.of((head, claim.kind, &claim.key));
        if new {
            self.claim_head.push(head);
            self.claim_kind.push(claim.kind);
            self.claim_key.push(&claim.key);
        }
        let (expect, expect_owner, expect_state) = match &claim.expect {
            Expect::Any => ("any", None, None),
            Expect::Absent => ("absent", None, None),
            Expect::Held { owner, state } => ("held", Some(owner.as_str()), Some(state.as_str())),
        };
        let (then, owner, state) = match &claim.then {
            Then::Keep => ("keep", None, None),
            Then::Put { owner, state } => ("put", Some(owner.as_str()), Some(state.as_str())),
            Then::Remove => ("remove", None, None),
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

/// The numbers given to what is sent once.
#[derive(Default)]
struct Numbers<'a> {
    streams: Numbering<(&'a str, &'a str)>,
    receipts: Numbering<(i32, &'a str)>,
    claims: Numbering<(i32, &'a str, &'a str)>,
}

struct Numbering<K>(HashMap<K, i32>);

impl<K> Default for Numbering<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Numbering<K> {
    /// The number of a key, and whether it was given just now.
    fn of(&mut self, key: K) -> (i32, bool) {
        let next = number(self.0.len());
        let given = *self.0.entry(key).or_insert(next);
        (given, given == next)
    }
}

/// The database's number, from 1, of what has an index here.
fn number(index: usize) -> i32 {
    count(index + 1)
}

/// Counts and sizes are kept far below this limit by those of a request and a batch.
fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

struct AnswerRow {
    outcome: String,
    reason: Option<String>,
    at_version: Option<i64>,
    at_position: Option<i64>,
    stored_response: Option<String>,
    duplicate_items: Vec<i32>,
    conflicting_items: Vec<i32>,
    failed_use: Option<i32>,
    found_owner: Option<String>,
    found_state: Option<String>,
}

impl AnswerRow {
    fn to(self, request: &Prepared) -> Result<Answer, sqlx::Error> {
        Ok(match (self.outcome.as_str(), self.reason.as_deref()) {
            ("ok" | "duplicate", _) => Ok(self.appended()?),
            (_, Some("workspace")) => Err(AppendError::Invalid(format!("there is no workspace {}", request.workspace))),
            (_, Some("receipt")) => Err(AppendError::ReceiptMismatch),
            (_, Some("version")) => Err(AppendError::Version { actual: self.at_version.ok_or_else(unreadable)? }),
            (_, Some("item")) => Err(AppendError::Item),
            (_, Some("claim")) => Err(self.failed_claim(request)?),
            _ => return Err(unreadable()),
        })
    }

    fn appended(self) -> Result<Appended, sqlx::Error> {
        Ok(Appended {
            version: self.at_version.ok_or_else(unreadable)?,
            position: self.at_position.ok_or_else(unreadable)?,
            replayed: self.outcome == "duplicate",
            response: self.stored_response,
            duplicates: item_indices(self.duplicate_items),
            conflicts: item_indices(self.conflicting_items),
        })
    }

    fn failed_claim(self, request: &Prepared) -> Result<AppendError, sqlx::Error> {
        let failed = self.failed_use.and_then(|n| usize::try_from(n - 1).ok()).and_then(|n| request.claims.get(n));
        let Claim { kind, key, .. } = failed.ok_or_else(unreadable)?;
        let found = self
            .found_owner
            .zip(self.found_state)
            .map(|(owner, state)| Box::new(FoundClaim { kind: (*kind).to_owned(), key: key.clone(), owner, state }));
        Ok(AppendError::Claim { kind, key: key.clone(), found })
    }
}

fn unreadable() -> sqlx::Error {
    sqlx::Error::Protocol("log.append answered what this program does not know".to_owned())
}
