//! What pacing needs to know of a campaign, and what it comes to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::{Budget, CampaignState, CampaignStatus, status};
use domain::channel::Channel;
use domain::decimal::format_millionths;
use domain::measure::Measure;
use domain::money::Currency;
use domain::pacing::{DailyPlan, Flight, Pacing, PlanChange, pacing};
use domain::zone::Zone;
use uuid::Uuid;

use super::body::PacingBody;
use super::plans;
use super::spend::Spend;
use crate::campaign::{BudgetBody, budget};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::report::lookups::states_of;
use crate::report::value::Value;
use crate::warning::{CampaignSpend, SpendAmount, Warning};

/// A campaign as its table has it.
struct CampaignRow {
    campaign_id: Uuid,
    name: String,
    state: String,
    time_zone: String,
    currency: String,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    starts_at: DateTime<Utc>,
    budget_micros: Option<i64>,
    budget_per: Option<String>,
}

impl CampaignRow {
    fn with_changes(self, changes: &mut HashMap<Uuid, Vec<PlanChange>>) -> Result<PacedCampaign, ReadError> {
        let currency = self.currency.parse().map_err(ReadError::corrupt)?;
        let zone = self.time_zone.parse().map_err(ReadError::corrupt)?;
        let budget = budget(self.budget_micros, self.budget_per.as_deref(), currency)?;
        Ok(PacedCampaign {
            id: self.campaign_id,
            name: self.name,
            state: self.state.parse().map_err(ReadError::corrupt)?,
            zone,
            currency,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            starts_at: self.starts_at,
            budget,
            plan: plans::plan(changes.remove(&self.campaign_id), zone, budget),
        })
    }
}

/// The properties of a campaign that pacing uses.
pub(super) struct PacedCampaign {
    pub id: Uuid,
    pub name: String,
    pub state: CampaignState,
    pub zone: Zone,
    pub currency: Currency,
    pub starts_on: NaiveDate,
    pub ends_on: Option<NaiveDate>,
    pub starts_at: DateTime<Utc>,
    budget: Option<Budget>,
    /// The plan of its days.
    plan: DailyPlan,
}

