//! Rows beside those of another range, and what changed since.

use std::collections::{BTreeMap, BTreeSet};

use domain::decimal::{MILLION, divide_half_even};
use domain::freshness::Finality;
use domain::money::Currency;

use super::measure_values::ByCurrency;
use super::query::DataState;
use super::rows::{Compared, ENTIRE_RANGE, Row, RowContext, RowKey};
use super::value::Value;

/// What became of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// By how much it is more than it was. Null where either is not told, or they are in different currencies.
    pub absolute: Value,
    /// The same as a part of what it was. Null where that was 0.
    pub relative: Value,
}

/// Each row of a report beside the one of `then` that it corresponds to. What is only there gets a row, too.
pub(super) fn pair(own: &RowContext<'_>, rows: Vec<Row>, then: &RowContext<'_>, of_then: Vec<Row>) -> Vec<Row> {
    let mut of_then: BTreeMap<RowKey, Row> = of_then.into_iter().map(|row| (row.key.clone(), row)).collect();
    let untold = || vec![Value::Null; own.query.measures.len()];
    let mut paired: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let compared = match of_then.remove(&row.key) {
            Some(then) => Compared::with(then),
            None => Compared::with_nothing(untold(), then.state(&then.counterpart(&row.key))),
        };
        paired.push(Row { compared: Some(compared), ..row });
    }
    for (key, then) in of_then {
        // Of a cell that has no counterpart there is no other state than its own.
        let has_cell = key.cell == ENTIRE_RANGE || key.cell < own.cells.len();
        let state = if has_cell { own.state(&key) } else { then.state };
        // Of several cells, there is nothing final here; of one, it may still come.
        let is_final = own.query.data_state == DataState::Final;
        if is_final && key.cell != ENTIRE_RANGE && state != Finality::Final {
            continue;
        }
        let state = if is_final { Finality::Final } else { state };
        let compared = Some(Compared::with(then));
        let (changes, by_currency, in_each) = Default::default();
        paired.push(Row { key, values: untold(), state, changes, by_currency, in_each, compared });
    }
    paired
}

/// What became of the measures that either range tells in several currencies, in each of these.
pub(super) fn by_currency(
    row: &Row,
    compared: &Compared,
) -> BTreeMap<Currency, BTreeMap<&'static str, (Value, Change)>> {
    let told_apart = row.by_currency.values().chain(compared.by_currency.values()).flat_map(BTreeMap::keys);
    let measures: BTreeSet<&'static str> = told_apart.copied().collect();
    let mut changes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for currency in row.in_each.keys().chain(compared.in_each.keys()) {
        for measure in &measures {
            let value = |of: &ByCurrency| of.get(currency).and_then(|values| values.get(measure)).copied();
            let (now, then) = (value(&row.in_each), value(&compared.in_each));
            if now.or(then).is_some() {
                let (now, then) = (now.unwrap_or(Value::Null), then.unwrap_or(Value::Null));
                changes.entry(*currency).or_default().insert(*measure, (then, Change::of(now, then)));
            }
        }
    }
    changes
}

impl Compared {
    fn with(then: Row) -> Self {
        Self { values: then.values, by_currency: then.by_currency, in_each: then.in_each, state: then.state }
    }

    fn with_nothing(values: Vec<Value>, state: Finality) -> Self {
        Self { values, by_currency: ByCurrency::new(), in_each: ByCurrency::new(), state }
    }
}

impl Change {
    pub(super) fn of(now: Value, then: Value) -> Self {
        Self::computed(now, then).unwrap_or(Self { absolute: Value::Null, relative: Value::Null })
    }

    fn computed(now: Value, then: Value) -> Option<Self> {
        let (now, before) = match (now, then) {
            (Value::Count(now), Value::Count(before)) | (Value::Millionths(now), Value::Millionths(before)) => {
                (now, before)
            }
            (Value::Money(now, currency), Value::Money(before, same)) if currency == same => (now, before),
            _ => return None,
        };
        let change = now.checked_sub(before)?;
        let absolute = match then {
            Value::Null => Value::Null,
            Value::Count(_) => Value::Count(change),
            Value::Millionths(_) => Value::Millionths(change),
            Value::Money(_, currency) => Value::Money(change, currency),
        };
        let scaled = change.checked_mul(i128::from(MILLION));
        let relative = scaled.and_then(|scaled| divide_half_even(scaled, before.checked_abs()?));
        Some(Self { absolute, relative: relative.map_or(Value::Null, Value::Millionths) })
    }
}
