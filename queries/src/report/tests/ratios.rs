//! Ratios: what they divide, over which numbers, and what the answer says of the rest.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::{DERIVED, DerivedMeasure, Measure, MeetingPlace, RatioFamily, Side};
use domain::source::SourceRole;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::partial;
use super::super::plan::Plan;
use super::super::rows::{AuthoritativeSources, RowContext, watermarks};
use super::super::sum::{Sum, SumKey};
use super::super::totals::totals;
use super::{at, coverage, id, period, query, source, sources, sum, written};
use crate::parked::Parked;
use crate::sources::{PeriodId, Source, SourcePeriods};
use crate::warning::Warning;

/// What sources say of campaigns: campaign, source, cell, measure, value.
type Fact = (u128, u128, usize, Measure, i128);

/// The answer to a request over two days of UTC.
struct Answer {
    rows: Vec<Value>,
    totals: Value,
    warnings: Vec<Warning>,
}

impl Answer {
    fn warned(&self) -> Vec<&'static str> {
        self.warnings.iter().flat_map(|warning| warning.measures.clone()).collect()
    }
}

/// A primary source that states these measures.
fn stating(n: u128, channel: &str, measures: &[Measure]) -> Source {
    let stated = measures.iter().copied().collect();
    Source { stated, ..source(n, &format!("source_{n}"), channel, SourceRole::Primary, "EUR") }
}

/// The sources that feed each campaign.
fn feeding(facts: &[Fact]) -> BTreeMap<Uuid, BTreeSet<Uuid>> {
    let mut feeding: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (campaign, source, ..) in facts {
        feeding.entry(id(*campaign)).or_default().insert(id(*source));
    }
    feeding
}

fn answer(mut request: Value, sources: &SourcePeriods, facts: &[Fact]) -> Answer {
    request["date_from"] = json!("2026-11-20");
    request["date_to"] = json!("2026-11-21");
    request["time_zone"] = json!("UTC");
    let by_campaign = request["group_by"].as_array().is_some_and(|keys| keys.contains(&json!("campaign")));
    let query = query(request);
    let plan = Plan::new(&query).unwrap();
    let (coverage, feeding) = (coverage(&query, sources), feeding(facts));
    let mut sums: BTreeMap<SumKey, Sum> = BTreeMap::new();
    for (campaign, from, cell, measure, value) in facts {
        let cell = if plan.cells().len() == 1 { 0 } else { *cell };
        let covered = coverage.among(period(*from), &feeding[&id(*campaign)]);
        let campaign = by_campaign.then(|| id(*campaign));
        let one = Sum { campaign, covered, ..sum(cell, *from, *measure, *value) };
        sums.entry(one.key()).or_insert(Sum { value: 0, ..one }).value += value;
    }
    let sums: Vec<_> = sums.into_values().collect();
    let by_campaign: BTreeMap<Uuid, BTreeSet<PeriodId>> = feeding
        .iter()
        .map(|(campaign, ids)| (*campaign, ids.iter().map(|id| PeriodId::first(*id)).collect()))
        .collect();
    let together = by_campaign.values().flatten().copied().collect();
    let authoritative = AuthoritativeSources { together, by_campaign };
    let row_context = RowContext {
        query: &query,
        cells: plan.cells(),
        edges: &[],
        measures: &plan.measures,
        sources,
        coverage: &coverage,
        watermarks: watermarks(sources, &query, at("2026-11-22T12:00:00Z")),
        authoritative: &authoritative,
        parked: &Parked::default(),
        now: at("2026-11-22T12:00:00Z"),
    };
    let tally = row_context.tally(&sums).unwrap();
    let total = totals(&row_context, &tally).unwrap();
    let rows = |tally| written(&row_context, &[], &row_context.rows(tally).unwrap()).as_array().unwrap().clone();
    let warnings = partial::warnings(&coverage, sources, &tally.values()).unwrap();
    Answer { rows: rows(&tally), totals: rows(&total).remove(0), warnings }
}

