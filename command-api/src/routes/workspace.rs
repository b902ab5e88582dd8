//! The workspace itself: its calendar, and the limit of its amounts of money.

use std::str::FromStr;

use axum::extract::State;
use commands::{CommandContext, CommandError, Completed};
use domain::bucket::{FiscalCalendar, MONTHS, RetailWeeks, RetailWeeksError, WEEKDAYS, month_name, weekday_name};
use domain::json_objects;
use domain::money::MoneyLimit;
use domain::note::{NoteUrl, Reason};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::command::{JsonCommand, noted};
use crate::problems::RouteError;
use crate::problems::kinds::WorkspaceProblems;
use crate::raw_number::{Decimal, Millionths};
use crate::response::CommandResponse;
use crate::state::ApiState;

/// The calendar of a workspace: how its reports divide days, unless a query says otherwise.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"week_start": "sunday", "year_start": "february", "retail_weeks": "4-5-4"}))]
pub(crate) struct SetCalendar {
    /// The day on which weeks begin: `monday` to `sunday`.
    #[schema(example = "monday")]
    week_start: String,
    /// The month with which years begin, and quarters with every third one: `january` to `december`.
    #[schema(example = "january")]
    year_start: String,
    /// The three months of a quarter in weeks: `4-4-5`, `4-5-4` or `5-4-4`. Null, or left out, for months of the
    /// Gregorian calendar. The year then begins on the start of a week that is nearest to the first of `year_start`.
    #[serde(default)]
    #[schema(example = "4-5-4")]
    retail_weeks: Option<String>,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
}

json_objects!(read: SetCalendar);

impl SetCalendar {
    fn calendar(&self) -> Result<FiscalCalendar, CommandError> {
        let invalid = |field, detail: String| CommandError::Invalid { field, detail };
        let week_start = WEEKDAYS.into_iter().find(|day| weekday_name(*day) == self.week_start);
        let year_start = MONTHS.into_iter().find(|month| month_name(*month) == self.year_start);
        let weeks = self.retail_weeks.as_deref().map(RetailWeeks::from_str).transpose();
        Ok(FiscalCalendar {
            week_start: week_start.ok_or_else(|| invalid("week_start", one_of(&WEEKDAYS.map(weekday_name))))?,
            year_start: year_start.ok_or_else(|| invalid("year_start", one_of(&MONTHS.map(month_name))))?,
            retail_weeks: weeks.map_err(|error: RetailWeeksError| invalid("retail_weeks", error.to_string()))?,
        })
    }
}

fn one_of(names: &[&str]) -> String {
    format!("must be one of {}", names.join(", "))
}

/// The most that one amount of money of a workspace may be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"money_limit": "250000", "reason": "Nothing of ours costs more."}))]
pub(crate) struct SetMoneyLimit {
    /// The limit in units of whatever currency an amount is in: 1,000 to 1,000,000,000,000. `null` removes it.
    /// Required, so that an empty body removes nothing.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(value_type = Option<Decimal>, required = true)]
    money_limit: Option<Millionths>,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
}

json_objects!(read: SetMoneyLimit);

impl SetMoneyLimit {
    fn limit(&self) -> Result<Option<MoneyLimit>, CommandError> {
        let limit = self.money_limit.map(|Millionths(micros)| MoneyLimit::from_micros(micros)).transpose();
        limit.map_err(|error| CommandError::Invalid { field: "money_limit", detail: error.to_string() })
    }
}

/// The state of the workspace after a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"version": 2, "position": 18350}))]
pub(crate) struct WorkspaceResponse {
    /// The number of events of the workspace itself.
    version: i64,
    /// The position of the log that covers the command.
    position: i64,
}

impl WorkspaceResponse {
    fn answer(context: &CommandContext, done: &Completed<()>) -> CommandResponse {
        let body = Self { version: done.version, position: done.position };
        CommandResponse::new(StatusCode::OK, context, done, &body)
    }
}

/// Set the workspace's calendar
///
/// Reports follow it from then on, for all dates, unless a query says otherwise. Nothing recorded changes.
#[utoipa::path(
    put,
    path = "/v1/workspace/calendar",
    operation_id = "set_calendar",
    tag = "workspace",
    request_body = SetCalendar,
    responses(
        (status = 200, description = "The workspace has this calendar", body = WorkspaceResponse),
        WorkspaceProblems,
    )
)]
pub(crate) async fn set_calendar(
    State(state): State<ApiState>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let mut body: SetCalendar = command.body()?;
    let context = noted(command.context, body.reason.take(), body.note_url.take());
    let done = state.commands.set_calendar(&context, body.calendar()?).await?;
    Ok(WorkspaceResponse::answer(&context, &done))
}

/// Set the most that one amount of money may be
///
/// Items with a larger amount of money, or one as far below zero, are rejected as `over_money_limit` from then on. So
/// micros that are sent as units do not reach a report. What was recorded before stays. Without a limit, an amount may
/// be up to 1,000,000,000,000.
#[utoipa::path(
    put,
    path = "/v1/workspace/money-limit",
    operation_id = "set_money_limit",
    tag = "workspace",
    request_body = SetMoneyLimit,
    responses(
        (status = 200, description = "The workspace has this limit", body = WorkspaceResponse),
        WorkspaceProblems,
    )
)]
pub(crate) async fn set_money_limit(
    State(state): State<ApiState>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let mut body: SetMoneyLimit = command.body()?;
    let context = noted(command.context, body.reason.take(), body.note_url.take());
    let done = state.commands.set_money_limit(&context, body.limit()?).await?;
    Ok(WorkspaceResponse::answer(&context, &done))
}
