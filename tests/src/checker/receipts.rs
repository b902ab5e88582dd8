//! Checks of receipts: the same key always gets the same answer, and only the first attempt has an effect.

use serde_json::Value;

use super::facts::{Facts, is_done};
use super::{Findings, Rule};
use crate::history::{Acknowledged, Attempt, ItemOutcome, Outcome, Request};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    for request in facts.history.requests.iter().filter(|request| request.key.is_some()) {
        if request.is_in_parts() {
            check_parts(request, findings);
            continue;
        }
        let kept: Vec<(&Attempt, Value)> =
            request.attempts.iter().filter_map(|attempt| Some((attempt, kept(attempt)?))).collect();
        let mut others = kept.iter().filter(|(_, answer)| *answer != kept[0].1);
        if let Some((_, other)) = others.next() {
            findings.add(Rule::Receipt, format!("answered {} and then {other}: {}", kept[0].1, request.name()));
        }
        let refused = request.refused().any(|(_, refusal)| refusal.is_kept());
        if refused && let Some((_, event)) = facts.written_for(request).next() {
            let detail = format!("refused for good, but written at {}: {}", event.position, request.name());
            findings.add(Rule::Receipt, detail);
        }
        check_carried_out_once(request, findings);
    }
}

/// The part of an answer that the receipt keeps; `None` for an answer without a receipt.
fn kept(attempt: &Attempt) -> Option<Value> {
    match &attempt.outcome {
        Outcome::Done(reply) => Some(reply.body.clone()),
        Outcome::Refused(refusal) if refusal.is_kept() => {
            let mut body = refusal.body.clone();
            // The member names the attempt, not the result.
            body.as_object_mut().map(|problem| problem.remove("instance"));
            Some(body)
        }
        Outcome::Refused(_) | Outcome::Unknown => None,
    }
}

/// The answer for one item must be the same in every answer.
fn check_parts(request: &Request, findings: &mut Findings) {
    let mut known: Vec<ItemOutcome> = Vec::new();
    for (_, reply) in request.done() {
        let Acknowledged::Batch(fates) = &reply.content else { continue };
        known.resize(fates.len(), ItemOutcome::Doubtful);
        for (index, (known, fate)) in known.iter_mut().zip(fates).enumerate() {
            if *known == ItemOutcome::Doubtful {
                known.clone_from(fate);
            } else if *fate != ItemOutcome::Doubtful && fate != known {
                let detail = format!("item {index} is {known:?} and then {fate:?}: {}", request.name());
                findings.add(Rule::Receipt, detail);
            }
        }
    }
}

/// An attempt that began after another had been acknowledged must be marked as a replay.
fn check_carried_out_once(request: &Request, findings: &mut Findings) {
    let first_done = request.attempts.iter().filter(|attempt| is_done(attempt)).map(|attempt| attempt.ended).min();
    let Some(first_done) = first_done else { return };
    for (attempt, reply) in request.done() {
        if attempt.began > first_done && !reply.replayed {
            findings.add(Rule::Receipt, format!("carried out again as {}: {}", attempt.trace, request.name()));
        }
    }
}
