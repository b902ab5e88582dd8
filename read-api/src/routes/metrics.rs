//! The numbers of one campaign.

use axum::extract::State;
use axum::response::Response;
use domain::bucket::Granularity;
use http::HeaderMap;
use platform::http::auth::Authenticated;
use platform::http::path::ApiPath;
use platform::http::query::ApiQuery;
use platform::keys::Scope;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use uuid::Uuid;

use super::list;
use crate::ApiState;
use crate::answer::link_next;
use crate::consistency::Asked;
use crate::format::Format;
use crate::problems::NumbersProblems;
use crate::refusal::Refusal;
use crate::report::filter::request::FilterRequest;
use crate::report::query::DataState;
use crate::report::request::{CompareRequest, Fields, ReportRequest};
use crate::report::{Report, ReportBody};
use crate::serve::{Answered, Read, export};

/// The parameters of a campaign's metrics.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct MetricsParams {
    /// The first local day. 30 days up to `date_to` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "2026-11-01")]
    date_from: Option<String>,
    /// The last local day, included. Today when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "2026-11-30")]
    date_to: Option<String>,
    /// `15m`, `hour`, `day` (the default), `week`, `month` or `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    granularity: Option<String>,
    /// With `granularity` `week`: the day on which weeks begin, `monday` (the default) to `sunday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "sunday")]
    week_start: Option<String>,
    /// The IANA zone of the days. The workspace's when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
    /// Any of `channel` and `source`, and one dimension of observations: `ad`, `creative`, `placement`, `country`, `device`,
    /// `utm_source`, `utm_medium`, `utm_campaign`, `utm_term` or `utm_content`. Separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_by: Option<String>,
    /// Measures by name, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    measures: Option<String>,
    /// Adds the numbers of another range to each row: `previous_period`, `previous_year`, or its first and last local day joined by
    /// a slash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "2026-10-01/2026-10-31")]
    compare_to: Option<String>,
    /// What stands in buckets in which nothing was said: `none` (the default), `zero` or `zero_if_complete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(example = "zero_if_complete")]
    fill: Option<String>,
    /// Whether to tell all rows as one, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<bool>,
    /// The most rows of a page: 1 to 1000, 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// `all` (the default), or `final` for buckets that no source is expected to change any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_state: Option<String>,
    /// The answer should hold the log up to this position; `Prefer: wait=<seconds>` waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_position: Option<i64>,
    /// The answer must not lag by more than this: `500ms`, `5s`, `2m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_staleness: Option<String>,
    /// `stale` (the default): on time-out answer with what is there. `error`: refuse with 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_timeout: Option<String>,
}

/// Numbers of one campaign
///
/// Cut into buckets of local time.
/// Only rows with numbers are told, sorted by bucket. Totals add primary sources only.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/metrics",
    operation_id = "get_metrics",
    tag = "numbers",
    params(("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"), MetricsParams),
    responses(
        (status = 200, description = "The numbers.", content(
            (ReportBody<'static> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        NumbersProblems,
    )
)]
pub(crate) async fn show(
    State(state): State<ApiState>,
    caller: Authenticated,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(params): ApiQuery<MetricsParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let principal = caller.require(Scope::Read)?;
    let request = request(&params, id);
    let data_state = data_state(params.data_state.as_deref())?;
    if Format::of_rows(&headers)? == Format::Csv {
        let principal = principal.clone();
        return export(move |export| async move {
            let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
            let read = Read { state: &state, principal: &principal, headers: &headers, asked, is_conditional: true };
            export
                .pour(
                    read,
                    &Report { request: &request, granularity: Granularity::Day, data_state, campaign: Some(id) },
                )
                .await;
        })
        .await;
    }
    let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
    let report = Report { request: &request, granularity: Granularity::Day, data_state, campaign: Some(id) };
    let read = Read { state: &state, principal, headers: &headers, asked, is_conditional: true };
    let Answered { mut response, query, next_cursor } = read.answer(&report).await?;
    if let Some((query, cursor)) = query.zip(next_cursor) {
        let next = MetricsParams {
            date_from: Some(query.date_from.to_string()),
            date_to: Some(query.date_to.to_string()),
            cursor: Some(cursor),
            min_position: None,
            ..params
        };
        link_next(&mut response, &format!("/v1/campaigns/{id}/metrics?{}", query_string(&next)?));
    }
    Ok(response)
}

fn request(params: &MetricsParams, id: Uuid) -> ReportRequest {
    ReportRequest {
        measures: list(params.measures.as_deref()),
        date_from: params.date_from.clone(),
        date_to: params.date_to.clone(),
        granularity: params.granularity.clone(),
        time_zone: params.time_zone.clone(),
        group_by: list(params.group_by.as_deref()),
        filters: Some(FilterRequest { campaign_id: vec![id.to_string()], ..FilterRequest::default() }),
        order_by: None,
        limit: params.limit,
        cursor: params.cursor.clone(),
        week_start: params.week_start.clone(),
        compare_to: params.compare_to.as_deref().map(CompareRequest::of_text),
        fill: params.fill.clone(),
        totals: params.totals,
        subtotals: None,
    }
}

/// Which buckets are wanted.
pub(crate) fn data_state(text: Option<&str>) -> Result<DataState, Refusal> {
    let mut fields = Fields::default();
    let data_state = match text {
        None | Some("all") => DataState::All,
        Some("final") => DataState::Final,
        Some(_) => {
            fields.wrong("data_state", "is neither all nor final");
            DataState::All
        }
    };
    fields.finish(data_state).map_err(Refusal::Query)
}

/// Parameters as a query string.
pub(crate) fn query_string(params: &impl Serialize) -> Result<String, Refusal> {
    serde_urlencoded::to_string(params).map_err(Refusal::corrupt)
}
