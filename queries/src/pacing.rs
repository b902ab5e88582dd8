//! Pacing: the budget and the spend of one campaign, compared as the days of its flight pass.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::bucket::{Granularity, local_date};
use domain::campaign::{Budget, CampaignState, CampaignStatus, status};
use domain::measure::Measure;
use domain::money::Currency;
use domain::pacing::{Flight, Pacing, pacing};
use domain::zone::Zone;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::campaign::{BudgetBody, budget};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::probe::Probe;
use crate::report::filter::Filter;
use crate::report::query::{DataState, Fill, MeasureColumn, ReportQuery};
use crate::report::value::{Money, Value};
use crate::report::{ReportContext, SnapshotLookups, prepare, rows};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;
use crate::warning::Warning;

/// The model that pacing is read from, as answers name it.
pub const MODEL: &str = "pacing";

/// The most days before today whose spend counts.
const MAX_DAYS: u64 = 9_999;

/// The pacing of a campaign. Only whole days before today, in the campaign's time zone, are compared with the expected
/// spend. A member is null if it cannot be computed; a warning says why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pacing)]
pub struct PacingBody {
    pub campaign_id: Uuid,
    /// `draft`, `scheduled`, `active`, `paused`, `completed` or `archived`.
    #[schema(value_type = String, example = "active")]
    pub status: CampaignStatus,
    /// Today, in the campaign's time zone. Days before it are compared.
    pub today: NaiveDate,
    /// Its first day.
    pub starts_on: NaiveDate,
    /// Its last day.
    pub ends_on: Option<NaiveDate>,
    /// The number of days from its first to its last.
    pub days: Option<i64>,
    /// The number of its whole days before today.
    pub elapsed_days: i64,
    /// Elapsed days divided by all days.
    #[schema(value_type = Option<f64>, example = 0.4)]
    pub elapsed_share: Value,
    /// The number of remaining days, including today; 0 after its end.
    pub remaining_days: Option<i64>,
    /// Its budget.
    pub budget: Option<BudgetBody>,
    /// The budget for all days; a daily budget is multiplied by the number of days.
    #[schema(value_type = Option<Money>)]
    pub budget_total: Value,
    /// The spend so far by its primary sources, including today.
    #[schema(value_type = Option<Money>, example = json!({"amount": "430.000000", "currency": "EUR"}))]
    pub spent: Value,
    /// The spend before today.
    #[schema(value_type = Option<Money>)]
    pub spent_before_today: Value,
    /// The spend before today if the budget were spent evenly.
    #[schema(value_type = Option<Money>)]
    pub expected: Value,
    /// `spent_before_today / expected`. Above 1, the campaign spends too fast.
    #[schema(value_type = Option<f64>, example = 0.5)]
    pub index: Value,
    /// The average spend per day of the last 7 whole days, or of all if there are fewer.
    #[schema(value_type = Option<Money>)]
    pub daily_pace: Value,
    /// The projected spend at its end, at this pace.
    #[schema(value_type = Option<Money>)]
    pub projected: Value,
    /// The day on which the total budget is used up at this pace. Null if not before its end.
    pub exhausted_on: Option<NaiveDate>,
    /// The spend per remaining day that uses up the budget.
    #[schema(value_type = Option<Money>)]
    pub daily_needed: Value,
}

/// What a probe has loaded for pacing.
pub struct PacingInputs {
    campaign: PacedCampaign,
    /// The report of its spend.
    query: ReportQuery,
    spend: ReportContext,
}

pub(crate) async fn probe(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<Probe<PacingInputs>>, ReadError> {
    let Some(campaign) = PacedCampaign::find(snapshot, id).await? else { return Ok(None) };
    let query = daily_spend(id, &campaign, local_date(snapshot.now, campaign.zone));
    let mut shared = SnapshotLookups::load(snapshot).await?;
    // Its version has the last midnight and holds until the next one, because both are edges of its days.
    let spend = prepare(snapshot, &mut shared, &query).await?.into_probe(snapshot);
    Ok(Some(spend.map(|spend| PacingInputs { campaign, query, spend })))
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    id: Uuid,
    version: Version,
    inputs: PacingInputs,
) -> Result<TypedResult<PacingBody>, ReadError> {
    let PacingInputs { campaign, query, spend: context } = inputs;
    let (rows, mut warnings) = context.rows_and_warnings(snapshot, &query).await?;
    let spend = Spend::of(&rows, &context);
    let body = campaign.body(id, &spend, snapshot.now, query.date_to);
    warnings.extend(campaign.warnings(&spend));
    warnings.sort_unstable();
    let (time_zone, freshness) = (campaign.zone, Some(context.freshness(snapshot.now)));
    let meta = ResultMeta { time_zone, freshness, ..ResultMeta::of_snapshot(snapshot, MODEL, version, warnings) };
    Ok(TypedResult { meta, next_cursor: None, data: body })
}

impl std::fmt::Debug for PacingInputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacingInputs").field("query", &self.query).finish_non_exhaustive()
    }
}

