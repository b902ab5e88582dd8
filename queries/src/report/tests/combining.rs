use std::collections::{BTreeMap, BTreeSet};

use domain::bucket::Grain;
use domain::freshness::Finality;
use domain::measure::Measure;
use domain::source::SourceRole;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::plan::Plan;
use super::super::rows::{AuthoritativeSources, Row, RowContext, watermarks};
use super::super::sum::Sum;
use super::super::warnings;
use super::{ads, at, coverage, id, learned, period, query, source, sources, sum, written};
use crate::parked::Parked;
use crate::sources::SourcePeriods;

/// The rows of a request over two days of UTC, as they are written.
fn rows(request: Value, sources: &SourcePeriods, sums: &[Sum]) -> (Vec<Row>, Value) {
    let mut request = request;
    request["date_from"] = json!("2026-11-20");
    request["date_to"] = json!("2026-11-21");
    request["time_zone"] = json!("UTC");
    let query = query(request);
    let plan = Plan::new(&query).unwrap();
    let sources = &learned(sources, sums);
    let authoritative =
        AuthoritativeSources { together: sources.keys().copied().collect(), by_campaign: BTreeMap::new() };
    let row_context = RowContext {
        query: &query,
        cells: plan.cells(),
        edges: &[],
        measures: &plan.measures,
        sources,
        coverage: &coverage(&query, sources),
        watermarks: watermarks(sources, &query, at("2026-11-22T12:00:00Z")),
        authoritative: &authoritative,
        parked: &Parked::default(),
        now: at("2026-11-22T12:00:00Z"),
    };
    let rows = row_context.rows(&row_context.tally(sums).unwrap()).unwrap();
    let written = written(&row_context, &[], &rows);
    (rows, written)
}

#[test]
fn totals_add_primary_sources_only() {
    let sources = sources([ads(1), ads(2), source(3, "survey", "survey", SourceRole::Reference, "EUR")]);
    let sums = [
        sum(0, 1, Measure::Clicks, 10),
        sum(0, 2, Measure::Clicks, 5),
        sum(1, 2, Measure::Clicks, 1),
        sum(1, 3, Measure::Clicks, 700),
        // A source that is not admitted.
        sum(1, 9, Measure::Clicks, 1_000),
    ];
    let (_, all) = rows(json!({"measures": ["clicks", "impressions"]}), &sources, &sums);
    // One cell for the whole range: both indexes would not occur.
    assert_eq!(all[0]["clicks"], json!(15));
    let (_, days) = rows(json!({"measures": ["clicks", "impressions"], "granularity": "day"}), &sources, &sums);
    assert_eq!(
        days,
        json!([
            {"bucket": "2026-11-20", "clicks": 15, "impressions": null, "state": "provisional"},
            {"bucket": "2026-11-21", "clicks": 1, "impressions": null, "state": "provisional"},
        ])
    );
}

#[test]
fn value_is_zero_if_stated_and_null_otherwise() {
    let sources = sources([ads(1)]);
    let sums = [sum(0, 1, Measure::Clicks, 0), sum(0, 1, Measure::Impressions, 4)];
    let (_, rows) =
        rows(json!({"measures": ["clicks", "impressions", "spend", "ctr", "cpc", "click_to_open"]}), &sources, &sums);
    assert_eq!(
        rows,
        json!([{"clicks": 0, "impressions": 4, "spend": null, "ctr": 0, "cpc": null, "click_to_open": null,
                "state": "provisional"}])
    );
}

#[test]
fn quotients_round_half_to_even() {
    let sources = sources([ads(1)]);
    let ctr = |clicks, impressions| {
        let sums = [sum(0, 1, Measure::Clicks, clicks), sum(0, 1, Measure::Impressions, impressions)];
        rows(json!({"measures": ["ctr"]}), &sources, &sums).1[0]["ctr"].to_string()
    };
    assert_eq!(ctr(1, 3), "0.333333");
    assert_eq!(ctr(2, 3), "0.666667");
    assert_eq!(ctr(1, 2_000_000), "0");
    assert_eq!(ctr(3, 2_000_000), "2e-6");
    assert_eq!(ctr(5, 4), "1.25");
}

#[test]
fn quotient_excludes_sources_that_state_one_side() {
    let sources = sources([ads(1), ads(2), ads(3)]);
    let sums = [
        sum(0, 1, Measure::Spend, 9_000_000),
        sum(0, 1, Measure::Clicks, 3),
        sum(0, 2, Measure::Spend, 100_000_000),
        sum(0, 3, Measure::Clicks, 100),
    ];
    let (_, rows) = rows(json!({"measures": ["cpc", "spend", "clicks"]}), &sources, &sums);
    assert_eq!(rows[0]["cpc"], json!({"amount": "3.000000", "currency": "EUR"}));
    assert_eq!((&rows[0]["clicks"], &rows[0]["spend"]["amount"]), (&json!(103), &json!("109.000000")));
}

