//! Headers, ETags and the envelope around every result.
//!
//! The body holds only functions of the result's version. What changes all the time (lag, head, whether the caller's wish
//! was met) is in headers, which a 304 refreshes.

mod caching; // what caches may do with it

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::freshness::State;
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LINK, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use platform::http::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};
use platform::keys::Principal;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

pub(crate) use self::caching::Caching;
use crate::consistency::{Consistency, Settled};
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;
use crate::sources::{Freshness, Sources, state_name};
use crate::tip::Tip;
use crate::version::Version;

const DATA_POSITION: HeaderName = HeaderName::from_static("data-position");
const DATA_FRESHNESS: HeaderName = HeaderName::from_static("data-freshness");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// A target that is longer is not told: clients and proxies refuse long headers, and the cursor is in the body.
const LONGEST_TARGET: usize = 4_096;
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

/// A canonical query and the hash that stands for it in ETags and cursors. The hash begins with the workspace and the
/// caller's scope, so that nothing made for one caller fits another.
#[derive(Debug)]
pub(crate) struct Canonical {
    pub(crate) hash: String,
    /// All of it, where it must not meet another by any chance.
    pub(crate) digest: [u8; 32],
}

impl Canonical {
    pub(crate) fn new(model: &str, principal: &Principal, query: &impl Serialize) -> Result<Self, Refusal> {
        let mut scopes = principal.scopes.clone();
        scopes.sort_unstable();
        let scopes: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
        let text = serde_json::to_string(&(principal.workspace, scopes, model, query)).map_err(Refusal::corrupt)?;
        let digest = Sha256::digest(text.as_bytes()).into();
        Ok(Self { hash: shortened(&digest), digest })
    }

    /// The hash of one page of it.
    pub(crate) fn page_hash(&self, limit: usize, cursor: Option<&str>) -> String {
        short_hash(&format!("{}\n{limit}\n{}", self.hash, cursor.unwrap_or_default()))
    }
}

fn short_hash(text: &str) -> String {
    shortened(&Sha256::digest(text.as_bytes()).into())
}

fn shortened(digest: &[u8; 32]) -> String {
    digest.iter().take(8).fold(String::with_capacity(16), |mut hash, byte| {
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}

/// A result's ETag: `W/"<model>:<epoch>:<version>:<query hash>"`. Weak, because a compressing proxy may alter the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    opaque: String,
}

impl Tag {
    pub(crate) fn new(model: &str, epoch: i32, version: Version, hash: &str) -> Self {
        Self { opaque: format!("{model}:{epoch}:{version}:{hash}") }
    }

    /// The same result in another form, which is another representation.
    pub(crate) fn in_form(self, form: &str) -> Self {
        Self { opaque: format!("{}:{form}", self.opaque) }
    }

    /// Whether the caller says that it has this result already.
    pub(crate) fn is_held_by(&self, headers: &HeaderMap) -> bool {
        let lists = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        lists
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == self.opaque)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{}\"", self.opaque)
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
        let position = format!("epoch={}, applied={}, head={}", self.epoch, self.applied, self.head);
        let mut freshness = self.numbers.map_or(String::new(), |(state, _)| format!("state={}, ", state.name()));
        let millis = self.lag.num_milliseconds();
        let satisfied = u8::from(self.satisfied);
        let _ = write!(freshness, "lag={}.{:03}, satisfied=?{satisfied}", millis / 1_000, millis % 1_000);
        if let Some((_, Some(complete_through))) = self.numbers {
            let _ = write!(freshness, ", complete_through=@{}", complete_through.timestamp());
        }
        if self.parked > 0 {
            let _ = write!(freshness, ", parked={}", self.parked);
        }
        insert(headers, DATA_POSITION, position);
        insert(headers, DATA_FRESHNESS, freshness);
        let token = ConsistencyToken { workspace: self.workspace, position: self.applied };
        headers.insert(CONSISTENCY_TOKEN, token.header_value());
        if let Some(wait_s) = self.waited_s {
            insert(headers, PREFERENCE_APPLIED, format!("wait={wait_s}"));
        }
        headers.insert(VARY, VARIES);
    }
}

/// Inserts a header whose text is made of digits, names and base64url, which any header may hold.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// The caller has this version of the result: nothing but the headers is told again.
pub(crate) fn not_modified(tag: &Tag, standing: &Standing, caching: Caching) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    frame(response.headers_mut(), tag, standing, caching);
    response
}

/// The result itself.
pub(crate) fn ok(tag: &Tag, standing: &Standing, caching: Caching, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    frame(headers, tag, standing, caching);
    response
}

/// A result that never changes while this process runs.
pub(crate) fn constant<T: Serialize>(model: &str, headers: &HeaderMap, body: &T) -> Result<Response, Refusal> {
    let body = serde_json::to_string(body).map_err(Refusal::corrupt)?;
    let tag = Tag { opaque: format!("{model}:{}", short_hash(&body)) };
    let mut response = if tag.is_held_by(headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    };
    insert(response.headers_mut(), ETAG, tag.to_string());
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
        insert(response.headers_mut(), LINK, format!("<{target}>; rel=\"next\""));
    }
}

/// Says which GET answers the same.
pub(crate) fn content_location(response: &mut Response, target: &str) {
    if target.len() <= LONGEST_TARGET {
        insert(response.headers_mut(), CONTENT_LOCATION, target.to_owned());
    }
}

fn frame(headers: &mut HeaderMap, tag: &Tag, standing: &Standing, caching: Caching) {
    insert(headers, ETAG, tag.to_string());
    headers.insert(CACHE_CONTROL, caching.header());
    standing.write(headers);
}

#[cfg(test)]
mod tests;