fn euros(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

const MILLION: i128 = 1_000_000;

#[test]
fn statements_tell_all_ratios_of_cells_apart() {
    // As many as the statements have bits for.
    assert!(DERIVED.iter().filter(|ratio| ratio.family.place() == MeetingPlace::Cell).count() <= 7);
}

#[test]
fn efficiencies_count_spend_that_won_nothing() {
    use Measure::{Conversions, Revenue, Spend};
    let sources = sources([stating(1, "paid_search", &[Spend, Conversions, Revenue])]);
    let facts = [
        (1, 1, 0, Spend, 100 * MILLION),
        (1, 1, 0, Conversions, 4 * MILLION),
        (1, 1, 0, Revenue, 400 * MILLION),
        (2, 1, 0, Spend, 300 * MILLION),
    ];
    let answered = answer(json!({"measures": ["cpa", "roas"], "group_by": ["campaign"]}), &sources, &facts);
    assert_eq!((&answered.totals["cpa"], &answered.totals["roas"]), (&euros("100.000000"), &json!(1)));
    assert_eq!((&answered.rows[0]["cpa"], &answered.rows[0]["roas"]), (&euros("25.000000"), &json!(4)));
    // It states both sides, so its silence is 0.
    assert_eq!((&answered.rows[1]["cpa"], &answered.rows[1]["roas"]), (&json!(null), &json!(0)));
    assert_eq!(answered.warnings, []);
}

#[test]
fn spend_without_a_source_of_revenue_counts_in_totals_and_is_named() {
    use Measure::{Revenue, Spend};
    let sources = sources([
        stating(1, "paid_search", &[Spend]),
        stating(2, "paid_search", &[Revenue]),
        stating(3, "display", &[Spend]),
    ]);
    let facts = [(1, 1, 0, Spend, 100 * MILLION), (1, 2, 0, Revenue, 300 * MILLION), (1, 3, 0, Spend, 50 * MILLION)];
    let request = |ratios: &str| json!({"measures": ["roas", "roas.spend", "roas.revenue"], "group_by": ["channel"], "ratios": ratios});
    let printed = answer(request("printed"), &sources, &facts);
    assert_eq!(printed.totals["roas"], json!(2));
    assert_eq!((&printed.rows[0]["channel"], &printed.rows[0]["roas"]), (&json!("display"), &json!(null)));
    assert_eq!(printed.rows[1]["roas"], json!(3));
    assert_eq!(
        printed.warnings[0].detail,
        "roas counts all revenue and all spend. These have no source of the other side in one campaign, channel and \
         currency: spend 50.000000 EUR of source_3."
    );
    assert_eq!(
        (&printed.warnings[0].sources[..], &printed.warnings[0].measures[..]),
        (&["source_3".to_owned()][..], &["roas"][..])
    );
    let covered = answer(request("covered"), &sources, &facts);
    assert_eq!((&covered.totals["roas"], &covered.totals["roas.spend"]), (&json!(3), &euros("100.000000")));
    assert!(covered.warnings[0].detail.ends_with("It leaves out spend 50.000000 EUR of source_3."));
}

#[test]
fn rates_of_a_cell_meet_across_its_sources() {
    use Measure::{Clicks, Conversions, Impressions};
    let sources = sources([
        stating(1, "paid_search", &[Clicks, Impressions]),
        stating(2, "paid_search", &[Conversions]),
        stating(3, "email", &[Clicks]),
    ]);
    let facts = [
        (1, 1, 0, Clicks, 100),
        (1, 1, 0, Impressions, 1_000),
        (1, 2, 0, Conversions, 5 * MILLION),
        // The tracker never said anything of this campaign.
        (2, 1, 0, Clicks, 40),
        (1, 3, 0, Clicks, 7),
    ];
    let request = json!({"measures": ["clicks", "conversions", "ctr", "cvr", "cvr.clicks"]});
    let all = answer(request, &sources, &facts);
    assert_eq!((&all.totals["clicks"], &all.totals["cvr.clicks"]), (&json!(147), &json!(100)));
    assert_eq!((&all.totals["cvr"], &all.totals["ctr"]), (&json!(0.05), &json!(0.14)));
    let mut details: Vec<_> = all.warnings.iter().map(|warning| warning.detail.as_str()).collect();
    details.sort_unstable();
    assert_eq!(
        details,
        [
            "ctr counts what has sources of clicks and of impressions in one source. It leaves out clicks 7 of source_3.",
            "cvr counts what has sources of conversions and of clicks in one campaign, channel and currency. It leaves out \
             clicks 47 of source_1, source_3.",
        ]
    );
    // In a row of one source, only its own sides meet.
    let apart = answer(json!({"measures": ["cvr"], "group_by": ["source"]}), &sources, &facts);
    assert!(apart.rows.iter().all(|row| row["cvr"].is_null()));
    assert_eq!(apart.totals["cvr"], json!(0.05));
}

#[test]
fn silence_of_a_covered_side_is_zero() {
    use Measure::{Clicks, Conversions};
    let sources = sources([stating(1, "paid_search", &[Clicks]), stating(2, "paid_search", &[Conversions])]);
    let facts = [(1, 1, 0, Clicks, 10), (1, 2, 1, Conversions, MILLION)];
    let days = answer(json!({"measures": ["cvr", "cvr.conversions"], "granularity": "day"}), &sources, &facts);
    assert_eq!((&days.rows[0]["cvr"], &days.rows[0]["cvr.conversions"]), (&json!(0), &json!(0)));
    assert_eq!((&days.rows[1]["cvr"], &days.rows[1]["cvr.conversions"]), (&json!(null), &json!(1)));
    assert_eq!(days.totals["cvr"], json!(0.1));
}

fn any_world() -> impl Strategy<Value = (SourcePeriods, Vec<Fact>)> {
    let stated = proptest::collection::btree_set(0..Measure::ALL.len(), 1..8);
    let each = proptest::collection::vec((stated, proptest::sample::select(vec!["paid_search", "email"])), 4);
    each.prop_flat_map(|each| {
        let all: Vec<_> = (1..)
            .zip(each)
            .map(|(n, (stated, channel))| {
                let measures: Vec<_> = stated.into_iter().map(|index| Measure::ALL[index]).collect();
                stating(n, channel, &measures)
            })
            .collect();
        let said: Vec<(u128, Measure)> =
            (1..).zip(&all).flat_map(|(n, source)| source.stated.iter().map(move |measure| (n, *measure))).collect();
        let fact = (1..4_u128, proptest::sample::select(said), 0..2_usize, 0..1_000_000_i128)
            .prop_map(|(campaign, (source, measure), cell, value)| (campaign, source, cell, measure, value));
        (Just(sources(all)), proptest::collection::vec(fact, 0..40))
    })
}

#[test]
fn net_revenue_counts_sources_that_state_refunds() {
    use Measure::{Discounts, Refunds, Revenue};
    let mut facts = vec![
        (1, 1, 0, Revenue, 100 * MILLION),
        (1, 1, 0, Discounts, 10 * MILLION),
        (1, 1, 1, Refunds, 30 * MILLION),
        (1, 2, 0, Revenue, 500 * MILLION),
        (2, 3, 0, Refunds, 7 * MILLION),
    ];
    let all = sources([
        stating(1, "email", &[Revenue, Discounts, Refunds]),
        stating(2, "paid_search", &[Revenue]),
        stating(3, "affiliate", &[Refunds]),
    ]);
    let request = json!({"measures": ["net_revenue"], "group_by": ["channel"], "order_by": ["channel"]});
    let answered = answer(request.clone(), &all, &facts);
    assert_eq!(answered.totals["net_revenue"], euros("60.000000"));
    let rows: Vec<_> = answered.rows.iter().map(|row| (row["channel"].clone(), row["net_revenue"].clone())).collect();
    assert!(rows.contains(&(json!("email"), euros("60.000000"))), "{rows:?}");
    assert!(rows.contains(&(json!("paid_search"), Value::Null)), "{rows:?}");
    assert_eq!(answered.warned(), ["net_revenue"]);
    assert_eq!(
        answered.warnings[0].detail,
        "net_revenue counts sources that state revenue and refunds. It leaves out revenue 500.000000 EUR of source_2; \
         refunds 7.000000 EUR of source_3."
    );
    // A day on which more came back than was sold is below 0.
    facts.truncate(3);
    let by_day = answer(json!({"measures": ["net_revenue"], "granularity": "day"}), &all, &facts);
    assert_eq!(by_day.rows[1]["net_revenue"], euros("-30.000000"));
    assert_eq!(by_day.warnings, []);
}

/// A ratio by the rule itself, over the facts of a row.
fn expected(ratio: &DerivedMeasure, sources: &SourcePeriods, facts: &[Fact], all: &[Fact]) -> Option<i128> {
    let states = |n: u128, side: Side| sources[&period(n)].states(ratio.side(side));
    let channel = |n: u128| sources[&period(n)].definition.channel.clone();
    let is_covered = |campaign: u128, source: u128| match ratio.family {
        RatioFamily::Efficiency => true,
        RatioFamily::Rate(MeetingPlace::Source) => Side::ALL.iter().all(|side| states(source, *side)),
        RatioFamily::Rate(MeetingPlace::Cell) => Side::ALL.iter().all(|side| {
            let mut cell = all.iter().filter(|fact| fact.0 == campaign && channel(fact.1) == channel(source));
            cell.any(|fact| states(fact.1, *side))
        }),
    };
    let [numerator, denominator] = Side::ALL.map(|side| {
        let counted = facts.iter().filter(|fact| fact.3 == ratio.side(side) && is_covered(fact.0, fact.1));
        counted.map(|fact| fact.4).sum::<i128>()
    });
    ratio.millionths(numerator, denominator)
}

fn number(value: &Value) -> Option<i128> {
    let text = match value {
        Value::Null => return None,
        Value::Object(money) => money["amount"].as_str().unwrap().to_owned(),
        number => number.to_string(),
    };
    // A small ratio is written with an exponent.
    let text = text.parse::<f64>().ok().filter(|_| text.contains('e')).map_or(text, |small| format!("{small:.6}"));
    Some(i128::from(domain::decimal::parse_millionths(&text).unwrap()))
}

/// A ratio and its operands, as they are asked for.
fn with_operands(ratio: &DerivedMeasure) -> Value {
    let [numerator, denominator] = Side::ALL.map(|side| ratio.operand(side));
    json!([ratio.name, numerator, denominator, ratio.numerator.name(), ratio.denominator.name()])
}

proptest! {
    /// A ratio is the quotient of its operands, which are the printed numbers unless the answer says otherwise.
    #[test]
    fn ratios_are_quotients_of_their_operands((sources, facts) in any_world(), basis in proptest::sample::select(vec!["printed", "covered"])) {
        for ratio in DERIVED {
            for group_by in [json!([]), json!(["channel"]), json!(["campaign"])] {
                let request = json!({"measures": with_operands(ratio), "group_by": group_by, "ratios": basis, "granularity": "day"});
                let answer = answer(request, &sources, &facts);
                for row in answer.rows.iter().chain([&answer.totals]) {
                    let [above, below] = Side::ALL.map(|side| number(&row[ratio.operand(side)]));
                    let scale = |measure: Measure, value: i128| if measure.unit() == domain::measure::Unit::Count { value / MILLION } else { value };
                    let quotient = above.zip(below).and_then(|(above, below)| {
                        ratio.millionths(scale(ratio.numerator, above), scale(ratio.denominator, below))
                    });
                    prop_assert_eq!(number(&row[ratio.name]), quotient, "{} in {}", ratio.name, row);
                    if answer.warnings.is_empty() {
                        for side in Side::ALL {
                            let (operand, printed) = (&row[ratio.operand(side)], &row[ratio.side(side).name()]);
                            prop_assert_eq!(number(operand).unwrap_or(0), number(printed).unwrap_or(0), "{} in {}", ratio.operand(side), row);
                        }
                    }
                }
            }
        }
    }

    /// A rate is over the cells or sources of which primary sources state both sides; an efficiency over everything.
    #[test]
    fn ratios_follow_from_who_states_what((sources, facts) in any_world()) {
        for ratio in DERIVED {
            let all = answer(json!({"measures": [ratio.name]}), &sources, &facts);
            let total = expected(ratio, &sources, &facts, &facts);
            // Without a source of either side, an efficiency is null and not 0.
            let is_stated = |side: Side| facts.iter().any(|fact| sources[&period(fact.1)].states(ratio.side(side)));
            let total = total.filter(|_| Side::ALL.into_iter().all(is_stated));
            prop_assert_eq!(number(&all.totals[ratio.name]), total, "{}", ratio.name);
            // Rows by source have the same totals.
            let by_source = answer(json!({"measures": [ratio.name], "group_by": ["source"]}), &sources, &facts);
            prop_assert_eq!(&by_source.totals[ratio.name], &all.totals[ratio.name], "{}", ratio.name);
            prop_assert_eq!(by_source.warned(), all.warned());
            let by_campaign = answer(json!({"measures": [ratio.name], "group_by": ["campaign"]}), &sources, &facts);
            for row in &by_campaign.rows {
                let of_row: Vec<_> = facts.iter().filter(|fact| json!(id(fact.0)) == row["campaign_id"]).copied().collect();
                let is_stated = |side: Side| of_row.iter().any(|fact| sources[&period(fact.1)].states(ratio.side(side)));
                let ratio_of_row = expected(ratio, &sources, &of_row, &facts).filter(|_| Side::ALL.into_iter().all(is_stated));
                prop_assert_eq!(number(&row[ratio.name]), ratio_of_row, "{} in {}", ratio.name, row);
            }
        }
    }

    /// A campaign that spent and won nothing never improves an efficiency.
    #[test]
    fn wasted_spend_never_improves_an_efficiency((sources, facts) in any_world(), spent in 1..1_000_000_i128) {
        let spends = (1..).zip(sources.values()).find(|(_, source)| source.states(Measure::Spend)).map(|(n, _)| n);
        prop_assume!(spends.is_some());
        let mut more = facts.clone();
        more.push((9, spends.unwrap(), 0, Measure::Spend, spent));
        for (name, worse_is_more) in [("roas", false), ("cpa", true), ("cost_per_lead", true)] {
            let request = json!({"measures": [name]});
            let total = |facts: &[Fact]| number(&answer(request.clone(), &sources, facts).totals[name]);
            let (before, after) = (total(&facts), total(&more));
            if let (Some(before), Some(after)) = (before, after) {
                prop_assert!(if worse_is_more { after >= before } else { after <= before }, "{}: {} then {}", name, before, after);
            }
            prop_assert!(before.is_none() || after.is_some(), "{} is lost", name);
        }
    }
}
