use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::NaiveDate;

use super::*;
use crate::money::Money;

const EUR: i128 = 1_000_000;

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, n).unwrap()
}

fn budget(euros: i64, per: BudgetPeriod) -> Budget {
    Budget { amount: Money { micros: euros * 1_000_000, currency: "EUR".parse().unwrap() }, per }
}

fn plan(euros: i64, per: BudgetPeriod) -> DailyPlan {
    DailyPlan::constant(Some(budget(euros, per)))
}

static IN_ALL: LazyLock<DailyPlan> = LazyLock::new(|| plan(2_000, BudgetPeriod::Total));

/// The first to the tenth, on the morning of the fifth: 100 EUR on each day before.
fn spend() -> BTreeMap<NaiveDate, i128> {
    (1..=4).map(|n| (day(n), 100 * EUR)).collect()
}

fn flight(spend: &BTreeMap<NaiveDate, i128>) -> Flight<'_> {
    Flight {
        starts_on: day(1),
        ends_on: Some(day(10)),
        is_over: false,
        plan: &IN_ALL,
        today: day(5),
        spend: Some(spend),
    }
}

#[test]
fn compares_whole_days_before_today() {
    let mut spend = spend();
    spend.insert(day(5), 30 * EUR);
    assert_eq!(
        pacing(&flight(&spend)),
        Pacing {
            days: Some(10),
            elapsed_days: 4,
            paused_days: 0,
            elapsed_share: Some(400_000),
            remaining_days: Some(6),
            budget_total: Some(2_000 * EUR),
            spent: Some(430 * EUR),
            spent_before_today: Some(400 * EUR),
            expected: Some(800 * EUR),
            index: Some(500_000),
            daily_pace: Some(100 * EUR),
            projected: Some(1_000 * EUR),
            exhausted_on: None,
            daily_needed: Some(266_666_667),
        }
    );
}

#[test]
fn exhausted_on_is_the_day_of_the_last_spend() {
    let spend = spend();
    for (euros, on) in [(401, Some(5)), (500, Some(5)), (501, Some(6)), (1_000, Some(10)), (1_001, None)] {
        let flight = Flight { plan: &plan(euros, BudgetPeriod::Total), ..flight(&spend) };
        assert_eq!(pacing(&flight).exhausted_on, on.map(day), "{euros}");
    }
    // It is spent already.
    let flight = Flight { plan: &plan(250, BudgetPeriod::Total), ..flight(&spend) };
    assert_eq!((pacing(&flight).exhausted_on, pacing(&flight).daily_needed), (Some(day(3)), Some(0)));
}

#[test]
fn pace_uses_the_last_week() {
    let mut spend = spend();
    spend.extend((5..=12).map(|n| (day(n), 10 * EUR)));
    let flight = Flight { ends_on: Some(day(20)), today: day(13), ..flight(&spend) };
    let pacing = pacing(&flight);
    assert_eq!((pacing.daily_pace, pacing.projected), (Some(10 * EUR), Some((400 + 80 + 8 * 10) * EUR)));
}

#[test]
fn daily_budget_needs_no_end() {
    let spend = spend();
    let with_end = pacing(&Flight { plan: &plan(120, BudgetPeriod::Day), ..flight(&spend) });
    assert_eq!((with_end.budget_total, with_end.expected), (Some(1_200 * EUR), Some(480 * EUR)));
    assert_eq!((with_end.index, with_end.exhausted_on), (Some(833_333), None));
    assert_eq!(with_end.daily_needed, Some(133_333_333));
    let endless = pacing(&Flight { plan: &plan(120, BudgetPeriod::Day), ends_on: None, ..flight(&spend) });
    assert_eq!((endless.days, endless.budget_total, endless.projected), (None, None, None));
    assert_eq!(
        (endless.expected, endless.index, endless.daily_needed),
        (Some(480 * EUR), Some(833_333), Some(120 * EUR))
    );
}

#[test]
fn total_budget_without_an_end_only_has_an_exhaustion_day() {
    let spend = spend();
    let endless = pacing(&Flight { ends_on: None, ..flight(&spend) });
    assert_eq!((endless.expected, endless.index, endless.projected, endless.daily_needed), (None, None, None, None));
    assert_eq!(endless.exhausted_on, Some(day(20)));
}

#[test]
fn undefined_ratios_are_none() {
    let none = BTreeMap::new();
    // On the first morning nothing was expected yet, and there is no pace.
    let first = pacing(&Flight { today: day(1), ..flight(&none) });
    assert_eq!((first.expected, first.index, first.daily_pace, first.projected), (Some(0), None, None, None));
    assert_eq!(first.daily_needed, Some(200 * EUR));
    let before = pacing(&Flight { today: NaiveDate::from_ymd_opt(2026, 10, 1).unwrap(), ..flight(&none) });
    assert_eq!((before.elapsed_days, before.remaining_days, before.daily_needed), (0, Some(10), Some(200 * EUR)));
    let idle = pacing(&flight(&none));
    assert_eq!((idle.daily_pace, idle.projected, idle.exhausted_on), (Some(0), Some(0), None));
    let unstated = pacing(&Flight { spend: None, ..flight(&none) });
    assert_eq!(
        (unstated.expected, unstated.spent, unstated.index, unstated.daily_needed),
        (Some(800 * EUR), None, None, None)
    );
    let reversed = pacing(&Flight { ends_on: Some(NaiveDate::MIN), ..flight(&none) });
    assert_eq!((reversed.days, reversed.elapsed_share), (None, None));
}

#[test]
fn finished_campaign_projects_what_was_spent() {
    let mut spend = spend();
    spend.insert(day(11), 7 * EUR);
    let after = pacing(&Flight { today: day(12), ..flight(&spend) });
    assert_eq!((after.elapsed_share, after.remaining_days, after.expected), (Some(MICROS), Some(0), Some(2_000 * EUR)));
    assert_eq!((after.projected, after.daily_pace, after.daily_needed), (Some(407 * EUR), None, None));
    let completed = pacing(&Flight { is_over: true, ..flight(&spend) });
    assert_eq!(
        (completed.remaining_days, completed.projected, completed.exhausted_on),
        (Some(0), Some(400 * EUR), None)
    );
}
