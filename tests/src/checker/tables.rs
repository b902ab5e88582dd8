//! Checks of the read tables: they equal the sums of the log, and the sums of the answers.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;

use domain::bucket::quarter_hour;
use domain::measure::Measure;
use uuid::Uuid;

use super::campaigns::lives;
use super::facts::{Facts, ItemKey, has_same_content};
use super::statements::last_words;
use super::{Findings, Rule};
use crate::evidence::{CampaignRow, Cell, CorrectionRow, What};
use crate::history::{Acknowledged, Observation, ObservationOp, Operation};

type Sums = BTreeMap<Cell, i128>;

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let tables = &facts.evidence.tables;
    if let Some(reason) = &tables.stopped {
        findings.add(Rule::Tables, format!("stopped after {}: {reason}", tables.applied));
        return;
    }
    if tables.applied != facts.evidence.head {
        let detail = format!("applied {} of {}", tables.applied, facts.evidence.head);
        findings.add(Rule::Tables, detail);
        return;
    }
    // The checks of campaigns report impossible transitions.
    let campaigns: BTreeMap<Uuid, CampaignRow> = lives(facts.evidence.events.iter(), &mut Findings::default())
        .into_iter()
        .filter_map(|(campaign, life)| Some((campaign, life.last()?.clone())))
        .collect();
    compare("the log", &campaigns, &tables.campaigns, findings);
    compare("the log", &last_words(facts), &tables.statements, findings);
    compare("the log", &corrections_of_the_log(facts), &tables.corrections, findings);
    let shown = without_zeros(tables.increments.clone());
    compare("the log", &sums_of_the_log(facts), &shown, findings);
    compare("what was answered", &sums_of_the_answers(facts), &shown, findings);
}

/// The effect of each correction, by its place.
fn corrections_of_the_log(facts: &Facts<'_>) -> BTreeMap<(i64, i32), CorrectionRow> {
    let mut corrections = BTreeMap::new();
    for event in &facts.evidence.events {
        let What::Observations { source, rows } = &event.what else { continue };
        for (item, row) in (0..).zip(rows) {
            if let Some(correction) = &row.corrects {
                let row = CorrectionRow {
                    campaign: row.campaign,
                    source: *source,
                    id: row.id.clone(),
                    of: correction.of.clone(),
                    changes: (row.count, row.value),
                    total: (correction.count, correction.value),
                };
                corrections.insert((event.position, item), row);
            }
        }
    }
    corrections
}

/// Sums the rows of the log.
fn sums_of_the_log(facts: &Facts<'_>) -> Sums {
    let mut sums = Sums::new();
    for event in &facts.evidence.events {
        let What::Observations { source, rows } = &event.what else { continue };
        for row in rows {
            let bucket = quarter_hour(row.occurred_at);
            for (measure, value) in row.adds() {
                *sums.entry(Cell { campaign: row.campaign, source: *source, bucket, measure }).or_default() += value;
            }
        }
    }
    without_zeros(sums)
}

/// Sums the sent items: all accepted ones, and the unanswered ones that are in the log. Only the order of corrections
/// comes from the log.
fn sums_of_the_answers(facts: &Facts<'_>) -> Sums {
    let mut originals = BTreeMap::new();
    let mut corrections = Vec::new();
    let mut seen = HashSet::new();
    for request in &facts.history.requests {
        let Operation::Observe { source, items, .. } = &request.operation else { continue };
        for (index, item) in items.iter().enumerate() {
            let accepted = request.done().any(|(_, reply)| match &reply.content {
                Acknowledged::Batch(fates) => fates.get(index).is_some_and(crate::history::ItemOutcome::is_recorded),
                Acknowledged::Campaign { .. } => false,
            });
            let recorded = facts.recorded(source.id, item);
            let counts = if request.is_doubtful() && !accepted {
                recorded.is_some_and(|recorded| has_same_content(recorded.row, item))
            } else {
                accepted
            };
            let key = ItemKey::of(source.id, item);
            if !counts || !seen.insert(key.clone()) {
                continue;
            }
            match &item.content {
                ObservationOp::Happened { campaign, count, value } => {
                    originals.insert(key, (*campaign, item, *count, *value));
                }
                ObservationOp::Corrects { .. } => {
                    let position = recorded.map(|recorded| recorded.event.position);
                    corrections.push((position, source.id, item));
                }
            }
        }
    }
    // Corrections of one event were sent in their order in the event.
    corrections.sort_by_key(|(position, _, _)| *position);
    for (_, source, item) in corrections {
        let ObservationOp::Corrects { of, day, count, value, .. } = &item.content else { continue };
        let key = ItemKey { source, kind: item.kind, id: of, day: *day };
        if let Some((_, _, total, worth)) = originals.get_mut(&key) {
            if count.is_none() && value.is_none() {
                (*total, *worth) = (0, Some(0));
            }
            *total = count.unwrap_or(*total);
            *worth = value.or(*worth);
        }
    }
    let mut sums = Sums::new();
    for (key, (campaign, item, count, value)) in originals {
        for (measure, value) in adds(item, count, value) {
            let cell = Cell { campaign, source: key.source, bucket: quarter_hour(item.at), measure };
            *sums.entry(cell).or_default() += value;
        }
    }
    without_zeros(sums)
}

fn adds(item: &Observation, count: i64, value: Option<i64>) -> impl Iterator<Item = (Measure, i128)> {
    let count = item.kind.count_measure().map(|measure| (measure, i128::from(count)));
    let value = item.kind.value_measure().zip(value.map(i128::from));
    count.into_iter().chain(value)
}

fn without_zeros(mut sums: Sums) -> Sums {
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn compare<K: Ord + Debug, V: PartialEq + Debug>(
    by: &str,
    expected: &BTreeMap<K, V>,
    shown: &BTreeMap<K, V>,
    findings: &mut Findings,
) {
    for (key, expected) in expected {
        if shown.get(key) != Some(expected) {
            let detail = format!("{key:?} is {:?}, but by {by} {expected:?}", shown.get(key));
            findings.add(Rule::Tables, detail);
        }
    }
    for (key, shown) in shown {
        if !expected.contains_key(key) {
            findings.add(Rule::Tables, format!("{key:?} is {shown:?}, but nothing by {by}"));
        }
    }
}
