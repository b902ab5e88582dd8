//! Comparison of ranges, filled gaps, and totals.

use std::collections::BTreeMap;

use domain::bucket::Grain;
use domain::measure::Measure;
use domain::source::SourceRole;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::compare::{Change, pair};
use super::super::fill::{fill, groups};
use super::super::plan::Plan;
use super::super::query::SubtotalKey;
use super::super::rows::{AuthoritativeSources, Row, RowContext, watermarks};
use super::super::sum::Sum;
use super::super::totals::{subtotals, totals};
use super::super::value;
use super::{ads, at, coverage, learned, query, source, sources, sum, written};
use crate::parked::Parked;
use crate::sources::SourcePeriods;

fn compared(request: Value) -> Vec<String> {
    let query = query(request);
    let own = Plan::new(&query).unwrap();
    let then = Plan::compared(&query, &own).unwrap().unwrap();
    let cells = then.cells().iter().map(|cell| {
        let hours = (cell.end - cell.start).num_minutes();
        format!("{} {}:{:02}", cell.label, hours / 60, hours % 60)
    });
    cells.collect()
}

fn ranged(from: &str, to: &str, granularity: &str, zone: &str, compare_to: &Value) -> Vec<String> {
    compared(json!({"date_from": from, "date_to": to, "granularity": granularity, "time_zone": zone,
                    "compare_to": compare_to}))
}

#[test]
fn previous_period_has_as_many_days_or_months() {
    let previous = |from, to, granularity| ranged(from, to, granularity, "UTC", &json!("previous_period"));
    assert_eq!(previous("2026-11-01", "2026-11-02", "day"), ["2026-10-30 24:00", "2026-10-31 24:00"]);
    // Weeks are compared with seven days, not with weeks that begin elsewhere.
    assert_eq!(previous("2026-11-04", "2026-11-13", "week"), ["2026-10-25 120:00", "2026-10-30 120:00"]);
    assert_eq!(previous("2026-11-23", "2026-11-29", "week"), ["2026-11-16 168:00"]);
    // Whole months are compared with months, whatever their lengths.
    assert_eq!(previous("2026-03-01", "2026-03-31", "month"), ["2026-02-01 672:00"]);
    assert_eq!(previous("2026-11-01", "2026-11-30", "all"), ["2026-10-01 744:00"]);
    assert_eq!(previous("2026-11-02", "2026-11-30", "all"), ["2026-10-04 696:00"]);
    let months = previous("2026-01-01", "2026-03-31", "month");
    assert_eq!(months, ["2025-10-01 744:00", "2025-11-01 720:00", "2025-12-01 744:00"]);
    assert_eq!(previous("2026-10-01", "2026-12-31", "quarter"), ["2026-07-01 2208:00"]);
    assert_eq!(previous("2024-01-01", "2024-12-31", "year"), ["2023-01-01 8760:00"]);
    // Whole weeks that make a month: weeks stay weeks.
    let weeks = previous("2027-02-01", "2027-02-28", "week");
    assert_eq!(weeks, ["2027-01-04 168:00", "2027-01-11 168:00", "2027-01-18 168:00", "2027-01-25 168:00"]);
    assert_eq!(previous("2027-02-01", "2027-02-28", "all"), ["2027-01-01 744:00"]);
}

#[test]
fn previous_month_and_quarter_have_the_same_dates() {
    let month = |from, to, granularity| ranged(from, to, granularity, "UTC", &json!("previous_month"));
    assert_eq!(month("2026-11-10", "2026-11-11", "day"), ["2026-10-10 24:00", "2026-10-11 24:00"]);
    assert_eq!(month("2026-11-01", "2026-11-15", "all"), ["2026-10-01 360:00"]);
    // February has no 29th to 31st: nothing corresponds to them. 31 October counts with the 30th.
    let march = month("2026-03-28", "2026-03-31", "day");
    assert_eq!(march, ["2026-02-28 24:00", "2026-03-01 0:00", "2026-03-01 0:00", "2026-03-01 0:00"]);
    assert_eq!(month("2026-11-29", "2026-11-30", "day"), ["2026-10-29 24:00", "2026-10-30 48:00"]);
    let quarter = |from, to, granularity| ranged(from, to, granularity, "UTC", &json!("previous_quarter"));
    assert_eq!(quarter("2026-10-01", "2026-11-30", "month"), ["2026-07-01 744:00", "2026-08-01 744:00"]);
    // Months of weeks: the days of the month of weeks before.
    let retail = compared(json!({
        "date_from": "2024-02-04", "date_to": "2024-02-10", "time_zone": "UTC", "week_start": "sunday",
        "year_start": "february", "retail_weeks": "4-5-4", "granularity": "week", "compare_to": "previous_month",
    }));
    assert_eq!(retail, ["2023-12-31 168:00"]);
}

