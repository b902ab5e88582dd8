//! The values of one row. Derived measures are computed last, from sums over the sources that state both sides. Amounts
//! of different currencies are never added.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::measure::{DerivedMeasure, Measure, Unit};
use domain::money::Currency;
use uuid::Uuid;

use super::query::MeasureColumn;
use super::sum::{Sum, overflow};
use super::value::Value;
use crate::error::ReadError;
use crate::sources::Sources;

/// The numbers of one source in one row.
type ValuesBySource = BTreeMap<Measure, i128>;

/// By currency, the values of the measures that have several.
pub(super) type ByCurrency = BTreeMap<Currency, BTreeMap<&'static str, Value>>;

/// The numbers of all sources in one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeasureTotals {
    by_source: BTreeMap<Uuid, ValuesBySource>,
    /// The last change by each source.
    pub changes: BTreeMap<Uuid, DateTime<Utc>>,
}

/// The error of a value whose amounts have several currencies.
#[derive(Debug, Clone, Copy)]
struct MixedCurrencies;

impl MeasureTotals {
    /// Adds a sum. `None` if the result does not fit.
    pub(crate) fn add(&mut self, sum: &Sum) -> Option<()> {
        self.add_value(sum.source, sum.measure, sum.value)?;
        let changed_at = self.changes.entry(sum.source).or_insert(sum.changed_at);
        *changed_at = sum.changed_at.max(*changed_at);
        Some(())
    }

    pub(crate) fn add_value(&mut self, source: Uuid, measure: Measure, value: i128) -> Option<()> {
        let stated = self.by_source.entry(source).or_default().entry(measure).or_default();
        *stated = stated.checked_add(value)?;
        Some(())
    }

    /// The numbers, by source and measure.
    pub(crate) fn stated(&self) -> impl Iterator<Item = (Uuid, Measure, i128)> {
        let each = self.by_source.iter();
        each.flat_map(|(source, stated)| stated.iter().map(|(measure, value)| (*source, *measure, *value)))
    }

    pub(crate) fn states(&self, measure: Measure) -> bool {
        self.by_source.values().any(|stated| stated.contains_key(&measure))
    }

    /// The values of these measures, in their order.
    pub(crate) fn values(
        &self,
        columns: &[MeasureColumn],
        sources: &Sources,
    ) -> Result<(Vec<Value>, ByCurrency), ReadError> {
        let mut values = Vec::with_capacity(columns.len());
        let mut by_currency = ByCurrency::new();
        for column in columns {
            let value = self.value(*column, sources, None)?;
            if value.is_err() {
                self.split_by_currency(*column, sources, &mut by_currency)?;
            }
            values.push(value.unwrap_or(Value::Null));
        }
        Ok((values, by_currency))
    }

    /// The values with money, in each currency, even in one alone.
    pub(crate) fn by_currency(&self, columns: &[MeasureColumn], sources: &Sources) -> Result<ByCurrency, ReadError> {
        let mut by_currency = ByCurrency::new();
        for column in columns {
            if column.parts().iter().any(|part| part.unit() == Unit::Money) {
                self.split_by_currency(*column, sources, &mut by_currency)?;
            }
        }
        Ok(by_currency)
    }

    fn split_by_currency(
        &self,
        column: MeasureColumn,
        sources: &Sources,
        into: &mut ByCurrency,
    ) -> Result<(), ReadError> {
        let currencies: BTreeSet<_> =
            self.by_source.keys().filter_map(|id| sources.get(id)).map(|source| source.definition.currency).collect();
        for currency in currencies {
            let value = self.value(column, sources, Some(currency))?.unwrap_or(Value::Null);
            if value != Value::Null {
                into.entry(currency).or_default().insert(column.name(), value);
            }
        }
        Ok(())
    }

    /// The value of a measure; with `only`, from the sources of this currency.
    fn value(
        &self,
        column: MeasureColumn,
        sources: &Sources,
        only: Option<Currency>,
    ) -> Result<Result<Value, MixedCurrencies>, ReadError> {
        let currency_of = |id: &Uuid| sources.get(id).map(|source| source.definition.currency);
        let each = self.by_source.iter();
        let counted: Vec<_> = each.filter(|(id, _)| only.is_none_or(|one| currency_of(id) == Some(one))).collect();
        let currency = |ids: &mut dyn Iterator<Item = &Uuid>| {
            let currencies: BTreeSet<_> = ids.filter_map(currency_of).collect();
            if currencies.len() > 1 { Err(MixedCurrencies) } else { Ok(currencies.first().copied()) }
        };
        match column {
            MeasureColumn::Additive(measure) => {
                let stating: Vec<_> =
                    counted.iter().filter_map(|(id, stated)| Some((*id, *stated.get(&measure)?))).collect();
                if stating.is_empty() {
                    return Ok(Ok(Value::Null));
                }
                let total = total(stating.iter().map(|(_, value)| *value))?;
                Ok(match measure.unit() {
                    Unit::Count => Ok(Value::Count(total)),
                    Unit::Credit | Unit::Ratio => Ok(Value::Millionths(total)),
                    Unit::Money => currency(&mut stating.iter().map(|(id, _)| *id)).map(|one| money(total, one)),
                })
            }
            MeasureColumn::Derived(derived) => {
                let both = |stated: &ValuesBySource| {
                    Some((*stated.get(&derived.numerator)?, *stated.get(&derived.denominator)?))
                };
                let stating: Vec<_> = counted.iter().filter_map(|(id, stated)| Some((*id, both(stated)?))).collect();
                let quotient = quotient(derived, stating.iter().map(|(_, sides)| *sides))?;
                let Some(quotient) = quotient else { return Ok(Ok(Value::Null)) };
                if ![derived.numerator, derived.denominator].iter().any(|side| side.unit() == Unit::Money) {
                    return Ok(Ok(Value::Millionths(quotient)));
                }
                Ok(currency(&mut stating.iter().map(|(id, _)| *id)).map(|one| match derived.unit {
                    Unit::Money => money(quotient, one),
                    Unit::Ratio | Unit::Credit | Unit::Count => Value::Millionths(quotient),
                }))
            }
        }
    }
}

/// The quotient of the sums of both sides. Without any, the denominator is an empty sum.
fn quotient(
    derived: &DerivedMeasure,
    sides: impl Iterator<Item = (i128, i128)> + Clone,
) -> Result<Option<i128>, ReadError> {
    let numerator = total(sides.clone().map(|(numerator, _)| numerator))?;
    let denominator = total(sides.map(|(_, denominator)| denominator))?;
    Ok(derived.millionths(numerator, denominator))
}

fn money(micros: i128, currency: Option<Currency>) -> Value {
    currency.map_or(Value::Null, |currency| Value::Money(micros, currency))
}

fn total(values: impl Iterator<Item = i128>) -> Result<i128, ReadError> {
    values.into_iter().try_fold(0_i128, i128::checked_add).ok_or_else(overflow)
}
