//! Headers, ETags and the envelope around every result.
//!
//! The body holds only functions of the result's version. What changes all the time (lag, head, whether the caller's wish
//! was met) is in headers, which a 304 refreshes.

mod caching; // what caches may do with it
mod standing; // where it was read, and how fresh it is
mod tag; // which result it is

use std::collections::BTreeSet;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use domain::freshness::Finality;
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, LINK, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub(crate) use self::caching::CachePolicy;
pub(crate) use self::standing::{FreshnessHeaders, PositionHeaders};
use self::tag::short_hash;
pub(crate) use self::tag::{ETag, QueryHash};
use crate::error::ReadError;
use crate::sources::{Freshness, Sources, state_name};

/// A target that is longer is not told: clients and proxies refuse long headers, and the cursor is in the body.
const LONGEST_TARGET: usize = 4_096;
/// Room for those of an answer and of the edge, so that the map need not grow.
const HEADERS: usize = 20;
/// A copy that was made for no token is none for a caller who has one.
const VARIES: HeaderValue = HeaderValue::from_static("Accept, Accept-Encoding, Authorization, Consistency-Token");

/// An answer's body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Envelope<'a, T> {
    pub(crate) data: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<Page>,
    pub(crate) meta: Meta<'a>,
}

/// Where the rows go on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page {
    /// To be sent as `cursor` for the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// What the data is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Meta<'a> {
    /// What was read.
    #[schema(example = "campaign_metrics")]
    pub(crate) model: &'static str,
    /// Which built instance of it. Versions of different epochs cannot be compared.
    pub(crate) epoch: i32,
    /// The result's version: the position of the last event that touched it, and the last instant at which the clock did;
    /// behind them a count, once something was parked.
    #[schema(example = "1204.1795302000")]
    pub(crate) version: String,
    /// The zone that days and hours are cut in.
    #[schema(value_type = String, example = "Europe/Berlin")]
    pub(crate) time_zone: &'static str,
    /// The workspace's reporting currency. Every amount names its own.
    #[schema(value_type = Option<String>, example = "EUR")]
    pub(crate) currency: Option<domain::money::Currency>,
    /// The query as it was understood.
    #[schema(value_type = Object)]
    pub(crate) query: &'a RawValue,
    /// How fresh the numbers are; answers without numbers leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) freshness: Option<Freshness>,
    /// With `compare_to`: the other range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compared: Option<ComparedRange>,
    /// What a reader should know beside the data.
    pub(crate) warnings: Vec<Warning>,
}

/// The range that numbers are compared with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ComparedRange {
    /// Its first local day.
    pub(crate) date_from: NaiveDate,
    /// Its last local day.
    pub(crate) date_to: NaiveDate,
    /// `live`, `provisional` or `final`.
    #[schema(value_type = String, example = "final")]
    #[serde(serialize_with = "state_name")]
    pub(crate) state: Finality,
    /// Where its numbers begin to be incomplete.
    pub(crate) first_incomplete: Option<DateTime<Utc>>,
}

/// What a reader should know beside the data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub(crate) struct Warning {
    /// Stable, for programs.
    #[schema(value_type = String, example = "grain_mismatch")]
    pub(crate) code: &'static str,
    /// For people.
    pub(crate) detail: String,
    /// The sources that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<String>,
    /// The measures that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub(crate) measures: Vec<&'static str>,
}

impl Warning {
    /// Names that no source of the workspace has.
    pub(crate) fn unknown_sources(names: &BTreeSet<String>, sources: &Sources) -> Option<Self> {
        let is_known = |name: &String| sources.values().any(|source| source.definition.name == *name);
        let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).cloned().collect();
        (!unknown.is_empty()).then(|| Self {
            code: "unknown_source",
            detail: "The workspace has no source of this name.".to_owned(),
            sources: unknown,
            measures: Vec::new(),
        })
    }
}

/// Inserts a header whose text is made of digits, names and base64url, which any header may hold.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// The caller has this version of the result: nothing but the headers is told again.
pub(crate) fn not_modified(tag: &ETag, standing: &FreshnessHeaders, caching: CachePolicy) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    write_headers(response.headers_mut(), tag, standing, caching);
    response
}

/// The result itself.
pub(crate) fn ok(tag: &ETag, standing: &FreshnessHeaders, caching: CachePolicy, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    write_headers(response.headers_mut(), tag, standing, caching);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A result that never changes while this process runs.
pub(crate) fn constant<T: Serialize>(model: &str, headers: &HeaderMap, body: &T) -> Result<Response, ReadError> {
    let body = serde_json::to_string(body).map_err(ReadError::corrupt)?;
    let tag = ETag::constant(model, &short_hash(&body));
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
pub(crate) fn uncacheable<T: Serialize>(standing: &FreshnessHeaders, body: &T) -> Result<Response, ReadError> {
    let body = serde_json::to_string(body).map_err(ReadError::corrupt)?;
    let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, CachePolicy::NoStore.header());
    standing.write(response.headers_mut());
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

fn write_headers(headers: &mut HeaderMap, tag: &ETag, standing: &FreshnessHeaders, caching: CachePolicy) {
    headers.reserve(HEADERS);
    headers.insert(ETAG, tag.header());
    headers.insert(CACHE_CONTROL, caching.header());
    standing.write(headers);
}

#[cfg(test)]
mod tests;
