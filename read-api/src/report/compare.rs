//! Rows beside those of another range, and what changed since.

use std::collections::BTreeMap;

use domain::decimal::{MILLION, divide_half_even};
use domain::freshness::State;

use super::combine::{Row, RowKey, Setting, WHOLE};
use super::query::DataState;
use super::value::Value;

/// The numbers that a row is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    /// The values of the query's measures, in its order.
    pub(crate) values: Vec<Value>,
    pub(crate) state: State,
}

/// What became of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// By how much it is more than it was. Null where either is not told, or they are in different currencies.
    pub(crate) absolute: Value,
    /// The same as a part of what it was. Null where that was 0.
    pub(crate) relative: Value,
}

/// Each row of a report beside the one of `then` that it corresponds to. What is only there gets a row, too.
pub(crate) fn pair(own: &Setting<'_>, rows: Vec<Row>, then: &Setting<'_>, of_then: Vec<Row>) -> Vec<Row> {
    let mut of_then: BTreeMap<RowKey, Row> = of_then.into_iter().map(|row| (row.key.clone(), row)).collect();
    let untold = || vec![Value::Null; own.query.measures.len()];
    let mut paired: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let compared = match of_then.remove(&row.key) {
            Some(then) => Compared { values: then.values, state: then.state },
            None => Compared { values: untold(), state: then.state(&row.key) },
        };
        paired.push(Row { compared: Some(compared), ..row });
    }
    for (key, then) in of_then {
        // Of a cell that has no counterpart there is no other state than its own.
        let has_cell = key.cell == WHOLE || key.cell < own.cells.len();
        let state = if has_cell { own.state(&key) } else { then.state };
        // Of several cells, there is nothing final here; of one, it may still come.
        let is_final = own.query.data_state == DataState::Final;
        if is_final && key.cell != WHOLE && state != State::Final {
            continue;
        }
        let state = if is_final { State::Final } else { state };
        let compared = Some(Compared { values: then.values, state: then.state });
        let (changes, by_currency) = Default::default();
        paired.push(Row { key, values: untold(), state, changes, by_currency, compared });
    }
    paired
}

impl Change {
    pub(crate) fn of(now: Value, then: Value) -> Self {
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
