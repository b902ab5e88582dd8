//! The limits of an API and their refusals. A caller with too many requests gets 429. A request that exceeds the
//! capacity gets 503. A head that is too large gets 431, and a body that is too slow gets 408.
//!
//! [`Limits`] belong to one API. The layer `admit` checks them before it reads anything of a request. An admitted
//! request carries a [`RequestPermit`]. `auth` checks it once the key is known. It counts the body as it arrives, and
//! gives everything back when the request ends. A limit that a use case applies is answered by [`rate_limited`].

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

/// The most header fields. HTTP/1 has the same limit by itself.
const MOST_HEADERS: usize = 100;

/// The limits of one API. Clones share their counters.
#[derive(Clone)]
pub(super) struct Limits(Arc<LimiterState>);

struct LimiterState {
    api: &'static str,
    trust: Trust,
    max_header_bytes: usize,
    /// The largest whole body. A route that takes longer ones reads them piece by piece.
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

    /// Admits a request by its head alone, or refuses it.
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
        // From here on, the permit gives the request's place back.
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

/// The head of a request.
struct Head<'a> {
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a http::Extensions,
}

impl Head<'_> {
    /// Compares the size on the wire: name, colon, blank, value, line end.
    fn is_larger_than(&self, most: usize) -> bool {
        let fields: usize = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let target = self.uri.path_and_query().map_or(0, |target| target.as_str().len());
        fields + target > most || self.headers.len() > MOST_HEADERS
    }

    /// The announced length of the body, if there is one.
    fn announced(&self) -> Option<u64> {
        announced(self.headers)
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The permit of an admitted request, among its extensions. The last clone gives everything back.
#[derive(Clone)]
pub struct RequestPermit(Arc<PermitState>);

struct PermitState {
    limits: Limits,
    address: Option<IpAddr>,
    /// The number of bytes that its body takes of the API's capacity.
    body_bytes: AtomicU64,
    /// Whether its route reads the body piece by piece.
    flowing: AtomicBool,
    /// Whether its body was read to the end.
    whole: AtomicBool,
    /// Why the body was cut off.
    cut: OnceLock<BodyAbort>,
    /// The rates to report in the answer.
    standings: Mutex<Vec<RateLimitStatus>>,
}

/// Why a body was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyAbort {
    TooSlow,
    NoRoom,
}

impl RequestPermit {
    /// Marks that the route reads the body piece by piece and keeps none of it. Then only the current piece counts.
    pub(super) fn mark_streaming(&self) {
        self.0.flowing.store(true, Ordering::Relaxed);
    }

    /// Reserves capacity for decoded bytes, beside those received. False if there is none: then the body is cut off,
    /// and the answer says why.
    pub(super) fn reserve_bytes(&self, bytes: usize) -> bool {
        let held = self.take(bytes as u64);
        if !held {
            self.cut(BodyAbort::NoRoom);
        }
        held
    }

    /// The problem of a body that a limit cut off.
    pub(super) fn cut_off(&self) -> Option<Problem> {
        self.0.cut.get().map(|cut| match cut {
            BodyAbort::TooSlow => Problem::new(kinds::REQUEST_TIMEOUT),
            BodyAbort::NoRoom => Problem::overloaded(),
        })
    }

    /// Rejects (429) an actor that exceeds its rate.
    pub(super) fn actor(&self, actor: &Actor) -> Result<(), Problem> {
        let limits = &self.0.limits;
        let Some(keys) = &limits.0.keys else { return Ok(()) };
        let standing = limits.allowed(keys.spend(actor, NonZeroU32::MIN))?;
        self.0.standings.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
        Ok(())
    }

    /// Rejects (429) an address that has sent too many invalid keys, before another lookup.
    pub(super) fn may_try_key(&self) -> Result<(), Problem> {
        let limits = &self.0.limits;
        let (Some(bad_keys), Some(address)) = (&limits.0.bad_keys, &self.0.address) else { return Ok(()) };
        bad_keys.spent(address).map_or(Ok(()), |standing| limits.allowed(standing).map(drop))
    }

    /// Counts a request without a valid key.
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

    /// Releases the bytes of earlier pieces of a streamed body.
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

    /// `RateLimit-Policy` and `RateLimit`, if a rate was checked.
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

/// The problem (429) of a use that exceeds a rate limit.
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
    // The text consists of fixed names and numbers.
    let value = |text: String| HeaderValue::try_from(text).ok();
    Some([(RATELIMIT_POLICY, value(policies)?), (RATELIMIT, value(limits)?)])
}

/// Writes an item of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). The draft's registry names no unit
/// but requests, so none is given.
fn write_policy(policy: &RatePolicy, field: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(field, "\"{}\";q={};w={}", policy.name, policy.quota, policy.window_s);
}

/// Writes an item of `RateLimit`. For a refusal, the window ends when the request may be repeated. Otherwise it is the
/// time for which the rest lasts at the policy's rate. So a caller that spreads `r` over `t` is never refused.
fn write_status(status: &RateLimitStatus, field: &mut String) {
    let seconds = match status.wait {
        Some(wait) => whole_seconds(wait),
        None => u64::from(status.remaining.div_ceil(status.policy.per_s.get())).max(1),
    };
    let _ = write!(field, "\"{}\";r={};t={seconds}", status.policy.name, status.remaining);
}

/// A wait in seconds, rounded up, and at least one.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Counts a refusal by its cause.
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
