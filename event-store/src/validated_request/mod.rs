//! A request prepared in its caller's task: checked, serialised once, measured. The writer only copies it.

mod readable;

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use uuid::Uuid;

use crate::append::{AppendRequest, ExpectedVersion, Item, ItemPrecondition, NewEvent, OnDuplicate, Payload};
use crate::claims::{Claim, ClaimEffect, ClaimPrecondition};
use crate::error::AppendError;
use crate::receipts::Receipt;
use crate::server_start::ServerStart;
use readable::StorableJson;

/// The longest key of an index in the database, with room for the other columns.
const MAX_KEY_BYTES: usize = 1_024;
/// The longest key of a claim. Its index has only the kind besides it, so the longest source name with the longest
/// external id fits.
const MAX_CLAIM_KEY_BYTES: usize = 2_048;
/// The most items of a request. Their order, sizes and positions are 32-bit in the database.
const MAX_ITEMS: usize = 1_000_000;

/// A valid request.
#[derive(Debug)]
pub(crate) struct ValidatedRequest {
    pub(crate) workspace: i32,
    pub(crate) stream_type: &'static str,
    pub(crate) stream_id: String,
    pub(crate) expected: Option<i64>,
    pub(crate) events: Vec<ValidatedEvent>,
    /// The place of each optional item in its event's payload: offset and length in bytes.
    pub(crate) items: Vec<(usize, usize)>,
    /// The ids of those items, by day and id; twice where an id is kept under two days.
    pub(crate) keys: Vec<ItemKeyRow>,
    pub(crate) metadata: String,
    pub(crate) claims: Vec<Claim>,
    pub(crate) seen: Vec<ItemPrecondition>,
    pub(crate) receipt: Option<Receipt>,
    pub(crate) recorded_at: DateTime<Utc>,
    /// The server from which its preconditions were read.
    pub(crate) judged_on: ServerStart,
    /// Its size in a queue and in a batch.
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct ValidatedEvent {
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    /// The payload with all items.
    pub(crate) payload: String,
    /// The number of [`ValidatedRequest::items`] that belong to the event.
    pub(crate) items: usize,
    /// The number in the request of the first of them.
    pub(crate) first_item: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ItemKeyRow {
    pub(crate) day: NaiveDate,
    pub(crate) id: Uuid,
    pub(crate) fingerprint: i64,
    /// The index in [`ValidatedRequest::items`].
    pub(crate) item: usize,
    /// The index in [`ValidatedRequest::events`].
    pub(crate) event: usize,
    /// Whether the request depends on the item being new.
    pub(crate) is_needed: bool,
}

/// Checks and serialises a request. It rejects everything that the database would reject for its content.
pub(crate) fn prepare(request: AppendRequest) -> Result<ValidatedRequest, AppendError> {
    check_stream(&request)?;
    let mut prepared = ValidatedRequest {
        workspace: request.workspace,
        stream_type: request.stream_type,
        stream_id: request.stream_id,
        expected: match request.expected {
            ExpectedVersion::Any => None,
            ExpectedVersion::Exact(version) => Some(version),
        },
        events: Vec::with_capacity(request.events.len()),
        items: Vec::new(),
        keys: Vec::new(),
        metadata: metadata(&request.metadata.0)?,
        claims: request.claims,
        seen: request.item_preconditions,
        receipt: request.receipt,
        recorded_at: request.recorded_at,
        judged_on: ServerStart::UNKNOWN,
        bytes: 0,
    };
    let mut counted = 0;
    for event in request.events {
        prepared.add_event(event, &mut counted)?;
    }
    if counted > MAX_ITEMS {
        return Err(invalid(format!("{counted} items in one request")));
    }
    prepared.keys.sort_unstable();
    if prepared.keys.windows(2).any(|pair| (pair[0].day, pair[0].id) == (pair[1].day, pair[1].id)) {
        return Err(invalid("an item id is there twice"));
    }
    check_claims(&prepared.claims)?;
    prepared.seen.iter().try_for_each(|seen| check_day(seen.day))?;
    if let Some(receipt) = &prepared.receipt {
        check_key("the receipt's key", &receipt.key)?;
        check_text("the receipt's response", &receipt.response)?;
    }
    prepared.bytes = prepared.weight();
    Ok(prepared)
}

impl ValidatedRequest {
    fn add_event(&mut self, event: NewEvent, counted: &mut usize) -> Result<(), AppendError> {
        check_key("the event's type", &event.event_type)?;
        if event.event_version.parse::<u32>().is_err() {
            return Err(invalid(format!("the version {:?} of an event is not an integer", event.event_version)));
        }
        let first_item = *counted;
        let (payload, items) = match event.payload {
            Payload::Json(payload) => {
                check_json("a payload", &payload)?;
                (payload, 0)
            }
            Payload::Items { head, items, tail } => {
                *counted += items.len();
                if items.is_empty() {
                    return Ok(());
                }
                self.join(&head, &items, &tail)?
            }
        };
        self.events.push(ValidatedEvent {
            event_type: event.event_type,
            event_version: event.event_version,
            payload,
            items,
            first_item,
        });
        Ok(())
    }

    /// Writes the payload with all items, and returns how many are optional: all or none, as one key suffices.
    fn join(&mut self, head: &str, items: &[Item], tail: &str) -> Result<(String, usize), AppendError> {
        // Two strings are valid here only where array elements are.
        check_json("an array of items", &format!(r#"{head}"",""{tail}"#))?;
        let contents: usize = items.iter().map(|item| item.content.len() + 1).sum();
        let mut payload = String::with_capacity(head.len() + contents + tail.len());
        payload.push_str(head);
        let keyed = items.iter().any(|item| item.key.is_some());
        for (index, item) in items.iter().enumerate() {
            check_json("an item", &item.content)?;
            if index > 0 {
                payload.push(',');
            }
            if let Item { key: Some(key), when_taken, .. } = *item {
                for day in std::iter::once(key.day).chain(key.also_under) {
                    check_day(day)?;
                    self.keys.push(ItemKeyRow {
                        day,
                        id: key.id,
                        fingerprint: key.fingerprint,
                        item: self.items.len(),
                        event: self.events.len(),
                        is_needed: when_taken == OnDuplicate::FailRequest,
                    });
                }
            }
            if keyed {
                self.items.push((payload.len(), item.content.len()));
            }
            payload.push_str(&item.content);
        }
        payload.push_str(tail);
        Ok((payload, if keyed { items.len() } else { 0 }))
    }

    fn weight(&self) -> usize {
        // The size of a row besides its text.
        const ROW: usize = 64;
        let events: usize = self.events.iter().map(|event| ROW + event.payload.len() + self.metadata.len()).sum();
        let claims: usize = self.claims.iter().map(claim_bytes).sum();
        let receipt = self.receipt.as_ref().map_or(0, |receipt| ROW + receipt.key.len() + receipt.response.len());
        ROW + events + (self.keys.len() + self.seen.len()) * ROW + claims + receipt
    }

    /// The most rows that it writes or reads, without its receipt.
    pub(crate) fn rows(&self) -> usize {
        self.events.len() + self.keys.len() + self.claims.len() + self.seen.len()
    }
}

fn claim_bytes(claim: &Claim) -> usize {
    let expected = match &claim.expect {
        ClaimPrecondition::Held { owner, state } => owner.len() + state.len(),
        ClaimPrecondition::Any | ClaimPrecondition::Absent => 0,
    };
    let put = match &claim.then {
        ClaimEffect::Put { owner, state } => owner.len() + state.len(),
        ClaimEffect::Keep | ClaimEffect::Remove => 0,
    };
    claim.kind.len() + claim.key.len() + expected + put
}

fn check_stream(request: &AppendRequest) -> Result<(), AppendError> {
    check_key("the stream's type", request.stream_type)?;
    check_key("the stream's id", &request.stream_id)?;
    let of_workspace =
        request.stream_id.split_once('/').filter(|(_, id)| !id.is_empty()).map(|(workspace, _)| workspace);
    if of_workspace != Some(request.workspace.to_string().as_str()) {
        return Err(invalid(format!(
            "the stream id {:?} does not name a stream of workspace {}",
            request.stream_id, request.workspace
        )));
    }
    if matches!(request.expected, ExpectedVersion::Exact(version) if version < 0) {
        return Err(invalid("a stream's version is not negative"));
    }
    Ok(())
}

fn check_claims(claims: &[Claim]) -> Result<(), AppendError> {
    for claim in claims {
        check_key("a claim's kind", claim.kind)?;
        check_length("a claim's key", &claim.key, MAX_CLAIM_KEY_BYTES)?;
        if let ClaimPrecondition::Held { owner, state } = &claim.expect {
            check_text("a claim's owner", owner)?;
            check_text("a claim's state", state)?;
        }
        if let ClaimEffect::Put { owner, state } = &claim.then {
            check_text("a claim's owner", owner)?;
            check_text("a claim's state", state)?;
        }
    }
    Ok(())
}

fn check_key(what: &str, key: &str) -> Result<(), AppendError> {
    check_length(what, key, MAX_KEY_BYTES)
}

fn check_length(what: &str, key: &str, most: usize) -> Result<(), AppendError> {
    check_text(what, key)?;
    if key.is_empty() || key.len() > most {
        return Err(invalid(format!("{what} has {} bytes, not 1 to {most}", key.len())));
    }
    Ok(())
}

fn check_text(what: &str, text: &str) -> Result<(), AppendError> {
    if text.contains('\0') { Err(invalid(format!("{what} holds a NUL"))) } else { Ok(()) }
}

/// Rejects days for which the database cannot name a partition.
fn check_day(day: NaiveDate) -> Result<(), AppendError> {
    if (1970..=9999).contains(&day.year()) { Ok(()) } else { Err(invalid(format!("an item of {day}"))) }
}

fn metadata(entries: &BTreeMap<String, String>) -> Result<String, AppendError> {
    for (name, value) in entries {
        check_text("the metadata", name)?;
        check_text("the metadata", value)?;
    }
    serde_json::to_string(entries).map_err(|error| invalid(error.to_string()))
}

fn check_json(what: &str, text: &str) -> Result<(), AppendError> {
    match serde_json::from_str::<StorableJson>(text) {
        Ok(StorableJson) => Ok(()),
        Err(error) => Err(invalid(format!("{what} is not JSON that can be read back: {error}"))),
    }
}

fn invalid(why: impl Into<String>) -> AppendError {
    AppendError::Invalid(why.into())
}

#[cfg(test)]
mod tests;
