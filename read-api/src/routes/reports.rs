//! The numbers of many campaigns: by POST, and by a GET that caches can keep.

use axum::response::Response;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domain::bucket::Granularity;
use platform::http::json::{self, ApiJson};
use platform::http::query::ApiQuery;

use super::metrics::data_state;
use crate::consistency::Asked;
use crate::problems::ReportProblems;
use crate::refusal::Refusal;
use crate::report::query::{DataState, ReportQuery};
use crate::report::request::ReportRequest;
use crate::report::{Report, ReportBody};
use crate::serve::{Caller, Params, params, query_string};

/// Base64url with or without padding: clients differ.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_encode_padding(false),
);

params! {
    /// The parameters of a report beside its query.
    pub(crate) struct ReportParams {
        /// `all` (the default), or `final` for buckets that no source is expected to change any more.
        data_state: Option<String>,
    }
}

params! {
    /// The same, with the query itself.
    pub(crate) struct CacheableParams {
        /// The body of `POST /v1/reports`, in base64url.
        #[param(required = true)]
        query: Option<String>,
        /// `all` (the default), or `final` for buckets that no source is expected to change any more.
        data_state: Option<String>,
    }
}

impl ReportParams {
    /// Which buckets are wanted.
    pub(crate) fn data_state(&self) -> Result<DataState, Refusal> {
        data_state(self.data_state.as_deref())
    }
}

/// How a report was sent, whichever way.
struct Sent {
    asked: Asked,
    data_state: Option<String>,
    request: ReportRequest,
}

impl Params<ReportQuery> for Sent {
    fn asked(&self) -> Asked {
        self.asked.clone()
    }

    fn is_limited(&self) -> bool {
        self.request.limit.is_some()
    }

    fn again(&self, query: &ReportQuery, cursor: Option<String>) -> Result<Option<String>, Refusal> {
        let pinned = ReportRequest {
            date_from: Some(query.date_from.to_string()),
            date_to: Some(query.date_to.to_string()),
            cursor: cursor.or_else(|| self.request.cursor.clone()),
            ..self.request.clone()
        };
        let query = BASE64URL.encode(serde_json::to_vec(&pinned).map_err(Refusal::corrupt)?);
        let data_state = self.data_state.clone();
        query_string(&CacheableParams { query: Some(query), data_state, ..CacheableParams::default() }).map(Some)
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
    params(ReportParams),
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
    caller: Caller,
    ApiQuery(params): ApiQuery<ReportParams>,
    ApiJson(request): ApiJson<ReportRequest>,
) -> Result<Response, Refusal> {
    let asked = params.asked();
    caller.list(report(Sent { asked, data_state: params.data_state, request })?).await
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
pub(crate) async fn get(caller: Caller, ApiQuery(params): ApiQuery<CacheableParams>) -> Result<Response, Refusal> {
    let (asked, request) = (params.asked(), decode(params.query.as_deref().unwrap_or_default())?);
    caller.list(report(Sent { asked, data_state: params.data_state, request })?).await
}

fn report(sent: Sent) -> Result<Report<Sent>, Refusal> {
    let data_state = data_state(sent.data_state.as_deref())?;
    let request = sent.request.clone();
    Ok(Report { request, granularity: Granularity::All, data_state, campaign: None, params: sent })
}

fn decode(text: &str) -> Result<ReportRequest, Refusal> {
    let bytes = BASE64URL.decode(text).map_err(|_| Refusal::field("query", "is not base64url"))?;
    let text = String::from_utf8(bytes).map_err(|_| Refusal::field("query", "does not hold JSON"))?;
    json::parse(&text).map_err(|error| match error {
        json::JsonError::Malformed { detail } => Refusal::field("query", format!("does not hold JSON: {detail}")),
        json::JsonError::Invalid(wrong) if wrong.field.is_empty() => Refusal::field("query", wrong.detail),
        json::JsonError::Invalid(wrong) => Refusal::field(&format!("query.{}", wrong.field), wrong.detail),
    })
}
