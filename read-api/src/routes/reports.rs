//! The numbers of many campaigns: by POST, and by a GET that caches can keep.

use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domain::bucket::Granularity;
use http::HeaderMap;
use platform::http::auth::Authenticated;
use platform::http::json::{self, ApiJson};
use platform::http::query::ApiQuery;
use platform::keys::Scope;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::metrics::{data_state, query_string};
use crate::ApiState;
use crate::answer::{content_location, link_next};
use crate::consistency::Asked;
use crate::format::Format;
use crate::problems::ReportProblems;
use crate::refusal::Refusal;
use crate::report::query::DataState;
use crate::report::request::ReportRequest;
use crate::report::{Report, ReportBody};
use crate::serve::{Answered, Read, export};

/// Base64url with or without padding: clients differ.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_encode_padding(false),
);

/// The parameters of a report beside its query.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportParams {
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

impl ReportParams {
    /// What is asked of the answer's freshness.
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked::new(self.min_position, self.max_staleness.as_ref(), self.on_timeout.as_ref())
    }

    /// Which buckets are wanted.
    pub(crate) fn data_state(&self) -> Option<&str> {
        self.data_state.as_deref()
    }
}

/// The same, with the query itself.
#[derive(Debug, Clone, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CacheableParams {
    /// The body of `POST /v1/reports`, in base64url.
    query: String,
    /// `all` (the default), or `final` for buckets that no source is expected to change any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_state: Option<String>,
    /// The answer should hold the log up to this position; `Prefer: wait=<seconds>` waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_position: Option<i64>,
    /// The answer must not lag by more than this: `500ms`, `5s`, `2m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_staleness: Option<String>,
    /// `stale` (the default): on time-out answer with what is there. `error`: refuse with 503.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    on_timeout: Option<String>,
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
    State(state): State<ApiState>,
    caller: Authenticated,
    ApiQuery(params): ApiQuery<ReportParams>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<ReportRequest>,
) -> Result<Response, Refusal> {
    let principal = caller.require(Scope::Read)?;
    if Format::of_rows(&headers)? == Format::Csv {
        let (principal, data_state) = (principal.clone(), data_state(params.data_state.as_deref())?);
        return export(move |export| async move {
            let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
            let read = Read { state: &state, principal: &principal, headers: &headers, asked, is_conditional: false };
            export.pour(read, &of(&request, data_state)).await;
        })
        .await;
    }
    let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
    let read = Read { state: &state, principal, headers: &headers, asked, is_conditional: false };
    let data_state = params.data_state.as_deref();
    let answered = answer(read, data_state, &request).await?;
    let mut response = answered.response;
    content_location(&mut response, &twin(&answered.pinned, data_state)?);
    if let Some(next) = answered.next {
        link_next(&mut response, &twin(&next, data_state)?);
    }
    Ok(response)
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
    State(state): State<ApiState>,
    caller: Authenticated,
    ApiQuery(params): ApiQuery<CacheableParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let principal = caller.require(Scope::Read)?;
    let request = decode(&params.query)?;
    if Format::of_rows(&headers)? == Format::Csv {
        let (principal, data_state) = (principal.clone(), data_state(params.data_state.as_deref())?);
        return export(move |export| async move {
            let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
            let read = Read { state: &state, principal: &principal, headers: &headers, asked, is_conditional: true };
            export.pour(read, &of(&request, data_state)).await;
        })
        .await;
    }
    let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
    let read = Read { state: &state, principal, headers: &headers, asked, is_conditional: true };
    let data_state = params.data_state.as_deref();
    let answered = answer(read, data_state, &request).await?;
    let mut response = answered.response;
    if let Some(next) = answered.next {
        link_next(&mut response, &twin(&next, data_state)?);
    }
    Ok(response)
}

/// An answer, and the requests that ask for it and for the page behind it whatever the day is.
struct OfReport {
    response: Response,
    pinned: ReportRequest,
    next: Option<ReportRequest>,
}

async fn answer(read: Read<'_>, data_state: Option<&str>, request: &ReportRequest) -> Result<OfReport, Refusal> {
    let data_state = self::data_state(data_state)?;
    let Answered { response, query, next_cursor } = read.answer(&of(request, data_state)).await?;
    let (date_from, date_to) = query.map(|query| (query.date_from.to_string(), query.date_to.to_string())).unzip();
    let pinned = ReportRequest { date_from, date_to, ..request.clone() };
    let next = next_cursor.map(|cursor| ReportRequest { cursor: Some(cursor), ..pinned.clone() });
    Ok(OfReport { response, pinned, next })
}

fn of(request: &ReportRequest, data_state: DataState) -> Report<'_> {
    Report { request, granularity: Granularity::All, data_state, campaign: None }
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

/// Where a GET asks for the same.
fn twin(request: &ReportRequest, data_state: Option<&str>) -> Result<String, Refusal> {
    let query = BASE64URL.encode(serde_json::to_vec(request).map_err(Refusal::corrupt)?);
    let params = CacheableParams {
        query,
        data_state: data_state.map(str::to_owned),
        min_position: None,
        max_staleness: None,
        on_timeout: None,
    };
    Ok(format!("/v1/reports?{}", query_string(&params)?))
}
