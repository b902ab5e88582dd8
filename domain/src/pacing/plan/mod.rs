//! What a campaign's decisions mean for its days: which budget stood on each, and on which it could not run.
//!
//! A day has the budget that stands at its end: a change counts from its own local day on. The days before the launch
//! have the budget with which it was launched, and where that is none, the first one after it; those of a draft, the
//! first one. So a budget that is set today leaves the days before. A day counts unless the campaign was paused,
//! archived or completed for its whole length.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::bucket::{day_start, local_date};
use crate::campaign::{Budget, CampaignEvent, CampaignState};
use crate::zone::Zone;

#[cfg(test)]
mod tests;

/// A decision that changed what is planned for a campaign's days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanChange {
    /// When the command was received.
    pub at: DateTime<Utc>,
    /// What was decided.
    pub decision: PlanDecision,
}

/// What was decided of a campaign's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanDecision {
    /// It has this state.
    State(CampaignState),
    /// It has this budget, or none.
    Budget(Option<Budget>),
}

impl PlanChange {
    /// The change that an event makes, if it makes one.
    pub fn of(event: &CampaignEvent) -> Option<Self> {
        let (decision, at) = match event {
            CampaignEvent::CampaignCreated { budget, at, .. } | CampaignEvent::CampaignBudgetSet { budget, at } => {
                (PlanDecision::Budget(*budget), at)
            }
            CampaignEvent::CampaignLaunched { at } | CampaignEvent::CampaignResumed { at } => {
                (PlanDecision::State(CampaignState::Launched), at)
            }
            CampaignEvent::CampaignPaused { at } => (PlanDecision::State(CampaignState::Paused), at),
            CampaignEvent::CampaignCompleted { at } => (PlanDecision::State(CampaignState::Completed), at),
            CampaignEvent::CampaignArchived { at } => (PlanDecision::State(CampaignState::Archived), at),
            CampaignEvent::CampaignUnarchived { state, at } => (PlanDecision::State(*state), at),
            CampaignEvent::CampaignRenamed { .. }
            | CampaignEvent::CampaignRescheduled { .. }
            | CampaignEvent::CampaignTimeZoneChanged { .. }
            | CampaignEvent::CampaignCurrencyChanged { .. }
            | CampaignEvent::CampaignChannelsSet { .. }
            | CampaignEvent::CampaignExternalIdsSet { .. }
            | CampaignEvent::CampaignAttributesSet { .. } => return None,
        };
        Some(Self { at: *at, decision })
    }
}

/// The plan of a campaign by local day, as its changes left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DailyPlan {
    /// Each budget from its first day on. The first one counts for the days before too.
    budgets: BTreeMap<NaiveDate, Option<Budget>>,
    /// Whole days on which it could not run, in order and apart from each other.
    idle: Vec<IdleDays>,
    /// The first whole day after its completion or archiving, while it is completed or archived.
    over_since: Option<NaiveDate>,
}

/// Days from the first to before the last; without one, to this day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct IdleDays {
    from: NaiveDate,
    before: Option<NaiveDate>,
}

impl DailyPlan {
    /// The plan after these changes, which come in their order.
    pub fn new(changes: impl IntoIterator<Item = PlanChange>, zone: Zone) -> Self {
        let mut plan = Self::default();
        let (mut idle_since, mut over_since) = (None, None);
        // The first budget, with its day, and the one that stands.
        let (mut is_launched, mut first, mut standing) = (false, None, None);
        let mut latest = DateTime::<Utc>::MIN_UTC;
        for PlanChange { at, decision } in changes {
            // Processes' clocks differ a little; the order of the changes is what is sure.
            latest = latest.max(at);
            match decision {
                PlanDecision::Budget(budget) => {
                    plan.budgets.insert(local_date(latest, zone), budget);
                    first = first.or(budget.map(|budget| (local_date(latest, zone), budget)));
                    standing = budget;
                }
                PlanDecision::State(state) => {
                    if state == CampaignState::Launched && !is_launched {
                        is_launched = true;
                        first = standing.map(|budget| (local_date(latest, zone), budget));
                    }
                    let is_idle = !matches!(state, CampaignState::Draft | CampaignState::Launched);
                    let is_over = matches!(state, CampaignState::Completed | CampaignState::Archived);
                    over_since = is_over.then(|| over_since.unwrap_or(latest));
                    match (idle_since, is_idle) {
                        (None, true) => idle_since = Some(latest),
                        (Some(since), false) => {
                            idle_since = None;
                            plan.push_idle(first_whole_day(since, zone), Some(local_date(latest, zone)));
                        }
                        (None, false) | (Some(_), true) => {}
                    }
                }
            }
        }
        if let Some(since) = idle_since {
            plan.push_idle(first_whole_day(since, zone), None);
        }
        plan.over_since = over_since.map(|since| first_whole_day(since, zone));
        if let Some((day, budget)) = first {
            plan.begin_with(day, budget);
        }
        plan
    }

