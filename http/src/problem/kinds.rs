//! The problem types of every API, and the macro by which a crate declares its own.

use http::StatusCode;
use serde_json::{Map, Value};

use super::TYPE_PREFIX;

/// A type of problem. Each is declared once, in a [`problem_types`](crate::problem_types) list, so that none is
/// undocumented.
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The status of the response.
    pub status: StatusCode,
    /// The code in kebab-case. Programs match on it, so it never changes.
    pub code: &'static str,
    /// A short sentence, the same for every occurrence.
    pub title: &'static str,
    /// The meaning and the remedy, for people.
    pub about: &'static str,
    /// Members of an occurrence beside the title and the status, as a JSON object.
    pub example: &'static str,
}

impl ProblemType {
    /// Its `type`.
    pub fn uri(&self) -> String {
        format!("{TYPE_PREFIX}{}", self.code)
    }

    /// An example of an occurrence.
    pub fn example(&self) -> Value {
        let given: Map<String, Value> = serde_json::from_str(self.example).unwrap_or_default();
        let mut example = Map::new();
        example.insert("type".to_owned(), self.uri().into());
        example.insert("title".to_owned(), self.title.into());
        example.insert("status".to_owned(), self.status.as_u16().into());
        example.insert("instance".to_owned(), "urn:highwater:request:0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62".into());
        example.extend(given);
        Value::Object(example)
    }
}