#[test]
fn previous_year_has_the_same_dates() {
    let previous = |from, to, granularity| ranged(from, to, granularity, "UTC", &json!("previous_year"));
    assert_eq!(previous("2026-11-22", "2026-11-22", "day"), ["2025-11-22 24:00"]);
    assert_eq!(previous("2026-11-01", "2026-12-31", "month"), ["2025-11-01 720:00", "2025-12-01 744:00"]);
    // 2023 has no 29 February: nothing corresponds to it.
    let leap = previous("2024-02-28", "2024-03-01", "day");
    assert_eq!(leap, ["2023-02-28 24:00", "2023-03-01 0:00", "2023-03-01 24:00"]);
    let hours = previous("2024-02-29", "2024-03-01", "hour");
    assert_eq!(hours[23..26], ["2023-03-01T00:00:00Z 0:00", "2023-03-01T00:00:00Z 1:00", "2023-03-01T01:00:00Z 1:00"]);
    // 2024 has one: it is counted with the day before.
    assert_eq!(previous("2025-02-28", "2025-03-01", "day"), ["2024-02-28 48:00", "2024-03-01 24:00"]);
    assert_eq!(previous("2025-02-01", "2025-02-28", "month"), ["2024-02-01 696:00"]);
    assert_eq!(previous("2024-02-29", "2024-02-29", "all"), ["2023-03-01 0:00"]);
}

#[test]
fn previous_year_can_have_the_same_weekdays() {
    let previous = |from, to, granularity| ranged(from, to, granularity, "UTC", &json!("previous_year_weekday"));
    // Black Friday was on 27 November 2026, and on 28 November 2025.
    assert_eq!(previous("2026-11-27", "2026-11-27", "day"), ["2025-11-28 24:00"]);
    assert_eq!(previous("2024-02-26", "2024-03-03", "week"), ["2023-02-27 168:00"]);
}

#[test]
fn compares_whole_days_of_different_lengths() {
    // Berlin's 2026-10-25 has 25 hours, the day before 24, and 2026-03-29 has 23.
    let hours =
        |day, then: &str| ranged(day, day, "hour", "Europe/Berlin", &json!({"date_from": then, "date_to": then}));
    assert_eq!(hours("2026-10-24", "2026-10-25").len(), 25);
    let previous = |day| ranged(day, day, "hour", "Europe/Berlin", &json!("previous_period"));
    let long = previous("2026-10-25");
    assert_eq!(
        (long.len(), long[23].as_str(), long[24].as_str()),
        (25, "2026-10-24T21:00:00Z 1:00", "2026-10-24T22:00:00Z 0:00")
    );
    let short = previous("2026-03-29");
    assert_eq!((short.len(), short[22].as_str()), (23, "2026-03-28T21:00:00Z 2:00"));
    // Its days, too.
    let days = ranged("2026-10-26", "2026-10-26", "day", "Europe/Berlin", &json!("previous_period"));
    assert_eq!(days, ["2026-10-25 25:00"]);
}

#[test]
fn rejects_ranges_that_cannot_be_compared() {
    let wrong = |request: Value| {
        let query = query(request);
        Plan::compared(&query, &Plan::new(&query).unwrap()).unwrap_err().field
    };
    let of =
        |from: &str, compare_to: Value| json!({"date_from": from, "date_to": "1970-06-01", "compare_to": compare_to});
    assert_eq!(wrong(of("1970-01-01", json!("previous_period"))), "compare_to");
    assert_eq!(wrong(of("1970-01-01", json!("previous_year"))), "compare_to");
    let long = json!({"date_from": "1970-01-01", "date_to": "2199-12-31"});
    assert_eq!(wrong(of("1970-01-01", long)), "compare_to.date_to");
    let years = json!({"date_from": "2000-01-01", "date_to": "2009-12-31"});
    let fine = json!({"date_from": "2026-11-01", "date_to": "2026-11-01", "granularity": "15m", "compare_to": years});
    assert_eq!(wrong(fine), "granularity");
}

