//! The only error body that leaves a process: RFC 9457, `application/problem+json`.

pub mod kinds; // the problem types of every API
pub(crate) mod openapi; // problems in the OpenAPI document

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use self::kinds::ProblemType;
pub use self::openapi::responses;

pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The prefix of every `type`, before its stable code.
pub const TYPE_PREFIX: &str = "https://highwater.dev/problems/";

/// An error response: an occurrence of a [`ProblemType`]. A 5xx reveals nothing internal, and a 500 has no detail.
#[derive(Clone)]
pub struct Problem(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: &'static ProblemType,
    /// The status of its type, unless the problem stands for another status.
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Option<String>,
    instance: Option<String>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// An error in one field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, such as `observations[3].id`; empty for the whole body.
    #[schema(example = "observations[3].id")]
    pub field: String,
    /// The error in the field.
    #[schema(example = "must not be empty")]
    pub detail: String,
}

/// The body of a problem.
#[derive(Serialize, ToSchema)]
struct Body<'a> {
    /// The problem type, as a stable URI.
    #[serde(rename = "type")]
    #[schema(example = "https://highwater.dev/problems/not-found")]
    kind: String,
    /// The title, the same for every problem of this type.
    title: &'a str,
    /// The status of the response.
    #[schema(example = 404)]
    status: u16,
    /// The details of this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// The id of this request, as in the answer's `Request-Id` and in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// The fields with errors.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: &'a [FieldError],
    #[serde(flatten)]
    #[schema(ignore)]
    extensions: &'a Map<String, Value>,
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Body::schema()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Body::schemas(schemas);
    }
}

impl Problem {
    pub fn new(kind: &'static ProblemType) -> Self {
        Self(Box::new(Parts {
            kind,
            status: kind.status,
            code: Cow::Borrowed(kind.code),
            detail: None,
            instance: None,
            errors: Vec::new(),
            extensions: Map::new(),
            headers: HeaderMap::new(),
            cause: None,
        }))
    }

    /// The problem with the code of a stored rejection, whose type this program may no longer know.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds an error in one field; it may be called once for each field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { field: field.into(), detail: detail.into() });
        self
    }

    /// Adds an extension member. Its name must differ from the standard ones.
    #[must_use]
    pub fn extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        debug_assert!(!["type", "title", "status", "detail", "instance", "errors"].contains(&name));
        self.0.extensions.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Adds the cause, for the log only. It never leaves with the answer.
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Arc::from(cause.into()));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    pub(crate) fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.0.cause.as_deref()
    }

    /// The problem of a resource that is not in the caller's workspace, or of an unknown route.
    pub fn not_found() -> Self {
        Self::new(kinds::NOT_FOUND)
    }

    /// The problem of an internal error. `cause` goes to the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::constant_internal().with_source(cause)
    }

    /// The problem of a service that cannot be reached; repeating the request may help. `cause` goes to the log.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::constant_unavailable().with_source(cause)
    }

    /// The problem of a request above the capacity, which was not begun.
    pub fn overloaded() -> Self {
        Self::new(kinds::OVERLOADED).retry_after(Duration::from_secs(1))
    }

    /// The problem of a request whose header `header` accepts none of the offered values.
    pub fn not_acceptable(header: &'static str, offered: &[&str]) -> Self {
        Self::new(kinds::NOT_ACCEPTABLE)
            .detail("Accept one of those that are offered, or leave the header out.")
            .extension("header", header)
            .extension("offered", offered)
    }

    pub(crate) fn constant_internal() -> Self {
        Self::new(kinds::INTERNAL)
    }

    pub(crate) fn constant_unavailable() -> Self {
        Self::new(kinds::UNAVAILABLE).retry_after(Duration::from_secs(1))
    }

    pub fn unauthorized() -> Self {
        Self::new(kinds::UNAUTHORIZED)
            .detail("Send `Authorization: Bearer <key>` with a key that has not been revoked.")
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"highwater\""))
    }

    /// The problem for a status that axum or a layer answered by itself.
    pub(crate) fn for_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(kinds::METHOD_NOT_ALLOWED),
            StatusCode::REQUEST_TIMEOUT => Self::new(kinds::REQUEST_TIMEOUT),
            StatusCode::PAYLOAD_TOO_LARGE => Self::payload_too_large(),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::new(kinds::HEADERS_TOO_LARGE),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(kinds::UNSUPPORTED_MEDIA_TYPE),
            StatusCode::UNAUTHORIZED => Self::unauthorized(),
            StatusCode::SERVICE_UNAVAILABLE => Self::constant_unavailable(),
            other => {
                let kind = if other.is_server_error() { kinds::INTERNAL } else { kinds::BAD_REQUEST };
                let mut problem = Self::new(kind);
                problem.0.status = other;
                problem
            }
        }
    }

    pub(crate) fn payload_too_large() -> Self {
        Self::new(kinds::PAYLOAD_TOO_LARGE)
    }

    /// The problem with the id of its request, for an answer that is on its way already.
    #[must_use]
    pub fn of_request(self, request_id: &str) -> Self {
        self.instance(format!("urn:highwater:request:{request_id}"))
    }

    /// The problem as JSON, for a stream that contains a problem.
    pub fn to_json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_default()
    }

    /// The problem with the id of its request, by which the log can be searched.
    #[must_use]
    pub(crate) fn instance(mut self, instance: String) -> Self {
        self.0.instance = Some(instance);
        self
    }

    fn body(&self) -> Vec<u8> {
        let parts = &*self.0;
        let fault_of_ours = parts.status == StatusCode::INTERNAL_SERVER_ERROR;
        let nothing = Map::new();
        let body = Body {
            kind: format!("{TYPE_PREFIX}{}", parts.code),
            title: parts.kind.title,
            status: parts.status.as_u16(),
            detail: parts.detail.as_deref().filter(|_| !fault_of_ours),
            instance: parts.instance.as_deref(),
            errors: if fault_of_ours { &[] } else { &parts.errors },
            extensions: if fault_of_ours { &nothing } else { &parts.extensions },
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// Replaces a response by this problem. Its other headers, such as `Allow`, stay.
    pub(crate) fn replace(self, refused: Response) -> Response {
        let (mut head, _body) = refused.into_parts();
        head.status = self.0.status;
        head.headers.remove(CONTENT_LENGTH);
        head.headers.extend(self.0.headers.clone());
        head.headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        // Caches may otherwise keep some statuses, such as 410, for ever.
        head.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let body = self.body().into();
        head.extensions.insert(self);
        Response::from_parts(head, body)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.replace(Response::default())
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Problem")
            .field("status", &self.0.status.as_u16())
            .field("code", &self.0.code)
            .field("detail", &self.0.detail)
            .field("errors", &self.0.errors)
            .field("cause", &self.0.cause)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
