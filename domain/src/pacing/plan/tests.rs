use chrono::{TimeDelta, TimeZone};
use proptest::prelude::*;

use super::super::{Flight, Pacing, pacing};
use super::*;
use crate::bucket::day_end;
use crate::campaign::BudgetPeriod;
use crate::money::Money;

const EUR: i64 = 1_000_000;

fn zone() -> Zone {
    "Europe/Berlin".parse().unwrap()
}

fn day(n: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, n).unwrap()
}

fn local(n: u32, hour: u32) -> DateTime<Utc> {
    let local = day(n).and_hms_opt(hour, 0, 0).unwrap();
    zone().0.from_local_datetime(&local).unwrap().to_utc()
}

#[expect(clippy::unnecessary_wraps, reason = "a plan's budget is optional")]
fn money(euros: i64, per: BudgetPeriod) -> Option<Budget> {
    Some(Budget { amount: Money { micros: euros * EUR, currency: "EUR".parse().unwrap() }, per })
}

fn a_day(euros: i64) -> PlanDecision {
    PlanDecision::Budget(money(euros, BudgetPeriod::Day))
}

fn in_all(euros: i64) -> PlanDecision {
    PlanDecision::Budget(money(euros, BudgetPeriod::Total))
}

const LAUNCHED: PlanDecision = PlanDecision::State(CampaignState::Launched);
const PAUSED: PlanDecision = PlanDecision::State(CampaignState::Paused);
const COMPLETED: PlanDecision = PlanDecision::State(CampaignState::Completed);
const ARCHIVED: PlanDecision = PlanDecision::State(CampaignState::Archived);

fn plan_of(changes: &[(DateTime<Utc>, PlanDecision)]) -> DailyPlan {
    DailyPlan::new(changes.iter().map(|(at, decision)| PlanChange { at: *at, decision: *decision }), zone())
}

/// 100 EUR on each day before today.
fn spend(today: u32) -> BTreeMap<NaiveDate, i128> {
    (1..today).map(|n| (day(n), i128::from(100 * EUR))).collect()
}

/// The days on which it spent although it could not run.
fn idle_spend(changes: &[(DateTime<Utc>, PlanDecision)], today: u32) -> Vec<NaiveDate> {
    plan_of(changes).idle_spend(&spend(today), day(today)).into_keys().collect()
}

/// A campaign of the first to the thirtieth with these changes.
fn paced(changes: &[(DateTime<Utc>, PlanDecision)], today: u32) -> Pacing {
    let (plan, spend) = (plan_of(changes), spend(today));
    let is_over = changes.last().is_some_and(|(_, decision)| matches!(*decision, COMPLETED | ARCHIVED));
    let flight = Flight {
        starts_on: day(1),
        ends_on: Some(day(30)),
        is_over,
        plan: &plan,
        today: day(today),
        spend: Some(&spend),
    };
    pacing(&flight)
}

fn euros(micros: Option<i128>) -> Option<i128> {
    micros.map(|micros| micros / i128::from(EUR))
}

#[test]
fn raised_daily_budget_leaves_the_days_before() {
    let raised = [(local(1, 8), a_day(100)), (local(1, 9), LAUNCHED), (local(21, 15), a_day(200))];
    let pacing = paced(&raised, 21);
    assert_eq!((euros(pacing.expected), pacing.index), (Some(2_000), Some(1_000_000)));
    // 2,000 until now, and 200 on each of ten days.
    assert_eq!((euros(pacing.budget_total), euros(pacing.daily_needed)), (Some(4_000), Some(200)));
    // The day of the change has the budget that stood at its end.
    assert_eq!(euros(paced(&raised, 22).expected), Some(2_200));
}

#[test]
fn raised_total_budget_leaves_the_days_before() {
    let raised = [(local(1, 8), in_all(3_000)), (local(1, 9), LAUNCHED), (local(11, 15), in_all(5_000))];
    let pacing = paced(&raised, 11);
    assert_eq!((euros(pacing.expected), euros(pacing.budget_total)), (Some(1_000), Some(5_000)));
    // 4,000 are left for twenty days.
    assert_eq!((euros(pacing.daily_needed), euros(paced(&raised, 12).expected)), (Some(200), Some(1_200)));
}

#[test]
fn total_budget_below_what_was_planned_adds_nothing() {
    let cut = [(local(1, 8), in_all(3_000)), (local(1, 9), LAUNCHED), (local(11, 15), in_all(500))];
    let pacing = paced(&cut, 15);
    assert_eq!((euros(pacing.expected), euros(pacing.daily_needed)), (Some(1_000), Some(0)));
}