#[test]
fn computes_changes_of_comparable_values() {
    use value::Value::{Count, Millionths, Money, Null};
    let currency = |name: &str| name.parse().unwrap();
    let change = |now, then| {
        let Change { absolute, relative } = Change::of(now, then);
        (absolute, relative)
    };
    assert_eq!(change(Count(12), Count(10)), (Count(2), Millionths(200_000)));
    assert_eq!(change(Count(0), Count(4)), (Count(-4), Millionths(-1_000_000)));
    assert_eq!(change(Count(4), Count(0)), (Count(4), Null));
    assert_eq!(change(Count(1), Count(-2)), (Count(3), Millionths(1_500_000)));
    assert_eq!(change(Null, Count(3)), (Null, Null));
    assert_eq!(change(Count(3), Null), (Null, Null));
    assert_eq!(change(Millionths(300_000), Millionths(200_000)), (Millionths(100_000), Millionths(500_000)));
    assert_eq!(
        change(Money(3, currency("EUR")), Money(2, currency("EUR"))),
        (Money(1, currency("EUR")), Millionths(500_000))
    );
    assert_eq!(change(Money(3, currency("EUR")), Money(2, currency("USD"))), (Null, Null));
    assert_eq!(change(Count(i128::MAX), Count(-1)), (Null, Null));
    assert_eq!(change(Count(i128::MAX), Count(1)), (Count(i128::MAX - 1), Null));
}

/// A report over three days of UTC, compared with the three days before: rows, subtotals, totals.
fn report(mut request: Value, sources: &SourcePeriods, now: &[Sum], then: &[Sum]) -> (Value, Value, Value) {
    request["date_from"] = json!("2026-11-19");
    request["date_to"] = json!("2026-11-21");
    request["time_zone"] = json!("UTC");
    let query = query(request);
    let own = Plan::new(&query).unwrap();
    let before = Plan::compared(&query, &own).unwrap();
    let sources = &learned(sources, &[now, then].concat());
    let coverage = coverage(&query, sources);
    let authoritative =
        AuthoritativeSources { together: sources.keys().copied().collect(), by_campaign: BTreeMap::new() };
    let parked = Parked::default();
    let row_context = |plan: &Plan| {
        let now = at("2026-11-22T12:00:00Z");
        // Leaked, because a row context borrows everything.
        let cells: &'static [_] = plan.cells().to_vec().leak();
        (cells, plan.measures.clone(), now)
    };
    let plans: Vec<_> = std::iter::once(&own).chain(&before).map(row_context).collect();
    let row_contexts: Vec<_> = plans
        .iter()
        .map(|(cells, measures, now)| RowContext {
            query: &query,
            cells,
            edges: &[],
            measures,
            sources,
            coverage: &coverage,
            watermarks: watermarks(sources, &query, *now),
            authoritative: &authoritative,
            parked: &parked,
            now: *now,
        })
        .collect();
    let sums = [now, then];
    let mut tallies: Vec<_> =
        row_contexts.iter().zip(sums).map(|(row_context, sums)| row_context.tally(sums).unwrap()).collect();
    let groups = groups(&row_contexts[0], &tallies);
    for (row_context, tally) in row_contexts.iter().zip(&mut tallies) {
        fill(row_context, &groups, tally).unwrap();
    }
    let rows = |of: &dyn Fn(&RowContext<'_>, &super::super::rows::RowTotals) -> super::super::rows::RowTotals| {
        let mut each: Vec<Vec<Row>> = row_contexts
            .iter()
            .zip(&tallies)
            .map(|(row_context, tally)| row_context.rows(&of(row_context, tally)).unwrap())
            .collect();
        let then = (each.len() > 1).then(|| each.remove(1));
        let own = each.remove(0);
        let mut rows = match then {
            Some(then) => pair(&row_contexts[0], own, &row_contexts[1], then),
            None => own,
        };
        rows.sort_by(|a, b| a.key.cmp(&b.key));
        let compared = row_contexts.get(1).map_or(&[][..], |then| then.cells);
        written(&row_contexts[0], compared, &rows)
    };
    let subtotal_key = query.subtotals.unwrap_or(SubtotalKey::Bucket);
    (
        rows(&|_, tally| tally.clone()),
        rows(&|row_context, tally| subtotals(row_context, tally, subtotal_key).unwrap()),
        rows(&|row_context, tally| totals(row_context, tally).unwrap())[0].clone(),
    )
}

