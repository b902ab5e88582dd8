use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, FromRef, Request};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{DateTime, TimeDelta};
use futures_util::{StreamExt, stream};
use http::header::{AUTHORIZATION, CONNECTION, RETRY_AFTER};
use http::{StatusCode, Version};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::*;
use crate::auth::Authenticated;
use crate::config::LimitConfig;
use crate::edge::{EdgeConfig, edge};
use crate::health::{self, Readiness};
use platform::authenticator::Authenticator;
use platform::clock::ManualClock;
use platform::telemetry::metrics_handle;

#[derive(Clone)]
struct State(Authenticator);

impl FromRef<State> for Authenticator {
    fn from_ref(state: &State) -> Self {
        state.0.clone()
    }
}

/// An API with these limits, whose `/wait` answers when it is let go.
struct Api {
    app: Router,
    clock: ManualClock,
    gate: Arc<Semaphore>,
    limits: Limits,
}

/// Limits that are off, except for those that a test sets.
fn no_limits() -> LimitConfig {
    LimitConfig {
        max_connections: 0,
        max_requests_in_flight: 0,
        max_body_bytes_in_flight: 0,
        max_header_bytes: 0,
        body_pause_s: 0,
        body_min_bytes_per_s: 0,
        key_requests_per_s: 0,
        address_requests_per_s: 0,
        address_bad_keys_per_s: 0,
        source_items_per_s: 0,
        ..LimitConfig::default()
    }
}

fn api(limits: LimitConfig) -> Api {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    // Nothing listens there, so a lookup of a key is an error.
    let nowhere = PgPoolOptions::new().connect_lazy("postgres://127.0.0.1:1/none").unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let wait = {
        let gate = Arc::clone(&gate);
        async move |body: Bytes| {
            gate.acquire().await.unwrap().forget();
            body.len().to_string()
        }
    };
    let flow = async |request: Request| {
        request.extensions().get::<RequestPermit>().unwrap().mark_streaming();
        let pieces: Vec<usize> =
            request.into_body().into_data_stream().map(|piece| piece.unwrap().len()).collect().await;
        pieces.iter().sum::<usize>().to_string()
    };
    let readiness = Readiness::new(async || Ok(()));
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/wait", post(wait))
        .route("/read", post(async |body: Bytes| body.len().to_string()))
        .route("/flow", post(flow))
        .route("/unread", post(async || StatusCode::FORBIDDEN))
        .route("/mine", get(async |_: Authenticated| "mine"))
        .with_state(State(Authenticator::new(nowhere, clock.shared())))
        .merge(health::router(readiness, metrics_handle().unwrap()));
    let http = HttpConfig { max_body_bytes: 100, limits, ..HttpConfig::default() };
    let config = EdgeConfig::new("limited", &http, &clock.shared());
    let limits = config.limits.clone();
    Api { app: edge(router, &config), clock, gate, limits }
}