#[test]
fn days_before_the_first_budget_have_it_too() {
    for changes in [
        // Recorded when it was running already.
        vec![(local(8, 8), a_day(100)), (local(8, 9), LAUNCHED)],
        // Changed until its launch.
        vec![(local(3, 8), a_day(50)), (local(8, 7), a_day(100)), (local(8, 8), LAUNCHED)],
        // Never launched.
        vec![(local(1, 8), PlanDecision::Budget(None)), (local(8, 8), a_day(100))],
        // Without one until then.
        vec![(local(1, 8), PlanDecision::Budget(None)), (local(1, 9), LAUNCHED), (local(8, 9), a_day(100))],
    ] {
        assert_eq!(euros(paced(&changes, 11).expected), Some(1_000));
    }
    // A budget that was taken away leaves a day without.
    let gap = [
        (local(1, 8), a_day(100)),
        (local(1, 9), LAUNCHED),
        (local(4, 9), PlanDecision::Budget(None)),
        (local(6, 9), a_day(100)),
    ];
    assert_eq!(euros(paced(&gap, 11).expected), Some(800));
    let none = [(local(1, 8), a_day(100)), (local(1, 9), LAUNCHED), (local(4, 9), PlanDecision::Budget(None))];
    assert_eq!((paced(&none, 11).expected, paced(&none, 11).index), (None, None));
}

#[test]
fn budget_set_on_the_first_day_leaves_the_days_before() {
    for changes in [
        vec![(local(8, 8), a_day(100)), (local(8, 9), LAUNCHED), (local(8, 20), a_day(200))],
        vec![(local(8, 8), LAUNCHED), (local(8, 9), a_day(100)), (local(8, 20), a_day(200))],
        vec![(local(8, 8), a_day(100)), (local(8, 20), a_day(200))],
    ] {
        assert_eq!(euros(paced(&changes, 8).expected), Some(700));
        // The day itself has the budget that stood at its end.
        assert_eq!(euros(paced(&changes, 9).expected), Some(900));
    }
    let total = [(local(11, 8), in_all(3_000)), (local(11, 9), LAUNCHED), (local(11, 20), in_all(5_000))];
    assert_eq!((euros(paced(&total, 11).expected), euros(paced(&total, 12).expected)), (Some(1_000), Some(1_200)));
    // Taken away on the day of the launch, and back on the tenth.
    let gap = [
        (local(8, 8), a_day(100)),
        (local(8, 9), LAUNCHED),
        (local(8, 20), PlanDecision::Budget(None)),
        (local(10, 9), a_day(100)),
    ];
    assert_eq!(euros(paced(&gap, 11).expected), Some(800));
}

#[test]
fn wholly_paused_days_do_not_count() {
    // The sixth to the ninth; it ran on parts of the fifth and the tenth.
    let pause = [(local(5, 12), PAUSED), (local(10, 23), LAUNCHED)];
    let with = |budget| [&[(local(1, 8), budget), (local(1, 9), LAUNCHED)], &pause[..]].concat();
    let pacing = paced(&with(a_day(100)), 11);
    assert_eq!((pacing.elapsed_days, pacing.paused_days, euros(pacing.expected)), (10, 4, Some(600)));
    assert_eq!((euros(pacing.budget_total), euros(pacing.daily_needed)), (Some(2_600), Some(80)));
    // 2,600 in all over 26 days that count.
    let pacing = paced(&with(in_all(2_600)), 11);
    assert_eq!((euros(pacing.expected), euros(pacing.daily_needed)), (Some(600), Some(80)));
    assert_eq!(idle_spend(&with(a_day(100)), 11), [day(6), day(7), day(8), day(9)]);
}

#[test]
fn paused_campaign_is_expected_to_go_on_today() {
    let changes = [(local(1, 8), in_all(3_000)), (local(1, 9), LAUNCHED), (local(5, 12), PAUSED)];
    let pacing = paced(&changes, 11);
    // Five days count and twenty are left: 25 in all.
    assert_eq!((pacing.paused_days, euros(pacing.expected), euros(pacing.daily_needed)), (5, Some(600), Some(100)));
    // Its pace is that of the days on which it ran.
    assert_eq!(euros(pacing.daily_pace), Some(100));
}

#[test]
fn nothing_is_expected_after_the_end() {
    let changes = [(local(1, 8), in_all(3_000)), (local(1, 9), LAUNCHED), (local(10, 12), COMPLETED)];
    for today in [11, 20] {
        let pacing = paced(&changes, today);
        assert_eq!((euros(pacing.expected), pacing.paused_days, pacing.remaining_days), (Some(1_000), 0, Some(0)));
    }
    assert_eq!(idle_spend(&changes, 13), [day(11), day(12)]);
    // Paused, then archived: the days between are paused, the others are over.
    let changes =
        [(local(1, 8), a_day(100)), (local(1, 9), LAUNCHED), (local(5, 12), PAUSED), (local(8, 12), ARCHIVED)];
    let pacing = paced(&changes, 11);
    assert_eq!((euros(pacing.expected), pacing.paused_days, euros(pacing.budget_total)), (Some(500), 3, Some(500)));
}

