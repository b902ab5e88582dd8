//! Checks of batches of observations. An accepted item is in the log once. Any other item has the state that its answer
//! states.

use super::facts::{Facts, ItemKey, has_same_content, is_for_the_clock};
use super::{Findings, Rule};
use crate::evidence::{Event, Row, What};
use crate::history::{
    Acknowledged, Attempt, ItemOutcome, Observation, ObservationOp, Operation, Reply, Request, Source,
};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    for (key, rows) in &facts.recorded {
        if let [first, second, ..] = rows.as_slice() {
            let (first, second) = (first.event.position, second.event.position);
            findings.add(Rule::NoDuplicates, format!("{key:?} stands at {first} and at {second}"));
        }
    }
    for event in &facts.evidence.events {
        if let What::Observations { source, rows } = &event.what {
            for row in rows {
                check_sent(facts, event, *source, row, findings);
            }
        }
    }
    for request in &facts.history.requests {
        let Operation::Observe { source, items, .. } = &request.operation else { continue };
        for (attempt, reply) in request.done() {
            let Acknowledged::Batch(fates) = &reply.content else {
                findings.add(Rule::Answer, format!("{} for {}", reply.body, request.name()));
                continue;
            };
            if fates.len() != items.len() {
                let detail = format!("{} results for {}: {}", fates.len(), request.name(), reply.body);
                findings.add(Rule::Answer, detail);
                continue;
            }
            let batch = AnsweredBatch { facts, request, attempt, reply, source };
            for (item, fate) in items.iter().zip(fates) {
                batch.check(item, fate, findings);
            }
        }
    }
}

/// Whether a row of the log was sent, unchanged, by the attempt that wrote it.
fn check_sent(facts: &Facts<'_>, event: &Event, source: uuid::Uuid, row: &Row, findings: &mut Findings) {
    let sent = facts.request_of(event).is_some_and(|request| match &request.operation {
        Operation::Observe { source: sender, items, .. } => {
            sender.id == source && items.iter().any(|item| has_same_content(row, item))
        }
        Operation::Create { .. } | Operation::Change { .. } | Operation::State { .. } => false,
    });
    if !sent {
        findings.add(Rule::NoUnrequestedWrites, format!("no client sent {row:?} of position {}", event.position));
    }
}

/// An answered batch.
struct AnsweredBatch<'a> {
    facts: &'a Facts<'a>,
    request: &'a Request,
    attempt: &'a Attempt,
    reply: &'a Reply,
    source: &'a Source,
}

impl AnsweredBatch<'_> {
    fn check(&self, item: &Observation, fate: &ItemOutcome, findings: &mut Findings) {
        let key = ItemKey::of(self.source.id, item);
        let rows = self.facts.recorded.get(&key).map_or(&[][..], Vec::as_slice);
        let covered = || rows.iter().filter(|row| row.event.position <= self.reply.position);
        let attempts = Facts::under_the_same_key(self.request, self.attempt);
        let by_this = rows
            .iter()
            .find(|row| attempts.iter().any(|attempt| attempt.trace == row.event.trace))
            .map(|row| row.event);
        let untrue = |findings: &mut Findings, how: &str| {
            let detail = format!("{key:?} is {fate:?} by the answer at {}, but {how}", self.reply.position);
            findings.add(Rule::ItemOutcomeIsJustified, detail);
        };
        match fate {
            ItemOutcome::Accepted if rows.is_empty() => {
                let detail = format!("{key:?} was accepted at {} but is not there", self.reply.position);
                findings.add(Rule::AcknowledgedIsDurable, detail);
            }
            ItemOutcome::Accepted => match by_this {
                None => untrue(findings, "another request wrote it"),
                Some(event) if event.position > self.reply.position => {
                    untrue(findings, &format!("stands at {}", event.position));
                }
                Some(_) => {}
            },
            ItemOutcome::Duplicate if !covered().any(|row| has_same_content(row.row, item)) => {
                untrue(findings, "no such content was recorded by then");
            }
            ItemOutcome::Conflict if !covered().any(|row| !has_same_content(row.row, item)) => {
                untrue(findings, "no other content was recorded by then");
            }
            ItemOutcome::Duplicate | ItemOutcome::Conflict | ItemOutcome::Doubtful => {}
            ItemOutcome::Rejected(reason) => {
                // With a key, or with two items of one id in the batch, another item of the same id may have been
                // accepted.
                if by_this.is_some() && rows.iter().any(|row| has_same_content(row.row, item)) {
                    let detail = format!("{key:?} was rejected ({reason}) but is there");
                    findings.add(Rule::Refused, detail);
                }
                if !is_for_the_clock(reason) && !self.lacks_its_original(item, reason) {
                    untrue(findings, "nothing is wrong with it");
                }
            }
        }
    }

    /// Whether the original of a correction may have been missing when the decision was made.
    fn lacks_its_original(&self, item: &Observation, reason: &str) -> bool {
        let ObservationOp::Corrects { of, day, .. } = &item.content else { return false };
        let key = ItemKey { source: self.source.id, kind: item.kind, id: of, day: *day };
        let rows = self.facts.recorded.get(&key).map_or(&[][..], Vec::as_slice);
        reason == "unknown_observation" && !rows.iter().any(|row| self.facts.was_known(row.event, self.attempt))
    }
}
