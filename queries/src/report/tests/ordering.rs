use std::collections::BTreeMap;

use domain::freshness::Finality;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::order::page;
use super::super::plan::Plan;
use super::super::query::ReportQuery;
use super::super::rows::Compared;
use super::super::rows::{Row, RowKey, SourceKey};
use super::super::value::Value;
use super::{id, query};
use crate::error::ReadError;
use crate::paging::PageRequest;
use crate::version::Version;

fn request(order_by: &Json) -> ReportQuery {
    query(json!({
        "date_from": "2026-11-18", "date_to": "2026-11-21", "granularity": "day", "measures": ["clicks", "spend"],
        "group_by": ["channel", "source", "campaign"], "order_by": order_by,
    }))
}

fn page_request(limit: usize, cursor: Option<&str>) -> PageRequest<'_> {
    PageRequest { limit, cursor, hash: "hash", epoch: 7, version: Version::of_clock(None), dates: None }
}

fn row((cell, name, campaign, clicks, spend): (usize, u8, u128, Option<i64>, Option<(i64, bool)>)) -> Row {
    let source = SourceKey { name: format!("source_{name}"), id: id(u128::from(name)) };
    let currency = |euros: bool| if euros { "EUR" } else { "USD" }.parse().unwrap();
    Row {
        key: RowKey {
            cell,
            channel: Some("email".to_owned()),
            source: Some(source),
            campaign: Some(id(campaign)),
            dimension_value: None,
        },
        values: vec![
            clicks.map_or(Value::Null, |clicks| Value::Count(clicks.into())),
            spend.map_or(Value::Null, |(micros, euros)| Value::Money(micros.into(), currency(euros))),
        ],
        state: Finality::Final,
        changes: BTreeMap::new(),
        by_currency: BTreeMap::new(),
        money_by_currency: BTreeMap::new(),
        compared: None,
    }
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let money = proptest::option::of((-3..3_i64, any::<bool>()));
    let any = (0..4_usize, 0..3_u8, 0..3_u128, proptest::option::of(-2..3_i64), money);
    proptest::collection::vec(any.prop_map(row), 0..40).prop_map(|mut rows| {
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        rows.dedup_by(|a, b| a.key == b.key);
        rows
    })
}

fn any_order() -> impl Strategy<Value = Json> {
    let one = proptest::sample::select(vec![
        "clicks",
        "-clicks",
        "spend",
        "-spend",
        "bucket",
        "-bucket",
        "source",
        "-source",
        "-campaign",
        "channel",
    ]);
    proptest::collection::vec(one, 0..4).prop_map(|names| json!(names))
}

proptest! {
    /// Page by page, every row comes once and in the order of the whole.
    #[test]
    fn pages_add_up_to_the_whole(rows in any_rows(), order_by in any_order(), limit in 1..7_usize) {
        let query = request(&order_by);
        let plan = Plan::new(&query).unwrap();
        let whole = page(rows.clone(), &query, plan.cells(), page_request(1_000, None)).unwrap();
        prop_assert_eq!(whole.next_cursor, None);
        let mut cursor = None;
        let mut seen = Vec::new();
        loop {
            let next = page(rows.clone(), &query, plan.cells(), page_request(limit, cursor.as_deref())).unwrap();
            prop_assert!(next.rows.len() <= limit);
            seen.extend(next.rows.into_iter().map(|row| row.key));
            cursor = next.next_cursor;
            if cursor.is_none() { break; }
        }
        let expected: Vec<_> = whole.rows.into_iter().map(|row| row.key).collect();
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn sorts_nulls_last_and_each_currency_by_itself() {
    let rows = vec![
        row((0, 1, 1, None, Some((5, true)))),
        row((0, 1, 2, Some(1), Some((9, false)))),
        row((0, 2, 1, Some(3), None)),
        row((1, 1, 1, Some(2), Some((7, true)))),
    ];
    let order = |by: &str| {
        let query = request(&json!([by]));
        let plan = Plan::new(&query).unwrap();
        let sorted = page(rows.clone(), &query, plan.cells(), page_request(10, None)).unwrap();
        sorted.rows.iter().map(|row| format!("{:?}", row.values)).collect::<Vec<_>>().join(" ")
    };
    let euro = "Money(5, Currency(EUR))";
    assert!(order("clicks").ends_with(&format!("[Null, {euro}]")));
    assert!(order("-clicks").ends_with(&format!("[Null, {euro}]")));
    assert!(order("-clicks").starts_with("[Count(3), Null]"));
    assert!(order("spend").starts_with(&format!("[Null, {euro}] [Count(2), Money(7")));
    assert!(order("-spend").ends_with("[Count(1), Money(9, Currency(USD))] [Count(3), Null]"));
}

#[test]
fn sorts_rows_by_their_changes() {
    // Campaign, clicks, clicks in the other range: +5, +10, nothing, +8 since 0, -3.
    let clicks = [
        (1, Some(10), Some(5)),
        (2, Some(100), Some(90)),
        (3, Some(3), None),
        (4, Some(8), Some(0)),
        (5, Some(1), Some(4)),
    ];
    let rows = clicks.map(|(campaign, now, then)| {
        let then = row((0, 1, campaign, then, None));
        let compared = Compared {
            values: then.values,
            by_currency: then.by_currency,
            money_by_currency: then.money_by_currency,
            state: then.state,
        };
        Row { compared: Some(compared), ..row((0, 1, campaign, now, None)) }
    });
    let order = |by: &str| {
        let mut request = json!({"measures": ["clicks"], "group_by": ["campaign"], "compare_to": "previous_period"});
        request["order_by"] = json!([by]);
        let query = query(request);
        let plan = Plan::new(&query).unwrap();
        // A row a page: cursors hold what was computed.
        let (mut campaigns, mut cursor) = (Vec::new(), None);
        loop {
            let next = page(rows.to_vec(), &query, plan.cells(), page_request(1, cursor.as_deref())).unwrap();
            campaigns.extend(next.rows.iter().map(|row| row.key.campaign.unwrap().as_u128()));
            cursor = next.next_cursor;
            if cursor.is_none() {
                return campaigns;
            }
        }
    };
    assert_eq!(order("-clicks_change"), [2, 4, 1, 5, 3]);
    assert_eq!(order("clicks_change"), [5, 1, 4, 2, 3]);
    assert_eq!(order("-clicks_relative_change"), [1, 2, 5, 3, 4]);
    assert_eq!(order("clicks_relative_change"), [5, 2, 1, 3, 4]);
}

#[test]
fn rejects_cursors_of_another_order() {
    let query = request(&json!([]));
    let plan = Plan::new(&query).unwrap();
    let rows = || vec![row((0, 1, 1, None, None)), row((1, 1, 1, None, None))];
    let ask = |query: &ReportQuery, cursor: Option<String>, hash: &str, epoch: i32| {
        page(rows(), query, plan.cells(), PageRequest { hash, epoch, ..page_request(1, cursor.as_deref()) })
    };
    let cursor = ask(&query, None, "hash", 7).unwrap().next_cursor;
    assert!(cursor.is_some());
    assert!(matches!(ask(&query, cursor.clone(), "other", 7), Err(ReadError::CursorMismatch)));
    assert!(matches!(ask(&query, cursor.clone(), "hash", 8), Err(ReadError::CursorExpired)));
    assert!(matches!(ask(&request(&json!(["clicks"])), cursor, "hash", 7), Err(ReadError::CursorMalformed)));
    assert!(matches!(ask(&query, Some("é".to_owned()), "hash", 7), Err(ReadError::CursorMalformed)));
}