#[test]
fn rows_of_one_range_alone_are_kept() {
    let sources = sources([ads(1), ads(2)]);
    let request = json!({"measures": ["clicks"], "group_by": ["source"], "compare_to": "previous_period"});
    let now = [sum(0, 1, Measure::Clicks, 6)];
    let then = [sum(0, 1, Measure::Clicks, 4), sum(0, 2, Measure::Clicks, 1)];
    let (rows, _, total) = report(request, &sources, &now, &then);
    let clicks = |value: Value, change: Value, relative: Value| json!({"clicks": {"value": value, "change": change, "relative_change": relative}});
    assert_eq!(rows[0]["clicks"], json!(6));
    assert_eq!(
        rows[0]["compared"],
        json!({"state": "provisional", "measures": clicks(json!(4), json!(2), json!(0.5))})
    );
    assert_eq!((&rows[1]["source"], &rows[1]["clicks"]), (&json!("ads_2"), &json!(null)));
    assert_eq!(rows[1]["compared"]["measures"], clicks(json!(1), json!(null), json!(null)));
    assert_eq!(total["clicks"], json!(6));
    assert_eq!(total["compared"]["measures"], clicks(json!(5), json!(1), json!(0.2)));
}

#[test]
fn pairs_corresponding_buckets() {
    let sources = sources([ads(1)]);
    let other = json!({"date_from": "2026-11-01", "date_to": "2026-11-04"});
    let request = json!({"measures": ["clicks"], "granularity": "day", "compare_to": other});
    let now = [sum(0, 1, Measure::Clicks, 6)];
    let then = [sum(0, 1, Measure::Clicks, 4), sum(3, 1, Measure::Clicks, 1)];
    let (rows, _, total) = report(request, &sources, &now, &then);
    assert_eq!((&rows[0]["bucket"], &rows[0]["compared"]["bucket"]), (&json!("2026-11-19"), &json!("2026-11-01")));
    // The fourth day has no counterpart, and is not lost.
    assert_eq!((&rows[1]["bucket"], &rows[1]["compared"]["bucket"]), (&json!(null), &json!("2026-11-04")));
    assert_eq!(total["compared"]["measures"]["clicks"]["value"], json!(5));
}

#[test]
fn compares_amounts_in_each_currency() {
    let us = source(2, "us", "paid_social", SourceRole::Primary, "USD");
    let sources = sources([ads(1), us]);
    let request = || json!({"measures": ["spend", "roas", "clicks"], "compare_to": "previous_period"});
    let stated = |of, spend, revenue| [sum(0, of, Measure::Spend, spend), sum(0, of, Measure::Revenue, revenue)];
    let both = [stated(1, 3_000_000, 6_000_000), stated(2, 2_000_000, 1_000_000)].concat();
    let euros = stated(1, 4_000_000, 2_000_000);
    let money = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
    let change = |value: Value, change: Value, relative: Value| json!({"value": value, "change": change, "relative_change": relative});
    let (nothing, none) = (change(json!(null), json!(null), json!(null)), json!(null));

    let (rows, _, total) = report(request(), &sources, &both, &euros);
    for row in [&rows[0], &total] {
        assert_eq!((&row["spend"], &row["roas"]), (&none, &none));
        assert_eq!(row["compared"]["measures"]["spend"], change(money("4.000000", "EUR"), json!(null), json!(null)));
        assert_eq!(
            row["compared"]["by_currency"],
            json!({"EUR": {"spend": change(money("4.000000", "EUR"), money("-1.000000", "EUR"), json!(-0.25)),
                           "roas": change(json!(0.5), json!(1.5), json!(3))},
                   "USD": {"spend": nothing, "roas": nothing}})
        );
    }
    // In the other direction, the row itself has one currency.
    let (rows, _, _) = report(request(), &sources, &euros, &both);
    assert_eq!((&rows[0]["spend"], &rows[0]["by_currency"]), (&money("4.000000", "EUR"), &none));
    assert_eq!(rows[0]["compared"]["measures"]["spend"], nothing);
    assert_eq!(
        rows[0]["compared"]["by_currency"],
        json!({"EUR": {"spend": change(money("3.000000", "EUR"), money("1.000000", "EUR"), json!(0.333_333)),
                       "roas": change(json!(2), json!(-1.5), json!(-0.75))},
               "USD": {"spend": change(money("2.000000", "USD"), json!(null), json!(null)),
                       "roas": change(json!(0.5), json!(null), json!(null))}})
    );
    // Also in rows of the other range alone. With one currency, nothing is split.
    let (rows, _, _) = report(request(), &sources, &[], &both);
    assert_eq!(rows[0]["compared"]["by_currency"]["USD"]["spend"]["value"], money("2.000000", "USD"));
    let (rows, _, _) = report(request(), &sources, &euros, &euros);
    assert_eq!(
        (&rows[0]["compared"]["measures"]["spend"]["relative_change"], &rows[0]["compared"]["by_currency"]),
        (&json!(0), &none)
    );
}

