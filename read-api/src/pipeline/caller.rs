//! Who asks: where every read begins and ends.

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use http_edge::auth::Authenticated;
use http_edge::problem::Problem;
use platform::principal::{Principal, Scope};

use super::export::{Table, export};
use super::{Params as _, ReadRequest, ReadResponse, Resource};
use crate::ApiState;
use crate::error::ReadError;
use crate::format::{Format, require_json};
use crate::response::{ETag, content_location, link_next};

/// A caller who may read, and what came with the request whatever is asked.
#[derive(Debug)]
pub(crate) struct ReadContext {
    pub(crate) state: ApiState,
    pub(crate) principal: Principal,
    pub(crate) headers: HeaderMap,
    address: Uri,
    /// Whether a result that the caller has need not be told again: 304 is an answer to GET alone (RFC 9110, 13.1.2).
    pub(super) is_conditional: bool,
}

impl FromRequestParts<ApiState> for ReadContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let caller = Authenticated::from_request_parts(parts, state).await?;
        caller.require(Scope::Read)?;
        let is_conditional = parts.method != Method::POST;
        // Whoever reads a body looks at them, too; a GET has none.
        let headers = if is_conditional { std::mem::take(&mut parts.headers) } else { parts.headers.clone() };
        Ok(Self { state: state.clone(), principal: caller.0, headers, address: parts.uri.clone(), is_conditional })
    }
}

impl ReadContext {
    /// The answer, in JSON.
    pub(crate) async fn answer<R: Resource>(self, resource: R) -> Result<Response, ReadError> {
        require_json(&self.headers)?;
        self.json(&resource).await
    }

    /// A page of rows in JSON, or all of them as CSV.
    pub(crate) async fn list<T: Table>(self, table: T) -> Result<Response, ReadError> {
        match Format::of_rows(&self.headers)? {
            Format::Json => self.json(&table).await,
            // What is rare is on the heap, as in `ReadRequest::answer`.
            Format::Csv => Box::pin(export(self, table)).await,
        }
    }

    async fn json<R: Resource>(&self, resource: &R) -> Result<Response, ReadError> {
        let ReadResponse { mut response, query, next_cursor } =
            ReadRequest::new(self, resource)?.answer(resource).await?;
        let address = |cursor| {
            let again = resource.params().to_query_string(&query, cursor)?;
            Ok::<_, ReadError>(again.map(|query_string| format!("{}?{query_string}", self.address.path())))
        };
        if !self.is_conditional
            && let Some(twin) = address(None)?
        {
            content_location(&mut response, &twin);
        }
        if next_cursor.is_some()
            && let Some(next) = address(next_cursor)?
        {
            link_next(&mut response, &next);
        }
        Ok(response)
    }

    /// Whether the caller has this result already, and it need not be told again.
    pub(super) fn has_etag(&self, tag: &ETag) -> bool {
        self.is_conditional && tag.is_held_by(&self.headers)
    }
}
