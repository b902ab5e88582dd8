//! Totals and subtotals: all rows of a report told as one, or those that have something in common, whatever the page. They
//! are added up from what the rows were made of, so that they agree with them, and derived measures come last here, too.

use std::collections::BTreeSet;

use domain::measure::Measure;
use domain::source::Role;
use uuid::Uuid;

use super::combine::{RowKey, Setting, Tally, WHOLE};
use super::lookups::Restated;
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
    let subtotals = folded(setting, tally, |key| shared(key, sharing), sharing == Sharing::Group(GroupKey::Source))?;
    if subtotals.len() > MAX_SUBTOTALS { Err(Refusal::TooManySubtotals) } else { Ok(subtotals) }
}

/// What the subtotal is about that a row counts toward.
fn shared(key: &RowKey, sharing: Sharing) -> RowKey {
    let whole = RowKey { cell: WHOLE, ..RowKey::default() };
    match sharing {
        Sharing::Bucket => RowKey { cell: key.cell, ..RowKey::default() },
        Sharing::Group(GroupKey::Channel) => RowKey { channel: key.channel.clone(), ..whole },
        Sharing::Group(GroupKey::Source) => RowKey { source: key.source.clone(), ..whole },
        Sharing::Group(GroupKey::Campaign) => RowKey { campaign: key.campaign, ..whole },
        Sharing::Group(GroupKey::Dimension(_)) => RowKey { slice: key.slice.clone(), ..whole },
    }
}

/// The totals and subtotals that hold a number which was restated: by a source that counts toward them.
pub(crate) fn restated(setting: &Setting<'_>, rows: &Restated) -> BTreeSet<RowKey> {
    let counts = |id: &Uuid| {
        let source = setting.sources.get(id);
        source.is_some_and(|source| source.role_among(setting.measures) == Role::Primary)
    };
    let mut restated = BTreeSet::new();
    for (key, sources) in rows {
        let is_counted = sources.iter().any(counts);
        if is_counted {
            restated.insert(RowKey { cell: WHOLE, ..RowKey::default() });
        }
        if let Some(sharing) =
            setting.query.subtotals.filter(|by| is_counted || *by == Sharing::Group(GroupKey::Source))
        {
            restated.insert(shared(key, sharing));
        }
    }
    restated
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
