//! Rows for cells without numbers, of groups with numbers in another cell.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::Measure;

use super::aggregate::MAX_SUMS;
use super::coverage::RatioSet;
use super::query::Fill;
use super::rows::{RowContext, RowKey, RowTotals};
use super::sum::overflow;
use crate::error::ReadError;
use crate::sources::PeriodId;

/// Groups of rows, by the key of their first cell: the measures with numbers in any cell, and their sources
/// with what they are covered for.
pub(super) type Groups = BTreeMap<RowKey, BTreeMap<Measure, BTreeSet<(PeriodId, RatioSet)>>>;

/// The groups of these rows. A report that groups by nothing has one, even without numbers.
pub(super) fn groups<'a>(row_context: &RowContext<'_>, tallies: impl IntoIterator<Item = &'a RowTotals>) -> Groups {
    let mut groups = Groups::new();
    if row_context.query.group_by.is_empty() {
        groups.insert(RowKey::default(), BTreeMap::new());
    }
    for (key, parts) in tallies.into_iter().flatten() {
        let stated = groups.entry(RowKey { cell: 0, ..key.clone() }).or_default();
        for (source, measure, covered, _) in parts.stated() {
            stated.entry(measure).or_default().insert((source, covered));
        }
    }
    groups
}

/// Adds zeros where the query requests them. A measure that no source states of a group stays null.
pub(super) fn fill(row_context: &RowContext<'_>, groups: &Groups, tally: &mut RowTotals) -> Result<(), ReadError> {
    if row_context.query.fill == Fill::None {
        return Ok(());
    }
    if groups.len().saturating_mul(row_context.cells.len()) > MAX_SUMS {
        return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
    }
    for (group, stated) in groups {
        let is_unsettled = row_context.is_unsettled(group);
        // A cell without time corresponds to nothing.
        for (cell, span) in row_context.cells.iter().enumerate().filter(|(_, span)| span.start < span.end) {
            let parts = tally.entry(RowKey { cell, ..group.clone() }).or_default();
            for (measure, sources) in stated {
                let is_complete = |(id, _): &(PeriodId, RatioSet)| {
                    row_context.watermarks.get(id).is_some_and(|source| source.complete_through >= Some(span.end))
                };
                let is_zero = row_context.query.fill == Fill::Zero || !is_unsettled && sources.iter().all(is_complete);
                if is_zero && !parts.states(*measure) {
                    for (source, covered) in sources {
                        parts.add_value(*source, *measure, *covered, 0).ok_or_else(overflow)?;
                    }
                }
            }
        }
    }
    Ok(())
}
