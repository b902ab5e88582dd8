//! Two layers of the edge. The outer one, `request_log`, assigns ids, measures, counts and logs a request. The inner
//! one, `timeout_and_catch_panics`, limits its time and turns panics and plain refusals into problems.

use std::collections::HashMap;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode, Version};
use metrics::{Counter, Histogram};
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use super::health;
use super::problem::{Problem, kinds};
use super::trace::{REQUEST_ID, TraceContext};
use platform::error_chain;
use platform::telemetry::metrics_handle;

/// The label for paths that no route matches, so that callers cannot create labels.
const UNMATCHED: &str = "unmatched";

/// The request counters of one API.
#[derive(Clone)]
pub(super) struct RequestMetrics {
    api: &'static str,
    /// The metrics by route, then method and status. A lookup in the recorder costs more than some requests.
    recorded: Arc<RwLock<HashMap<String, RouteMetrics>>>,
}

type RouteMetrics = HashMap<(&'static str, u16), RequestInstruments>;

#[derive(Clone)]
struct RequestInstruments {
    requests: Counter,
    seconds: Histogram,
}

impl RequestMetrics {
    /// Installs the recorder first, because a metric that is registered without one is lost.
    pub(super) fn new(api: &'static str) -> Self {
        if let Err(error) = metrics_handle() {
            tracing::warn!(error = &error as &dyn Error, "requests are not counted by our own recorder");
        }
        metrics::describe_counter!("highwater_http_requests_total", "Requests answered, by route and status.");
        metrics::describe_histogram!(
            "highwater_http_request_seconds",
            metrics::Unit::Seconds,
            "From a request's arrival to the head of its answer."
        );
        Self { api, recorded: Arc::default() }
    }

    fn record(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let key = (method_label(method), status.as_u16());
        let known = {
            let recorded = self.recorded.read().unwrap_or_else(PoisonError::into_inner);
            recorded.get(route).and_then(|of_route| of_route.get(&key)).cloned()
        };
        let metric = known.unwrap_or_else(|| self.register(route, key));
        metric.requests.increment(1);
        metric.seconds.record(took.as_secs_f64());
    }

    fn register(&self, route: &str, key: (&'static str, u16)) -> RequestInstruments {
        let (method, status) = key;
        let name = "highwater_http_requests_total";
        let status = status.to_string();
        let made = RequestInstruments {
            requests: metrics::counter!(
                name, "api" => self.api, "route" => route.to_owned(), "method" => method, "status" => status
            ),
            seconds: metrics::histogram!(
                "highwater_http_request_seconds", "api" => self.api, "route" => route.to_owned(), "method" => method
            ),
        };
        let mut recorded = self.recorded.write().unwrap_or_else(PoisonError::into_inner);
        recorded.entry(route.to_owned()).or_default().entry(key).or_insert(made).clone()
    }
}

/// The label of a method. Unknown methods share one, so that callers cannot create labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(super) async fn observe(State(observer): State<RequestMetrics>, mut request: Request, next: Next) -> Response {
    let arrived = Instant::now();
    let trace = TraceContext::from_headers(request.headers());
    let request_id = trace.request_id_value();
    let span = info_span!("request", trace_id = trace.correlation_id, workspace = Empty, actor = Empty);
    request.extensions_mut().insert(trace);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let uri = request.uri().clone();

    let mut response = next.run(request).instrument(span.clone()).await;

    let took = arrived.elapsed();
    let route = matched.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    observer.record(route, &method, response.status(), took);
    span.in_scope(|| log(observer.api, route, &method, uri.path(), &request_id, &response, took));
    response.headers_mut().insert(REQUEST_ID, request_id);
    response
}

fn log(
    api: &str,
    route: &str,
    method: &Method,
    path: &str,
    request_id: &HeaderValue,
    response: &Response,
    took: Duration,
) {
    macro_rules! line {
        ($level:ident, $problem:expr, $cause:expr) => {
            tracing::$level!(
                target: "highwater::request",
                api,
                method = method.as_str(),
                route,
                path,
                status = response.status().as_u16(),
                duration_ms = took.as_secs_f64() * 1e3,
                request_id = request_id.to_str().unwrap_or_default(),
                problem = $problem,
                cause = $cause,
                "request answered"
            )
        };
    }
    let problem = response.extensions().get::<Problem>();
    let code = problem.map(Problem::code);
    let cause = problem.and_then(Problem::cause).map(|cause| error_chain(cause));
    if response.status().is_server_error() {
        line!(error, code, cause);
    } else if health::PATHS.contains(&route) {
        line!(debug, code, cause);
    } else {
        line!(info, code, cause);
    }
}

/// Whether the body of a request is still arriving. It distinguishes a slow client from a slow handler.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyProgress(Arc<AtomicBool>);

impl BodyProgress {
    pub(super) fn reading(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn done(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_reading(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked; the panic has a line of its own")]
struct Panicked;

#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs_f64())]
struct TimedOut(Duration);

pub(super) async fn timeout_and_catch_panics(
    State(limit): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let instance =
        request.extensions().get::<TraceContext>().map(|trace| format!("urn:highwater:request:{}", trace.request_id()));
    let progress = (!request.body().is_end_stream()).then(BodyProgress::default);
    if let Some(progress) = &progress {
        request.extensions_mut().insert(progress.clone());
    }
    let version = request.version();

    // A handler owns its request and shares only what survives a panic: pools, channels, caches behind locks.
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => Problem::internal(Panicked).into_response(),
        Err(_elapsed) if progress.as_ref().is_some_and(BodyProgress::is_reading) => {
            let problem = Problem::for_status(StatusCode::REQUEST_TIMEOUT);
            // HTTP/2 has no such field; there, only the stream is reset.
            let close = version < Version::HTTP_2;
            if close { problem.header(CONNECTION, HeaderValue::from_static("close")) } else { problem }.into_response()
        }
        Err(_elapsed) => Problem::new(kinds::TIMEOUT)
            .retry_after(Duration::from_secs(1))
            .with_source(TimedOut(limit))
            .into_response(),
    };
    match problem_of(&response) {
        Some(problem) => match instance {
            Some(instance) => problem.instance(instance).replace(response),
            None => problem.replace(response),
        },
        None => response,
    }
}

/// The problem of a refusal, or the one to replace it with. A refusal that no handler wrote (404, 405, a layer's 413)
/// has plain text or nothing. A refusal in JSON is its handler's own.
fn problem_of(response: &Response) -> Option<Problem> {
    if let Some(problem) = response.extensions().get::<Problem>() {
        return Some(problem.clone());
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.ends_with("json") && status != StatusCode::INTERNAL_SERVER_ERROR {
        return None;
    }
    Some(Problem::for_status(status))
}

#[cfg(test)]
mod tests;
