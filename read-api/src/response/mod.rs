//! Headers and ETags of every result.
//!
//! The body depends only on the result's version. Everything else (lag, head, whether the caller's requirement was met)
//! is in headers, which a 304 refreshes.

mod caching; // cache policies
mod freshness; // position and freshness
mod tag; // ETags
mod trace; // cache status and timing

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, LINK, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use queries::ReadStatus;
use serde::Serialize;

pub(crate) use self::caching::CachePolicy;
pub(crate) use self::freshness::write_status;
pub(crate) use self::tag::ETag;
pub(crate) use self::trace::write_trace;

/// The longest target that is sent. Clients and proxies reject long headers, and the body has the cursor.
const LONGEST_TARGET: usize = 4_096;
/// The capacity for the headers of an answer and of the edge, so that the map never grows.
const HEADERS: usize = 20;
/// The headers that vary an answer. A cached answer to a request without a token does not fit a request with one.
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization, Consistency-Token");

/// Inserts a header whose text consists of digits, names and base64url, which are valid in a header.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// Answers 304: the caller has this version of the result, so only the headers are sent.
pub(crate) fn not_modified(
    tag: &ETag,
    last_modified: Option<DateTime<Utc>>,
    status: &ReadStatus,
    caching: CachePolicy,
) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    write_headers(response.headers_mut(), tag, last_modified, status, caching);
    response
}

/// Answers with the result.
pub(crate) fn ok(
    tag: &ETag,
    last_modified: Option<DateTime<Utc>>,
    status: &ReadStatus,
    caching: CachePolicy,
    body: Bytes,
) -> Response {
    let mut response = Response::new(Body::from(body));
    write_headers(response.headers_mut(), tag, last_modified, status, caching);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers with a result that never changes while this process runs.
pub(crate) fn constant<T: Serialize>(model: &str, headers: &HeaderMap, body: &T) -> serde_json::Result<Response> {
    let body = serde_json::to_string(body)?;
    let tag = ETag::constant(model, &body);
    let mut response = if tag.is_held_by(headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    };
    response.headers_mut().insert(ETAG, tag.header());
    response.headers_mut().insert(CACHE_CONTROL, CachePolicy::MaxAge.header());
    response.headers_mut().insert(VARY, VARIES);
    Ok(response)
}

/// Answers with a result that is true only now, so that no cache may store it.
pub(crate) fn uncacheable<T: Serialize>(status: &ReadStatus, body: &T) -> serde_json::Result<Response> {
    let body = serde_json::to_string(body)?;
    let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, CachePolicy::NoStore.header());
    write_status(status, response.headers_mut());
    Ok(response)
}

/// Adds a link to the next page.
pub(crate) fn link_next(response: &mut Response, target: &str) {
    if target.len() <= LONGEST_TARGET {
        insert(response.headers_mut(), LINK, &format!("<{target}>; rel=\"next\""));
    }
}

/// Adds the address of the GET with the same answer.
pub(crate) fn content_location(response: &mut Response, target: &str) {
    if target.len() <= LONGEST_TARGET {
        insert(response.headers_mut(), CONTENT_LOCATION, target);
    }
}

fn write_headers(
    headers: &mut HeaderMap,
    tag: &ETag,
    last_modified: Option<DateTime<Utc>>,
    status: &ReadStatus,
    caching: CachePolicy,
) {
    headers.reserve(HEADERS);
    headers.insert(ETAG, tag.header());
    if let Some(instant) = last_modified {
        // As IMF-fixdate, RFC 9110 section 5.6.7. It has whole seconds, so only the ETag is a condition of a request.
        insert(headers, LAST_MODIFIED, &instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    headers.insert(CACHE_CONTROL, caching.header());
    write_status(status, headers);
}

#[cfg(test)]
mod tests;
