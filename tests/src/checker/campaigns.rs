//! Checks of campaigns. Each acknowledged command is one event, at the answered version, after the expected version.

use std::collections::HashMap;

use domain::campaign::CampaignEvent;
use uuid::Uuid;

use super::facts::Facts;
use super::{Findings, Rule};
use crate::evidence::{CampaignRow, Event, What};
use crate::history::{Acknowledged, Attempt, Change, Operation, Reply, Request};

/// Every state of each campaign, from the state after its first event.
pub(super) type Lives = HashMap<Uuid, Vec<CampaignRow>>;

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let lives = lives(facts.evidence.events.iter(), findings);
    for request in &facts.history.requests {
        if !matches!(request.operation, Operation::Create { .. } | Operation::Change { .. }) {
            continue;
        }
        for (_, event) in facts.written_for(request) {
            if !is_requested(request, event) {
                let detail = format!("position {} holds something else than {}", event.position, request.name());
                findings.add(Rule::NoUnrequestedWrites, detail);
            }
        }
        for (attempt, reply) in request.done() {
            check_reply(facts, &lives, request, attempt, reply, findings);
        }
        for (_, refusal) in request.refused() {
            check_version_refused(&lives, request, refusal.version, findings);
            if refusal.is_kept() {
                check_rule_refused(facts, &lives, request, findings);
            }
        }
    }
}

/// Folds the log, and reports impossible transitions.
pub(super) fn lives<'a>(events: impl Iterator<Item = &'a Event>, findings: &mut Findings) -> Lives {
    let mut lives = Lives::new();
    for event in events {
        let What::Campaign { campaign, event: happened } = &event.what else { continue };
        let life = lives.entry(*campaign).or_default();
        let before = life.last();
        let (name, from, state): (Option<&str>, &[&str], &str) = match happened {
            CampaignEvent::CampaignCreated { name, .. } => (Some(name), &[], "draft"),
            CampaignEvent::CampaignRenamed { name, .. } => (Some(name), &["draft", "launched", "paused"], ""),
            CampaignEvent::CampaignLaunched { .. } => (None, &["draft"], "launched"),
            CampaignEvent::CampaignPaused { .. } => (None, &["launched"], "paused"),
            CampaignEvent::CampaignResumed { .. } => (None, &["paused"], "launched"),
            other => {
                findings.add(Rule::NoUnrequestedWrites, format!("{} at {}", other.kind().name, event.position));
                continue;
            }
        };
        let possible = before.map_or(from.is_empty(), |before| from.contains(&before.state.as_str()));
        if !possible {
            let detail = format!("{} of {campaign} at {} after {before:?}", happened.kind().name, event.position);
            findings.add(Rule::Campaign, detail);
        }
        let (old_name, old_state) =
            before.map_or((String::new(), String::new()), |before| (before.name.clone(), before.state.clone()));
        life.push(CampaignRow {
            name: name.map_or(old_name, str::to_owned),
            state: if state.is_empty() { old_state } else { state.to_owned() },
            version: event.sequence,
            position: event.position,
        });
    }
    lives
}

/// Whether an event carries out a request.
fn is_requested(request: &Request, event: &Event) -> bool {
    let What::Campaign { campaign, event } = &event.what else { return false };
    match &request.operation {
        Operation::Create { name: requested } => {
            matches!(event, CampaignEvent::CampaignCreated { name, .. } if name == requested)
        }
        Operation::Change { campaign: requested, change, .. } => {
            requested == campaign
                && match (change, event) {
                    (Change::Rename(requested), CampaignEvent::CampaignRenamed { name, .. }) => requested == name,
                    (Change::Launch, CampaignEvent::CampaignLaunched { .. })
                    | (Change::Pause, CampaignEvent::CampaignPaused { .. })
                    | (Change::Resume, CampaignEvent::CampaignResumed { .. }) => true,
                    _ => false,
                }
        }
        Operation::Observe { .. } | Operation::State { .. } => false,
    }
}