/// Who sends: an address of its own.
fn from(host: u8, mut request: Request) -> Request {
    let peer = SocketAddr::from(([10, 0, 0, host], 5_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn posted(path: &str, body: &'static str) -> Request {
    Request::post(path).header("content-length", body.len()).body(Body::from(body)).unwrap()
}

/// A body in pieces, without an announced length.
fn in_pieces(path: &str, pieces: Vec<&'static str>) -> Request {
    Request::post(path).body(Body::from_stream(stream::iter(pieces).map(Ok::<_, Infallible>))).unwrap()
}

impl Api {
    async fn send(&self, request: Request) -> Response {
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, host: u8, path: &str) -> Response {
        self.send(from(host, Request::get(path).body(Body::empty()).unwrap())).await
    }

    /// Sends, and goes on when the request waits.
    async fn begin(&self, request: Request) -> tokio::task::JoinHandle<Response> {
        let app = self.app.clone();
        let sent = tokio::spawn(async move { app.oneshot(request).await.unwrap() });
        tokio::task::yield_now().await;
        sent
    }

    fn room_is_whole(&self) -> bool {
        self.limits.0.requests.is_empty() && self.limits.0.body_bytes.is_empty()
    }
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn problem(response: Response) -> (u16, String, Value) {
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let code = body["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert!(body["instance"].is_string());
    (status, code, body)
}

#[tokio::test]
async fn limits_requests_by_address_with_retry_after() {
    let api = api(LimitConfig { address_requests_per_s: 1, rate_window_s: 2, ..no_limits() });
    let first = api.get(1, "/").await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(field(&first, "ratelimit-policy"), Some(r#""address";q=2;w=2"#));
    assert_eq!(field(&first, "ratelimit"), Some(r#""address";r=1;t=1"#));
    assert_eq!(field(&first, "retry-after"), None);
    api.get(1, "/").await;

    let refused = api.get(1, "/").await;
    assert_eq!(field(&refused, "retry-after"), Some("1"));
    assert_eq!(field(&refused, "ratelimit-policy"), Some(r#""address";q=2;w=2"#));
    assert_eq!(field(&refused, "ratelimit"), Some(r#""address";r=0;t=1"#));
    let (status, code, body) = problem(refused).await;
    assert_eq!((status, code.as_str(), &body["violated-policies"]), (429, "rate-limited", &json!(["address"])));

    assert_eq!(api.get(2, "/").await.status(), StatusCode::OK);
    for path in health::PATHS {
        assert_eq!(api.get(1, path).await.status(), StatusCode::OK, "{path}");
    }
    api.clock.advance(TimeDelta::seconds(1));
    assert_eq!(api.get(1, "/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn limits_bad_keys_before_the_lookup() {
    let api = api(LimitConfig { address_bad_keys_per_s: 1, rate_window_s: 2, ..no_limits() });
    let with_key = |key: &str| {
        let request = Request::get("/mine").header(AUTHORIZATION, format!("Bearer {key}"));
        from(1, request.body(Body::empty()).unwrap())
    };
    // What cannot be a key is no key either.
    assert_eq!(api.send(with_key("not a key")).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.get(1, "/mine").await.status(), StatusCode::UNAUTHORIZED);
    let (status, code, body) = problem(api.send(with_key("guess")).await).await;
    assert_eq!((status, code.as_str(), &body["violated-policies"]), (429, "rate-limited", &json!(["bad_keys"])));
    assert_eq!(api.get(2, "/mine").await.status(), StatusCode::UNAUTHORIZED);
    // Requests that need no key are not concerned.
    assert_eq!(api.get(1, "/").await.status(), StatusCode::OK);
    api.clock.advance(TimeDelta::seconds(1));
    assert_eq!(api.send(with_key("not a key")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn rejects_requests_above_the_in_flight_limit() {
    let api = api(LimitConfig { max_requests_in_flight: 2, ..no_limits() });
    let (first, second) = (api.begin(posted("/wait", "one")).await, api.begin(posted("/wait", "three")).await);
    let refused = api.send(posted("/read", "short")).await;
    assert_eq!(field(&refused, "retry-after"), Some("1"));
    // Its body was short and is out of the way.
    assert_eq!(field(&refused, "connection"), None);
    let (status, code, _) = problem(refused).await;
    assert_eq!((status, code.as_str()), (503, "overloaded"));
    assert_eq!(api.get(1, "/healthz").await.status(), StatusCode::OK);

    api.gate.add_permits(2);
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    assert_eq!(second.await.unwrap().status(), StatusCode::OK);
    assert_eq!(api.send(posted("/read", "short")).await.status(), StatusCode::OK);
    assert!(api.room_is_whole());
}

#[tokio::test]
async fn disconnected_caller_frees_its_place() {
    let api = api(LimitConfig { max_requests_in_flight: 1, ..no_limits() });
    let gone = api.begin(posted("/wait", "one")).await;
    assert_eq!(api.get(1, "/").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert!(api.room_is_whole());
    assert_eq!(api.get(1, "/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn limits_body_bytes_in_flight() {
    let api = api(LimitConfig { max_body_bytes_in_flight: 100, ..no_limits() });
    let held = api.begin(in_pieces("/wait", vec!["0123456789"; 6])).await;
    // Announced, so it is refused before it is read; not announced, so only when it has come so far.
    let announced = Request::post("/read").header("content-length", "50").body(Body::from("0123456789".repeat(5)));
    let refused = api.send(announced.unwrap()).await;
    assert_eq!(problem(refused).await.1, "overloaded");
    let refused = api.send(in_pieces("/read", vec!["0123456789"; 5])).await;
    assert_eq!(field(&refused, "connection"), Some("close"));
    assert_eq!(field(&refused, "retry-after"), Some("1"));
    assert_eq!(problem(refused).await.1, "overloaded");
    assert_eq!(api.send(in_pieces("/read", vec!["0123456789"; 4])).await.status(), StatusCode::OK);

    api.gate.add_permits(1);
    assert_eq!(held.await.unwrap().status(), StatusCode::OK);
    assert!(api.room_is_whole());
}

#[tokio::test]
async fn streamed_body_counts_one_chunk_at_a_time() {
    let api = api(LimitConfig { max_body_bytes_in_flight: 100, ..no_limits() });
    let flowed = api.send(in_pieces("/flow", vec!["0123456789"; 1_000])).await;
    assert_eq!(to_bytes(flowed.into_body(), 10).await.unwrap(), "10000");
    assert!(api.room_is_whole());
}

#[tokio::test]
async fn decoded_bytes_count_toward_the_limit() {
    let api = api(LimitConfig { max_body_bytes_in_flight: 100, ..no_limits() });
    let request = from(1, posted("/read", "short"));
    let head = Head { uri: request.uri(), headers: request.headers(), extensions: request.extensions() };
    let admission = api.limits.admit(&head).unwrap();
    assert!(admission.reserve_bytes(60));
    assert!(!admission.reserve_bytes(60));
    drop(admission);
    assert!(api.room_is_whole());
}

#[tokio::test]
async fn rejection_does_not_wait_for_the_body() {
    let api = api(LimitConfig { max_requests_in_flight: 1, ..no_limits() });
    let _held = api.begin(posted("/wait", "one")).await;
    let never = || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let endless = |version| Request::post("/read").version(version).body(never()).unwrap();
    assert_eq!(field(&api.send(endless(Version::HTTP_11)).await, "connection"), Some("close"));
    assert_eq!(field(&api.send(endless(Version::HTTP_2)).await, "connection"), None);
    let asks_first = Request::post("/read").header("expect", "100-continue").body(never()).unwrap();
    assert_eq!(field(&api.send(asks_first).await, "connection"), Some("close"));
    let large = Request::post("/read").header("content-length", "1000000").body(never()).unwrap();
    assert_eq!(field(&api.send(large).await, "connection"), Some("close"));
}

#[tokio::test]
async fn handler_rejection_does_not_read_a_long_body() {
    let api = api(no_limits());
    assert_eq!(field(&api.send(posted("/unread", "short")).await, "connection"), None);
    let long = Request::post("/unread").header("content-length", "100000").body(Body::from("x".repeat(100_000)));
    assert_eq!(field(&api.send(long.unwrap()).await, "connection"), Some("close"));
}

#[tokio::test(start_paused = true)]
async fn paused_body_times_out() {
    let api = api(LimitConfig { body_pause_s: 5, ..no_limits() });
    let stalls = stream::iter(["half"].map(Ok::<_, Infallible>)).chain(stream::pending());
    let began = tokio::time::Instant::now();
    let response = api.send(Request::post("/read").body(Body::from_stream(stalls)).unwrap()).await;
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(field(&response, "connection"), Some("close"));
    let (status, code, _) = problem(response).await;
    assert_eq!((status, code.as_str()), (408, "request-timeout"));
    assert!(api.room_is_whole());
}

/// So many bytes, one in each second.
fn trickle(bytes: usize) -> Body {
    let pieces = stream::iter(0..bytes).then(async |_| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, Infallible>("x")
    });
    Body::from_stream(pieces)
}

#[tokio::test(start_paused = true)]
async fn trickling_body_times_out() {
    let api = api(LimitConfig { body_pause_s: 5, body_min_bytes_per_s: 2, ..no_limits() });
    let response = api.send(Request::post("/read").body(trickle(1_000)).unwrap()).await;
    assert_eq!(problem(response).await.1, "request-timeout");
    // A short one is there before it could be judged, and one that is fast enough may take its time.
    assert_eq!(api.send(Request::post("/read").body(trickle(9)).unwrap()).await.status(), StatusCode::OK);
    let api = api_with_pace(1);
    assert_eq!(api.send(Request::post("/read").body(trickle(40)).unwrap()).await.status(), StatusCode::OK);
}

fn api_with_pace(body_min_bytes_per_s: u64) -> Api {
    api(LimitConfig { body_pause_s: 5, body_min_bytes_per_s, ..no_limits() })
}

#[tokio::test]
async fn rejects_large_headers() {
    let api = api(LimitConfig { max_header_bytes: 1_024, ..no_limits() });
    let with_fields = |count: usize, bytes: usize| {
        let request = (0..count)
            .fold(Request::get("/"), |request, number| request.header(format!("x-{number}"), "v".repeat(bytes)));
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(api.send(with_fields(5, 100)).await.status(), StatusCode::OK);
    for request in [with_fields(1, 2_000), with_fields(20, 60), with_fields(101, 0)] {
        let (status, code, _) = problem(api.send(request).await).await;
        assert_eq!((status, code.as_str()), (431, "headers-too-large"));
    }
    let long = format!("/?{}", "q".repeat(1_100));
    assert_eq!(api.get(1, &long).await.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn counts_rejections_by_cause() {
    metrics_handle().unwrap();
    let api = api(LimitConfig { max_header_bytes: 1_024, address_requests_per_s: 1, rate_window_s: 1, ..no_limits() });
    api.get(1, &format!("/?{}", "q".repeat(1_100))).await;
    api.get(1, "/").await;
    api.get(1, "/").await;
    let metrics = to_bytes(api.get(1, "/metrics").await.into_body(), usize::MAX).await.unwrap();
    let metrics = String::from_utf8(metrics.to_vec()).unwrap();
    let lines: HashMap<&str, &str> = metrics.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    for cause in ["header_bytes", "address"] {
        let line = format!("highwater_http_refused_total{{api=\"limited\",cause=\"{cause}\"}}");
        assert!(lines[line.as_str()].parse::<u64>().unwrap() >= 1, "{metrics}");
    }
    assert!(metrics.contains("highwater_http_requests_in_flight{api=\"limited\"}"));
}

#[test]
fn rejection_names_policy_and_wait() {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    let policy = RatePolicy::new("source", "items of this source", 10, 2).unwrap();
    let rate = RateLimit::new(policy, clock.shared());
    rate.spend(&1, NonZeroU32::new(15).unwrap());
    let refused = rate_limited(&rate.spend(&1, NonZeroU32::new(10).unwrap()));
    assert_eq!(refused.code(), "rate-limited");
    let refused = axum::response::IntoResponse::into_response(refused);
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    assert_eq!(refused.headers()[RATELIMIT_POLICY], r#""source";q=20;w=2"#);
    assert!(!refused.headers().contains_key(CONNECTION));
}

#[test]
fn remaining_quota_lasts_for_the_stated_window() {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    let rate = RateLimit::new(RatePolicy::new("key", "requests", 10, 6).unwrap(), clock.shared());
    let header = |cells| {
        let mut field = String::new();
        write_status(&rate.spend(&1, NonZeroU32::new(cells).unwrap()), &mut field);
        field
    };
    assert_eq!(header(1), "\"key\";r=59;t=6");
    assert_eq!(header(50), "\"key\";r=9;t=1");
    assert_eq!(header(10), "\"key\";r=0;t=1");
}
