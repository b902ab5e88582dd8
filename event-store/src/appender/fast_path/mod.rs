//! The predicted outcome of a batch in which every request is accepted.
//!
//! Requests of a batch see their predecessors. If none contradicts another, their outcomes follow from the state that
//! the first ones expect in the log. So `log.append` has to look up only that state. A batch that contradicts itself,
//! or depends on items, has no prediction and is checked request by request.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::AppendResult;
use super::columns::{AppendColumns, number};
use crate::append::AppendOutcome;
use crate::claims::{ClaimEffect, ClaimPrecondition};
use crate::validated_request::ValidatedRequest;

/// The columns that describe the predicted outcome to `log.append`. All are empty for a batch without a prediction.
#[derive(Default)]
pub(super) struct FastPathPlan {
    pub(super) is_eligible: bool,
    pub(super) head_events: Vec<i32>,
    pub(super) head_recorded_at: Vec<Option<DateTime<Utc>>>,
    pub(super) stream_expected: Vec<Option<i64>>,
    pub(super) streams_are_new: bool,
    pub(super) request_version: Vec<i32>,
    pub(super) request_position: Vec<i32>,
    /// When the last event of each request is recorded; `None` for a request without events.
    pub(super) request_event_recorded_at: Vec<Option<DateTime<Utc>>>,
    pub(super) event_request: Vec<i32>,
    pub(super) event_sequence: Vec<i32>,
    pub(super) event_position: Vec<i32>,
    pub(super) checked_uses: Vec<i32>,
    pub(super) taking_uses: Vec<i32>,
    pub(super) putting_uses: Vec<i32>,
    pub(super) removing_uses: Vec<i32>,
}

impl FastPathPlan {
    pub(super) fn of(requests: &[&ValidatedRequest], columns: &AppendColumns<'_>) -> Self {
        Self::if_plain(requests, columns).unwrap_or_default()
    }

    fn if_plain(requests: &[&ValidatedRequest], columns: &AppendColumns<'_>) -> Option<Self> {
        let receipts = columns.request_receipt.iter().flatten().count();
        let are_of_one_day = columns.receipt_day.windows(2).all(|days| days[0] == days[1]);
        if !columns.seen_id.is_empty() || receipts > columns.receipt_key.len() || !are_of_one_day {
            return None;
        }
        let mut forecast = Self {
            is_eligible: true,
            head_events: vec![0; columns.head_workspace.len()],
            head_recorded_at: vec![None; columns.head_workspace.len()],
            stream_expected: vec![None; columns.stream_id.len()],
            ..Self::default()
        };
        let mut stream_events = vec![0_i32; columns.stream_id.len()];
        for (index, request) in requests.iter().enumerate() {
            let stream = slot(columns.request_stream[index]);
            let head = slot(columns.stream_head[stream]);
            if let Some(expected) = request.expected {
                // The expected version at the batch's start, if its predecessors are accepted.
                let expected = expected - i64::from(stream_events[stream]);
                if forecast.stream_expected[stream].is_some_and(|earlier| earlier != expected) || expected < 0 {
                    return None;
                }
                forecast.stream_expected[stream] = Some(expected);
            }
            for _ in &request.events {
                stream_events[stream] += 1;
                forecast.head_events[head] += 1;
                forecast.event_request.push(number(index));
                forecast.event_sequence.push(stream_events[stream]);
                forecast.event_position.push(forecast.head_events[head]);
            }
            if !request.events.is_empty() {
                forecast.head_recorded_at[head] = Some(request.recorded_at);
            }
            forecast.request_version.push(stream_events[stream]);
            forecast.request_position.push(forecast.head_events[head]);
            forecast.request_event_recorded_at.push((!request.events.is_empty()).then_some(request.recorded_at));
        }
        forecast.streams_are_new = forecast.stream_expected.iter().zip(&stream_events).all(|stream| {
            let (expected, &events) = stream;
            *expected == Some(0) && events > 0
        });
        forecast.foresee_claims(requests, columns)?;
        Some(forecast)
    }

