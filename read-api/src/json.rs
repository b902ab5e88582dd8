//! Typed results as JSON: the common envelope, and the data of each query.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use http_edge::problem::Problem;
use queries::campaign::Campaign;
use queries::campaigns::CampaignsQuery;
use queries::dashboard::{DashboardQuery, ReportResult};
use queries::leaderboard::{Leaderboard, RankedCampaign};
use queries::report::ReportData;
use queries::report::data::ComparedRange;
use queries::report::dates::DaysBody;
use queries::report::row::ReportRow;
use queries::sources::Freshness;
use queries::{CanonicalQuery, Data, QueryResult, ReadError, Resolved, ResolvedQuery, TypedResult, Warning};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{ApiError, problem};

/// The name of this encoding.
pub(crate) const ENCODING: &str = "json";

/// The body of an answer. `openapi::answers` has the schema of each.
#[derive(Debug, Serialize)]
struct Envelope<'a, T> {
    data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<Page<'a>>,
    meta: Meta<'a>,
}

/// The position among the pages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<'a> {
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<&'a str>,
    /// Whether the list may have changed since the first page, so that rows may be missing or stand on two pages. Only
    /// a page that follows another has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<bool>,
}

/// Facts about the data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Meta<'a> {
    /// The read model.
    #[schema(example = "campaign_metrics")]
    model: &'static str,
    /// The epoch of the read model. Versions of different epochs cannot be compared.
    epoch: i32,
    /// The result's version: the position of the last event that changed it, when that was recorded, in microseconds,
    /// and the last instant at which the clock changed it. A count follows once a part of the log was parked.
    #[schema(example = "1204@1795301876000000.1795302000")]
    version: String,
    /// When the last event that changed the result was recorded. Null where none did.
    last_changed_at: Option<DateTime<Utc>>,
    /// The time zone of days and hours.
    #[schema(value_type = String, example = "Europe/Berlin")]
    time_zone: &'static str,
    /// The workspace's reporting currency. Every amount has its own.
    #[schema(value_type = Option<String>, example = "EUR")]
    currency: Option<domain::money::Currency>,
    /// The canonical query, with defaults filled in.
    #[schema(value_type = Object)]
    query: Box<RawValue>,
    /// How fresh the numbers are. Left out for answers without numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    freshness: Option<&'a Freshness>,
    /// With `range`: the days that it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    dates: Option<DaysBody>,
    /// With `compare_to`: the range of comparison.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<&'a ComparedRange>,
    /// Warnings about the data.
    warnings: &'a [Warning],
}

/// A report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct ReportBody<'a> {
    /// The rows of the page.
    data: Vec<ReportRow<'a>>,
    /// With `subtotals`: one row for each value of that key, over all pages, sorted by it. Primary sources only, unless
    /// the key is `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    subtotals: Option<Vec<ReportRow<'a>>>,
    /// With `totals`: the sums over all pages, of primary sources only.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<ReportRow<'a>>,
    page: Page<'a>,
    meta: Meta<'a>,
}

/// A page of campaigns.
#[derive(Serialize, ToSchema)]
pub(crate) struct CampaignsAnswer<'a> {
    #[schema(value_type = Vec<ListedCampaign>)]
    data: CampaignRows<'a>,
    page: Page<'a>,
    meta: Meta<'a>,
}

/// The campaigns of a page: whole, or only the members that `fields` names.
#[derive(Serialize)]
#[serde(untagged)]
enum CampaignRows<'a> {
    Whole(&'a [Campaign]),
    Selected(Vec<Map<String, Value>>),
}

/// The schema of a campaign of a page. No member is required, because `fields` may leave out any.
struct ListedCampaign;

impl PartialSchema for ListedCampaign {
    fn schema() -> RefOr<Schema> {
        let mut campaign = Campaign::schema();
        if let RefOr::T(Schema::Object(campaign)) = &mut campaign {
            campaign.required.clear();
            campaign.description = Some("A campaign. With `fields`, only these members.".to_owned());
        }
        campaign
    }
}

