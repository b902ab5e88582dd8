//! What is asked by POST because it is long can be asked by GET, too, so that caches can keep the answer: the body in base64url.

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
    /// The same, with the body itself.
    pub(crate) struct CacheableParams {
        /// The body of the POST to the same path, in base64url.
        #[param(required = true, value_type = String)]
        query: Option<String>,
        /// `all` (the default), or `final` for final buckets only. A report may have it as a member instead.
        data_state: Option<String>,
    }
}

/// A request, whichever way it was sent.
#[derive(Debug)]
pub(crate) struct ReportInput<R> {
    pub(crate) request: R,
    asked: ConsistencyParams,
    data_state: Option<String>,
}

/// A request that may leave days open.
pub(crate) trait PinDates: Serialize {
    /// Whether it wants no more rows than a page of its own has.
    fn is_limited(&self) -> bool;

    /// The same request with its open dates filled in; with a cursor, the request for the next page.
    fn pinned(&self, query: &CanonicalQuery, cursor: Option<String>) -> Self;
}

impl<R> ReportInput<R> {
    pub(crate) fn by_post(params: PostedParams, request: R) -> Self {
        Self { asked: params.consistency(), data_state: params.data_state, request }
    }

    /// `parse` reads the body.
    pub(crate) fn by_get(
        params: CacheableParams,
        parse: impl FnOnce(&str) -> Result<R, JsonError>,
    ) -> Result<Self, ApiError> {
        let query = params.query.as_deref().ok_or_else(|| ApiError::field("query", "is missing"))?;
        let request = parse(&decode(query)?).map_err(of_query)?;
        Ok(Self { asked: params.consistency(), data_state: params.data_state, request })
    }

    /// Which buckets are wanted by the address, unless the request `says` it. Both may, if they say the same.
    pub(crate) fn data_state(&self, says: Option<&str>) -> Result<DataState, ApiError> {
        let by_address = data_state(self.data_state.as_deref())?;
        match says.and_then(|says| says.parse::<DataState>().ok()) {
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
        self.asked.clone()
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

/// What is wrong with the body, as a fault of the parameter that holds it.
fn of_query(error: JsonError) -> ApiError {
    match error {
        JsonError::Malformed { detail } => ApiError::field("query", format!("does not hold JSON: {detail}")),
        JsonError::Invalid(wrong) if wrong.field.is_empty() => ApiError::field("query", wrong.detail),
        JsonError::Invalid(wrong) => ApiError::field(&format!("query.{}", wrong.field), wrong.detail),
    }
}
