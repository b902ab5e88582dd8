//! What a campaign spent on each of its local days.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::money::Currency;

use crate::report::value::Value;
use crate::report::{ReportContext, rows};

/// The spend by day.
#[derive(Debug, Default)]
pub(super) struct Spend {
    /// `None` without any spend, or with several currencies.
    pub by_day: Option<BTreeMap<NaiveDate, i128>>,
    pub currencies: BTreeSet<Currency>,
    pub has_mixed_day: bool,
}

impl Spend {
    /// The spend that these amounts of days come to.
    pub(super) fn new(amounts: impl IntoIterator<Item = (NaiveDate, Currency, i128)>) -> Self {
        let mut days: BTreeMap<NaiveDate, BTreeMap<Currency, i128>> = BTreeMap::new();
        for (day, currency, micros) in amounts {
            *days.entry(day).or_default().entry(currency).or_default() += micros;
        }
        let has_mixed_day = days.values().any(|amounts| amounts.len() > 1);
        let of_one: BTreeMap<_, _> = days.into_iter().filter(|(_, amounts)| amounts.len() == 1).collect();
        let currencies: BTreeSet<_> = of_one.values().flat_map(BTreeMap::keys).copied().collect();
        let is_one = currencies.len() == 1 && !has_mixed_day;
        let by_day =
            is_one.then(|| of_one.into_iter().map(|(day, amounts)| (day, amounts.into_values().sum())).collect());
        Self { by_day, currencies, has_mixed_day }
    }

    pub(super) fn of(rows: &[rows::Row], context: &ReportContext) -> Self {
        let mut by_day = BTreeMap::new();
        let mut currencies = BTreeSet::new();
        let has_mixed_day = rows.iter().any(|row| !row.by_currency.is_empty());
        for row in rows {
            let (Some(Value::Money(micros, currency)), Some(cell)) =
                (row.values.first(), context.own.plan.cells().get(row.key.cell))
            else {
                continue;
            };
            currencies.insert(*currency);
            *by_day.entry(cell.first_date).or_default() += micros;
        }
        let is_one = currencies.len() == 1 && !has_mixed_day;
        Self { by_day: is_one.then_some(by_day), currencies, has_mixed_day }
    }

    pub(super) fn total(&self) -> Value {
        match (&self.by_day, self.currencies.first()) {
            (Some(by_day), Some(currency)) => Value::Money(by_day.values().sum(), *currency),
            _ => Value::Null,
        }
    }
}
