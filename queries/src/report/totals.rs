//! Totals and subtotals over the rows of all pages. They are added up from the numbers of the rows, so that both agree.
//! Derived measures are computed last here, too.

use std::collections::BTreeSet;

use domain::measure::Measure;
use domain::source::SourceRole;

use super::lookups::RestatedRows;
use super::query::{GroupKey, SubtotalKey};
use super::rows::{ENTIRE_RANGE, RowContext, RowKey, RowTotals};
use super::sum::overflow;
use crate::error::ReadError;
use crate::sources::PeriodId;

/// The most subtotals of one report.
pub(super) const MAX_SUBTOTALS: usize = 1_000;

/// The totals: all rows as one, without references, which count toward no total.
pub(super) fn totals(row_context: &RowContext<'_>, tally: &RowTotals) -> Result<RowTotals, ReadError> {
    let whole = RowKey { cell: ENTIRE_RANGE, ..RowKey::default() };
    let mut totals = folded(row_context, tally, |_| whole.clone(), false)?;
    // No rows have totals, too.
    totals.entry(whole).or_default();
    Ok(totals)
}

/// The subtotals by this key. A subtotal of one source may be of a reference.
pub(super) fn subtotals(
    row_context: &RowContext<'_>,
    tally: &RowTotals,
    subtotal_key: SubtotalKey,
) -> Result<RowTotals, ReadError> {
    let subtotals = folded(
        row_context,
        tally,
        |key| subtotal(key, subtotal_key),
        subtotal_key == SubtotalKey::Group(GroupKey::Source),
    )?;
    if subtotals.len() > MAX_SUBTOTALS {
        Err(ReadError::TooManySubtotals { limit: MAX_SUBTOTALS })
    } else {
        Ok(subtotals)
    }
}

/// The key of the subtotal that a row counts toward.
fn subtotal(key: &RowKey, subtotal_key: SubtotalKey) -> RowKey {
    let whole = RowKey { cell: ENTIRE_RANGE, ..RowKey::default() };
    match subtotal_key {
        SubtotalKey::Bucket => RowKey { cell: key.cell, ..RowKey::default() },
        SubtotalKey::Group(GroupKey::Channel) => RowKey { channel: key.channel.clone(), ..whole },
        SubtotalKey::Group(GroupKey::Source) => RowKey { source: key.source.clone(), ..whole },
        SubtotalKey::Group(GroupKey::Campaign) => RowKey { campaign: key.campaign, ..whole },
        SubtotalKey::Group(GroupKey::Dimension(_)) => RowKey { dimension_value: key.dimension_value.clone(), ..whole },
    }
}

/// The totals and subtotals with a number that was restated by a source that counts toward them.
pub(super) fn restated(row_context: &RowContext<'_>, rows: &RestatedRows) -> BTreeSet<RowKey> {
    let counts = |id: &PeriodId| {
        let source = row_context.sources.get(id);
        source.is_some_and(|source| source.role_among(row_context.measures) == SourceRole::Primary)
    };
    let mut restated = BTreeSet::new();
    for (key, sources) in rows {
        let is_counted = sources.iter().any(counts);
        if is_counted {
            restated.insert(RowKey { cell: ENTIRE_RANGE, ..RowKey::default() });
        }
        if let Some(subtotal_key) =
            row_context.query.subtotals.filter(|by| is_counted || *by == SubtotalKey::Group(GroupKey::Source))
        {
            restated.insert(subtotal(key, subtotal_key));
        }
    }
    restated
}

/// Adds rows up by another key, with or without references.
fn folded(
    row_context: &RowContext<'_>,
    tally: &RowTotals,
    total_of: impl Fn(&RowKey) -> RowKey,
    with_references: bool,
) -> Result<RowTotals, ReadError> {
    let counts = |id: PeriodId, measure: Measure| {
        let source = row_context.sources.get(&id);
        with_references || source.is_some_and(|source| source.definition.role_of(measure) == SourceRole::Primary)
    };
    let mut folded = RowTotals::new();
    for (key, parts) in tally {
        let mut counted = parts.stated().filter(|(source, measure, ..)| counts(*source, *measure)).peekable();
        if counted.peek().is_none() {
            continue;
        }
        let total = folded.entry(total_of(key)).or_default();
        for (source, measure, covered, value) in counted {
            total.add_value(source, measure, covered, value).ok_or_else(overflow)?;
        }
    }
    Ok(folded)
}
