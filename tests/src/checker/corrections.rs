//! Checks of corrections. Each row is the exact difference between the totals of its original before and after it, in
//! the original's campaign and at the original's time.

use std::collections::HashMap;

use super::facts::{Facts, ItemKey, Recorded};
use super::{Findings, Rule};
use crate::evidence::What;

/// The total of an original.
#[derive(Debug, Clone, Copy)]
struct Total<'a> {
    original: Recorded<'a>,
    count: i64,
    value: Option<i64>,
}

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let mut totals: HashMap<ItemKey<'_>, Total<'_>> = HashMap::new();
    for event in &facts.evidence.events {
        let What::Observations { source, rows } = &event.what else { continue };
        for row in rows {
            // A correction has the original's key, because it has the original's time.
            let id = row.corrects.as_ref().map_or(row.id.as_str(), |correction| correction.of.as_str());
            let key = ItemKey { source: *source, kind: row.kind, id, day: row.occurred_at.date_naive() };
            let Some(correction) = &row.corrects else {
                let original = Recorded { event, row };
                totals.insert(key, Total { original, count: row.count, value: row.value });
                continue;
            };
            let position = event.position;
            let Some(total) = totals.get_mut(&key) else {
                findings.add(Rule::Correction, format!("{key:?} is corrected at {position}, before it is there"));
                continue;
            };
            let original = total.original.row;
            if (row.campaign, row.occurred_at) != (original.campaign, original.occurred_at) {
                findings.add(Rule::Correction, format!("{row:?} at {position} is not where {original:?} is"));
            }
            let difference = (
                i128::from(correction.count) - i128::from(total.count),
                i128::from(correction.value.unwrap_or(0)) - i128::from(total.value.unwrap_or(0)),
            );
            if (i128::from(row.count), i128::from(row.value.unwrap_or(0))) != difference {
                let before = (total.count, total.value);
                let detail = format!("{row:?} at {position} is not the difference to {before:?}");
                findings.add(Rule::Correction, detail);
            }
            (total.count, total.value) = (correction.count, correction.value);
        }
    }
}
