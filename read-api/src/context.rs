//! The context of a read: its caller, and the requirements in its headers.

use axum::extract::FromRequestParts;
use chrono::DateTime;
use http::header::IF_NONE_MATCH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Uri};
use http_edge::auth::Authenticated;
use http_edge::consistency::ConsistencyToken;
use http_edge::problem::Problem;
use platform::principal::{Principal, Scope};
use queries::consistency::{ConsistencyParams, ConsistencyRequirement};
use queries::{Access, RecordedEvent, ResultId};

use crate::ApiState;
use crate::error::ApiError;
use crate::response::{CachePolicy, ETag};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// An authenticated reader, with the parts of its request that every query needs.
#[derive(Debug)]
pub(crate) struct ReadContext {
    pub(crate) state: ApiState,
    pub(crate) principal: Principal,
    pub(crate) headers: HeaderMap,
    pub(crate) address: Uri,
    /// Whether a 304 is possible, which answers GET alone (RFC 9110, 13.1.2).
    pub(crate) is_conditional: bool,
}

impl FromRequestParts<ApiState> for ReadContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let caller = Authenticated::from_request_parts(parts, state).await?;
        caller.require(Scope::Read)?;
        let is_conditional = parts.method != Method::POST;
        // The extractor of a body reads the headers too; a GET has none.
        let headers = if is_conditional { std::mem::take(&mut parts.headers) } else { parts.headers.clone() };
        Ok(Self { state: state.clone(), principal: caller.0, headers, address: parts.uri.clone(), is_conditional })
    }
}

impl ReadContext {
    pub(crate) fn access(&self) -> Access {
        Access::from(&self.principal)
    }

    /// The freshness that the caller requires, from its parameters, `Consistency-Token` and `Prefer`.
    pub(crate) fn consistency(&self, params: &ConsistencyParams) -> Result<ConsistencyRequirement, ApiError> {
        let token = ConsistencyToken::from_headers(&self.headers)
            .map_err(|error| ApiError::consistency_token(error.to_string()))?;
        if token.is_some_and(|token| token.workspace != self.principal.workspace) {
            return Err(ApiError::consistency_token("It was handed out for another workspace."));
        }
        let seen = token.map(|token| RecordedEvent {
            position: token.position,
            recorded_at: DateTime::from_timestamp_micros(token.recorded_at).filter(|_| token.position > 0),
        });
        Ok(ConsistencyRequirement::read(params, seen, preferred_wait(&self.headers))?)
    }

    /// Whether the caller has this result already, so that it is not sent again.
    pub(crate) fn has_result(&self, id: &ResultId) -> bool {
        self.is_conditional && self.headers.contains_key(IF_NONE_MATCH) && self.has_etag(&ETag::of(id))
    }

    /// Whether the caller has the answer with this tag already.
    pub(crate) fn has_etag(&self, tag: &ETag) -> bool {
        self.is_conditional && tag.is_held_by(&self.headers)
    }

    /// The cache policy of the answer, unless it is a file.
    pub(crate) fn caching(&self, consistency: ConsistencyRequirement) -> CachePolicy {
        match self.is_conditional {
            true if consistency.is_asked_for() => CachePolicy::NoCache,
            true => CachePolicy::StaleWhileRevalidate,
            false => CachePolicy::NoStore,
        }
    }

    /// The cache policy of a file.
    pub(crate) fn file_caching(&self) -> CachePolicy {
        if self.is_conditional { CachePolicy::NoCache } else { CachePolicy::NoStore }
    }
}

/// The `wait` of `Prefer: wait=5, …` (RFC 7240). An unreadable preference is ignored.
fn preferred_wait(headers: &HeaderMap) -> Option<u64> {
    let preferences = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut each = preferences.flat_map(|value| value.split(','));
    each.find_map(|preference| {
        let (name, rest) = preference.split_once('=')?;
        let value = rest.split(';').next().unwrap_or_default().trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u64>().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn ignores_malformed_preferences() {
        let prefer = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_static(value));
            }
            preferred_wait(&headers)
        };
        assert_eq!(prefer(&["wait=5"]), Some(5));
        assert_eq!(prefer(&["respond-async, Wait = \"7\"; x=y"]), Some(7));
        assert_eq!(prefer(&["return=minimal", "wait=9"]), Some(9));
        for nonsense in ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", "waiting=5"] {
            assert_eq!(prefer(&[nonsense]), None, "{nonsense}");
        }
    }
}
