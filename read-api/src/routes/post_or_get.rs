//! Requests by POST, because they are long, or by GET, so that caches can keep the answer. The GET contains the body in
//! base64url.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http_edge::json::JsonError;
use queries::CanonicalQuery;
use queries::consistency::ConsistencyParams;
use queries::report::query::DataState;
use serde::Serialize;

use super::data_state;
use crate::error::ApiError;
use crate::params::{Params, params, query_string};

/// Base64url with or without padding: clients differ.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_encode_padding(false),
);

params! {
    /// The parameters beside a body.
    pub(crate) struct PostedParams {
        /// `all` (the default), or `final` for final buckets only. A report may have it as a member instead.
        data_state: Option<String>,
    }
}

params! {
    /// The parameters of the GET, with the body.
    pub(crate) struct CacheableParams {
        /// The body of the POST to the same path, in base64url.
        #[param(required = true, value_type = String)]
        query: Option<String>,
        /// `all` (the default), or `final` for final buckets only. A report may have it as a member instead.
        data_state: Option<String>,
    }
}

/// A request, sent by POST or by GET.
#[derive(Debug)]
pub(crate) struct ReportInput<R> {
    pub(crate) request: R,
    consistency: ConsistencyParams,
    data_state: Option<String>,
}

/// A request that may contain open dates.
pub(crate) trait PinDates: Serialize {
    /// Whether the caller limits the rows below a full page.
    fn is_limited(&self) -> bool;

    /// The same request with its open dates filled in; with a cursor, the request for the next page.
    fn pinned(&self, query: &CanonicalQuery, cursor: Option<String>) -> Self;
}

impl<R> ReportInput<R> {
    pub(crate) fn by_post(params: PostedParams, request: R) -> Self {
        Self { consistency: params.consistency(), data_state: params.data_state, request }
    }

    /// Reads the request of a GET; `parse` parses the body.
    pub(crate) fn by_get(
        params: CacheableParams,
        parse: impl FnOnce(&str) -> Result<R, JsonError>,
    ) -> Result<Self, ApiError> {
        let query = params.query.as_deref().ok_or_else(|| ApiError::field("query", "is missing"))?;
        let request = parse(&decode(query)?).map_err(of_query)?;
        Ok(Self { consistency: params.consistency(), data_state: params.data_state, request })
    }

    /// The requested buckets, from the address or from the request (`in_body`). If both have the parameter, they must
    /// agree.
    pub(crate) fn data_state(&self, in_body: Option<&str>) -> Result<DataState, ApiError> {
        let by_address = data_state(self.data_state.as_deref())?;
        match in_body.and_then(|text| text.parse::<DataState>().ok()) {
            Some(other) if self.data_state.is_some() && other != by_address => Err(ApiError::field(
                "data_state",
                format!("is {} in the query and {} in the address", other.name(), by_address.name()),
            )),
            _ => Ok(by_address),
        }
    }
}

impl<R: PinDates> Params for ReportInput<R> {
    fn consistency(&self) -> ConsistencyParams {
        self.consistency.clone()
    }

    fn is_limited(&self) -> bool {
        self.request.is_limited()
    }

    fn to_query_string(&self, query: &CanonicalQuery, cursor: Option<String>) -> Result<Option<String>, ApiError> {
        let pinned = self.request.pinned(query, cursor);
        let query = Some(BASE64URL.encode(serde_json::to_vec(&pinned).map_err(ApiError::internal)?));
        let data_state = self.data_state.clone();
        query_string(&CacheableParams { query, data_state, ..CacheableParams::default() }).map(Some)
    }
}

fn decode(query: &str) -> Result<String, ApiError> {
    let bytes = BASE64URL.decode(query).map_err(|_| ApiError::field("query", "is not base64url"))?;
    String::from_utf8(bytes).map_err(|_| ApiError::field("query", "does not hold JSON"))
}

/// The error of the body, reported for the parameter that contains it.
fn of_query(error: JsonError) -> ApiError {
    match error {
        JsonError::Malformed { detail } => ApiError::field("query", format!("does not hold JSON: {detail}")),
        JsonError::Invalid(wrong) if wrong.field.is_empty() => ApiError::field("query", wrong.detail),
        JsonError::Invalid(wrong) => ApiError::field(&format!("query.{}", wrong.field), wrong.detail),
    }
}
