//! The pacing of one campaign, as it is answered.

use chrono::NaiveDate;
use domain::campaign::CampaignStatus;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::campaign::BudgetBody;
use crate::report::value::{Money, Value};

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
    /// The number of elapsed days that do not count, because it was paused or archived for the whole day.
    pub paused_days: i64,
    /// Elapsed days divided by all days.
    #[schema(value_type = Option<f64>, example = 0.4)]
    pub elapsed_share: Value,
    /// The number of remaining days, including today; 0 after its end.
    pub remaining_days: Option<i64>,
    /// Its budget.
    pub budget: Option<BudgetBody>,
    /// The budget for all days. Of a daily budget: `expected` and today's budget on each remaining day.
    #[schema(value_type = Option<Money>)]
    pub budget_total: Value,
    /// The spend so far by its primary sources, including today.
    #[schema(value_type = Option<Money>, example = json!({"amount": "430.000000", "currency": "EUR"}))]
    pub spent: Value,
    /// The spend before today.
    #[schema(value_type = Option<Money>)]
    pub spent_before_today: Value,
    /// The spend before today if each day that counts spent the budget that stood at its end. A total budget is spread
    /// evenly over the days that count, less what was expected of the days before it was set.
    #[schema(value_type = Option<Money>)]
    pub expected: Value,
    /// `spent_before_today / expected`. Above 1, the campaign spends too fast.
    #[schema(value_type = Option<f64>, example = 0.5)]
    pub index: Value,
    /// The average spend per day of the last 7 whole days that count, or of all if there are fewer.
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
