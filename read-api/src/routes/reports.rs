//! The numbers of many campaigns: by POST, and by a GET that caches can keep.

use axum::response::Response;
use domain::bucket::Granularity;
use http_edge::json::{self, ApiJson};
use http_edge::query::ApiQuery;

use super::post_or_get::{CacheableParams, PinDates, PostedParams, ReportInput};
use crate::error::ReadError;
use crate::pipeline::ReadContext;
use crate::problems::ReportProblems;
use crate::report::query::ReportQuery;
use crate::report::request::ReportRequest;
use crate::report::{Report, ReportBody};

impl PinDates<ReportQuery> for ReportRequest {
    fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    fn pinned(&self, query: &ReportQuery, cursor: Option<String>) -> Self {
        Self {
            date_from: Some(query.date_from.to_string()),
            date_to: Some(query.date_to.to_string()),
            cursor: cursor.or_else(|| self.cursor.clone()),
            ..self.clone()
        }
    }
}

/// Numbers of many campaigns
///
/// `Content-Location` names the GET that answers the same, which caches can keep.
#[utoipa::path(
    post,
    path = "/v1/reports",
    operation_id = "run_report",
    tag = "numbers",
    params(PostedParams),
    request_body = ReportRequest,
    responses(
        (status = 200, description = "The numbers.", content(
            (ReportBody<'static> = "application/json"),
            (String = "text/csv"),
        )),
        ReportProblems,
    )
)]
pub(crate) async fn post(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<PostedParams>,
    ApiJson(request): ApiJson<ReportRequest>,
) -> Result<Response, ReadError> {
    caller.list(report(ReportInput::by_post(params, request))?).await
}

/// Numbers of many campaigns, cacheable
#[utoipa::path(
    get,
    path = "/v1/reports",
    operation_id = "get_report",
    tag = "numbers",
    params(CacheableParams),
    responses(
        (status = 200, description = "The numbers.", content(
            (ReportBody<'static> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        ReportProblems,
    )
)]
pub(crate) async fn get(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<CacheableParams>,
) -> Result<Response, ReadError> {
    caller.list(report(ReportInput::by_get(params, |text| json::parse(text))?)?).await
}

fn report(sent: ReportInput<ReportRequest>) -> Result<Report<ReportInput<ReportRequest>>, ReadError> {
    let request = sent.request.clone();
    let data_state = sent.data_state(request.data_state.as_deref())?;
    Ok(Report { request, granularity: Granularity::All, data_state, campaign: None, params: sent })
}
