//! How much an API takes, and what it says to the rest: 429 to a caller that asks too often, 503 when there is more to
//! do than can be done, 431 and 408 to requests that are too large in the head or too slow in the body.
//!
//! [`Limits`] are one API's. `admit`, a layer of the edge, asks them before anything of a request is read; what it lets
//! in carries an [`RequestPermit`], which `auth` asks once the key is known, which counts the body as it arrives, and
//! which gives everything back when the request is over. A limit that a use case applies is answered by
//! [`rate_limited`].

mod address;
pub(super) mod admit;
mod body;
mod room;

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use self::address::Trust;
use self::body::MinThroughput;
use self::room::CapacityBudget;
use super::config::HttpConfig;
use super::problem::{Problem, kinds};
use platform::clock::SharedClock;
use platform::principal::Actor;
use platform::rate_limit::{RateLimit, RateLimitStatus, RatePolicy};

pub(super) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// More header fields than this are too many, as HTTP/1 has it by itself.
const MOST_HEADERS: usize = 100;

/// The limits of one API. Clones share what they count.
#[derive(Clone)]
pub(super) struct Limits(Arc<LimiterState>);

struct LimiterState {
    api: &'static str,
    trust: Trust,
    max_header_bytes: usize,
    /// A longer body than this is one that its route takes piece by piece, or not at all.
    max_body_bytes: u64,
    pace: MinThroughput,
    addresses: Option<RateLimit<IpAddr>>,
    bad_keys: Option<RateLimit<IpAddr>>,
    keys: Option<RateLimit<Actor>>,
    requests: CapacityBudget,
    body_bytes: CapacityBudget,
}

impl Limits {
    pub(super) fn new(api: &'static str, http: &HttpConfig, clock: &SharedClock) -> Self {
        describe_metrics();
        let config = &http.limits;
        let policy = |name, counts, per_s| RatePolicy::new(name, counts, per_s, config.rate_window_s);
        let addresses = policy("address", "requests from this address", config.address_requests_per_s);
        let bad_keys =
            policy("bad_keys", "requests without a valid key from this address", config.address_bad_keys_per_s);
        let keys = policy("key", "requests with this key", config.key_requests_per_s);
        Self(Arc::new(LimiterState {
            api,
            trust: if http.behind_proxy { Trust::Proxy } else { Trust::Peer },
            max_header_bytes: usize::try_from(config.max_header_bytes).unwrap_or(usize::MAX),
            max_body_bytes: http.max_body_bytes as u64,
            pace: MinThroughput::new(config.body_pause_s, config.body_min_bytes_per_s),
            addresses: addresses.map(|policy| RateLimit::new(policy, clock.clone())),
            bad_keys: bad_keys.map(|policy| RateLimit::new(policy, clock.clone())),
            keys: keys.map(|policy| RateLimit::new(policy, clock.clone())),
            requests: CapacityBudget::new(
                config.max_requests_in_flight.into(),
                metrics::gauge!("highwater_http_requests_in_flight", "api" => api),
            ),
            body_bytes: CapacityBudget::new(
                config.max_body_bytes_in_flight,
                metrics::gauge!("highwater_http_body_bytes_in_flight", "api" => api),
            ),
        }))
    }

    /// Lets a request in by its head alone, or says why not.
    fn admit(&self, head: &Head<'_>) -> Result<RequestPermit, Problem> {
        let counted = &*self.0;
        if counted.max_header_bytes > 0 && head.is_larger_than(counted.max_header_bytes) {
            self.count_refusal("header_bytes");
            return Err(headers_too_large());
        }
        let address = address::of(head.extensions, head.headers, counted.trust);
        let standing = match (&counted.addresses, &address) {
            (Some(rate), Some(address)) => Some(self.allowed(rate.spend(address, NonZeroU32::MIN))?),
            (Some(_) | None, _) => None,
        };
        if !counted.requests.take(1) {
            self.count_refusal("requests_in_flight");
            return Err(Problem::overloaded());
        }
        // From here on the admission gives the request's place back.
        let admission = RequestPermit(Arc::new(PermitState {
            limits: self.clone(),
            address,
            body_bytes: AtomicU64::new(0),
            flowing: AtomicBool::new(false),
            whole: AtomicBool::new(false),
            cut: OnceLock::new(),
            standings: Mutex::new(standing.into_iter().collect()),
        }));
        if !counted.body_bytes.has(head.announced().unwrap_or_default().min(counted.max_body_bytes)) {
            self.count_refusal("body_bytes_in_flight");
            return Err(Problem::overloaded());
        }
        Ok(admission)
    }