impl PacedCampaign {
    pub(super) async fn find(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<Self>, ReadError> {
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let row = sqlx::query_as!(
            CampaignRow,
            "SELECT campaign_id, name, state, time_zone, currency, starts_on, ends_on, starts_at, budget_micros,
                    budget_per
             FROM read.campaigns WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3",
            epoch,
            workspace,
            id,
        )
        .fetch_optional(snapshot.db())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let mut changes = plans::of(snapshot, &[id]).await?;
        row.with_changes(&mut changes).map(Some)
    }

    /// Those with one of these statuses that run on one of these channels; no status or no channel: any.
    pub(super) async fn select(
        snapshot: &mut Snapshot,
        status: &BTreeSet<CampaignStatus>,
        channel: &BTreeSet<Channel>,
    ) -> Result<Vec<Self>, ReadError> {
        let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
        let (states, started, not_started) = states_of(status);
        let channels: Vec<_> = channel.iter().map(|channel| channel.name().to_owned()).collect();
        let rows = sqlx::query_as!(
            CampaignRow,
            "SELECT campaign_id, name, state, time_zone, currency, starts_on, ends_on, starts_at, budget_micros,
                    budget_per
             FROM read.campaigns
             WHERE epoch = $1 AND workspace = $2
               AND ($3::boolean OR state = ANY($4) OR state = 'launched'
                    AND CASE WHEN starts_at <= $5 THEN $6::boolean ELSE $7::boolean END)
               AND ($8::boolean OR channels && $9)",
            epoch,
            workspace,
            status.is_empty(),
            &states,
            now,
            started,
            not_started,
            channel.is_empty(),
            &channels,
        )
        .fetch_all(snapshot.db())
        .await?;
        let ids: Vec<_> = rows.iter().map(|row| row.campaign_id).collect();
        let mut changes = plans::of(snapshot, &ids).await?;
        rows.into_iter().map(|row| row.with_changes(&mut changes)).collect()
    }

    pub(super) fn body(&self, spend: &Spend, now: DateTime<Utc>, today: NaiveDate) -> PacingBody {
        let in_currency = spend.currencies.iter().all(|currency| *currency == self.currency);
        let flight = Flight {
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            is_over: matches!(self.state, CampaignState::Completed | CampaignState::Archived),
            plan: &self.plan,
            today,
            spend: spend.by_day.as_ref().filter(|_| in_currency),
        };
        let Pacing {
            days,
            elapsed_days,
            paused_days,
            elapsed_share,
            remaining_days,
            budget_total,
            spent,
            spent_before_today,
            expected,
            index,
            daily_pace,
            projected,
            exhausted_on,
            daily_needed,
        } = pacing(&flight);
        let money = |micros: Option<i128>| micros.map_or(Value::Null, |micros| Value::Money(micros, self.currency));
        let quotient = |millionths: Option<i128>| millionths.map_or(Value::Null, Value::Millionths);
        // Spend in one other currency is shown, though not compared.
        let spent = if in_currency { money(spent) } else { spend.total() };
        PacingBody {
            campaign_id: self.id,
            status: status(self.state, self.starts_at, now),
            today,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            days,
            elapsed_days,
            paused_days,
            elapsed_share: quotient(elapsed_share),
            remaining_days,
            budget: self.budget.map(BudgetBody::from),
            budget_total: money(budget_total),
            spent,
            spent_before_today: money(spent_before_today),
            expected: money(expected),
            index: quotient(index),
            daily_pace: money(daily_pace),
            projected: money(projected),
            exhausted_on,
            daily_needed: money(daily_needed),
        }
    }

    /// The warnings about members that are null.
    pub(super) fn warnings(&self, spend: &Spend) -> Vec<Warning> {
        let warning = |code, detail: &str| Warning {
            code,
            detail: detail.to_owned(),
            sources: Vec::new(),
            measures: vec![Measure::Spend.name()],
            spend: None,
        };
        let mut all = Vec::new();
        if self.budget.is_none() {
            all.push(warning("no_budget", "The campaign has no budget to compare its spend with."));
        }
        if self.ends_on.is_none() {
            all.push(warning("no_end", "The campaign has no last day, so its spend at the end is not projected."));
        }
        if spend.currencies.is_empty() && !spend.has_mixed_day {
            all.push(warning("no_spend", "No primary source states what the campaign spends."));
        }
        if spend.currencies.len() == 1 && !spend.currencies.contains(&self.currency) {
            all.push(warning(
                "currency_mismatch",
                "The spend and the budget are in different currencies, so they are not compared.",
            ));
        }
        if spend.currencies.len() > 1 && !spend.has_mixed_day {
            all.push(warning("mixed_currency", "The spend is in different currencies, which are never added."));
        }
        all
    }

    /// What it spent on days on which it was paused, archived or completed all day.
    pub(super) fn spend_while_paused(&self, spend: &Spend, today: NaiveDate) -> Option<Warning> {
        let (by_day, currency) = (spend.by_day.as_ref()?, *spend.currencies.first()?);
        spend_while_paused(self.id, &self.plan.idle_spend(by_day, today), currency)
    }
}

/// The warning that a campaign spent these amounts on days on which it could not run.
fn spend_while_paused(id: Uuid, spend: &BTreeMap<NaiveDate, i128>, currency: Currency) -> Option<Warning> {
    /// The most days that a warning lists.
    const MAX_DATES: usize = 31;
    if spend.is_empty() {
        return None;
    }
    let amount = format_millionths(spend.values().sum());
    let detail = format!(
        "The campaign spent {amount} {currency} on {} days on which it was paused, archived or completed all day.",
        spend.len()
    );
    let dates = spend.keys().skip(spend.len().saturating_sub(MAX_DATES)).copied().collect();
    let amount = SpendAmount { amount, currency: currency.to_string() };
    Some(Warning {
        code: "spend_while_paused",
        detail,
        sources: Vec::new(),
        measures: vec![Measure::Spend.name()],
        spend: Some(CampaignSpend { campaign_id: id, amount, dates }),
    })
}
