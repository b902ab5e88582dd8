use std::collections::HashMap;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::StreamExt;
use futures_util::stream;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, VARY};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::ToSchema;
use uuid::Uuid;

use super::*;
use crate::config::LimitConfig;
use crate::health::{self, NotReady, Readiness};
use crate::json::{self, ApiJson};
use crate::path::ApiPath;
use crate::problem::Problem;
use crate::query::ApiQuery;
use crate::trace::TraceContext;
use platform::clock::SystemClock;
use platform::telemetry::metrics_handle;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    limit: Option<u32>,
}

async fn batch(request: Request) -> Result<String, Problem> {
    let body = json::read(request, &()).await?;
    let items: Vec<Value> = json::parse_envelope(json::text(&body)?)?;
    Ok(items.len().to_string())
}

fn router() -> Router {
    Router::new()
        .route("/things", post(|ApiJson(thing): ApiJson<Thing>| async move { thing.name }))
        .route("/batches", post(batch))
        .route("/things/{id}", get(|ApiPath(id): ApiPath<Uuid>| async move { id.to_string() }))
        .route("/mismatch/{id}", get(|ApiPath(_): ApiPath<(String, String)>| async {}))
        .route("/pages", get(|ApiQuery(page): ApiQuery<Page>| async move { page.limit.unwrap_or(7).to_string() }))
        .route("/trace", get(|trace: TraceContext| async move { trace.traceparent }))
        .route("/panic", get(async || -> Response { panic!("on purpose") }))
        .route("/slow", get(std::future::pending::<Response>))
        .route("/broken", get(async || Problem::internal(std::io::Error::other("secret")).detail("secret")))
        .route("/raw-500", get(async || (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "sql": "secret" })))))
        .route("/graphql", get(async || (StatusCode::BAD_REQUEST, Json(json!({ "errors": [] })))))
        .route("/teapot", get(async || StatusCode::IM_A_TEAPOT))
        .route("/text/{bytes}", get(|ApiPath(bytes): ApiPath<usize>| async move { "a".repeat(bytes) }))
        .route("/lines", get(async || ([(CONTENT_TYPE, "application/x-ndjson")], "{}\n".repeat(1_000))))
}

fn app(cors_origins: &[&str]) -> Router {
    let readiness = Readiness::new(async || Err(NotReady(vec!["database", "projector"])));
    let router = router().merge(health::router(readiness, metrics_handle().unwrap()));
    let http = HttpConfig {
        cors_origins: cors_origins.iter().map(|origin| (*origin).to_owned()).collect(),
        max_body_bytes: 64,
        limits: LimitConfig { body_pause_s: 0, ..LimitConfig::default() },
        ..HttpConfig::default()
    };
    edge(router, &EdgeConfig::new("test", &http, &SystemClock::shared()))
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Asserts a problem of this kind and returns it.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> Value {
        let request_id = self.headers["request-id"].to_str().unwrap();
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{}", self.body);
        let problem = self.json();
        assert_eq!((self.status.as_u16(), &problem["status"]), (status, &json!(status)));
        assert_eq!(problem["type"], format!("https://highwater.dev/problems/{code}"));
        assert_eq!(problem["instance"], format!("urn:highwater:request:{request_id}"));
        assert!(problem["title"].is_string());
        problem
    }
}

async fn send(app: Router, request: Request) -> Answer {
    let response = app.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

async fn ask(path: &str) -> Answer {
    send(app(&[]), Request::get(path).body(Body::empty()).unwrap()).await
}

async fn post_json(path: &str, body: &str) -> Answer {
    let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body.to_owned()));
    send(app(&[]), request.unwrap()).await
}

#[tokio::test]
async fn unknown_routes_methods_and_statuses_are_problems() {
    ask("/nothing").await.problem(404, "not-found");
    let wrong = ask("/things").await;
    wrong.problem(405, "method-not-allowed");
    assert_eq!(wrong.headers[ALLOW], "POST");
    ask("/teapot").await.problem(418, "bad-request");
}