    fn allowed(&self, standing: RateLimitStatus) -> Result<RateLimitStatus, Problem> {
        if standing.wait.is_some() {
            self.count_refusal(standing.policy.name);
            return Err(rate_limited(&standing));
        }
        Ok(standing)
    }

    fn count_refusal(&self, cause: &'static str) {
        count_refusal(self.0.api, cause);
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("api", &self.0.api).finish_non_exhaustive()
    }
}

/// What is known of a request before its body.
struct Head<'a> {
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a http::Extensions,
}

impl Head<'_> {
    /// As they stand on the wire: name, colon, blank, value, line end.
    fn is_larger_than(&self, most: usize) -> bool {
        let fields: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let target = self.uri.path_and_query().map_or(0, |target| target.as_str().len());
        fields + target > most || self.headers.len() > MOST_HEADERS
    }

    /// How long the body will be, where the caller said so.
    fn announced(&self) -> Option<u64> {
        announced(self.headers)
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A request that was let in, among the request's extensions. What it holds is given back with the last clone.
#[derive(Clone)]
pub struct RequestPermit(Arc<PermitState>);

struct PermitState {
    limits: Limits,
    address: Option<IpAddr>,
    /// How much of the API's room its body takes.
    body_bytes: AtomicU64,
    /// Whether its route takes the body piece by piece.
    flowing: AtomicBool,
    /// Whether its body was read to the end.
    whole: AtomicBool,
    /// Why its body was not.
    cut: OnceLock<BodyAbort>,
    /// What is told of rates in the answer.
    standings: Mutex<Vec<RateLimitStatus>>,
}

/// Why no more of a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyAbort {
    TooSlow,
    NoRoom,
}

impl RequestPermit {
    /// Says that the route takes the body piece by piece and keeps none of it: only the piece at hand takes room then.
    pub(super) fn mark_streaming(&self) {
        self.0.flowing.store(true, Ordering::Relaxed);
    }

    /// Takes room for what is kept of the body beside what was received, as when it is unpacked. False where there is
    /// none: then nothing more of it is read, and the answer says why.
    pub(super) fn reserve_bytes(&self, bytes: usize) -> bool {
        let held = self.take(bytes as u64);
        if !held {
            self.cut(BodyAbort::NoRoom);
        }
        held
    }

    /// What is to be said of a body that a limit cut off.
    pub(super) fn cut_off(&self) -> Option<Problem> {
        self.0.cut.get().map(|cut| match cut {
            BodyAbort::TooSlow => Problem::new(kinds::REQUEST_TIMEOUT),
            BodyAbort::NoRoom => Problem::overloaded(),
        })
    }

    /// Refuses (429) a caller that asks too often.
    pub(super) fn actor(&self, actor: &Actor) -> Result<(), Problem> {
        let limits = &self.0.limits;
        let Some(keys) = &limits.0.keys else { return Ok(()) };
        let standing = limits.allowed(keys.spend(actor, NonZeroU32::MIN))?;
        self.0.standings.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
        Ok(())
    }

    /// Refuses (429) an address that has tried too many keys that are none, before another one is looked up.
    pub(super) fn may_try_key(&self) -> Result<(), Problem> {
        let limits = &self.0.limits;
        let (Some(bad_keys), Some(address)) = (&limits.0.bad_keys, &self.0.address) else { return Ok(()) };
        bad_keys.spent(address).map_or(Ok(()), |standing| limits.allowed(standing).map(drop))
    }

