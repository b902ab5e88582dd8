//! Sums to rows. Only primary numbers are added, except in rows of one source; derived measures come last, from sums over
//! the sources that state both sides; different currencies are never added.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::Cell;
use domain::freshness::{self, State};
use domain::measure::{Derived, Measure, Unit};
use domain::money::Currency;
use domain::source::Role;
use uuid::Uuid;

use super::dimension::Slice;
use super::gather::Sum;
use super::query::{Column, DataState, GroupKey, ReportQuery};
use super::value::Value;
use crate::parked::{About, Parked};
use crate::refusal::Refusal;
use crate::sources::{Source, Sources, deciding};

/// One row of a report.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: RowKey,
    /// The values of the query's measures, in its order.
    pub(crate) values: Vec<Value>,
    pub(crate) state: State,
    /// Which sources it is made of, and when each last changed it.
    pub(crate) changes: BTreeMap<Uuid, DateTime<Utc>>,
    /// Measures that could not be told, because they are stated in several currencies.
    pub(crate) mixed: Vec<&'static str>,
}

/// What a row is about. Sorted as rows are when nothing else decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    /// Index of the cell.
    pub(crate) cell: usize,
    pub(crate) channel: Option<String>,
    pub(crate) source: Option<SourceKey>,
    pub(crate) campaign: Option<Uuid>,
    /// Where in the query's dimension.
    pub(crate) slice: Option<Slice>,
}

/// A source as rows are grouped by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceKey {
    pub(crate) name: String,
    pub(crate) id: Uuid,
}

/// What decides how settled a row is.
#[derive(Debug)]
pub(crate) enum Feeding {
    /// The same sources for every row.
    Together(BTreeSet<Uuid>),
    /// Those of each campaign.
    ByCampaign(BTreeMap<Uuid, BTreeSet<Uuid>>),
}

/// What combining needs to know beside the sums.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) query: &'a ReportQuery,
    pub(crate) cells: &'a [Cell],
    pub(crate) measures: &'a BTreeSet<Measure>,
    /// Those that the query lets in.
    pub(crate) sources: &'a Sources,
    pub(crate) feeding: &'a Feeding,
    /// What waits of these sources and campaigns.
    pub(crate) parked: &'a Parked,
    pub(crate) now: DateTime<Utc>,
}

/// What one source says in one row.
type Stated = BTreeMap<Measure, i128>;

#[derive(Debug, Default)]
struct Parts {
    by_source: BTreeMap<Uuid, Stated>,
    changes: BTreeMap<Uuid, DateTime<Utc>>,
}

/// The rows of a report, in no particular order.
pub(crate) fn combine(setting: &Setting<'_>, sums: &[Sum]) -> Result<Vec<Row>, Refusal> {
    let mut rows: BTreeMap<RowKey, Parts> = BTreeMap::new();
    for sum in sums {
        let Some(source) = setting.sources.get(&sum.source) else { continue };
        if !setting.is_shown(source, sum.measure) {
            continue;
        }
        let parts = rows.entry(setting.key(sum, source)).or_default();
        let stated = parts.by_source.entry(source.id).or_default().entry(sum.measure).or_default();
        *stated = stated.checked_add(sum.value).ok_or_else(overflow)?;
        let changed_at = parts.changes.entry(source.id).or_insert(sum.changed_at);
        *changed_at = sum.changed_at.max(*changed_at);
    }
    let rows = rows.into_iter().map(|(key, parts)| setting.row(key, parts)).collect::<Result<Vec<_>, _>>()?;
    let wanted = |row: &Row| setting.query.data_state == DataState::All || row.state == State::Final;
    Ok(rows.into_iter().filter(wanted).collect())
}