#[tokio::test]
async fn checks_a_body_step_by_step() {
    assert_eq!(post_json("/things", r#"{"name": "a"}"#).await.body, "a");
    let problem = post_json("/things", r#"{"name": 1}"#).await.problem(422, "invalid-body");
    assert_eq!(problem["errors"][0]["field"], "name");
    let problem = post_json("/things", r#"{"name": "a\u0000"}"#).await.problem(422, "invalid-body");
    assert_eq!(problem["errors"][0]["field"], "name");
    assert_eq!(post_json("/batches", r#"["\u0000", 1]"#).await.body, "2");
    post_json("/things", r#"{"name": "#).await.problem(400, "malformed-json");
    post_json("/things", "").await.problem(400, "malformed-json");
    post_json("/things", &format!(r#"{{"name": "{}"}}"#, "a".repeat(80))).await.problem(413, "payload-too-large");

    let untyped = Request::post("/things").body(Body::from("{}")).unwrap();
    send(app(&[]), untyped).await.problem(415, "unsupported-media-type");
    let packed = Request::post("/things").header(CONTENT_TYPE, "application/json").header(CONTENT_ENCODING, "br");
    send(app(&[]), packed.body(Body::from("{}")).unwrap()).await.problem(415, "unsupported-media-type");
    let latin = Request::post("/things").header(CONTENT_TYPE, "application/json");
    send(app(&[]), latin.body(Body::from(vec![b'"', 0xe9, b'"'])).unwrap()).await.problem(400, "malformed-json");
}

#[tokio::test]
async fn truncated_body_is_a_client_error() {
    let parts = stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]);
    let broken = Request::post("/things").header(CONTENT_TYPE, "application/json").body(Body::from_stream(parts));
    send(app(&[]), broken.unwrap()).await.problem(400, "unreadable-body");
}

#[tokio::test]
async fn names_an_invalid_parameter() {
    assert_eq!(ask("/pages?limit=5").await.body, "5");
    assert_eq!(ask("/pages").await.body, "7");
    for (query, field) in [("limit=x", "limit"), ("limit=", "limit"), ("limit=1&limit=2", "limit"), ("limt=1", "limt")]
    {
        let problem = ask(&format!("/pages?{query}")).await.problem(400, "invalid-query");
        assert_eq!(problem["errors"][0]["field"], field, "{query}: {problem}");
    }
    ask("/pages?q=%00").await.problem(400, "invalid-query");
}

#[tokio::test]
async fn malformed_id_is_not_found() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(ask(&format!("/things/{id}")).await.body, id);
    ask("/things/none").await.problem(404, "not-found");
    ask("/things/%00").await.problem(404, "not-found");
    ask("/things/%ff").await.problem(404, "not-found");
    ask("/mismatch/x").await.problem(500, "internal");
}

#[tokio::test]
async fn internal_error_is_a_constant() {
    for path in ["/panic", "/broken", "/raw-500"] {
        let answer = ask(path).await;
        answer.problem(500, "internal");
        assert!(!answer.body.contains("secret") && !answer.body.contains("purpose"), "{}", answer.body);
    }
}

#[tokio::test]
async fn leaves_json_errors_of_handlers_alone() {
    let answer = ask("/graphql").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (400, json!({ "errors": [] })));
    assert!(answer.headers.contains_key("request-id"));
}

#[tokio::test(start_paused = true)]
async fn timeout_blames_the_slow_side() {
    ask("/slow").await.problem(503, "timeout");
    let never = stream::once(async { Ok::<_, std::io::Error>("{") }).chain(stream::pending());
    let request = Request::post("/things").header(CONTENT_TYPE, "application/json").body(Body::from_stream(never));
    let answer = send(app(&[]), request.unwrap()).await;
    answer.problem(408, "request-timeout");
    assert_eq!(answer.headers[http::header::CONNECTION], "close");
}

#[tokio::test]
async fn propagates_the_trace() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::get("/trace").header(TRACEPARENT, format!("00-{trace}-00f067aa0ba902b7-01"));
    let answer = send(app(&[]), request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.body[3..52], answer.headers["request-id"]);
    assert!(answer.headers["request-id"].to_str().unwrap().starts_with(trace));
    assert_ne!(ask("/trace").await.headers["request-id"], ask("/trace").await.headers["request-id"]);
}

#[tokio::test]
async fn cors_allows_configured_origins_only() {
    let preflight = |origin: &str| {
        Request::options("/things")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,idempotency-key,consistency-token")
            .body(Body::empty())
            .unwrap()
    };
    let page = "https://Dash.example.com";
    let answer = send(app(&[page]), preflight("https://dash.example.com")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["access-control-allow-origin"], "https://dash.example.com");
    let allowed = answer.headers["access-control-allow-headers"].to_str().unwrap().to_owned();
    for header in ["authorization", "idempotency-key", "if-match", "prefer", "consistency-token", "traceparent"] {
        assert!(allowed.contains(header), "{allowed}");
    }
    let stranger = send(app(&[page]), preflight("https://evil.example.com")).await;
    assert!(!stranger.headers.contains_key("access-control-allow-origin"));
    send(app(&[]), preflight(page)).await.problem(405, "method-not-allowed");

    // Problems can be read by the page as well, those of the edge too.
    let request = Request::get("/panic").header("origin", "https://dash.example.com").body(Body::empty()).unwrap();
    let answer = send(app(&[page]), request).await;
    answer.problem(500, "internal");
    assert_eq!(answer.headers["access-control-allow-origin"], "https://dash.example.com");
    assert!(answer.headers.contains_key(VARY));
    let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
    let exposed: Vec<_> = exposed.split(',').collect();
    for header in [
        "etag",
        "location",
        "content-location",
        "content-disposition",
        "consistency-token",
        "data-position",
        "data-freshness",
        "link",
        "ratelimit",
        "retry-after",
    ] {
        assert!(exposed.contains(&header), "{header}: {exposed:?}");
    }
    let request = Request::get("/trace").header("origin", "https://any.example").body(Body::empty()).unwrap();
    assert_eq!(send(app(&["*"]), request).await.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn health_needs_no_key_and_lists_what_is_not_ready() {
    assert_eq!(ask("/healthz").await.json(), json!({ "status": "ok" }));
    let problem = ask("/readyz").await.problem(503, "not-ready");
    assert_eq!(problem["not_ready"], json!(["database", "projector"]));
    let ready: Router = health::router(Readiness::new(async || Ok(())), metrics_handle().unwrap());
    let answer = send(ready, Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "ready" })));
}

#[tokio::test(start_paused = true)]
async fn hanging_check_is_not_ready() {
    let ready: Router = health::router(Readiness::new(std::future::pending), metrics_handle().unwrap());
    let answer = send(ready, Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["not_ready"]), (503, &json!(["check"])));
}

#[tokio::test]
async fn counts_requests_by_route_not_by_path() {
    // Installed before the first metric is made.
    metrics_handle().unwrap();
    metrics_handle().unwrap();
    ask("/things/none").await;
    ask("/unheard/of").await;
    let strange = Request::builder().method("BREW").uri("/unheard/of").body(Body::empty()).unwrap();
    send(app(&[]), strange).await;
    let metrics = ask("/metrics").await;
    assert_eq!(metrics.headers[CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let lines: HashMap<&str, &str> = metrics.body.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    for labels in [
        r#"route="/things/{id}",method="GET",status="404""#,
        r#"route="unmatched",method="GET",status="404""#,
        r#"route="unmatched",method="other",status="404""#,
    ] {
        let counted = lines[format!("highwater_http_requests_total{{api=\"test\",{labels}}}").as_str()];
        assert!(counted.parse::<u64>().unwrap() >= 1);
    }
    assert!(
        metrics.body.contains(
            r#"highwater_http_request_seconds_bucket{api="test",route="/things/{id}",method="GET",le="0.05"}"#
        )
    );
    assert!(!metrics.body.contains("unheard"));
}

#[tokio::test]
async fn compresses_long_texts_as_accepted() {
    let get = async |path: &str, codings: &str| {
        let request = Request::get(path).header(ACCEPT_ENCODING, codings).body(Body::empty()).unwrap();
        app(&[]).oneshot(request).await.unwrap()
    };
    let coding = |response: &Response| {
        response.headers().get(CONTENT_ENCODING).map(|coding| coding.to_str().unwrap().to_owned())
    };
    for name in ["gzip", "br", "zstd"] {
        let packed = get("/text/5000", name).await;
        assert_eq!(coding(&packed).as_deref(), Some(name));
        assert_eq!(packed.headers()[VARY], "accept-encoding");
        let bytes = to_bytes(packed.into_body(), usize::MAX).await.unwrap();
        assert!(bytes.len() < 500, "{name}: {}", bytes.len());
    }
    // Short ones are not, nor is a stream whose reader waits for each line.
    assert_eq!(coding(&get("/text/500", "gzip").await), None);
    assert_eq!(coding(&get("/lines", "gzip").await), None);
    assert_eq!(coding(&get("/text/5000", "deflate").await), None);

    let request = Request::get("/text/5000").header(ACCEPT_ENCODING, "identity;q=0, deflate").body(Body::empty());
    let problem = send(app(&[]), request.unwrap()).await.problem(406, "not-acceptable");
    assert_eq!((&problem["header"], &problem["offered"][0]), (&json!("Accept-Encoding"), &json!("zstd")));
}
