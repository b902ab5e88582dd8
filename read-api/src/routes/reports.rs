//! The numbers of many campaigns: by POST, and by a GET that caches can keep.

use axum::response::Response;
use chrono::NaiveDate;
use domain::bucket::Granularity;
use http_edge::json::{self, ApiJson};
use http_edge::query::ApiQuery;
use queries::report::Report;
use queries::report::request::ReportRequest;
use queries::{CanonicalQuery, Query};

use super::post_or_get::{CacheableParams, PinDates, PostedParams, ReportInput};
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::json::ReportBody;
use crate::problems::ReportProblems;

impl PinDates for ReportRequest {
    fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    fn pinned(&self, query: &CanonicalQuery, cursor: Option<String>) -> Self {
        let cursor = cursor.or_else(|| self.cursor.clone());
        let page = Self { cursor, ..self.clone() };
        query.dates().map_or_else(|| page.clone(), |dates| with_dates(&page, dates))
    }
}

/// The same request with these days.
pub(super) fn with_dates(request: &ReportRequest, (date_from, date_to): (NaiveDate, NaiveDate)) -> ReportRequest {
    let (date_from, date_to) = (Some(date_from.to_string()), Some(date_to.to_string()));
    ReportRequest { date_from, date_to, ..request.clone() }
}

/// Run a report over many campaigns
///
/// `Content-Location` names the GET with the same answer, which can be cached and answers 304.
#[utoipa::path(
    post,
    path = "/v1/reports",
    operation_id = "run_report",
    tag = "numbers",
    params(PostedParams),
    request_body = ReportRequest,
    responses(
        (status = 200, description = "The report.", content(
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
) -> Result<Response, ApiError> {
    answer(caller, ReportInput::by_post(params, request)).await
}

/// Run a report over many campaigns, cacheable
#[utoipa::path(
    get,
    path = "/v1/reports",
    operation_id = "get_report",
    tag = "numbers",
    params(CacheableParams),
    responses(
        (status = 200, description = "The report.", content(
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
) -> Result<Response, ApiError> {
    answer(caller, ReportInput::by_get(params, |text| json::parse(text))?).await
}

async fn answer(caller: ReadContext, sent: ReportInput<ReportRequest>) -> Result<Response, ApiError> {
    let request = sent.request.clone();
    let data_state = sent.data_state(request.data_state.as_deref())?;
    let report = Report { request, granularity: Granularity::All, data_state, campaign: None };
    caller.list(Query::Report(Box::new(report)), &sent, "report".to_owned()).await
}

#[cfg(test)]
mod tests {
    use http_edge::json::JsonError;

    use super::*;

    #[test]
    fn rejects_lists_in_place_of_objects() {
        let field = |text: &str| match json::parse::<ReportRequest>(text) {
            Err(JsonError::Invalid(wrong)) => (wrong.field, wrong.detail),
            other => panic!("{other:?}"),
        };
        let error = |field: &str, detail: &str| (field.to_owned(), detail.to_owned());
        assert_eq!(
            field(r#"[["clicks"], "2026-11-01", "2026-11-20", "day"]"#),
            error("", "must be an object, not a list")
        );
        assert_eq!(field("[]"), error("", "must be an object, not a list"));
        assert_eq!(field(r#"{"filters": [["a"]]}"#), error("filters", "must be an object, not a list"));
        let inner = r#"{"filters": {"or": [{"not": {"and": [[]]}}]}}"#;
        assert_eq!(field(inner), error("filters.or[0].not.and[0]", "must be an object, not a list"));
        let dates = field(r#"{"compare_to": ["2026-10-01", "2026-10-02"]}"#);
        assert_eq!(
            dates,
            error("compare_to", "must be a name such as previous_period, or {date_from, date_to}, not a list")
        );
        assert_eq!(field(r#"{"compare_to": {"date_from": "2026-10-01"}}"#), error("compare_to.date_to", "is missing"));
        assert_eq!(field(r#"{"filters": {"source": "a"}}"#), error("filters.source", "must be a list, not \"a\""));
        assert_eq!(field(r#"{"limit": 1, "limit": 2}"#), error("limit", "is there more than once"));
        assert_eq!(field(r#"{"filters": {"ad": [], "ad": []}}"#), error("filters.ad", "is there more than once"));
    }
}