/// The properties of a campaign that pacing uses.
struct PacedCampaign {
    state: CampaignState,
    zone: Zone,
    currency: Currency,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    starts_at: DateTime<Utc>,
    budget: Option<Budget>,
    /// The first bucket with spend.
    first_spent: Option<DateTime<Utc>>,
}

impl PacedCampaign {
    async fn find(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<Self>, ReadError> {
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let row = sqlx::query!(
            r#"SELECT state, time_zone, currency, starts_on, ends_on, starts_at, budget_micros, budget_per,
                      least(
                          (SELECT min(bucket) FROM read.rollup_15m
                           WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3 AND measure = 'spend'),
                          (SELECT min(bucket_start) FROM read.statements
                           WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3 AND measure = 'spend'
                             AND value IS NOT NULL)
                      ) AS first_spent
               FROM read.campaigns WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3"#,
            epoch,
            workspace,
            id,
        )
        .fetch_optional(snapshot.db())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let currency = row.currency.parse().map_err(ReadError::corrupt)?;
        Ok(Some(Self {
            state: row.state.parse().map_err(ReadError::corrupt)?,
            zone: row.time_zone.parse().map_err(ReadError::corrupt)?,
            currency,
            starts_on: row.starts_on,
            ends_on: row.ends_on,
            starts_at: row.starts_at,
            budget: budget(row.budget_micros, row.budget_per.as_deref(), currency)?,
            first_spent: row.first_spent,
        }))
    }

    fn body(&self, campaign_id: Uuid, spend: &Spend, now: DateTime<Utc>, today: NaiveDate) -> PacingBody {
        let in_currency = spend.currencies.iter().all(|currency| *currency == self.currency);
        let flight = Flight {
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            is_over: matches!(self.state, CampaignState::Completed | CampaignState::Archived),
            budget: self.budget,
            today,
            spend: spend.by_day.as_ref().filter(|_| in_currency),
        };
        let Pacing {
            days,
            elapsed_days,
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
            campaign_id,
            status: status(self.state, self.starts_at, now),
            today,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            days,
            elapsed_days,
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
    fn warnings(&self, spend: &Spend) -> Vec<Warning> {
        let warning = |code, detail: &str| Warning {
            code,
            detail: detail.to_owned(),
            sources: Vec::new(),
            measures: vec![Measure::Spend.name()],
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
}

/// The report of the spend of every day so far, in the campaign's zone.
fn daily_spend(id: Uuid, campaign: &PacedCampaign, today: NaiveDate) -> ReportQuery {
    // A day of another zone may belong to the date before.
    let first = campaign.first_spent.map(|at| local_date(at, campaign.zone)).and_then(|day| day.pred_opt());
    let earliest = today.checked_sub_days(Days::new(MAX_DAYS)).unwrap_or(today);
    let date_from = first.map_or(campaign.starts_on, |first| first.min(campaign.starts_on));
    ReportQuery {
        measures: vec![MeasureColumn::Additive(Measure::Spend)],
        date_from: date_from.min(today).max(earliest),
        date_to: today,
        granularity: Granularity::Day,
        week_start: None,
        time_zone: campaign.zone,
        group_by: BTreeSet::new(),
        filters: Filter::of_campaigns([id]),
        order_by: Vec::new(),
        data_state: DataState::All,
        compare_to: None,
        fill: Fill::None,
        totals: false,
        subtotals: None,
    }
}

/// The spend by day.
struct Spend {
    /// `None` without any spend, or with several currencies.
    by_day: Option<BTreeMap<NaiveDate, i128>>,
    currencies: BTreeSet<Currency>,
    has_mixed_day: bool,
}

impl Spend {
    fn of(rows: &[rows::Row], context: &ReportContext) -> Self {
        let mut by_day = BTreeMap::new();
        let mut currencies = BTreeSet::new();
        let has_mixed_day = rows.iter().any(|row| !row.by_currency.is_empty());
        for row in rows {
            let (Some(Value::Money(micros, currency)), Some(cell)) =
                (row.values.first(), context.own.plan.cells().get(row.key.cell))
            else {
                continue;
            };
            currencies.insert(*currency);
            *by_day.entry(cell.first_date).or_default() += micros;
        }
        let is_one = currencies.len() == 1 && !has_mixed_day;
        Self { by_day: is_one.then_some(by_day), currencies, has_mixed_day }
    }

    fn total(&self) -> Value {
        match (&self.by_day, self.currencies.first()) {
            (Some(by_day), Some(currency)) => Value::Money(by_day.values().sum(), *currency),
            _ => Value::Null,
        }
    }
}
