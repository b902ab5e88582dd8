//! The caller's workspace: its time zone, its currency, its calendar, its money limit, and where its command API is.

use domain::bucket::{FiscalCalendar, month_name, weekday_name};
use domain::decimal::format_millionths;
use domain::money::Currency;
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::defaults::WorkspaceDefaults;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::probe::{Probe, Validity};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;

/// The model that workspaces are read from, as answers name it.
pub const MODEL: &str = "workspace";

/// The query of the caller's workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WorkspaceQuery {
    /// The URL of the command API, as this process was told. It is part of the query, so that another one is another
    /// result.
    pub command_api: Option<String>,
}

/// A workspace: what its reports mean unless a query says otherwise.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub struct WorkspaceBody {
    /// The default time zone of its reports.
    #[schema(value_type = String, example = "Europe/Berlin")]
    pub time_zone: &'static str,
    /// Its reporting currency.
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    pub calendar: CalendarBody,
    /// The most that one amount of money may be, in units of whatever currency it is in. Null if the workspace set no
    /// limit: then it is 1,000,000,000,000.
    #[schema(example = "250000.000000")]
    pub money_limit: Option<String>,
    /// The URL of its command API. Null if this process was not told.
    #[schema(example = "https://commands.example.com")]
    pub command_api: Option<String>,
}

/// How the reports of a workspace divide days into weeks, months, quarters and years.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Calendar)]
pub struct CalendarBody {
    /// The day on which weeks begin.
    #[schema(value_type = String, example = "monday")]
    pub week_start: &'static str,
    /// The month with which years begin, and quarters with every third one.
    #[schema(value_type = String, example = "january")]
    pub year_start: &'static str,
    /// The three months of a quarter in weeks: `4-4-5`, `4-5-4` or `5-4-4`. Null where months are those of the
    /// Gregorian calendar.
    #[schema(value_type = Option<String>, example = "4-5-4")]
    pub retail_weeks: Option<&'static str>,
}

impl WorkspaceBody {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + [&self.command_api, &self.money_limit].into_iter().flatten().map(String::len).sum::<usize>()
    }
}

impl From<FiscalCalendar> for CalendarBody {
    fn from(calendar: FiscalCalendar) -> Self {
        let FiscalCalendar { week_start, year_start, retail_weeks } = calendar;
        Self {
            week_start: weekday_name(week_start),
            year_start: month_name(year_start),
            retail_weeks: retail_weeks.map(domain::bucket::RetailWeeks::name),
        }
    }
}

/// The money limit of a workspace, in micros, if it has one.
pub(crate) type LimitMicros = Option<i64>;

/// The version is the position of the last event of the workspace itself: the first of the log, or the last calendar or
/// money limit. `None` while the first event is not applied.
pub(crate) async fn probe(snapshot: &mut Snapshot) -> Result<Option<Probe<LimitMicros>>, ReadError> {
    if snapshot.defaults.currency.is_none() {
        return Ok(None);
    }
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let row = sqlx::query!(
        "SELECT money_limit, money_limit_position FROM read.workspaces WHERE epoch = $1 AND workspace = $2",
        epoch,
        workspace
    )
    .fetch_one(snapshot.db())
    .await?;
    let last = snapshot.calendar_position.max(row.money_limit_position).max(1);
    let version = snapshot.version(last, None).await?;
    Ok(Some(Probe { epoch, version, validity: Validity::Until(None), numbers: None, prepared: row.money_limit }))
}

pub(crate) fn load(
    snapshot: &Snapshot,
    query: &WorkspaceQuery,
    limit: LimitMicros,
    version: Version,
) -> Result<TypedResult<WorkspaceBody>, ReadError> {
    let WorkspaceDefaults { time_zone, calendar, currency } = snapshot.defaults;
    let data = WorkspaceBody {
        time_zone: time_zone.name(),
        currency: currency.ok_or_else(|| ReadError::corrupt("a probed workspace has no currency"))?,
        calendar: calendar.into(),
        money_limit: limit.map(|micros| format_millionths(micros.into())),
        command_api: query.command_api.clone(),
    };
    let meta = ResultMeta::of_snapshot(snapshot, MODEL, version, Vec::new());
    Ok(TypedResult::whole(meta, data))
}
