//! Dashboards: many reports, all answered at one position from one snapshot, by POST or by a cacheable GET.

mod request; // the reports as sent

use axum::response::Response;
use http_edge::json::{self, ApiEnvelope};
use http_edge::problem::Problem;
use http_edge::query::ApiQuery;
use queries::{CanonicalQuery, Query, dashboard};

use self::request::{DashboardEntry, DashboardRequest, Reports};
use super::post_or_get::{CacheableParams, PinDates, PostedParams, ReportInput};
use super::reports::with_dates;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::json::named_problem;
use crate::openapi::answers::DashboardAnswer;
use crate::problems::DashboardProblems;

impl PinDates for DashboardRequest {
    /// Each report has its own limit.
    fn is_limited(&self) -> bool {
        false
    }

    /// Its reports have cursors of their own.
    fn pinned(&self, query: &CanonicalQuery, _: Option<String>) -> Self {
        let CanonicalQuery::Dashboard(query) = query else { return self.clone() };
        let each = self.reports.0.iter().map(|(name, entry)| {
            let entry = match (query.0.get(name), entry) {
                (Some(Ok(resolved)), DashboardEntry::Report(report)) => {
                    let pinned = resolved.query.dates.as_given().map(|dates| with_dates(report, dates));
                    DashboardEntry::Report(pinned.map_or_else(|| report.clone(), Box::new))
                }
                // An invalid report stays as it was sent.
                _ => entry.clone(),
            };
            (name.clone(), entry)
        });
        Self { reports: Reports(each.collect()) }
    }
}

/// Run many reports at one position
///
/// Each report succeeds or fails by itself. Its member of `data` is the answer of `POST /v1/reports` at the same
/// position, or has the `problem`. `ETag` and `meta.version` cover all reports together. `Content-Location` names the
/// GET with the same answer, which can be cached and answers 304.
#[utoipa::path(
    post,
    path = "/v1/dashboards",
    operation_id = "run_dashboard",
    tag = "numbers",
    params(PostedParams),
    request_body = DashboardRequest,
    responses(
        (
            status = 200,
            description = "The reports, by name.",
            body = DashboardAnswer,
        ),
        DashboardProblems,
    )
)]
pub(crate) async fn post(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<PostedParams>,
    ApiEnvelope(request): ApiEnvelope<DashboardRequest>,
) -> Result<Response, ApiError> {
    answer(caller, ReportInput::by_post(params, request)).await
}

/// Run many reports at one position, cacheable
#[utoipa::path(
    get,
    path = "/v1/dashboards",
    operation_id = "get_dashboard",
    tag = "numbers",
    params(CacheableParams),
    responses(
        (
            status = 200,
            description = "The reports, by name.",
            body = DashboardAnswer,
        ),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        DashboardProblems,
    )
)]
pub(crate) async fn get(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<CacheableParams>,
) -> Result<Response, ApiError> {
    answer(caller, ReportInput::by_get(params, |text| json::parse_envelope(text))?).await
}

async fn answer(caller: ReadContext, sent: ReportInput<DashboardRequest>) -> Result<Response, ApiError> {
    sent.request.check()?;
    // The parameters of the address apply to all reports.
    sent.data_state(None)?;
    let entry = |name: &String, entry: &DashboardEntry| {
        let refused = |problem: Problem| dashboard::DashboardEntry::Refused(named_problem(name, problem).into());
        match entry {
            DashboardEntry::Report(request) => match sent.data_state(request.data_state.as_deref()) {
                Ok(data_state) => dashboard::DashboardEntry::Report { request: request.clone(), data_state },
                Err(error) => refused(error.into_problem()),
            },
            DashboardEntry::Misshapen(malformed) => refused(malformed.error.clone().into()),
        }
    };
    let reports = sent.request.reports.0.iter().map(|(name, sent)| (name.clone(), entry(name, sent))).collect();
    caller.answer(Query::Dashboard(dashboard::DashboardRequest { reports }), &sent).await
}
