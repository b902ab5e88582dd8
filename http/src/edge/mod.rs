//! The edge of an API: everything that is the same for all routes. It adds ids, log lines, metrics, limits, CORS and
//! compression. It turns what axum refuses into problems.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use http::header::{
    AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method};
use tower::ServiceBuilder;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::consistency::CONSISTENCY_TOKEN;
use super::limit::admit::admit;
use super::limit::{Limits, RATELIMIT, RATELIMIT_POLICY};
use super::request_log::{RequestMetrics, observe, timeout_and_catch_panics};
use super::trace::{REQUEST_ID, TRACEPARENT};
use super::{HttpConfig, compress};
use platform::clock::SharedClock;

/// The configuration of one API's edge.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Names the API in metrics and logs: `command`, `read`.
    pub api: &'static str,
    pub cors_origins: Vec<String>,
    pub max_body_bytes: usize,
    pub request_timeout: Duration,
    pub(super) limits: Limits,
}

impl EdgeConfig {
    pub fn new(api: &'static str, http: &HttpConfig, clock: &SharedClock) -> Self {
        Self {
            api,
            cors_origins: http.cors_origins.clone(),
            max_body_bytes: http.max_body_bytes,
            request_timeout: Duration::from_secs(http.request_timeout_s),
            limits: Limits::new(api, http, clock),
        }
    }
}

/// Wraps a router for serving. Nothing may be merged or layered around the result.
pub fn edge(router: Router, config: &EdgeConfig) -> Router {
    // The layers, from the outside in. As one stack they are boxed only once.
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(RequestMetrics::new(config.api), observe))
        // Outside the guard, so that a page can also read the problems that the guard makes.
        .option_layer(cors(&config.cors_origins))
        // Outside the guard, which may replace a response by a problem.
        .layer(from_fn(compress::negotiate))
        .layer(compress::layer())
        .layer(from_fn_with_state(config.request_timeout, timeout_and_catch_panics))
        .layer(from_fn_with_state(config.limits.clone(), admit))
        .layer(DefaultBodyLimit::max(config.max_body_bytes));
    router.layer(layers)
}

/// The CORS layer; none without origins. Clients send keys explicitly, never the browser by itself, so credentials are
/// not allowed.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        // A browser writes the host in lower case.
        let distinct: BTreeSet<String> = origins.iter().map(|origin| origin.to_ascii_lowercase()).collect();
        AllowOrigin::list(distinct.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    let ours = [
        "data-position",
        "data-freshness",
        "idempotency-replayed",
        "preference-applied",
        "cache-status",
        "server-timing",
    ];
    let standard = [
        CONTENT_DISPOSITION,
        CONTENT_LOCATION,
        ETAG,
        LOCATION,
        LINK,
        RETRY_AFTER,
        RATELIMIT,
        RATELIMIT_POLICY,
        WWW_AUTHENTICATE,
    ];
    let named = [CONSISTENCY_TOKEN, REQUEST_ID];
    let taken = ["idempotency-key", "prefer", "last-event-id"];
    let sent = [AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, CONSISTENCY_TOKEN, TRACEPARENT];
    Some(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(sent.into_iter().chain(taken.map(HeaderName::from_static)).collect::<Vec<_>>())
            .expose_headers(
                standard.into_iter().chain(named).chain(ours.map(HeaderName::from_static)).collect::<Vec<_>>(),
            )
            .max_age(Duration::from_hours(1)),
    )
}

#[cfg(test)]
mod tests;
