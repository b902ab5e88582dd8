//! Pacing: whether a campaign spends its budget evenly over its days, with a projection to its end. A pure function of
//! its dates, its plan, its spend by local day, and the current day.
//!
//! Only whole days are compared: the spend before today with the expected spend before today. Today's own spend counts
//! in `spent`. Divisions are rounded half to even; a division by zero has no result.
//!
//! The expected spend of a day follows from the budget that stood on it. A daily budget is expected whole. A total
//! budget is spread over the days that count, less what was expected before it was set, so a new budget leaves the days
//! before it as they were. [`DailyPlan`] determines the days that count.

mod plan;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use crate::campaign::{Budget, BudgetPeriod};
use crate::decimal::{MILLION, divide_half_even};

pub use plan::{DailyPlan, PlanChange, PlanDecision};

#[cfg(test)]
mod tests;

/// The number of whole days that determine the pace.
pub const PACE_DAYS: i64 = 7;

/// The inputs of pacing.
#[derive(Debug, Clone)]
pub struct Flight<'a> {
    /// Its first day.
    pub starts_on: NaiveDate,
    /// Its last day, if it has one.
    pub ends_on: Option<NaiveDate>,
    /// Whether it was completed or archived, so that no more is spent.
    pub is_over: bool,
    /// Its budget, day by day.
    pub plan: &'a DailyPlan,
    /// The current day in its zone.
    pub today: NaiveDate,
    /// Micros of the budget's currency by local day, up to today. `None` if no source states spend in that currency.
    pub spend: Option<&'a BTreeMap<NaiveDate, i128>>,
}

/// The pacing of a campaign. Amounts are micros of the budget's currency, shares and quotients millionths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pacing {
    /// The number of days from its first to its last.
    pub days: Option<i64>,
    /// The number of its whole days before today.
    pub elapsed_days: i64,
    /// Elapsed days that do not count, because it was paused.
    pub paused_days: i64,
    /// Elapsed days by all days.
    pub elapsed_share: Option<i128>,
    /// The number of days to come, including today; none once it is over.
    pub remaining_days: Option<i64>,
    /// Its whole budget.
    pub budget_total: Option<i128>,
    /// The spend so far, including today.
    pub spent: Option<i128>,
    /// The spend before today.
    pub spent_before_today: Option<i128>,
    /// The spend before today, if each day that counts spent its budget evenly.
    pub expected: Option<i128>,
    /// The ratio of spend to expected spend before today. Above one, it spends too fast.
    pub index: Option<i128>,
    /// The average spend of the last whole days that count.
    pub daily_pace: Option<i128>,
    /// The projected spend at its end, at this pace.
    pub projected: Option<i128>,
    /// The day on which a budget for all days is spent, at this pace; no day if that is after its end.
    pub exhausted_on: Option<NaiveDate>,
    /// The spend on each remaining day that uses exactly the rest of the budget.
    pub daily_needed: Option<i128>,
}

/// The pacing of a flight.
pub fn pacing(flight: &Flight<'_>) -> Pacing {
    let days = flight.ends_on.map(|ends_on| days_between(flight.starts_on, ends_on) + 1).filter(|days| *days > 0);
    let since_start = days_between(flight.starts_on, flight.today).max(0);
    let elapsed_days = days.map_or(since_start, |days| since_start.min(days));
    let remaining_days = if flight.is_over { Some(0) } else { days.map(|days| days - elapsed_days) };
    let expected = flight.expected();
    let mut pacing = Pacing {
        days,
        elapsed_days,
        paused_days: days_between(flight.starts_on, flight.counted_until())
            - flight.counted_days(flight.starts_on, flight.counted_until()),
        elapsed_share: days.and_then(|days| divide_half_even(i128::from(elapsed_days) * MICROS, days.into())),
        remaining_days,
        budget_total: flight.budget_total(expected, remaining_days),
        expected,
        ..Pacing::default()
    };
    if let Some(spend) = flight.spend {
        pacing.follow(flight, spend);
    }
    pacing
}

const MICROS: i128 = MILLION as i128;

