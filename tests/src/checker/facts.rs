//! A history and a log, joined by the trace ids of attempts and by the ids of observations.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::observation::ObservationType;
use uuid::Uuid;

use super::{Findings, Rule};
use crate::evidence::{Event, Evidence, Row, What};
use crate::history::{Attempt, History, Observation, ObservationOp, Operation, Outcome, Refusal, Request};

/// The identity of an observation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ItemKey<'a> {
    pub(super) source: Uuid,
    pub(super) kind: ObservationType,
    pub(super) id: &'a str,
    pub(super) day: NaiveDate,
}

/// A row of the log, with its event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded<'a> {
    pub(super) event: &'a Event,
    pub(super) row: &'a Row,
}

pub(super) struct Facts<'a> {
    pub(super) history: &'a History,
    pub(super) evidence: &'a Evidence,
    attempts: HashMap<&'a str, (&'a Request, &'a Attempt)>,
    written: HashMap<&'a str, Vec<&'a Event>>,
    /// Every row of every observation, in the order of the log.
    pub(super) recorded: HashMap<ItemKey<'a>, Vec<Recorded<'a>>>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(history: &'a History, evidence: &'a Evidence) -> Self {
        let mut attempts = HashMap::new();
        for request in &history.requests {
            for attempt in &request.attempts {
                attempts.insert(attempt.trace.as_str(), (request, attempt));
            }
        }
        let mut written: HashMap<_, Vec<_>> = HashMap::new();
        let mut recorded: HashMap<_, Vec<_>> = HashMap::new();
        for event in &evidence.events {
            written.entry(event.trace.as_str()).or_default().push(event);
            if let What::Observations { source, rows } = &event.what {
                for row in rows {
                    recorded.entry(ItemKey::of_row(*source, row)).or_default().push(Recorded { event, row });
                }
            }
        }
        Self { history, evidence, attempts, written, recorded }
    }

    /// The events that one attempt wrote.
    pub(super) fn written_by(&self, attempt: &Attempt) -> &[&'a Event] {
        self.written.get(attempt.trace.as_str()).map_or(&[], Vec::as_slice)
    }

    /// The events that all attempts of a request wrote.
    pub(super) fn written_for(&self, request: &'a Request) -> impl Iterator<Item = (&'a Attempt, &'a Event)> {
        request.attempts.iter().flat_map(|attempt| self.written_by(attempt).iter().map(move |event| (attempt, *event)))
    }

    /// The attempts that may have written the events of an answer: all under the same key, otherwise only the one.
    pub(super) fn under_the_same_key(request: &'a Request, attempt: &'a Attempt) -> &'a [Attempt] {
        if request.key.is_some() { &request.attempts } else { std::slice::from_ref(attempt) }
    }

    /// The request of an event.
    pub(super) fn request_of(&self, event: &Event) -> Option<&'a Request> {
        self.attempts.get(event.trace.as_str()).map(|(request, _)| *request)
    }

    /// The row of an observation, if it is in the log.
    pub(super) fn recorded(&self, source: Uuid, item: &'a Observation) -> Option<Recorded<'a>> {
        self.recorded.get(&ItemKey::of(source, item)).and_then(|rows| rows.first()).copied()
    }

    /// Whether the answer for an event had arrived before an attempt began.
    pub(super) fn was_known(&self, event: &Event, attempt: &Attempt) -> bool {
        self.attempts
            .get(event.trace.as_str())
            .is_some_and(|(_, writer)| is_done(writer) && writer.ended < attempt.began)
    }

    /// Reports events without a request, and events of a request that was refused or that wrote more than was
    /// requested.
    pub(super) fn unrequested(&self, findings: &mut Findings) {
        for event in &self.evidence.events {
            if !matches!(event.what, What::Other) && !self.attempts.contains_key(event.trace.as_str()) {
                findings
                    .add(Rule::NoUnrequestedWrites, format!("no client sent the event at position {}", event.position));
            }
        }
        for request in &self.history.requests {
            for (attempt, refusal) in request.refused() {
                if let Some(event) = self.written_by(attempt).first() {
                    let (status, position) = (refusal.status, event.position);
                    let detail = format!("{} was refused ({status}) but stands at {position}", request.name());
                    findings.add(Rule::Refused, detail);
                }
                Self::check_refusal(request, refusal, findings);
            }
            if request.is_in_parts() {
                continue;
            }
            for attempt in &request.attempts {
                if let [_, second, ..] = self.written_by(attempt) {
                    let detail = format!("one attempt wrote again at {}: {}", second.position, request.name());
                    findings.add(Rule::NoDuplicates, detail);
                }
            }
            let writers = request.attempts.iter().filter(|attempt| !self.written_by(attempt).is_empty()).count();
            if request.key.is_some() && writers > 1 {
                findings.add(Rule::NoDuplicates, format!("{writers} attempts under one key wrote: {}", request.name()));
            }
        }
    }

    /// Checks a refusal. Every request of a history is valid, so few refusals are possible.
    fn check_refusal(request: &Request, refusal: &Refusal, findings: &mut Findings) {
        let possible = match (refusal.status, &request.operation) {
            (409 | 429 | 503, _) | (422, Operation::Change { .. }) => true,
            (412, Operation::Change { if_match, .. }) => if_match.is_some(),
            // Campaigns are changed only after their creation was acknowledged.
            (404, Operation::Change { .. }) => {
                findings.add(Rule::AcknowledgedIsDurable, format!("the campaign is not found: {}", request.name()));
                return;
            }
            _ => false,
        };
        if !possible {
            let detail = format!("{} with {} for {}", refusal.status, refusal.body, request.name());
            findings.add(Rule::Answer, detail);
        }
    }
}

impl<'a> ItemKey<'a> {
    pub(super) fn of(source: Uuid, item: &'a Observation) -> Self {
        Self { source, kind: item.kind, id: &item.id, day: item.at.date_naive() }
    }

    fn of_row(source: Uuid, row: &'a Row) -> Self {
        Self { source, kind: row.kind, id: &row.id, day: row.at().date_naive() }
    }
}

/// Whether a row has the content that was sent. A correction's row holds a difference, so its totals are compared.
pub(super) fn has_same_content(row: &Row, item: &Observation) -> bool {
    let at: DateTime<Utc> = row.at();
    row.id == item.id
        && row.kind == item.kind
        && at == item.at
        && match (&item.content, &row.corrects) {
            (ObservationOp::Happened { campaign, count, value }, None) => {
                (row.campaign, row.count, row.value) == (*campaign, *count, *value)
            }
            (ObservationOp::Corrects { of, day, count, value, .. }, Some(correction)) => {
                let retracts = count.is_none() && value.is_none();
                let count = if retracts { Some(0) } else { *count };
                correction.of == *of
                    && row.occurred_at.date_naive() == *day
                    && count.is_none_or(|count| count == correction.count)
                    && value.is_none_or(|value| Some(value) == correction.value)
            }
            (ObservationOp::Happened { .. }, Some(_)) | (ObservationOp::Corrects { .. }, None) => false,
        }
}

/// Whether an item was rejected because of its time.
pub(super) fn is_for_the_clock(reason: &str) -> bool {
    matches!(reason, "too_old" | "in_future")
}

/// Whether an attempt was answered.
pub(super) fn is_done(attempt: &Attempt) -> bool {
    matches!(attempt.outcome, Outcome::Done(_))
}
