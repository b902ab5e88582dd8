//! Cells in which nothing was said, of groups of which something was said in another.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::Measure;
use uuid::Uuid;

use super::aggregate::MAX_SUMS;
use super::query::Fill;
use super::rows::{RowContext, RowKey, RowTotals};
use super::sum::overflow;
use crate::error::ReadError;

/// Groups of rows by their keys, which all name the first cell, with who states what in any cell of theirs.
pub(super) type Groups = BTreeMap<RowKey, BTreeMap<Measure, BTreeSet<Uuid>>>;

/// The groups of these tallies. A report that tells nothing apart has one, whatever was said.
pub(super) fn groups<'a>(setting: &RowContext<'_>, tallies: impl IntoIterator<Item = &'a RowTotals>) -> Groups {
    let mut groups = Groups::new();
    if setting.query.group_by.is_empty() {
        groups.insert(RowKey::default(), BTreeMap::new());
    }
    for (key, parts) in tallies.into_iter().flatten() {
        let stated = groups.entry(RowKey { cell: 0, ..key.clone() }).or_default();
        for (source, measure, _) in parts.stated() {
            stated.entry(measure).or_default().insert(source);
        }
    }
    groups
}

/// Adds what the query wants where nothing was said. Measures that nobody states of a group stay untold.
pub(super) fn fill(setting: &RowContext<'_>, groups: &Groups, tally: &mut RowTotals) -> Result<(), ReadError> {
    if setting.query.fill == Fill::None {
        return Ok(());
    }
    if groups.len().saturating_mul(setting.cells.len()) > MAX_SUMS {
        return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
    }
    for (group, stated) in groups {
        let is_unsettled = setting.is_unsettled(group);
        // Nothing can be said of a cell without time, which corresponds to nothing.
        for (cell, span) in setting.cells.iter().enumerate().filter(|(_, span)| span.start < span.end) {
            let parts = tally.entry(RowKey { cell, ..group.clone() }).or_default();
            for (measure, sources) in stated {
                let is_complete =
                    |id: &Uuid| setting.vouched.get(id).is_some_and(|source| source.complete_through >= Some(span.end));
                let is_zero = setting.query.fill == Fill::Zero || !is_unsettled && sources.iter().all(is_complete);
                if is_zero && !parts.states(*measure) {
                    for source in sources {
                        parts.add_value(*source, *measure, 0).ok_or_else(overflow)?;
                    }
                }
            }
        }
    }
    Ok(())
}