impl Flight<'_> {
    fn budget(&self) -> Option<Budget> {
        self.plan.budget()
    }

    /// The day before which whole days are compared.
    fn counted_until(&self) -> NaiveDate {
        let ends = self.day_after_end().unwrap_or(self.today).min(self.plan.over_since().unwrap_or(self.today));
        self.today.min(ends).max(self.starts_on)
    }

    fn day_after_end(&self) -> Option<NaiveDate> {
        self.ends_on.and_then(|ends_on| ends_on.succ_opt()).filter(|end| *end > self.starts_on)
    }

    fn counted_days(&self, from: NaiveDate, before: NaiveDate) -> i64 {
        self.plan.counted_days(from, before, self.today)
    }

    /// What the days before today should have spent, by the budgets that stood on them.
    fn expected(&self) -> Option<i128> {
        self.budget()?;
        if self.budget().is_some_and(|budget| budget.per == BudgetPeriod::Total) {
            self.day_after_end()?;
        }
        let mut planned = 0;
        for (from, before, budget) in self.plan.budgets_between(self.starts_on, self.counted_until()) {
            let days = i128::from(self.counted_days(from, before));
            let Some(Budget { amount, per }) = budget.filter(|_| days > 0) else { continue };
            let amount = i128::from(amount.micros);
            planned += match per {
                BudgetPeriod::Day => amount * days,
                BudgetPeriod::Total => {
                    let all = self.counted_days(from, self.day_after_end()?);
                    divide_half_even((amount - planned).max(0) * days, all.into())?
                }
            };
        }
        Some(planned)
    }

    /// What it may spend in all: of a budget for each day, the days before today and those to come.
    fn budget_total(&self, expected: Option<i128>, remaining_days: Option<i64>) -> Option<i128> {
        let Budget { amount, per } = self.budget()?;
        let amount = i128::from(amount.micros);
        match per {
            BudgetPeriod::Total => Some(amount),
            BudgetPeriod::Day => {
                self.day_after_end()?;
                Some(expected? + amount * i128::from(remaining_days?))
            }
        }
    }
}

impl Pacing {
    /// Adds the figures that depend on the spend.
    fn follow(&mut self, flight: &Flight<'_>, spend: &BTreeMap<NaiveDate, i128>) {
        let spent = spend.range(..=flight.today).map(|(_, micros)| micros).sum::<i128>();
        let before_today = spend.range(..flight.today).map(|(_, micros)| micros).sum::<i128>();
        self.spent = Some(spent);
        self.spent_before_today = Some(before_today);
        self.index = self.expected.and_then(|expected| divide_half_even(before_today * MICROS, expected));
        let recent = recent(flight, spend).filter(|_| self.remaining_days != Some(0));
        self.daily_pace = recent.and_then(|RecentSpend { micros, days }| divide_half_even(micros, days.into()));
        self.projected = match (self.remaining_days, recent) {
            (Some(0), _) => Some(spent),
            (Some(remaining), Some(RecentSpend { micros, days })) => {
                divide_half_even(micros * i128::from(remaining), days.into())
                    .map(|more| (before_today + more).max(spent))
            }
            (None, _) | (_, None) => None,
        };
        self.exhausted_on = exhausted_on(flight, spend, recent);
        let remaining = self.remaining_days.filter(|days| *days > 0);
        self.daily_needed = match (self.budget_total, remaining, flight.budget()) {
            (Some(total), Some(days), _) => divide_half_even((total - before_today).max(0), days.into()),
            // A budget for each day, of a campaign without an end.
            (None, None, Some(budget)) if !flight.is_over => Some(budget.amount.micros.into()),
            _ => None,
        };
    }
}

/// The spend on the last whole days that count.
#[derive(Debug, Clone, Copy)]
struct RecentSpend {
    micros: i128,
    days: i64,
}

fn recent(flight: &Flight<'_>, spend: &BTreeMap<NaiveDate, i128>) -> Option<RecentSpend> {
    let mut recent = RecentSpend { micros: 0, days: 0 };
    let mut day = flight.counted_until();
    while recent.days < PACE_DAYS && day > flight.starts_on {
        day = day.pred_opt()?;
        if !flight.plan.is_idle(day) {
            recent.days += 1;
            recent.micros += spend.get(&day).copied().unwrap_or_default();
        }
    }
    (recent.days > 0).then_some(recent)
}

fn exhausted_on(
    flight: &Flight<'_>,
    spend: &BTreeMap<NaiveDate, i128>,
    recent: Option<RecentSpend>,
) -> Option<NaiveDate> {
    // A budget for each day restarts every day.
    let budget = flight.budget().filter(|budget| budget.per == BudgetPeriod::Total)?;
    let mut left = i128::from(budget.amount.micros);
    for (day, micros) in spend.range(..=flight.today) {
        left -= micros;
        if left <= 0 {
            return Some(*day);
        }
    }
    let today = spend.get(&flight.today).copied().unwrap_or_default();
    let RecentSpend { micros, days } = recent.filter(|recent| recent.micros > 0)?;
    // At the pace before today, including today: the least number of days that spends what was left this morning.
    let needed = (left + today) * i128::from(days);
    let more_days = (needed + micros - 1).div_euclid(micros).max(1);
    let day = flight.today.checked_add_days(Days::new(u64::try_from(more_days - 1).ok()?))?;
    Some(day).filter(|day| flight.ends_on.is_none_or(|ends_on| *day <= ends_on))
}

fn days_between(from: NaiveDate, to: NaiveDate) -> i64 {
    (to - from).num_days()
}
