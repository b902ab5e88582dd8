//! The values of one row. Derived measures are computed last: an efficiency from all numbers of the row, a rate from
//! the covered ones. Amounts of different currencies are never added.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::measure::{DerivedMeasure, Measure, Side, Unit};
use domain::money::Currency;

use super::coverage::{self, Coverage, RatioSet};
use super::query::MeasureColumn;
use super::sum::{Sum, overflow};
use super::value::Value;
use crate::error::ReadError;
use crate::sources::{PeriodId, Source, SourcePeriods};

/// The numbers of one source in one row, by the ratios that they are covered for.
type ValuesBySource = BTreeMap<(Measure, RatioSet), i128>;

/// By currency, the values of the measures that have several.
pub(crate) type ByCurrency = BTreeMap<Currency, BTreeMap<&'static str, Value>>;

/// The numbers of all sources in one row.
#[derive(Debug, Clone, Default)]
pub(crate) struct MeasureTotals {
    by_source: BTreeMap<PeriodId, ValuesBySource>,
    /// The last change by each source.
    pub changes: BTreeMap<PeriodId, DateTime<Utc>>,
}

/// What the values of a row follow from beside its numbers.
pub(crate) struct ValueContext<'a> {
    pub sources: &'a SourcePeriods,
    pub coverage: &'a Coverage,
    /// Whether the row is of one source, so that only its own sides meet.
    pub is_of_one_source: bool,
    /// The currencies of the sources of the row that state a measure: without a number, they say 0. With a currency,
    /// only of sources with this one.
    pub stating: &'a dyn Fn(Measure, Option<Currency>) -> BTreeSet<Currency>,
}

/// What a ratio divides.
struct Operands {
    /// `None`: there is no number, and no source that states it.
    numerator: Option<i128>,
    denominator: Option<i128>,
    /// The currencies of both.
    currencies: BTreeSet<Currency>,
}

/// The error of a value whose amounts have several currencies.
#[derive(Debug, Clone, Copy)]
struct MixedCurrencies;

impl MeasureTotals {
    /// Adds a sum that is covered for these ratios. `None` if the result does not fit.
    pub(crate) fn add(&mut self, sum: &Sum, covered: RatioSet) -> Option<()> {
        self.add_value(sum.source, sum.measure, covered, sum.value)?;
        let changed_at = self.changes.entry(sum.source).or_insert(sum.changed_at);
        *changed_at = sum.changed_at.max(*changed_at);
        Some(())
    }

    pub(crate) fn add_value(
        &mut self,
        source: PeriodId,
        measure: Measure,
        covered: RatioSet,
        value: i128,
    ) -> Option<()> {
        let stated = self.by_source.entry(source).or_default().entry((measure, covered)).or_default();
        *stated = stated.checked_add(value)?;
        Some(())
    }

    /// The numbers, by source, measure and what they are covered for.
    pub(crate) fn stated(&self) -> impl Iterator<Item = (PeriodId, Measure, RatioSet, i128)> {
        let each = self.by_source.iter();
        each.flat_map(|(source, stated)| {
            stated.iter().map(|((measure, covered), value)| (*source, *measure, *covered, *value))
        })
    }

    /// The numbers of a measure, by source and what they are covered for.
    pub(super) fn entries(&self, measure: Measure) -> impl Iterator<Item = (PeriodId, RatioSet, i128)> + Clone {
        let range = (measure, RatioSet::NONE)..=(measure, RatioSet::ALL);
        let each = self.by_source.iter();
        each.flat_map(move |(source, stated)| {
            stated.range(range.clone()).map(|((_, covered), value)| (*source, *covered, *value))
        })
    }

    pub(crate) fn states(&self, measure: Measure) -> bool {
        self.entries(measure).next().is_some()
    }

    /// Whether it has any number of a source.
    pub(super) fn is_of(&self, source: PeriodId) -> bool {
        self.by_source.contains_key(&source)
    }

