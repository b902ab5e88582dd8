//! Totals and subtotals: all rows of a report told as one, or those that have something in common, whatever the page. They
//! are added up from what the rows were made of, so that they agree with them, and derived measures come last here, too.

use domain::measure::Measure;
use domain::source::Role;
use uuid::Uuid;

use super::combine::{RowKey, Setting, Tally, WHOLE};
use super::measured::overflow;
use super::query::{GroupKey, Sharing};
use crate::refusal::Refusal;

/// The most subtotals of one report.
pub(crate) const MAX_SUBTOTALS: usize = 1_000;

/// All rows as one. Without references: they count toward no total.
pub(crate) fn totals(setting: &Setting<'_>, tally: &Tally) -> Result<Tally, Refusal> {
    let whole = RowKey { cell: WHOLE, ..RowKey::default() };
    let mut totals = folded(setting, tally, |_| whole.clone(), false)?;
    // Of no rows, too.
    totals.entry(whole).or_default();
    Ok(totals)
}

/// The rows that have this in common, as one each. A source's own numbers may be references.
pub(crate) fn subtotals(setting: &Setting<'_>, tally: &Tally, sharing: Sharing) -> Result<Tally, Refusal> {
    let whole = RowKey { cell: WHOLE, ..RowKey::default() };
    let shared = |key: &RowKey| match sharing {
        Sharing::Bucket => RowKey { cell: key.cell, ..RowKey::default() },
        Sharing::Group(GroupKey::Channel) => RowKey { channel: key.channel.clone(), ..whole.clone() },
        Sharing::Group(GroupKey::Source) => RowKey { source: key.source.clone(), ..whole.clone() },
        Sharing::Group(GroupKey::Campaign) => RowKey { campaign: key.campaign, ..whole.clone() },
        Sharing::Group(GroupKey::Dimension(_)) => RowKey { slice: key.slice.clone(), ..whole.clone() },
    };
    let subtotals = folded(setting, tally, shared, sharing == Sharing::Group(GroupKey::Source))?;
    if subtotals.len() > MAX_SUBTOTALS { Err(Refusal::TooManySubtotals) } else { Ok(subtotals) }
}

fn folded(
    setting: &Setting<'_>,
    tally: &Tally,
    shared: impl Fn(&RowKey) -> RowKey,
    with_references: bool,
) -> Result<Tally, Refusal> {
    let counts = |id: Uuid, measure: Measure| {
        let source = setting.sources.get(&id);
        with_references || source.is_some_and(|source| source.definition.role_of(measure) == Role::Primary)
    };
    let mut folded = Tally::new();
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