impl Setting<'_> {
    /// Reference numbers stand beside the totals: they are shown only where a row is one source's.
    fn is_shown(&self, source: &Source, measure: Measure) -> bool {
        self.query.groups_by(GroupKey::Source) || source.definition.role_of(measure) == Role::Primary
    }

    fn key(&self, sum: &Sum, source: &Source) -> RowKey {
        let definition = &source.definition;
        let query = self.query;
        RowKey {
            cell: sum.cell,
            channel: query.groups_by(GroupKey::Channel).then(|| definition.channel.name().to_owned()),
            source: query
                .groups_by(GroupKey::Source)
                .then(|| SourceKey { name: definition.name.clone(), id: source.id }),
            campaign: sum.campaign,
            slice: sum.slice.clone(),
        }
    }

    fn row(&self, key: RowKey, parts: Parts) -> Result<Row, Refusal> {
        let mut values = Vec::with_capacity(self.query.measures.len());
        let mut mixed = Vec::new();
        for column in &self.query.measures {
            let cell = match column {
                Column::Additive(measure) => self.additive(*measure, &parts)?,
                Column::Derived(derived) => self.derived(derived, &parts)?,
            };
            values.push(cell.unwrap_or_else(|MixedCurrencies| {
                mixed.push(column.name());
                Value::Null
            }));
        }
        let state = self.state(&key);
        Ok(Row { key, values, state, changes: parts.changes, mixed })
    }

    fn additive(&self, measure: Measure, parts: &Parts) -> Result<Result<Value, MixedCurrencies>, Refusal> {
        let stating: Vec<_> =
            parts.by_source.iter().filter_map(|(id, stated)| Some((*id, *stated.get(&measure)?))).collect();
        if stating.is_empty() {
            return Ok(Ok(Value::Null));
        }
        let total = total(stating.iter().map(|(_, value)| *value))?;
        Ok(match measure.unit() {
            Unit::Count => Ok(Value::Count(total)),
            Unit::Credit | Unit::Ratio => Ok(Value::Millionths(total)),
            Unit::Money => self.currency(stating.iter().map(|(id, _)| *id)).map(|one| money(total, one)),
        })
    }

    fn derived(&self, derived: &Derived, parts: &Parts) -> Result<Result<Value, MixedCurrencies>, Refusal> {
        let both = |stated: &Stated| Some((*stated.get(&derived.numerator)?, *stated.get(&derived.denominator)?));
        let stating: Vec<_> = parts.by_source.iter().filter_map(|(id, stated)| Some((*id, both(stated)?))).collect();
        let numerator = total(stating.iter().map(|(_, (numerator, _))| *numerator))?;
        let denominator = total(stating.iter().map(|(_, (_, denominator))| *denominator))?;
        // Without a source that states both sides, the denominator is an empty sum.
        let Some(quotient) = derived.millionths(numerator, denominator) else { return Ok(Ok(Value::Null)) };
        let in_money = [derived.numerator, derived.denominator].iter().any(|measure| measure.unit() == Unit::Money);
        if !in_money {
            return Ok(Ok(Value::Millionths(quotient)));
        }
        Ok(self.currency(stating.iter().map(|(id, _)| *id)).map(|one| match derived.unit {
            Unit::Money => money(quotient, one),
            Unit::Ratio | Unit::Credit | Unit::Count => Value::Millionths(quotient),
        }))
    }

    /// The one currency of these sources.
    fn currency(&self, ids: impl Iterator<Item = Uuid>) -> Result<Option<Currency>, MixedCurrencies> {
        let currencies: BTreeSet<_> =
            ids.filter_map(|id| self.sources.get(&id)).map(|source| source.definition.currency).collect();
        if currencies.len() > 1 { Err(MixedCurrencies) } else { Ok(currencies.first().copied()) }
    }

    /// A row takes the state of its own sources: of the one that it shows, or of the primaries that feed it.
    fn state(&self, key: &RowKey) -> State {
        let Some(end) = self.cells.get(key.cell).map(|cell| cell.end) else { return State::Live };
        let of = |ids: &BTreeSet<Uuid>| -> Vec<&Source> {
            let sources = ids.iter().filter_map(|id| self.sources.get(id));
            let of_channel = |source: &&Source| {
                key.channel.as_ref().is_none_or(|channel| source.definition.channel.name() == channel)
            };
            sources.filter(of_channel).collect()
        };
        let primaries = match (&key.source, key.campaign, self.feeding) {
            (Some(shown), _, _) => self.sources.get(&shown.id).map(|source| &source.freshness).into_iter().collect(),
            (None, _, Feeding::Together(ids)) => deciding(&of(ids), self.measures),
            (None, Some(campaign), Feeding::ByCampaign(campaigns)) => {
                campaigns.get(&campaign).map(|ids| deciding(&of(ids), self.measures)).unwrap_or_default()
            }
            (None, None, Feeding::ByCampaign(_)) => Vec::new(),
        };
        let state = freshness::state(end, self.now, &primaries);
        if self.is_unsettled(key) { state.min(State::Provisional) } else { state }
    }

    /// Whether something waits that would decide on the row.
    fn is_unsettled(&self, key: &RowKey) -> bool {
        let named = self.query.filters.campaign_id.iter().copied();
        let about = key.campaign.map_or_else(|| About::numbers(named), |id| About::numbers([id]));
        self.parked.unsettles(&about, |id| match (&key.source, self.sources.get(&id)) {
            (Some(shown), _) => shown.id == id,
            (None, None) => true,
            (None, Some(source)) => {
                source.role_among(self.measures) == Role::Primary
                    && key.channel.as_ref().is_none_or(|channel| source.definition.channel.name() == channel)
            }
        })
    }
}

/// Amounts of several currencies stand where one was asked for.
#[derive(Debug, Clone, Copy)]
struct MixedCurrencies;

fn money(micros: i128, currency: Option<Currency>) -> Value {
    currency.map_or(Value::Null, |currency| Value::Money(micros, currency))
}

fn total(values: impl Iterator<Item = i128>) -> Result<i128, Refusal> {
    values.into_iter().try_fold(0_i128, i128::checked_add).ok_or_else(overflow)
}

fn overflow() -> Refusal {
    Refusal::corrupt("a sum does not fit 128 bits")
}