impl ToSchema for ListedCampaign {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ListedCampaign")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Campaign::schemas(schemas);
    }
}

/// One report of a dashboard: its answer or its problem. A report that fails does not fail the others.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Tile<'a> {
    /// As `POST /v1/reports` answers.
    Report(Box<ReportBody<'a>>),
    /// The problem that `POST /v1/reports` would answer.
    Refused(RefusedReport),
}

/// A report of a dashboard that failed.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefusedReport {
    /// The problem; `report` names the report.
    #[schema(value_type = Problem)]
    problem: Box<RawValue>,
}

/// The body of a leaderboard.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaderboardAnswer<'a> {
    data: &'a [RankedCampaign],
    page: Page<'a>,
    meta: LeaderboardMeta<'a>,
}

/// Facts about the data, and the state of the log that it shows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaderboardMeta<'a> {
    #[serde(flatten)]
    meta: Meta<'a>,
    /// When the leaderboard was last refreshed. Null if it never was for this workspace.
    as_of: Option<DateTime<Utc>>,
    /// The position up to which the log was applied then.
    position: i64,
}

/// The canonical query as answers repeat it.
#[derive(Serialize)]
struct Echo<'a, Q> {
    #[serde(flatten)]
    query: &'a Q,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_from: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_to: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
}

/// Encodes the result of a query.
pub(crate) fn encode(query: &ResolvedQuery, result: &QueryResult) -> Result<Vec<u8>, ApiError> {
    match (&result.data, &query.query) {
        (Data::Campaigns(campaigns), CanonicalQuery::Campaigns(canonical)) => {
            let data = campaign_rows(campaigns, canonical)?;
            written(&CampaignsAnswer { data, page: page(result), meta: meta(result, echo(query, None)?) })
        }
        (Data::Campaign(campaign), _) => enveloped(campaign, query, result),
        (Data::Activity(entries), _) => enveloped(entries, query, result),
        (Data::Corrections(corrections), _) => enveloped(corrections, query, result),
        (Data::Pacing(pacing), _) => enveloped(pacing, query, result),
        (Data::PacingList(campaigns), _) => enveloped(campaigns, query, result),
        (Data::Workspace(workspace), _) => enveloped(workspace, query, result),
        (Data::Report(report), _) => written(&report_body(report, query, result)?),
        (Data::Leaderboard(leaderboard), _) => written(&leaderboard_body(leaderboard, query, result)?),
        (Data::Dashboard(reports), CanonicalQuery::Dashboard(canonical)) => {
            let data = tiles(reports, canonical)?;
            // Each report repeats its own query.
            let names: Vec<_> = canonical.0.keys().collect();
            let echo = raw(&serde_json::json!({ "reports": names }))?;
            written(&Envelope { data, page: None, meta: meta(result, echo) })
        }
        (Data::Campaigns(_) | Data::Dashboard(_), _) => Err(ApiError::internal("the result is of another query")),
    }
}

fn enveloped<T: Serialize>(data: T, query: &ResolvedQuery, result: &QueryResult) -> Result<Vec<u8>, ApiError> {
    let page = query.paging.is_some().then(|| page(result));
    written(&Envelope { data, page, meta: meta(result, echo(query, None)?) })
}

fn written(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body).map_err(ApiError::internal)
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, ApiError> {
    to_raw_value(value).map_err(ApiError::internal)
}

fn page<D>(result: &TypedResult<D>) -> Page<'_> {
    Page { next_cursor: result.next_cursor.as_deref(), moved: result.moved }
}

/// The query as the answer repeats it. `dates` are the resolved dates of the read.
fn echo<Q: Serialize>(query: &Resolved<Q>, dates: Option<(NaiveDate, NaiveDate)>) -> Result<Box<RawValue>, ApiError> {
    let limit = query.paging.as_ref().map(|paging| paging.limit);
    let (date_from, date_to) = dates.unzip();
    raw(&Echo { query: &query.query, date_from, date_to, limit })
}

