//! Headers, ETags and the envelope around every result.
//!
//! The body holds only functions of the result's version. What changes all the time (lag, head, whether the caller's wish
//! was met) is in headers, which a 304 refreshes.

mod caching; // what caches may do with it
mod tag; // which result it is

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::freshness::State;
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, LINK, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use platform::http::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub(crate) use self::caching::Caching;
use self::tag::short_hash;
pub(crate) use self::tag::{Canonical, Tag};
use crate::consistency::{Consistency, Settled};
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;
use crate::sources::{Freshness, Sources, state_name};
use crate::tip::Tip;

const DATA_POSITION: HeaderName = HeaderName::from_static("data-position");
const DATA_FRESHNESS: HeaderName = HeaderName::from_static("data-freshness");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
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
    pub(crate) state: State,
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

/// What an answer says of itself in its headers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    workspace: i32,
    epoch: i32,
    applied: i64,
    head: i64,
    lag: TimeDelta,
    satisfied: bool,
    /// Parts that wait and belong to the answer.
    parked: usize,
    waited_s: Option<u64>,
    numbers: Option<(State, Option<DateTime<Utc>>)>,
}

impl Standing {
    pub(crate) fn of(settled: &Settled) -> Self {
        let standing = Self::of_snapshot(&settled.snapshot, settled.parked);
        Self { satisfied: settled.satisfied, waited_s: settled.waited_s, ..standing }
    }

    /// Of an answer of which nothing was asked but what is there. `parked`: parts that wait and belong to it.
    pub(crate) fn of_snapshot(snapshot: &Snapshot, parked: usize) -> Self {
        Self {
            workspace: snapshot.workspace,
            epoch: snapshot.epoch,
            applied: snapshot.applied,
            head: snapshot.head,
            lag: snapshot.lag(),
            satisfied: true,
            parked,
            waited_s: None,
            numbers: None,
        }
    }

    /// Of an answer that shows what there is at a tip.
    pub(crate) fn new(workspace: i32, tip: &Tip, now: DateTime<Utc>) -> Self {
        Self {
            workspace,
            epoch: tip.epoch,
            applied: tip.applied,
            head: tip.head,
            lag: tip.lag(now),
            satisfied: true,
            parked: 0,
            waited_s: None,
            numbers: None,
        }
    }

    /// The same of a result that holds at this tip, too.
    pub(crate) fn at(self, tip: &Tip, now: DateTime<Utc>) -> Self {
        Self { head: tip.head, lag: tip.lag(now), ..self }
    }

    /// Whether it is as fresh as a caller wants it.
    pub(crate) fn meets(&self, consistency: Consistency) -> bool {
        consistency.is_met_at(self.applied, self.lag)
    }

    /// The same, for a caller whose wishes are met.
    pub(crate) fn met(self, consistency: Consistency) -> Self {
        Self { satisfied: true, waited_s: consistency.wait_s(), ..self }
    }

    /// Adds how settled the numbers of the answer are, and through when they are complete.
    pub(crate) fn with_numbers(mut self, state: State, complete_through: Option<DateTime<Utc>>) -> Self {
        self.numbers = Some((state, complete_through));
        self
    }

    /// Writes the headers. They are structured fields (RFC 9651).
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        // Longer than any of them, so that it need not grow.
        let mut text = String::with_capacity(128);
        let _ = write!(text, "epoch={}, applied={}, head={}", self.epoch, self.applied, self.head);
        insert(headers, DATA_POSITION, &text);
        text.clear();
        if let Some((state, _)) = self.numbers {
            let _ = write!(text, "state={}, ", state.name());
        }
        let millis = self.lag.num_milliseconds();
        let satisfied = u8::from(self.satisfied);
        let _ = write!(text, "lag={}.{:03}, satisfied=?{satisfied}", millis / 1_000, millis % 1_000);
        if let Some((_, Some(complete_through))) = self.numbers {
            let _ = write!(text, ", complete_through=@{}", complete_through.timestamp());
        }
        if self.parked > 0 {
            let _ = write!(text, ", parked={}", self.parked);
        }
        insert(headers, DATA_FRESHNESS, &text);
        let token = ConsistencyToken { workspace: self.workspace, position: self.applied };
        headers.insert(CONSISTENCY_TOKEN, token.header_value());
        if let Some(wait_s) = self.waited_s {
            insert(headers, PREFERENCE_APPLIED, &format!("wait={wait_s}"));
        }
        headers.insert(VARY, VARIES);
    }
}

/// Inserts a header whose text is made of digits, names and base64url, which any header may hold.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// The caller has this version of the result: nothing but the headers is told again.
pub(crate) fn not_modified(tag: &Tag, standing: &Standing, caching: Caching) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    frame(response.headers_mut(), tag, standing, caching);
    response
}

/// The result itself.
pub(crate) fn ok(tag: &Tag, standing: &Standing, caching: Caching, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    frame(response.headers_mut(), tag, standing, caching);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A result that never changes while this process runs.
pub(crate) fn constant<T: Serialize>(model: &str, headers: &HeaderMap, body: &T) -> Result<Response, Refusal> {
    let body = serde_json::to_string(body).map_err(Refusal::corrupt)?;
    let tag = Tag::constant(model, &short_hash(&body));
    let mut response = if tag.is_held_by(headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    };
    response.headers_mut().insert(ETAG, tag.header());
    response.headers_mut().insert(CACHE_CONTROL, Caching::ShowUnasked.header());
    response.headers_mut().insert(VARY, VARIES);
    Ok(response)
}

/// A result that is only true now, and that no cache may keep.
pub(crate) fn momentary<T: Serialize>(standing: &Standing, body: &T) -> Result<Response, Refusal> {
    let body = serde_json::to_string(body).map_err(Refusal::corrupt)?;
    let mut response = ([(CONTENT_TYPE, "application/json")], body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, Caching::KeepNone.header());
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

fn frame(headers: &mut HeaderMap, tag: &Tag, standing: &Standing, caching: Caching) {
    headers.reserve(HEADERS);
    headers.insert(ETAG, tag.header());
    headers.insert(CACHE_CONTROL, caching.header());
    standing.write(headers);
}

#[cfg(test)]
mod tests;