#[test]
fn pause_of_a_whole_day_begins_and_ends_at_midnight() {
    let midnight = |n| local(n, 0);
    let plan = |from, to| {
        let changes = [(local(1, 8), LAUNCHED), (from, PAUSED), (to, LAUNCHED)];
        DailyPlan::new(changes.map(|(at, decision)| PlanChange { at, decision }), zone())
    };
    let idle = |plan: &DailyPlan| (1..=9).map(day).filter(|day| plan.is_idle(*day)).collect::<Vec<_>>();
    assert_eq!(idle(&plan(midnight(5), midnight(6))), [day(5)]);
    assert_eq!(idle(&plan(midnight(5) + TimeDelta::milliseconds(1), midnight(6))), []);
    assert_eq!(idle(&plan(midnight(5), midnight(6) - TimeDelta::milliseconds(1))), []);
}

/// Changes at hours of November, the last at an hour of `today` or before.
fn any_changes() -> impl Strategy<Value = Vec<(i64, PlanDecision)>> {
    let amount = 1_i64..400;
    let decision = prop_oneof![
        3 => amount.clone().prop_map(a_day),
        3 => amount.prop_map(|euros| in_all(euros * 30)),
        1 => Just(PlanDecision::Budget(None)),
        3 => Just(LAUNCHED),
        3 => Just(PAUSED),
        1 => Just(COMPLETED),
        1 => Just(ARCHIVED),
        1 => Just(PlanDecision::State(CampaignState::Draft)),
    ];
    prop::collection::vec((0..20 * 24_i64, decision), 1..14).prop_map(|mut changes| {
        changes.sort_by_key(|(hours, _)| *hours);
        changes
    })
}

fn may_run(state: CampaignState) -> bool {
    matches!(state, CampaignState::Draft | CampaignState::Launched)
}

/// What each day from the first on should have spent, by walking day after day and instant after instant.
fn expected_day_by_day(
    changes: &[PlanChange],
    starts_on: NaiveDate,
    ends_on: NaiveDate,
    today: NaiveDate,
) -> Option<f64> {
    let states: Vec<(DateTime<Utc>, CampaignState)> = changes
        .iter()
        .filter_map(|change| match change.decision {
            PlanDecision::State(state) => Some((change.at, state)),
            PlanDecision::Budget(_) => None,
        })
        .collect();
    let mut budgets: Vec<(NaiveDate, Option<Budget>)> = Vec::new();
    for change in changes {
        if let PlanDecision::Budget(budget) = change.decision {
            budgets.retain(|(since, _)| *since != local_date(change.at, zone()));
            budgets.push((local_date(change.at, zone()), budget));
        }
    }
    // The budget of the launch; where that is none, the first one after it; of a draft, the first one.
    let launch = changes.iter().position(|change| change.decision == LAUNCHED);
    let set = changes.iter().enumerate().filter_map(|(index, change)| match change.decision {
        PlanDecision::Budget(budget) => Some((index, local_date(change.at, zone()), budget)),
        PlanDecision::State(_) => None,
    });
    let of_launch = launch.and_then(|launch| {
        let (.., budget) = set.clone().take_while(|(index, ..)| *index < launch).last()?;
        Some((local_date(changes[launch].at, zone()), budget?))
    });
    let after = |(index, ..): &(usize, NaiveDate, Option<Budget>)| launch.is_none_or(|launch| launch < *index);
    let first_set = || set.clone().filter(after).find_map(|(_, day, budget)| Some((day, budget?)));
    let (first_day, first_budget) = of_launch.or_else(first_set)?;
    budgets.last()?.1?;
    // Over without a break until now.
    let is_over = |state: CampaignState| matches!(state, CampaignState::Completed | CampaignState::Archived);
    let over_from = states.iter().rev().take_while(|(_, state)| is_over(*state)).last().map(|(at, _)| *at);
    let is_after_the_end = |day: NaiveDate| over_from.is_some_and(|at| at <= day_start(day, zone()));
    let ran = |day: NaiveDate| {
        let (begin, end) = (day_start(day, zone()), day_end(day, zone()));
        let at_first =
            states.iter().rev().find(|(at, _)| *at <= begin).map_or(CampaignState::Draft, |(_, state)| *state);
        may_run(at_first) || states.iter().any(|(at, state)| begin < *at && *at < end && may_run(*state))
    };
    let days: Vec<NaiveDate> = starts_on.iter_days().take_while(|day| *day <= ends_on).collect();
    let counts = |day: NaiveDate| day >= today || is_after_the_end(day) || ran(day);
    let mut planned = 0.0;
    for (n, day) in days.iter().enumerate() {
        if *day >= today || is_after_the_end(*day) || !counts(*day) {
            continue;
        }
        let stood = budgets.iter().rev().find(|(since, _)| *since <= *day && first_day <= *since);
        let stood = stood.map_or(Some(first_budget), |(_, budget)| *budget);
        let Some(Budget { amount, per }) = stood else { continue };
        #[expect(clippy::cast_precision_loss, reason = "amounts are small")]
        let amount = amount.micros as f64;
        planned += match per {
            BudgetPeriod::Day => amount,
            BudgetPeriod::Total => {
                let left = days[n..].iter().filter(|day| counts(**day)).count();
                f64::max(amount - planned, 0.0) / f64::from(u32::try_from(left).unwrap())
            }
        };
    }
    Some(planned)
}