fn meta<D>(result: &TypedResult<D>, query: Box<RawValue>) -> Meta<'_> {
    let meta = &result.meta;
    Meta {
        model: meta.model,
        epoch: meta.epoch,
        version: meta.version.to_string(),
        last_changed_at: meta.version.last_changed_at(),
        time_zone: meta.time_zone.name(),
        currency: meta.currency,
        query,
        freshness: meta.freshness.as_ref(),
        dates: None,
        compared: None,
        warnings: &meta.warnings,
    }
}

fn campaign_rows<'a>(campaigns: &'a [Campaign], query: &CampaignsQuery) -> Result<CampaignRows<'a>, ApiError> {
    if query.fields.is_empty() {
        return Ok(CampaignRows::Whole(campaigns));
    }
    let rows = campaigns.iter().map(|campaign| selected_fields(campaign, query));
    Ok(CampaignRows::Selected(rows.collect::<Result<_, _>>()?))
}

/// The members of a campaign that `fields` names.
fn selected_fields(campaign: &Campaign, query: &CampaignsQuery) -> Result<Map<String, Value>, ApiError> {
    let Value::Object(mut all) = serde_json::to_value(campaign).map_err(ApiError::internal)? else {
        return Err(ApiError::internal("a campaign is an object"));
    };
    Ok(query.fields.iter().filter_map(|field| all.remove_entry(field.name())).collect())
}

fn report_body<'a, Q: Serialize, D>(
    report: &'a ReportData,
    query: &Resolved<Q>,
    result: &'a TypedResult<D>,
) -> Result<ReportBody<'a>, ApiError> {
    Ok(ReportBody {
        data: report.rows().collect(),
        subtotals: report.subtotals().map(Iterator::collect),
        totals: report.totals(),
        page: page(result),
        meta: Meta { dates: report.dates, compared: report.compared.as_ref(), ..meta(result, echo(query, None)?) },
    })
}

fn leaderboard_body<'a>(
    leaderboard: &'a Leaderboard,
    query: &ResolvedQuery,
    result: &'a QueryResult,
) -> Result<LeaderboardAnswer<'a>, ApiError> {
    let Leaderboard { campaigns, as_of, position, dates } = leaderboard;
    let meta = LeaderboardMeta { meta: meta(result, echo(query, *dates)?), as_of: *as_of, position: *position };
    Ok(LeaderboardAnswer { data: campaigns, page: page(result), meta })
}

/// Each report of a dashboard as `POST /v1/reports` answers it, or its problem.
fn tiles<'a>(
    reports: &'a BTreeMap<String, ReportResult>,
    query: &'a DashboardQuery,
) -> Result<BTreeMap<&'a str, Tile<'a>>, ApiError> {
    let mut tiles = BTreeMap::new();
    for (name, resolved) in &query.0 {
        let tile = match (resolved, reports.get(name)) {
            (Ok(resolved), Some(Ok(result))) => Tile::Report(Box::new(report_body(&result.data, resolved, result)?)),
            (Ok(_), Some(Err(error))) | (Err(error), _) => {
                Tile::Refused(RefusedReport { problem: report_problem(name, error)? })
            }
            (Ok(_), None) => return Err(ApiError::internal("each report of a dashboard has a result or an error")),
        };
        tiles.insert(name.as_str(), tile);
    }
    Ok(tiles)
}

fn report_problem(name: &str, error: &ReadError) -> Result<Box<RawValue>, ApiError> {
    let text = match error {
        // The route has written the problem already.
        ReadError::Unreadable(text) => text.to_string(),
        error => named_problem(name, problem(error)),
    };
    RawValue::from_string(text).map_err(ApiError::internal)
}

/// The problem of one report of a dashboard, as JSON.
pub(crate) fn named_problem(name: &str, problem: Problem) -> String {
    problem.extension("report", name).to_json().to_string()
}