/// Declares problem types, with their meaning as doc comments, and a list of them all.
#[macro_export]
macro_rules! problem_types {
    (
        $listed:vis $all:ident;
        $(
            $(#[doc = $about:literal])+
            $vis:vis $name:ident = $status:ident $code:literal $title:literal $example:literal;
        )+
    ) => {
        $(
            $(#[doc = $about])+
            $vis const $name: &$crate::problem::ProblemType = &$crate::problem::ProblemType {
                status: http::StatusCode::$status,
                code: $code,
                title: $title,
                about: concat!($($about, "\n"),+),
                example: $example,
            };
        )+
        /// Every type that is declared here.
        $listed const $all: &[&$crate::problem::ProblemType] = &[$($name),+];
    };
}

problem_types! {
    pub ALL;

    /// The body is not JSON. `detail` names the place.
    pub MALFORMED_JSON = BAD_REQUEST "malformed-json" "The request body is not JSON"
        r#"{"detail": "expected `,` or `}` at line 3 column 5"}"#;

    /// The body broke off, or was longer or shorter than announced. Nothing was done: send the request again.
    pub UNREADABLE_BODY = BAD_REQUEST "unreadable-body" "The request body did not arrive whole" "{}";

    /// The body is not in the coding that `Content-Encoding` names, is not whole, or needs a window of more than 8 MiB.
    pub UNDECODABLE_BODY = BAD_REQUEST "undecodable-body" "The request body cannot be decoded"
        r#"{"detail": "the body is not gzip, not whole, or needs a window of more than 8 MiB."}"#;

    /// A parameter of the query string is unknown, missing, or not what it should be. `errors` names each one.
    pub INVALID_QUERY = BAD_REQUEST "invalid-query" "The query is not valid"
        r#"{"errors": [{"field": "limit", "detail": "must be 1 to 1000"}]}"#;

    /// The request cannot be served: its head or its framing is wrong.
    pub BAD_REQUEST = BAD_REQUEST "bad-request" "The request cannot be served" "{}";

    /// The request has no key, or an unknown or revoked one. Send `Authorization: Bearer <key>`. An address that sends
    /// many invalid keys has to wait (`rate-limited`).
    pub UNAUTHORIZED = UNAUTHORIZED "unauthorized" "This request needs a valid API key"
        r#"{"detail": "Send `Authorization: Bearer <key>` with a key that has not been revoked."}"#;

    /// The key is valid but lacks the scope that `scope` names. `highwater keys create` makes a key with that scope.
    pub FORBIDDEN = FORBIDDEN "forbidden" "This API key may not do that"
        r#"{"detail": "The key needs the scope `command`.", "scope": "command"}"#;

    /// There is no such route, or no such resource in the workspace of the key. Resources of other workspaces get the
    /// same answer.
    pub NOT_FOUND = NOT_FOUND "not-found" "There is nothing here" "{}";

    /// `Allow` names the methods that the resource answers to.
    pub METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED "method-not-allowed"
        "This resource does not answer to this method" "{}";

    /// The server has no representation that the request accepts. `offered` lists the available ones for the header
    /// that `header` names.
    pub NOT_ACCEPTABLE = NOT_ACCEPTABLE "not-acceptable" "There is nothing here that this request accepts"
        r#"{"detail": "Accept one of those that are offered, or leave the header out.", "header": "Accept-Encoding",
            "offered": ["zstd", "br", "gzip", "identity"]}"#;

    /// The body paused for too long or arrived too slowly. Nothing was done, except for the lines of a stream that were
    /// answered.
    pub REQUEST_TIMEOUT = REQUEST_TIMEOUT "request-timeout" "The request took too long to arrive" "{}";

    /// The body is larger than this server accepts. Send it in parts.
    pub PAYLOAD_TOO_LARGE = PAYLOAD_TOO_LARGE "payload-too-large" "The request body is too large" "{}";

    /// The media type, charset or coding of the body is not supported. `detail` lists the supported ones.
    pub UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE "unsupported-media-type" "This content type is not taken here"
        r#"{"detail": "Send `Content-Type: application/json`."}"#;

    /// The body is JSON but does not fit the schema. `errors` names the member and the error.
    pub INVALID_BODY = UNPROCESSABLE_ENTITY "invalid-body" "The request body is not valid"
        r#"{"errors": [{"field": "time_zone", "detail": "is not an IANA time zone"}]}"#;

    /// There were too many requests with this key, from this address, or of this source. Nothing was done.
    /// `Retry-After` says when to repeat the request, and `RateLimit-Policy` describes the limit.
    pub RATE_LIMITED = TOO_MANY_REQUESTS "rate-limited" "There were too many requests"
        r#"{"detail": "There were too many requests with this key. Nothing was done. Send it again later.",
            "violated-policies": ["key"]}"#;

    /// The header fields are larger together, or more, than this server accepts.
    pub HEADERS_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "headers-too-large"
        "The request's header fields are too large" "{}";

    /// An error in the server. `instance` identifies it in the server's log.
    pub INTERNAL = INTERNAL_SERVER_ERROR "internal" "Something went wrong on our side" "{}";

    /// A service that the server needs cannot be reached. Send the request again after `Retry-After`. Repeat a command
    /// with the same `Idempotency-Key`, because it may have been carried out.
    pub UNAVAILABLE = SERVICE_UNAVAILABLE "unavailable" "The service cannot answer at the moment" "{}";

    /// The server is at its capacity. Nothing was begun: send the request again after `Retry-After`.
    pub OVERLOADED = SERVICE_UNAVAILABLE "overloaded" "There is more to do than can be done now" "{}";

    /// There was no answer within the server's time limit. A command may have been carried out: send it again with the
    /// same `Idempotency-Key`.
    pub TIMEOUT = SERVICE_UNAVAILABLE "timeout" "The answer took too long" "{}";

    /// The answer of `/readyz` while this process cannot serve. `not_ready` names the parts that are not ready.
    pub NOT_READY = SERVICE_UNAVAILABLE "not-ready" "This process is not ready to serve"
        r#"{"detail": "Not ready: database.", "not_ready": ["database"]}"#;
}

/// The problems of any request.
pub const OF_REQUESTS: &[&ProblemType] = &[
    UNAUTHORIZED,
    FORBIDDEN,
    NOT_ACCEPTABLE,
    RATE_LIMITED,
    HEADERS_TOO_LARGE,
    INTERNAL,
    OVERLOADED,
    UNAVAILABLE,
    TIMEOUT,
];

/// The further problems of a request with a JSON body.
pub const OF_BODIES: &[&ProblemType] = &[
    MALFORMED_JSON,
    UNREADABLE_BODY,
    UNDECODABLE_BODY,
    REQUEST_TIMEOUT,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_BODY,
];
