//! Totals and subtotals: all rows of a report told as one, or those that have something in common, whatever the page. They
//! are added up from what the rows were made of, so that they agree with them, and derived measures come last here, too.

use std::collections::BTreeSet;

use domain::measure::Measure;
use domain::source::SourceRole;
use uuid::Uuid;

use super::lookups::RestatedRows;
use super::query::{GroupKey, SubtotalKey};
use super::rows::{ENTIRE_RANGE, RowContext, RowKey, RowTotals};
use super::sum::overflow;
use crate::error::ReadError;

/// The most subtotals of one report.
pub(super) const MAX_SUBTOTALS: usize = 1_000;

/// All rows as one. Without references: they count toward no total.
pub(super) fn totals(setting: &RowContext<'_>, tally: &RowTotals) -> Result<RowTotals, ReadError> {
    let whole = RowKey { cell: ENTIRE_RANGE, ..RowKey::default() };
    let mut totals = folded(setting, tally, |_| whole.clone(), false)?;
    // Of no rows, too.
    totals.entry(whole).or_default();
    Ok(totals)
}

/// The rows that have this in common, as one each. A source's own numbers may be references.
pub(super) fn subtotals(
    setting: &RowContext<'_>,
    tally: &RowTotals,
    sharing: SubtotalKey,
) -> Result<RowTotals, ReadError> {
    let subtotals =
        folded(setting, tally, |key| shared(key, sharing), sharing == SubtotalKey::Group(GroupKey::Source))?;
    if subtotals.len() > MAX_SUBTOTALS {
        Err(ReadError::TooManySubtotals { limit: MAX_SUBTOTALS })
    } else {
        Ok(subtotals)
    }
}

/// What the subtotal is about that a row counts toward.
fn shared(key: &RowKey, sharing: SubtotalKey) -> RowKey {
    let whole = RowKey { cell: ENTIRE_RANGE, ..RowKey::default() };
    match sharing {
        SubtotalKey::Bucket => RowKey { cell: key.cell, ..RowKey::default() },
        SubtotalKey::Group(GroupKey::Channel) => RowKey { channel: key.channel.clone(), ..whole },
        SubtotalKey::Group(GroupKey::Source) => RowKey { source: key.source.clone(), ..whole },
        SubtotalKey::Group(GroupKey::Campaign) => RowKey { campaign: key.campaign, ..whole },
        SubtotalKey::Group(GroupKey::Dimension(_)) => RowKey { slice: key.slice.clone(), ..whole },
    }
}

/// The totals and subtotals that hold a number which was restated: by a source that counts toward them.
pub(super) fn restated(setting: &RowContext<'_>, rows: &RestatedRows) -> BTreeSet<RowKey> {
    let counts = |id: &Uuid| {
        let source = setting.sources.get(id);
        source.is_some_and(|source| source.role_among(setting.measures) == SourceRole::Primary)
    };
    let mut restated = BTreeSet::new();
    for (key, sources) in rows {
        let is_counted = sources.iter().any(counts);
        if is_counted {
            restated.insert(RowKey { cell: ENTIRE_RANGE, ..RowKey::default() });
        }
        if let Some(sharing) =
            setting.query.subtotals.filter(|by| is_counted || *by == SubtotalKey::Group(GroupKey::Source))
        {
            restated.insert(shared(key, sharing));
        }
    }
    restated
}

fn folded(
    setting: &RowContext<'_>,
    tally: &RowTotals,
    shared: impl Fn(&RowKey) -> RowKey,
    with_references: bool,
) -> Result<RowTotals, ReadError> {
    let counts = |id: Uuid, measure: Measure| {
        let source = setting.sources.get(&id);
        with_references || source.is_some_and(|source| source.definition.role_of(measure) == SourceRole::Primary)
    };
    let mut folded = RowTotals::new();
    for (key, parts) in tally {
        let mut told = parts.stated().filter(|(source, measure, _)| counts(*source, *measure)).peekable();
        if told.peek().is_none() {
            continue;
        }
        let total = folded.entry(shared(key)).or_default();
        for (source, measure, value) in told {
            total.add_value(source, measure, value).ok_or_else(overflow)?;
        }
    }
    Ok(folded)
}