proptest! {
    /// Random budgets, pauses and ends come to what a walk over days and instants comes to.
    #[test]
    fn history_of_budgets_and_pauses_is_that_of_a_day_by_day_walk(
        changes in any_changes(),
        starts in 1..15_u32,
        length in 0..25_u32,
        today in 21..30_u32,
    ) {
        let begin = local(1, 0);
        let changes: Vec<PlanChange> = changes
            .into_iter()
            .map(|(hours, decision)| PlanChange { at: begin + TimeDelta::hours(hours), decision })
            .collect();
        let plan = DailyPlan::new(changes.iter().copied(), zone());
        let (starts_on, today) = (day(starts), day(today));
        let ends_on = starts_on + TimeDelta::days(length.into());
        let state = changes.iter().rev().find_map(|change| match change.decision {
            PlanDecision::State(state) => Some(state),
            PlanDecision::Budget(_) => None,
        });
        let is_over = state.is_some_and(|state| matches!(state, CampaignState::Completed | CampaignState::Archived));
        let spend = BTreeMap::from([(starts_on, 1)]);
        let flight = Flight { starts_on, ends_on: Some(ends_on), is_over, plan: &plan, today, spend: Some(&spend) };
        let found = pacing(&flight);
        let walked = expected_day_by_day(&changes, starts_on, ends_on, today);
        prop_assert_eq!(found.expected.is_some(), walked.is_some());
        if let (Some(found), Some(walked)) = (found.expected, walked) {
            #[expect(clippy::cast_precision_loss, reason = "amounts are small")]
            let difference = (found as f64 - walked).abs();
            // Each budget is rounded once.
            prop_assert!(difference < 15.0, "{found} is not {walked}");
        }

        // Another budget of the same period from today on leaves what was expected until now.
        let Some(now) = plan.budget() else { return Ok(()) };
        let amount = Money { micros: now.amount.micros * 2, ..now.amount };
        let at = day_start(today, zone()) + TimeDelta::hours(5);
        let raise = PlanChange { at, decision: PlanDecision::Budget(Some(Budget { amount, ..now })) };
        let raised = DailyPlan::new(changes.iter().copied().chain([raise]), zone());
        prop_assert_eq!(pacing(&Flight { plan: &raised, ..flight }).expected, found.expected);
    }

    /// On the day on which a campaign is recorded, a budget that is set later leaves the days before.
    #[test]
    fn last_budget_of_a_day_leaves_the_days_before(
        changes in any_changes(),
        starts in 1..15_u32,
        amount in 1_i64..400,
    ) {
        // All on one day.
        let at = |n| local(20, 8) + TimeDelta::minutes(n);
        let changes: Vec<_> =
            changes.into_iter().zip(0..).map(|((_, decision), n)| PlanChange { at: at(n), decision }).collect();
        let plan = DailyPlan::new(changes.iter().copied(), zone());
        prop_assume!(plan.budget().is_some());
        let raise = PlanChange { at: local(20, 20), decision: a_day(amount) };
        let raised = DailyPlan::new(changes.iter().copied().chain([raise]), zone());
        let spend = BTreeMap::from([(day(1), 1)]);
        let expected = |plan: &DailyPlan| {
            let (starts_on, ends_on, today) = (day(starts), Some(day(20)), day(20));
            pacing(&Flight { starts_on, ends_on, is_over: false, plan, today, spend: Some(&spend) }).expected
        };
        prop_assert_eq!(expected(&raised), expected(&plan));
    }
}