    /// The values of these measures, in their order.
    pub(crate) fn values(
        &self,
        columns: &[MeasureColumn],
        context: &ValueContext<'_>,
    ) -> Result<(Vec<Value>, ByCurrency), ReadError> {
        let mut values = Vec::with_capacity(columns.len());
        let mut by_currency = ByCurrency::new();
        for column in columns {
            let value = self.value(*column, context, None)?;
            if value.is_err() {
                self.split_by_currency(*column, context, &mut by_currency)?;
            }
            values.push(value.unwrap_or(Value::Null));
        }
        Ok((values, by_currency))
    }

    /// The values with money, in each currency, even in one alone.
    pub(crate) fn by_currency(
        &self,
        columns: &[MeasureColumn],
        context: &ValueContext<'_>,
    ) -> Result<ByCurrency, ReadError> {
        let mut by_currency = ByCurrency::new();
        for column in columns {
            if column.parts().iter().any(|part| part.unit() == Unit::Money) {
                self.split_by_currency(*column, context, &mut by_currency)?;
            }
        }
        Ok(by_currency)
    }

    fn split_by_currency(
        &self,
        column: MeasureColumn,
        context: &ValueContext<'_>,
        into: &mut ByCurrency,
    ) -> Result<(), ReadError> {
        let currencies: BTreeSet<_> = self.by_source.keys().filter_map(|id| context.currency(*id)).collect();
        for currency in currencies {
            let value = self.value(column, context, Some(currency))?.unwrap_or(Value::Null);
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
        context: &ValueContext<'_>,
        only: Option<Currency>,
    ) -> Result<Result<Value, MixedCurrencies>, ReadError> {
        match column {
            MeasureColumn::Additive(measure) => {
                let numbers = context.of_currency(self.entries(measure), only);
                let Some(total) = total(numbers.clone())? else { return Ok(Ok(Value::Null)) };
                Ok(figure(measure.unit(), total, || context.currencies(numbers)))
            }
            MeasureColumn::Net(net) => {
                let counts = |id: &PeriodId| {
                    let source = context.sources.get(id);
                    source.is_some_and(|source| coverage::counts_net(net, source, context.is_of_one_source))
                };
                let (mut sum, mut currencies) = (None, BTreeSet::new());
                for (measure, sign) in net.terms() {
                    let numbers = context.of_currency(self.entries(measure).filter(|(id, ..)| counts(id)), only);
                    let Some(part) = total(numbers.clone())? else { continue };
                    let signed = part.checked_mul(sign).ok_or_else(overflow)?;
                    sum = Some(sum.unwrap_or(0_i128).checked_add(signed).ok_or_else(overflow)?);
                    currencies.extend(context.currencies(numbers));
                }
                let Some(sum) = sum else { return Ok(Ok(Value::Null)) };
                Ok(figure(net.gross.unit(), sum, || currencies))
            }
            MeasureColumn::Derived(ratio) => {
                let Operands { numerator, denominator, currencies } = self.operands(ratio, context, only)?;
                let quotient = numerator.zip(denominator).and_then(|(above, below)| ratio.millionths(above, below));
                let Some(quotient) = quotient else { return Ok(Ok(Value::Null)) };
                let has_money = Side::ALL.iter().any(|side| ratio.side(*side).unit() == Unit::Money);
                if has_money && currencies.len() > 1 {
                    return Ok(Err(MixedCurrencies));
                }
                Ok(figure(ratio.unit, quotient, || currencies))
            }
            MeasureColumn::Operand(ratio, side) => {
                let Operands { numerator, denominator, currencies } = self.operands(ratio, context, only)?;
                let operand = if side == Side::Numerator { numerator } else { denominator };
                let Some(operand) = operand else { return Ok(Ok(Value::Null)) };
                Ok(figure(ratio.side(side).unit(), operand, || currencies))
            }
        }
    }

    /// What a ratio divides: all numbers, or those that are covered. A covered side without a number is 0.
    fn operands(
        &self,
        ratio: &DerivedMeasure,
        context: &ValueContext<'_>,
        only: Option<Currency>,
    ) -> Result<Operands, ReadError> {
        let (mut sums, mut currencies) = ([None; 2], BTreeSet::new());
        let covered_only = context.coverage.covered_only(ratio);
        for (side, sum) in Side::ALL.into_iter().zip(&mut sums) {
            let measure = ratio.side(side);
            let is_covered = |source: PeriodId, covered: RatioSet| match covered_only {
                None => true,
                Some(index) if context.is_of_one_source => context.coverage.alone(source).contains(index),
                Some(index) => covered.contains(index),
            };
            let entries = self.entries(measure).filter(|(source, covered, _)| is_covered(*source, *covered));
            let numbers = context.of_currency(entries, only);
            *sum = total(numbers.clone())?;
            let counts_currencies = covered_only.is_some() || measure.unit() == Unit::Money;
            if covered_only.is_none() && sum.is_none() {
                let stating = (context.stating)(measure, only);
                *sum = (!stating.is_empty()).then_some(0);
                currencies.extend(stating.into_iter().filter(|_| counts_currencies));
            } else if counts_currencies {
                currencies.extend(context.currencies(numbers));
            }
        }
        let [mut numerator, mut denominator] = sums;
        if covered_only.is_some() && (numerator.is_some() || denominator.is_some()) {
            numerator.get_or_insert(0);
            denominator.get_or_insert(0);
        }
        Ok(Operands { numerator, denominator, currencies })
    }
}

impl ValueContext<'_> {
    fn currency(&self, source: PeriodId) -> Option<Currency> {
        self.sources.get(&source).map(|source| source.definition.currency)
    }