    /// The same budget on every day, and no pause.
    pub fn constant(budget: Option<Budget>) -> Self {
        Self { budgets: BTreeMap::from([(NaiveDate::MIN, budget)]), ..Self::default() }
    }

    /// Whether nothing is known of its budgets.
    pub fn is_empty(&self) -> bool {
        self.budgets.is_empty()
    }

    /// The budget that it has now.
    pub fn budget(&self) -> Option<Budget> {
        self.budgets.last_key_value().and_then(|(_, budget)| *budget)
    }

    /// Whether it could not run for the whole of a day.
    pub fn is_idle(&self, day: NaiveDate) -> bool {
        self.idle.iter().any(|idle| idle.from <= day && idle.before.is_none_or(|before| day < before))
    }

    /// The spend on days on which it could not run, up to `today`. Today is such a day if it has not run today.
    pub fn idle_spend(&self, spend: &BTreeMap<NaiveDate, i128>, today: NaiveDate) -> BTreeMap<NaiveDate, i128> {
        let spent = spend.range(..=today).filter(|(day, micros)| **micros > 0 && self.is_idle(**day));
        spent.map(|(day, micros)| (*day, *micros)).collect()
    }

    /// The first day on which it was over for the whole day, if it is over now.
    pub(super) fn over_since(&self) -> Option<NaiveDate> {
        self.over_since
    }

    /// The budgets of the days from `from` to before `before`, each with its days.
    pub(super) fn budgets_between(
        &self,
        from: NaiveDate,
        before: NaiveDate,
    ) -> impl Iterator<Item = (NaiveDate, NaiveDate, Option<Budget>)> {
        let starts = self.budgets.iter().enumerate().map(move |(n, (day, budget))| {
            let start = if n == 0 { from } else { (*day).clamp(from, before.max(from)) };
            (start, *budget)
        });
        let ends = self.budgets.keys().skip(1).copied().map(Some).chain([None]);
        starts.zip(ends).filter_map(move |((start, budget), end)| {
            let end = end.map_or(before, |end| end.min(before));
            (start < end).then_some((start, end, budget))
        })
    }

    /// How many of the days from `from` to before `before` count, seen from `today`: a campaign that is paused is
    /// expected to go on today, and one that is over had these days before it.
    pub(super) fn counted_days(&self, from: NaiveDate, before: NaiveDate, today: NaiveDate) -> i64 {
        let known = today.min(self.over_since.unwrap_or(today));
        let idle = self.idle.iter().map(|idle| {
            let end = idle.before.map_or(known, |end| end.min(known)).min(before);
            (end - idle.from.max(from)).num_days().max(0)
        });
        (before - from).num_days().max(0) - idle.sum::<i64>()
    }

    /// Gives the days before `day` this budget, which stood on that day, at its end or before another one.
    fn begin_with(&mut self, day: NaiveDate, budget: Budget) {
        self.budgets = self.budgets.split_off(&day);
        let of_day = *self.budgets.entry(day).or_insert(Some(budget));
        if of_day != Some(budget)
            && let Some(day_before) = day.pred_opt()
        {
            self.budgets.insert(day_before, Some(budget));
        }
    }

    fn push_idle(&mut self, from: NaiveDate, before: Option<NaiveDate>) {
        if before.is_none_or(|before| from < before) {
            self.idle.push(IdleDays { from, before });
        }
    }
}

/// The first local day that lies wholly after an instant.
fn first_whole_day(instant: DateTime<Utc>, zone: Zone) -> NaiveDate {
    let day = local_date(instant, zone);
    if instant <= day_start(day, zone) { day } else { day.checked_add_days(Days::new(1)).unwrap_or(day) }
}
