//! `/healthz`, `/readyz` and `/metrics`. They need no key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;

use super::problem::{Problem, kinds};
use platform::telemetry::render_once;

/// The parts that are not ready, by public names: `database`, `projector`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady(pub Vec<&'static str>);

type Check = dyn Fn() -> BoxFuture<'static, Result<(), NotReady>> + Send + Sync;

/// The check whether this process can do its work now. Liveness needs no check: any answer proves it.
#[derive(Clone)]
pub struct Readiness(Arc<Check>);

impl Readiness {
    pub fn new<F, R>(check: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), NotReady>> + Send + 'static,
    {
        Self(Arc::new(move || check().boxed()))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readiness")
    }
}

/// The paths that probes and scrapers request continuously. No limit applies to them.
pub(super) const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The longest time of a readiness check. Probes give up at about this time, and an answer with a reason is worth more
/// than none.
const PATIENCE: Duration = Duration::from_secs(4);

/// The source of `/metrics`: everything that this process counts, and gauges that are set on each request.
#[derive(Clone)]
pub struct Metrics {
    counted: PrometheusHandle,
    when_asked: Vec<Arc<dyn Fn() + Send + Sync>>,
}

impl Metrics {
    /// Adds gauges. Nothing else may use their names.
    #[must_use]
    pub fn with(mut self, set_gauges: impl Fn() + Send + Sync + 'static) -> Self {
        self.when_asked.push(Arc::new(set_gauges));
        self
    }

    fn render(&self) -> String {
        self.counted.render() + &render_once(|| self.when_asked.iter().for_each(|set_gauges| set_gauges()))
    }
}

impl From<PrometheusHandle> for Metrics {
    fn from(counted: PrometheusHandle) -> Self {
        Self { counted, when_asked: Vec::new() }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[derive(Debug, Clone)]
struct Health {
    readiness: Readiness,
    metrics: Metrics,
}

/// The routes. They are merged into an API's router before the edge wraps it.
pub fn router<S: Clone + Send + Sync + 'static>(readiness: Readiness, metrics: impl Into<Metrics>) -> Router<S> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(render_metrics))
        .with_state(Health { readiness, metrics: metrics.into() })
}

async fn healthz() -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" }))).into_response()
}

async fn readyz(State(health): State<Health>) -> Result<Response, Problem> {
    let missing = match tokio::time::timeout(PATIENCE, (health.readiness.0)()).await {
        Ok(Ok(())) => return Ok(([(CACHE_CONTROL, "no-store")], Json(json!({ "status": "ready" }))).into_response()),
        Ok(Err(NotReady(parts))) => parts,
        Err(_elapsed) => vec!["check"],
    };
    Err(Problem::new(kinds::NOT_READY)
        .detail(format!("Not ready: {}.", missing.join(", ")))
        .extension("not_ready", missing)
        .retry_after(Duration::from_secs(1)))
}

async fn render_metrics(State(health): State<Health>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], health.metrics.render()).into_response()
}