    fn of_currency(
        &self,
        numbers: impl Iterator<Item = (PeriodId, RatioSet, i128)> + Clone,
        only: Option<Currency>,
    ) -> impl Iterator<Item = (PeriodId, RatioSet, i128)> + Clone {
        numbers.filter(move |(source, ..)| only.is_none_or(|one| self.currency(*source) == Some(one)))
    }

    fn currencies(&self, numbers: impl Iterator<Item = (PeriodId, RatioSet, i128)>) -> BTreeSet<Currency> {
        numbers.filter_map(|(source, ..)| self.currency(source)).collect()
    }
}

/// The currencies of the sources that state a measure, if they say anything at all; with `only`, of the sources of this
/// currency.
pub(crate) fn currencies_stating<'a>(
    sources: impl Iterator<Item = &'a Source>,
    measure: Measure,
    only: Option<Currency>,
) -> BTreeSet<Currency> {
    let stating = sources.filter(|source| source.has_data && source.states(measure));
    let currencies = stating.map(|source| source.definition.currency);
    currencies.filter(|currency| only.is_none_or(|one| one == *currency)).collect()
}

/// A number in its unit. Money needs one currency.
fn figure(unit: Unit, number: i128, currencies: impl FnOnce() -> BTreeSet<Currency>) -> Result<Value, MixedCurrencies> {
    match unit {
        Unit::Count => Ok(Value::Count(number)),
        Unit::Credit | Unit::Ratio => Ok(Value::Millionths(number)),
        Unit::Money => {
            let currencies = currencies();
            if currencies.len() > 1 {
                return Err(MixedCurrencies);
            }
            Ok(currencies.first().map_or(Value::Null, |currency| Value::Money(number, *currency)))
        }
    }
}

/// The sum of numbers; `None` without any.
fn total(numbers: impl Iterator<Item = (PeriodId, RatioSet, i128)>) -> Result<Option<i128>, ReadError> {
    numbers.into_iter().try_fold(None, |total: Option<i128>, (.., value)| {
        total.unwrap_or(0).checked_add(value).map(Some).ok_or_else(overflow)
    })
}