fn check_reply(
    facts: &Facts<'_>,
    lives: &Lives,
    request: &Request,
    attempt: &Attempt,
    reply: &Reply,
    findings: &mut Findings,
) {
    let Acknowledged::Campaign { campaign, version } = reply.content else {
        findings.add(Rule::Answer, format!("{} for {}", reply.body, request.name()));
        return;
    };
    if let Operation::Change { campaign: requested, .. } = &request.operation
        && *requested != campaign
    {
        findings.add(Rule::Receipt, format!("answered for {campaign}: {}", request.name()));
        return;
    }
    let written =
        Facts::under_the_same_key(request, attempt).iter().find_map(|attempt| facts.written_by(attempt).first());
    let Some(event) = written else {
        if !already_so(lives, request, campaign, version) {
            findings.add(
                Rule::AcknowledgedIsDurable,
                format!("acknowledged at {} but not there: {}", reply.position, request.name()),
            );
        }
        return;
    };
    let What::Campaign { campaign: written, .. } = &event.what else { return };
    if (*written, event.sequence, event.position) != (campaign, version, reply.position) {
        let (sequence, position) = (event.sequence, event.position);
        let detail = format!(
            "answered {campaign} at version {version}, position {}, but it is {written} at {sequence}, {position}: {}",
            reply.position,
            request.name()
        );
        findings.add(Rule::Campaign, detail);
    }
    if let Operation::Change { if_match: Some(requested), .. } = request.operation
        && event.sequence != requested + 1
    {
        let detail = format!("meant for version {requested} but became version {}: {}", event.sequence, request.name());
        findings.add(Rule::Campaign, detail);
    }
}

/// Whether nothing had to be written, because an earlier attempt had given the campaign this name.
fn already_so(lives: &Lives, request: &Request, campaign: Uuid, version: i64) -> bool {
    let Operation::Change { change: Change::Rename(name), if_match, .. } = &request.operation else { return false };
    let at_version = lives.get(&campaign).and_then(|life| life.iter().find(|row| row.version == version));
    if_match.is_none_or(|requested| requested == version) && at_version.is_some_and(|row| row.name == *name)
}

/// A version mismatch must answer with a version that the campaign had and that differs from the expected one.
fn check_version_refused(lives: &Lives, request: &Request, answered: Option<i64>, findings: &mut Findings) {
    let (Operation::Change { campaign, if_match, .. }, Some(answered)) = (&request.operation, answered) else { return };
    let exists = lives.get(campaign).is_some_and(|life| life.iter().any(|row| row.version == answered));
    if Some(answered) == *if_match || !exists {
        findings.add(Rule::Campaign, format!("refused as being at version {answered}: {}", request.name()));
    }
}

/// A rejection by a rule must hold in some state that the campaign may have had by then: the last state that was known
/// when the request was first sent, or a later one.
fn check_rule_refused(facts: &Facts<'_>, lives: &Lives, request: &Request, findings: &mut Findings) {
    let (Operation::Change { campaign, change, .. }, Some(first)) = (&request.operation, request.attempts.first())
    else {
        return;
    };
    let needed = match change {
        Change::Rename(_) => None,
        Change::Launch => Some("draft"),
        Change::Pause => Some("launched"),
        Change::Resume => Some("paused"),
    };
    let of_campaign = |event: &&Event| matches!(event.what, What::Campaign { campaign: of, .. } if of == *campaign);
    let known = facts.evidence.events.iter().filter(of_campaign).filter(|event| facts.was_known(event, first));
    let known = known.map(|event| event.sequence).max().unwrap_or(0);
    let mut states = lives.get(campaign).into_iter().flatten().filter(|row| row.version >= known);
    if needed.is_none_or(|needed| states.all(|row| row.state == needed)) {
        findings.add(Rule::Campaign, format!("no rule refuses {}", request.name()));
    }
}
