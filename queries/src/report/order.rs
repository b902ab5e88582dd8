//! Sorting and pages. A page begins behind the sort key of the last row of the page before, so that rows that come or
//! go in between never shift it.

use std::cmp::Ordering;

use domain::bucket::ReportBucket;
use serde::{Deserialize, Serialize};

use super::compare::Change;
use super::query::{GroupKey, MeasureColumn, Order, OrderBy, ReportQuery};
use super::rows::{Row, RowKey};
use super::value::Value;
use crate::error::ReadError;
use crate::paging::PageRequest;

/// One part of a sort key, in a form that survives a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SortKeyPart {
    /// A bucket's start, or a group's name or id.
    Text(String),
    /// A measure's value as digits, with its currency if it has one.
    Number(String, String),
    /// No value: behind all others, in both directions.
    Nothing,
}

/// One page of rows.
#[derive(Debug)]
pub(super) struct PageOfRows {
    pub rows: Vec<Row>,
    pub next_cursor: Option<String>,
}

/// Sorts the rows of a query and cuts out the requested page.
pub(super) fn page(
    rows: Vec<Row>,
    query: &ReportQuery,
    cells: &[ReportBucket],
    page: PageRequest<'_>,
) -> Result<PageOfRows, ReadError> {
    let after: Option<Vec<SortKeyPart>> = page.after()?;
    let orders = total_order(query);
    if after.as_ref().is_some_and(|after| after.len() != orders.len()) {
        return Err(ReadError::CursorMalformed);
    }
    let mut keyed: Vec<(Vec<SortKeyPart>, Row)> =
        rows.into_iter().map(|row| (sort_key(&row, query, &orders, cells), row)).collect();
    keyed.sort_unstable_by(|(a, _), (b, _)| compare(a, b, &orders));
    let begin = after.map_or(0, |after| keyed.partition_point(|(key, _)| compare(key, &after, &orders).is_le()));
    let (keyed, next_cursor) = page.into_page(keyed.split_off(begin), |(key, _)| key.clone());
    Ok(PageOfRows { rows: keyed.into_iter().map(|(_, row)| row).collect(), next_cursor })
}

/// The query's own order, and behind it the keys of a row, so that the order is total.
fn total_order(query: &ReportQuery) -> Vec<Order> {
    let groups = query.group_by.iter().map(|key| OrderBy::Group(*key));
    let mut orders = query.order_by.clone();
    for by in std::iter::once(OrderBy::Bucket).chain(groups) {
        if !orders.iter().any(|order| order.by == by) {
            orders.push(Order { by, descending: false });
        }
    }
    orders
}

fn sort_key(row: &Row, query: &ReportQuery, orders: &[Order], cells: &[ReportBucket]) -> Vec<SortKeyPart> {
    let part = |order: &Order| match order.by {
        OrderBy::Bucket => bucket(&row.key, cells),
        OrderBy::Group(key) => group(&row.key, key),
        OrderBy::Measure(column) => at(query, column, &row.values).map_or(SortKeyPart::Nothing, value),
        OrderBy::Change(column) => {
            change(row, query, column).map_or(SortKeyPart::Nothing, |change| value(change.absolute))
        }
        OrderBy::RelativeChange(column) => {
            change(row, query, column).map_or(SortKeyPart::Nothing, |change| value(change.relative))
        }
    };
    orders.iter().map(part).collect()
}

fn at(query: &ReportQuery, column: MeasureColumn, values: &[Value]) -> Option<Value> {
    let index = query.measures.iter().position(|measure| *measure == column)?;
    values.get(index).copied()
}

fn change(row: &Row, query: &ReportQuery, column: MeasureColumn) -> Option<Change> {
    let compared = row.compared.as_ref()?;
    Some(Change::of(at(query, column, &row.values)?, at(query, column, &compared.values)?))
}

/// Buckets sort by their first instant, written so that text order is time order. Cells of the other range alone come
/// last, in their order.
fn bucket(key: &RowKey, cells: &[ReportBucket]) -> SortKeyPart {
    match cells.get(key.cell) {
        Some(cell) => SortKeyPart::Text(format!("{:012}", cell.start.timestamp())),
        None => SortKeyPart::Number(key.cell.to_string(), String::new()),
    }
}

fn group(key: &RowKey, by: GroupKey) -> SortKeyPart {
    let text = match by {
        GroupKey::Channel => key.channel.clone(),
        // Names are unique in a workspace.
        GroupKey::Source => key.source.as_ref().map(|source| source.name.clone()),
        GroupKey::Campaign => key.campaign.map(|id| id.as_hyphenated().to_string()),
        GroupKey::Dimension(_) => key.dimension_value.as_ref().and_then(|value| value.text().map(str::to_owned)),
    };
    text.map_or(SortKeyPart::Nothing, SortKeyPart::Text)
}

fn value(value: Value) -> SortKeyPart {
    match value {
        Value::Null => SortKeyPart::Nothing,
        Value::Count(number) | Value::Millionths(number) => SortKeyPart::Number(number.to_string(), String::new()),
        Value::Money(micros, currency) => SortKeyPart::Number(micros.to_string(), currency.to_string()),
    }
}

fn compare(a: &[SortKeyPart], b: &[SortKeyPart], orders: &[Order]) -> Ordering {
    let each = a.iter().zip(b).zip(orders);
    each.map(|((a, b), order)| compare_part(a, b, order.descending))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_part(a: &SortKeyPart, b: &SortKeyPart, descending: bool) -> Ordering {
    let directed = |order: Ordering| if descending { order.reverse() } else { order };
    match (a, b) {
        (SortKeyPart::Text(a), SortKeyPart::Text(b)) => directed(a.cmp(b)),
        // Amounts of different currencies cannot be compared: they sort by currency first.
        (SortKeyPart::Number(a, a_currency), SortKeyPart::Number(b, b_currency)) => {
            a_currency.cmp(b_currency).then_with(|| directed(number(a).cmp(&number(b))))
        }
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn rank(part: &SortKeyPart) -> u8 {
    match part {
        SortKeyPart::Text(_) => 0,
        SortKeyPart::Number(..) => 1,
        SortKeyPart::Nothing => 2,
    }
}

/// The number of these digits. A cursor with other text only moves its own page.
fn number(digits: &str) -> i128 {
    digits.parse().unwrap_or_default()
}
