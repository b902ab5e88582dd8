//! Rows compared with those of another range, and the changes between both.

use std::collections::{BTreeMap, BTreeSet};

use domain::decimal::{MILLION, divide_half_even};
use domain::freshness::Finality;
use domain::money::Currency;

use super::measure_values::ByCurrency;
use super::query::DataState;
use super::rows::{Compared, ENTIRE_RANGE, Row, RowContext, RowKey};
use super::value::Value;

/// The change of a number from the other range to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// The difference. Null if either is null, or if they have different currencies.
    pub absolute: Value,
    /// The difference divided by the other number. Null if that is 0.
    pub relative: Value,
}

/// Adds to each row of a report the corresponding row of the other range. Rows of the other range alone are added, too.
pub(super) fn pair(own: &RowContext<'_>, rows: Vec<Row>, other: &RowContext<'_>, compared_rows: Vec<Row>) -> Vec<Row> {
    let mut compared_rows: BTreeMap<RowKey, Row> =
        compared_rows.into_iter().map(|row| (row.key.clone(), row)).collect();
    let nulls = || vec![Value::Null; own.query.measures.len()];
    let mut paired: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let compared = match compared_rows.remove(&row.key) {
            Some(compared) => Compared::with(compared),
            None => Compared::with_nothing(nulls(), other.state(&other.counterpart(&row.key))),
        };
        paired.push(Row { compared: Some(compared), ..row });
    }
    for (key, compared) in compared_rows {
        // A cell without a counterpart has its own state.
        let has_cell = key.cell == ENTIRE_RANGE || key.cell < own.cells.len();
        let state = if has_cell { own.state(&key) } else { compared.state };
        // If only final buckets are requested, a bucket that is not final here has no row yet.
        let is_final = own.query.data_state == DataState::Final;
        if is_final && key.cell != ENTIRE_RANGE && state != Finality::Final {
            continue;
        }
        let state = if is_final { Finality::Final } else { state };
        let compared = Some(Compared::with(compared));
        let (changes, by_currency, money_by_currency) = Default::default();
        paired.push(Row { key, values: nulls(), state, changes, by_currency, money_by_currency, compared });
    }
    paired
}

/// The changes of the measures that have several currencies in either range, in each of these.
pub(super) fn by_currency(
    row: &Row,
    compared: &Compared,
) -> BTreeMap<Currency, BTreeMap<&'static str, (Value, Change)>> {
    let by_currency = row.by_currency.values().chain(compared.by_currency.values()).flat_map(BTreeMap::keys);
    let measures: BTreeSet<&'static str> = by_currency.copied().collect();
    let mut changes: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for currency in row.money_by_currency.keys().chain(compared.money_by_currency.keys()) {
        for measure in &measures {
            let value = |of: &ByCurrency| of.get(currency).and_then(|values| values.get(measure)).copied();
            let (now, other) = (value(&row.money_by_currency), value(&compared.money_by_currency));
            if now.or(other).is_some() {
                let (now, other) = (now.unwrap_or(Value::Null), other.unwrap_or(Value::Null));
                changes.entry(*currency).or_default().insert(*measure, (other, Change::of(now, other)));
            }
        }
    }
    changes
}

impl Compared {
    fn with(row: Row) -> Self {
        let Row { values, by_currency, money_by_currency, state, .. } = row;
        Self { values, by_currency, money_by_currency, state }
    }

    fn with_nothing(values: Vec<Value>, state: Finality) -> Self {
        Self { values, by_currency: ByCurrency::new(), money_by_currency: ByCurrency::new(), state }
    }
}

impl Change {
    pub(super) fn of(now: Value, other: Value) -> Self {
        Self::computed(now, other).unwrap_or(Self { absolute: Value::Null, relative: Value::Null })
    }

    fn computed(now: Value, other: Value) -> Option<Self> {
        let (now, before) = match (now, other) {
            (Value::Count(now), Value::Count(before)) | (Value::Millionths(now), Value::Millionths(before)) => {
                (now, before)
            }
            (Value::Money(now, currency), Value::Money(before, same)) if currency == same => (now, before),
            _ => return None,
        };
        let change = now.checked_sub(before)?;
        let absolute = match other {
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
