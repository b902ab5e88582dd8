//! Headers and ETags around every result.
//!
//! The body holds only functions of the result's version. What changes all the time (lag, head, whether the caller's requirement
//! was met) is in headers, which a 304 refreshes.

mod caching; // what caches may do with it
mod freshness; // where it was read, and how fresh it is
mod tag; // which result it is
mod trace; // how it was found

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, LINK, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use queries::ReadStatus;
use serde::Serialize;

pub(crate) use self::caching::CachePolicy;
pub(crate) use self::freshness::write_status;
pub(crate) use self::tag::ETag;
pub(crate) use self::trace::write_trace;

/// A target that is longer is not told: clients and proxies refuse long headers, and the cursor is in the body.
const LONGEST_TARGET: usize = 4_096;
/// Room for those of an answer and of the edge, so that the map need not grow.
const HEADERS: usize = 20;
/// A copy that was made for no token is none for a caller who has one.
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization, Consistency-Token");

/// Inserts a header whose text is made of digits, names and base64url, which any header may hold.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// The caller has this version of the result: only the headers are sent.
pub(crate) fn not_modified(tag: &ETag, status: &ReadStatus, caching: CachePolicy) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    write_headers(response.headers_mut(), tag, status, caching);
    response
}

/// The result itself.
pub(crate) fn ok(tag: &ETag, status: &ReadStatus, caching: CachePolicy, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    write_headers(response.headers_mut(), tag, status, caching);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A result that never changes while this process runs.
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

/// A result that is only true now, and that no cache may keep.
pub(crate) fn uncacheable<T: Serialize>(status: &ReadStatus, body: &T) -> serde_json::Result<Response> {
    let body = serde_json::to_string(body)?;
    let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, CachePolicy::NoStore.header());
    write_status(status, response.headers_mut());
    Ok(response)
}

/// Says where the next page is.
pub(crate) fn link_next(response: &mut Response, target: &str) {
    if target.len() <= LONGEST_TARGET {
        insert(response.headers_mut(), LINK, &format!("<{target}>; rel=\"next\""));
    }
}

/// Says which GET answers the same.
pub(crate) fn content_location(response: &mut Response, target: &str) {
    if target.len() <= LONGEST_TARGET {
        insert(response.headers_mut(), CONTENT_LOCATION, target);
    }
}

fn write_headers(headers: &mut HeaderMap, tag: &ETag, status: &ReadStatus, caching: CachePolicy) {
    headers.reserve(HEADERS);
    headers.insert(ETAG, tag.header());
    headers.insert(CACHE_CONTROL, caching.header());
    write_status(status, headers);
}

#[cfg(test)]
mod tests;