#[test]
fn ratio_of_mixed_currencies_is_null() {
    let sources = sources([ads(1), source(2, "us", "paid_search", SourceRole::Primary, "USD")]);
    let sums: Vec<_> = [1, 2]
        .iter()
        .flat_map(|n| {
            [
                sum(0, *n, Measure::Spend, 1_000_000),
                sum(0, *n, Measure::Revenue, 4_000_000),
                sum(0, *n, Measure::Clicks, 2),
            ]
        })
        .collect();
    let (mixed, written) = rows(json!({"measures": ["clicks", "revenue", "roas"]}), &sources, &sums);
    let each = |currency: &str| json!({"revenue": {"amount": "4.000000", "currency": currency}, "roas": 4});
    assert_eq!(
        written,
        json!([{"clicks": 4, "revenue": null, "roas": null, "state": "provisional",
                "by_currency": {"EUR": each("EUR"), "USD": each("USD")}}])
    );
    assert_eq!(warnings::of_currencies(&mixed).unwrap().measures, ["revenue", "roas"]);
    let (apart, written) = rows(json!({"measures": ["roas"], "group_by": ["source"]}), &sources, &sums);
    assert_eq!(
        written[1],
        json!({"source": "us", "role": "primary", "roas": 4, "state": "provisional",
                                    "first_incomplete": "2026-11-20T00:00:00Z"})
    );
    assert_eq!(warnings::of_currencies(&apart), None);
}

#[test]
fn too_large_quotient_is_null_and_too_large_sum_is_an_error() {
    let sources = sources([ads(1)]);
    let most = [sum(0, 1, Measure::Clicks, i128::MAX / 2), sum(0, 1, Measure::Impressions, 1)];
    let (_, written) = rows(json!({"measures": ["ctr"]}), &sources, &most);
    assert_eq!(written[0]["ctr"], json!(null));
}

#[test]
fn row_state_follows_from_its_own_sources() {
    let mut done = ads(1);
    done.freshness.syncs.complete_through = Some(at("2026-11-22T00:00:00Z"));
    done.freshness.syncs.grain = Some(Grain::Day);
    let mail = source(2, "mail", "email", SourceRole::Primary, "EUR");
    let sources = sources([done, mail]);
    let sums = [sum(0, 1, Measure::Clicks, 1), sum(0, 2, Measure::Clicks, 1)];
    let states = |group_by: Value| {
        let (rows, _) = rows(json!({"measures": ["clicks"], "group_by": group_by}), &sources, &sums);
        rows.iter().map(|row| row.state).collect::<Vec<_>>()
    };
    assert_eq!(states(json!([])), [Finality::Provisional]);
    assert_eq!(states(json!(["source"])), [Finality::Final, Finality::Provisional]);
    assert_eq!(states(json!(["channel"])), [Finality::Provisional, Finality::Final]);
}

#[test]
fn overlaps_are_within_one_campaign_and_measure() {
    let of = |campaign: u128, source: u128, measure| Sum { campaign: Some(id(campaign)), ..sum(0, source, measure, 1) };
    let sums = [
        of(1, 1, Measure::Clicks),
        of(2, 2, Measure::Clicks),
        of(1, 2, Measure::Spend),
        of(3, 1, Measure::Spend),
        of(3, 2, Measure::Spend),
    ];
    let both = sources([ads(1), ads(2)]);
    let overlaps = warnings::overlaps_in(&sums);
    assert_eq!(overlaps, BTreeSet::from([(Measure::Spend, BTreeSet::from([period(1), period(2)]))]));
    let reference = sources([ads(1), source(2, "survey", "survey", SourceRole::Reference, "EUR")]);
    assert_eq!(warnings::of_overlaps(&overlaps, &reference), []);
    assert_eq!(warnings::of_overlaps(&overlaps, &both)[0].sources, ["ads_1", "ads_2"]);
}

fn any_sums() -> impl Strategy<Value = Vec<Sum>> {
    let any = (0..2_usize, 1..5_u128, 0..Measure::ALL.len(), 0..1_000_000_i128);
    proptest::collection::vec(
        any.prop_map(|(cell, source, measure, value)| sum(cell, source, Measure::ALL[measure], value)),
        0..60,
    )
}

proptest! {
    /// Grouping moves numbers between rows, and neither adds nor loses any.
    #[test]
    fn rows_add_up_in_every_grouping(sums in any_sums()) {
        let sources = sources([ads(1), ads(2), source(3, "mail", "email", SourceRole::Primary, "EUR"), ads(4)]);
        let names: Vec<_> = Measure::ALL.iter().map(|measure| measure.name()).collect();
        for group_by in [json!([]), json!(["channel"]), json!(["source"]), json!(["channel", "source"])] {
            for granularity in ["day", "all"] {
                let request = json!({"measures": names, "group_by": group_by, "granularity": granularity});
                let sums: Vec<_> = sums.iter().map(|one| Sum { cell: if granularity == "all" { 0 } else { one.cell }, ..one.clone() }).collect();
                let (_, written) = rows(request, &sources, &sums);
                for measure in Measure::ALL {
                    let expected: i128 = sums.iter().filter(|sum| sum.measure == *measure).map(|sum| sum.value).sum();
                    let found: i128 = written.as_array().unwrap().iter().map(|row| integer(&row[measure.name()])).sum();
                    let scale = if measure.unit() == domain::measure::Unit::Count { 1_000_000 } else { 1 };
                    prop_assert_eq!(found, expected * scale, "{}", measure);
                }
            }
        }
    }
}

/// A number or amount in millionths.
fn integer(value: &Value) -> i128 {
    let text = match value {
        Value::Null => return 0,
        Value::Object(money) => money["amount"].as_str().unwrap().to_owned(),
        number => number.to_string(),
    };
    i128::from(domain::decimal::parse_millionths(&text).unwrap())
}