    /// Notes a request without a valid key.
    pub(super) fn bad_key(&self) {
        if let (Some(bad_keys), Some(address)) = (&self.0.limits.0.bad_keys, &self.0.address) {
            bad_keys.spend(address, NonZeroU32::MIN);
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let took = self.0.limits.0.body_bytes.take(bytes);
        if took {
            self.0.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        took
    }

    /// Gives back the room of the pieces that a flowing body brought before.
    fn release_consumed(&self) {
        if self.0.flowing.load(Ordering::Relaxed) {
            let bytes = self.0.body_bytes.swap(0, Ordering::Relaxed);
            self.0.limits.0.body_bytes.give_back(bytes);
        }
    }

    fn cut(&self, cut: BodyAbort) {
        if self.0.cut.set(cut).is_ok() {
            self.0.limits.count_refusal(match cut {
                BodyAbort::TooSlow => "slow_body",
                BodyAbort::NoRoom => "body_bytes_in_flight",
            });
        }
    }

    /// `RateLimit-Policy` and `RateLimit`, where a rate was asked.
    fn fields(&self) -> Option<[(HeaderName, HeaderValue); 2]> {
        fields(&self.0.standings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for PermitState {
    fn drop(&mut self) {
        self.limits.0.requests.give_back(1);
        self.limits.0.body_bytes.give_back(*self.body_bytes.get_mut());
    }
}

impl fmt::Debug for RequestPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("address", &self.0.address).finish_non_exhaustive()
    }
}

/// The problem (429) of a use that a rate limit did not allow.
pub fn rate_limited(standing: &RateLimitStatus) -> Problem {
    let policy = &standing.policy;
    let problem = Problem::new(kinds::RATE_LIMITED)
        .detail(format!("There were too many {}. Nothing was done. Send it again later.", policy.counts))
        .extension("violated-policies", vec![policy.name])
        .retry_after(standing.wait.unwrap_or_default());
    let fields = fields(std::slice::from_ref(standing)).into_iter().flatten();
    fields.fold(problem, |problem, (name, value)| problem.header(name, value))
}

fn headers_too_large() -> Problem {
    Problem::new(kinds::HEADERS_TOO_LARGE)
}

fn fields(standings: &[RateLimitStatus]) -> Option<[(HeaderName, HeaderValue); 2]> {
    let (mut policies, mut limits) = (String::new(), String::new());
    for standing in standings {
        if !policies.is_empty() {
            policies.push_str(", ");
            limits.push_str(", ");
        }
        write_policy(&standing.policy, &mut policies);
        write_status(standing, &mut limits);
    }
    if policies.is_empty() {
        return None;
    }
    // Names of ours and numbers.
    let value = |text: String| HeaderValue::try_from(text).ok();
    Some([(RATELIMIT_POLICY, value(policies)?), (RATELIMIT, value(limits)?)])
}

/// Writes an item of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). Units other than requests have no
/// name in the draft's registry, so none is given.
fn write_policy(policy: &RatePolicy, field: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(field, "\"{}\";q={};w={}", policy.name, policy.quota, policy.window_s);
}

/// Writes an item of `RateLimit`. A refusal's window ends when it may be tried again. Otherwise it is the time for
/// which the rest lasts at the policy's rate, so that nobody who spreads `r` over `t` is refused.
fn write_status(status: &RateLimitStatus, field: &mut String) {
    let seconds = match status.wait {
        Some(wait) => whole_seconds(wait),
        None => u64::from(status.remaining.div_ceil(status.policy.per_s.get())).max(1),
    };
    let _ = write!(field, "\"{}\";r={};t={seconds}", status.policy.name, status.remaining);
}

/// A wait in seconds: never shorter than it is, and never none.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Counts what was refused, by why.
pub(super) fn count_refusal(api: &'static str, cause: &'static str) {
    metrics::counter!("highwater_http_refused_total", "api" => api, "cause" => cause).increment(1);
}

fn describe_metrics() {
    metrics::describe_counter!(
        "highwater_http_refused_total",
        "Requests and connections refused by a limit, by cause."
    );
    metrics::describe_gauge!("highwater_http_requests_in_flight", "Requests that are being answered.");
    metrics::describe_gauge!("highwater_http_body_bytes_in_flight", "Bytes of the bodies of those requests.");
}

#[cfg(test)]
mod tests;
