//! The only error body that leaves a process: RFC 9457, `application/problem+json`.

pub mod kinds; // the kinds of problems
pub(crate) mod openapi; // how operations say which problems they answer with

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

/// Every `type` is this and a stable code.
pub const TYPE_PREFIX: &str = "https://highwater.dev/problems/";

/// An answer that refuses: an occurrence of a [`ProblemType`]. A 500 says nothing else; no 5xx may describe the inside.
#[derive(Clone)]
pub struct Problem(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: &'static ProblemType,
    /// The kind's, but where it stands for a status that it was not made for.
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Option<String>,
    instance: Option<String>,
    errors: Vec<FieldError>,
    extensions: Map<String, Value>,
    headers: HeaderMap,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// What is wrong with one field of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, such as `observations[3].id`; empty for the whole.
    #[schema(example = "observations[3].id")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "must not be empty")]
    pub detail: String,
}

/// How a problem is written.
#[derive(Serialize, ToSchema)]
struct Body<'a> {
    /// The kind of problem, as a stable URI.
    #[serde(rename = "type")]
    #[schema(example = "https://highwater.dev/problems/not-found")]
    kind: String,
    /// The same for every problem of this type.
    title: &'a str,
    /// The status of the response.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Names this request, in the answer's `Request-Id` and in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
    /// The fields that are wrong.
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

    /// The same under another code: that of a refusal which was stored, whose type this program may no longer know.
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

    /// Names one wrong field; may be called once for each.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, detail: impl Into<String>) -> Self {
        self.0.errors.push(FieldError { field: field.into(), detail: detail.into() });
        self
    }

    /// A member of its own beside the standard ones, whose names it must not take.
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

    /// Why, for the log only: it never leaves with the answer.
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

    /// There is no such thing in the caller's workspace, or no such route.
    pub fn not_found() -> Self {
        Self::new(kinds::NOT_FOUND)
    }

    /// A fault of ours. `cause` goes to the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::constant_internal().with_source(cause)
    }

    /// Something that this process needs cannot be reached; trying again may help. `cause` goes to the log.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::constant_unavailable().with_source(cause)
    }

    /// There is more to do than can be done now; what is refused so was not begun.
    pub fn overloaded() -> Self {
        Self::new(kinds::OVERLOADED).retry_after(Duration::from_secs(1))
    }

    /// Nothing that the request accepts by the header `header` can be answered; these can.
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

    /// The problem that stands for a status which axum or a layer answered by itself.
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

    /// The same problem as an occurrence in the request of this id, for an answer that is on its way already.
    #[must_use]
    pub fn of_request(self, request_id: &str) -> Self {
        self.instance(format!("urn:highwater:request:{request_id}"))
    }

    /// What would be the body of an answer, for a stream that holds a problem.
    pub fn to_json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_default()
    }

    /// The same problem as an occurrence that can be found in the log.
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

    /// Writes this problem over an answer whose headers still hold, as `Allow` does.
    pub(crate) fn replace(self, refused: Response) -> Response {
        let (mut head, _body) = refused.into_parts();
        head.status = self.0.status;
        head.headers.remove(CONTENT_LENGTH);
        head.headers.extend(self.0.headers.clone());
        head.headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        // Caches may keep some of them otherwise, a 410 for ever.
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