    /// The outcomes for the callers if the prediction holds, from the heads and streams before the batch.
    pub(super) fn answers(
        &self,
        columns: &AppendColumns<'_>,
        heads: &[i64],
        streams: &[i64],
    ) -> Option<Vec<AppendResult>> {
        let moved = self.request_version.iter().zip(&self.request_position).zip(&self.request_event_recorded_at);
        let answer = |(stream, ((version, position), recorded_at)): (&i32, ((&i32, &i32), &Option<_>))| {
            let stream = slot(*stream);
            let head = slot(*columns.stream_head.get(stream)?);
            Some(Ok(AppendOutcome {
                version: streams.get(stream)? + i64::from(*version),
                position: heads.get(head)? + i64::from(*position),
                recorded_at: *recorded_at,
                response: None,
                duplicates: Vec::new(),
                conflicts: Vec::new(),
                replayed: false,
            }))
        };
        columns.request_stream.iter().zip(moved).map(answer).collect()
    }

    /// Follows each claim through the batch. The uses of a request are checked against the state before it, then all
    /// are applied.
    fn foresee_claims(&mut self, requests: &[&ValidatedRequest], columns: &AppendColumns<'_>) -> Option<()> {
        let mut claims: HashMap<usize, ClaimTransition<'_>> = HashMap::with_capacity(columns.claim_key.len());
        let mut next_use = 0;
        for request in requests {
            let first_use = next_use;
            next_use += request.claims.len();
            for (claim_use, claim) in (first_use..next_use).zip(&request.claims) {
                let foreseen = claims.entry(slot(columns.use_claim[claim_use])).or_default();
                let expected = match &claim.expect {
                    ClaimPrecondition::Any => continue,
                    ClaimPrecondition::Absent => ClaimState::Absent,
                    ClaimPrecondition::Held { owner, state } => ClaimState::Held(owner, state),
                };
                match foreseen.state {
                    ClaimState::Unknown => {
                        foreseen.state = expected;
                        foreseen.first_use = Some(claim_use);
                    }
                    known if known == expected => {}
                    ClaimState::Absent | ClaimState::Held(..) => return None,
                }
            }
            for (claim_use, claim) in (first_use..next_use).zip(&request.claims) {
                let foreseen = claims.entry(slot(columns.use_claim[claim_use])).or_default();
                foreseen.state = match &claim.then {
                    ClaimEffect::Keep => continue,
                    ClaimEffect::Put { owner, state } => ClaimState::Held(owner, state),
                    ClaimEffect::Remove => ClaimState::Absent,
                };
                foreseen.last_change = Some(claim_use);
            }
        }
        for foreseen in claims.into_values() {
            let was_absent = foreseen.first_use.is_some_and(|claim_use| columns.use_expect[claim_use] == "absent");
            let is_taken =
                was_absent && foreseen.last_change.is_some() && matches!(foreseen.state, ClaimState::Held(..));
            self.checked_uses.extend(foreseen.first_use.filter(|_| !is_taken).map(number));
            let Some(last_change) = foreseen.last_change.map(number) else { continue };
            match foreseen.state {
                ClaimState::Held(..) if is_taken => self.taking_uses.push(last_change),
                ClaimState::Held(..) => self.putting_uses.push(last_change),
                ClaimState::Absent if was_absent => {}
                ClaimState::Absent | ClaimState::Unknown => self.removing_uses.push(last_change),
            }
        }
        Some(())
    }
}

/// The state of a claim within a batch.
#[derive(Default)]
struct ClaimTransition<'a> {
    state: ClaimState<'a>,
    first_use: Option<usize>,
    last_change: Option<usize>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum ClaimState<'a> {
    #[default]
    Unknown,
    Absent,
    Held(&'a str, &'a str),
}

/// The index of a number of the database, which counts from 1.
fn slot(number: i32) -> usize {
    usize::try_from(number - 1).unwrap_or_default()
}

#[cfg(test)]
mod tests;