#[test]
fn fills_gaps_with_zero_or_null() {
    let mut done = ads(1);
    done.freshness.syncs.complete_through = Some(at("2026-11-21T00:00:00Z"));
    done.freshness.syncs.grain = Some(Grain::Day);
    let sources = sources([done]);
    let sums = [sum(0, 1, Measure::Clicks, 6), sum(0, 1, Measure::Impressions, 60)];
    let column = |fill: &str, measure: &str| {
        let request = json!({"measures": ["clicks", "ctr", "spend"], "granularity": "day", "fill": fill});
        let (rows, _, total) = report(request, &sources, &sums, &[]);
        assert_eq!(total["clicks"], json!(6), "{fill}");
        rows.as_array().unwrap().iter().map(|row| row[measure].clone()).collect::<Vec<_>>()
    };
    assert_eq!(column("none", "clicks"), [json!(6)]);
    assert_eq!(column("zero", "clicks"), [json!(6), json!(0), json!(0)]);
    // The 21st is not final yet.
    assert_eq!(column("zero_if_complete", "clicks"), [json!(6), json!(0), json!(null)]);
    assert_eq!(column("zero_if_complete", "ctr"), [json!(0.1), json!(null), json!(null)]);
    // No source ever stated any.
    assert_eq!(column("zero", "spend"), [json!(null), json!(null), json!(null)]);
}

#[test]
fn totals_exclude_references_and_separate_currencies() {
    let us = source(2, "us", "paid_social", SourceRole::Primary, "USD");
    let sources = sources([ads(1), us, source(3, "survey", "survey", SourceRole::Reference, "EUR")]);
    let mut sums = Vec::new();
    for n in [1, 2, 3] {
        sums.extend([sum(0, n, Measure::Clicks, 2), sum(0, n, Measure::Spend, 1_000_000 * i128::try_from(n).unwrap())]);
    }
    let request =
        json!({"measures": ["clicks", "spend", "cpc"], "group_by": ["channel", "source"], "subtotals": "channel"});
    let (rows, by_channel, total) = report(request, &sources, &sums, &[]);
    assert_eq!(rows.as_array().unwrap().len(), 3);
    let channels: Vec<_> =
        by_channel.as_array().unwrap().iter().map(|row| (row["channel"].clone(), row["clicks"].clone())).collect();
    assert_eq!(channels, [(json!("paid_search"), json!(2)), (json!("paid_social"), json!(2))]);
    let money = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
    assert_eq!((&total["clicks"], &total["spend"], &total["cpc"]), (&json!(4), &json!(null), &json!(null)));
    assert_eq!(
        total["by_currency"],
        json!({"EUR": {"spend": money("1.000000", "EUR"), "cpc": money("0.500000", "EUR")},
               "USD": {"spend": money("2.000000", "USD"), "cpc": money("1.000000", "USD")}})
    );
}

fn any_sums() -> impl Strategy<Value = Vec<Sum>> {
    let any = (0..3_usize, 1..4_u128, 0..3_usize, 0..1_000_i128);
    let measures = [Measure::Clicks, Measure::Impressions, Measure::Conversions];
    proptest::collection::vec(
        any.prop_map(move |(cell, of, measure, value)| sum(cell, of, measures[measure], value)),
        0..20,
    )
}

proptest! {
    /// Totals are the sum of the subtotals and of the rows, for any grouping, fill and comparison.
    #[test]
    fn totals_are_the_sum_of_the_rows(now in any_sums(), then in any_sums(), fill in proptest::sample::select(vec!["none", "zero"])) {
        let sources = sources([ads(1), source(2, "mail", "email", SourceRole::Primary, "EUR"), ads(3)]);
        for (group_by, by) in [(json!([]), "bucket"), (json!(["channel", "source"]), "channel"), (json!(["source"]), "source")] {
            let request = json!({"measures": ["clicks", "impressions", "ctr"], "granularity": "day", "group_by": group_by,
                                 "subtotals": by, "compare_to": "previous_period", "fill": fill});
            let (rows, parts, total) = report(request, &sources, &now, &then);
            for added_up in [&rows, &parts] {
                for measure in ["clicks", "impressions"] {
                    let added = |of: &dyn Fn(&Value) -> Value| added_up.as_array().unwrap().iter().filter_map(|row| of(row).as_i64()).sum::<i64>();
                    prop_assert_eq!(added(&|row| row[measure].clone()), total[measure].as_i64().unwrap_or(0));
                    let before = |row: &Value| row["compared"]["measures"][measure]["value"].clone();
                    prop_assert_eq!(added(&before), before(&total).as_i64().unwrap_or(0));
                }
            }
        }
    }
}
