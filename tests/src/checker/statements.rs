//! Checks of statements. An acknowledged one is in the log once or changed nothing, and the newest wins.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::facts::{Facts, is_for_the_clock};
use super::{Findings, Rule};
use crate::evidence::{LastWord, StatementKey, StatementRow, What};
use crate::history::{Acknowledged, ItemOutcome, Operation, Request, Statement};

/// A total that a client stated for a key.
#[derive(Debug, Clone, Copy)]
struct StatedTotal {
    as_of: DateTime<Utc>,
    value: i128,
    acknowledged: bool,
}

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    check_written(facts, findings);
    let mut stated: HashMap<StatementKey, Vec<StatedTotal>> = HashMap::new();
    for request in &facts.history.requests {
        let Operation::State { source, items } = &request.operation else { continue };
        let fates = check_fates(facts, request, source.id, items, findings);
        for (index, item) in items.iter().enumerate() {
            let fate = fates.as_ref().and_then(|fates| fates.get(index));
            if matches!(fate, Some(ItemOutcome::Rejected(_))) || (fate.is_none() && !request.is_doubtful()) {
                continue;
            }
            for (measure, value) in &item.measures {
                let key = StatementKey { campaign: item.campaign, source: source.id, day: item.day, measure: *measure };
                let value = i128::from(*value);
                stated.entry(key).or_default().push(StatedTotal {
                    as_of: item.stated_at,
                    value,
                    acknowledged: fate.is_some(),
                });
            }
        }
    }
    let held = last_words(facts);
    for (key, stated) in &stated {
        check_last(*key, stated, held.get(key), findings);
    }
}

/// The final values of the log: the newest by `stated_at`, then by position.
pub(super) fn last_words(facts: &Facts<'_>) -> BTreeMap<StatementKey, LastWord> {
    let mut words: BTreeMap<StatementKey, LastWord> = BTreeMap::new();
    for event in &facts.evidence.events {
        let What::Statements { source, rows } = &event.what else { continue };
        for row in rows {
            for (measure, value) in &row.measures {
                let key = StatementKey { campaign: row.campaign, source: *source, day: row.day, measure: *measure };
                let word = LastWord { value: (*value).into(), stated_at: row.stated_at, position: event.position };
                let newer = words.get(&key).is_none_or(|held| held.stated_at <= word.stated_at);
                if newer {
                    words.insert(key, word);
                }
            }
        }
    }
    words
}

/// Every row was sent by the attempt that wrote it, and occurs once.
fn check_written(facts: &Facts<'_>, findings: &mut Findings) {
    let mut places: HashMap<(Uuid, &StatementRow), i64> = HashMap::new();
    for event in &facts.evidence.events {
        let What::Statements { source, rows } = &event.what else { continue };
        for row in rows {
            let sent = facts.request_of(event).is_some_and(|request| match &request.operation {
                Operation::State { source: sender, items } => {
                    sender.id == *source && items.iter().any(|item| is_part_of(row, item))
                }
                Operation::Create { .. } | Operation::Change { .. } | Operation::Observe { .. } => false,
            });
            if !sent {
                findings
                    .add(Rule::NoUnrequestedWrites, format!("no client sent {row:?} of position {}", event.position));
            }
            if let Some(earlier) = places.insert((*source, row), event.position) {
                findings.add(Rule::NoDuplicates, format!("{row:?} stands at {earlier} and at {}", event.position));
            }
        }
    }
}

/// Whether a row is part of a statement, of which only changes are recorded.
fn is_part_of(row: &StatementRow, item: &Statement) -> bool {
    (row.campaign, row.day, row.stated_at) == (item.campaign, item.day, item.stated_at)
        && row.measures.iter().all(|(measure, value)| item.measures.get(measure) == Some(value))
}

/// The last answer for the items of a request. Each accepted one must be in the log.
fn check_fates(
    facts: &Facts<'_>,
    request: &Request,
    source: Uuid,
    items: &[Statement],
    findings: &mut Findings,
) -> Option<Vec<ItemOutcome>> {
    let mut last = None;
    for (attempt, reply) in request.done() {
        let fates = match &reply.content {
            Acknowledged::Batch(fates) if fates.len() == items.len() => fates,
            Acknowledged::Batch(_) | Acknowledged::Campaign { .. } => {
                findings.add(Rule::Answer, format!("{} for {}", reply.body, request.name()));
                continue;
            }
        };
        let attempts = Facts::under_the_same_key(request, attempt);
        let events = attempts.iter().flat_map(|attempt| facts.written_by(attempt));
        let rows: Vec<&StatementRow> = events
            .filter_map(|event| match &event.what {
                What::Statements { source: written, rows } if *written == source => Some(rows),
                _ => None,
            })
            .flatten()
            .collect();
        for (item, fate) in items.iter().zip(fates) {
            let written = rows.iter().any(|row| is_part_of(row, item));
            match fate {
                ItemOutcome::Accepted if !written => {
                    let detail = format!("{item:?} was accepted at {} but is not there", reply.position);
                    findings.add(Rule::AcknowledgedIsDurable, detail);
                }
                ItemOutcome::Duplicate if written => {
                    let detail = format!("{item:?} changed nothing by the answer at {}, but is there", reply.position);
                    findings.add(Rule::ItemOutcomeIsJustified, detail);
                }
                ItemOutcome::Rejected(reason) if written => {
                    findings.add(Rule::Refused, format!("{item:?} was rejected ({reason}) but is there"));
                }
                ItemOutcome::Rejected(reason) if !is_for_the_clock(reason) => {
                    findings.add(Rule::ItemOutcomeIsJustified, format!("{item:?} was rejected ({reason})"));
                }
                ItemOutcome::Conflict => findings.add(Rule::ItemOutcomeIsJustified, format!("{item:?} is in conflict")),
                ItemOutcome::Accepted | ItemOutcome::Duplicate | ItemOutcome::Rejected(_) | ItemOutcome::Doubtful => {}
            }
        }
        last = Some(fates.clone());
    }
    last
}

/// The final value is that of the newest acknowledged statement, unless an unanswered statement is newer.
fn check_last(key: StatementKey, stated: &[StatedTotal], held: Option<&LastWord>, findings: &mut Findings) {
    let acknowledged = stated.iter().filter(|stated| stated.acknowledged).max_by_key(|stated| stated.as_of);
    let fits = match held {
        None => acknowledged.is_none(),
        Some(held) => {
            let newer = |stated: &&StatedTotal| acknowledged.is_none_or(|word| stated.as_of > word.as_of);
            acknowledged.is_some_and(|word| word.value == held.value)
                || stated.iter().filter(newer).any(|stated| !stated.acknowledged && stated.value == held.value)
        }
    };
    if !fits {
        findings.add(Rule::NewestStatementWins, format!("{key:?} is {held:?}, but last stated was {acknowledged:?}"));
    }
}
