//! The real router over the real log, with a clock that is moved by hand.

use std::sync::{Arc, Mutex};
use std::{fmt, io};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use command_api::{ApiState, StreamLimits};
use commands::{Commands, Limits};
use event_store::{Appender, AppenderConfig, open_workspace};
use futures_util::stream;
use platform::authenticator::Authenticator;
use platform::clock::ManualClock;
use platform::keys::{NewKey, insert_key};
use platform::principal::Scope;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

/// The key of the first workspace.
pub(crate) const NORTH: &str = "hw_north";
/// The key of the second.
pub(crate) const SOUTH: &str = "hw_south";

/// The tag of a campaign's version, of a campaign whose events were recorded when the clock was started.
pub(crate) fn tag(version: i64) -> String {
    format!("\"{version}.1795298400000000\"")
}

/// The API, with two workspaces.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) clock: ManualClock,
    /// As the user that owns everything: for looking behind the API.
    pub(crate) pool: PgPool,
    /// What the API itself reads through.
    pub(crate) reads: PgPool,
    /// Ends the log's writer.
    pub(crate) shutdown: CancellationToken,
    router: Router,
}

impl Api {
    pub(crate) async fn start(pool: PgPool) -> Self {
        Self::with(pool, StreamLimits::default(), AppenderConfig::default()).await
    }

    pub(crate) async fn with(pool: PgPool, stream: StreamLimits, appender: AppenderConfig) -> Self {
        let now = "2026-11-21T22:00:00Z".parse().unwrap();
        let clock = ManualClock::new(now);
        let mut conn = pool.acquire().await.unwrap();
        for (name, key) in [("north", NORTH), ("south", SOUTH)] {
            let workspace = open_workspace(&mut conn, name, now).await.unwrap();
            add_key(&pool, workspace, key, &[Scope::Command]).await;
        }
        Self::over(pool, clock, stream, appender).await
    }

    /// The same API over the same database, as another process has it.
    pub(crate) async fn another_process(&self) -> Self {
        let (stream, appender) = (StreamLimits::default(), AppenderConfig::default());
        Self::over(self.pool.clone(), self.clock.clone(), stream, appender).await
    }

    /// The same API over the same database, as another process whose clock is at `now`.
    pub(crate) async fn another_process_at(&self, now: &str) -> Self {
        let (stream, appender) = (StreamLimits::default(), AppenderConfig::default());
        Self::over(self.pool.clone(), ManualClock::new(now.parse().unwrap()), stream, appender).await
    }

    async fn over(pool: PgPool, clock: ManualClock, stream: StreamLimits, appender: AppenderConfig) -> Self {
        let (reads, writes) = (as_command(&pool).await, as_command(&pool).await);
        let shutdown = CancellationToken::new();
        let (appender, _writers) = Appender::start(writes, appender, shutdown.clone());
        let authenticator = Authenticator::new(reads.clone(), clock.shared());
        let limits = Limits { observations: 50, retractions: 10, ..Limits::default() };
        let commands = Commands::new(reads.clone(), appender, clock.shared(), limits);
        let state = ApiState::new(commands, authenticator).with_stream_limits(stream);
        Self { clock, pool, reads, shutdown, router: command_api::router(state) }
    }

    pub(crate) async fn call(&self, request: Call) -> Reply {
        let (parts, body) = self.respond(request).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let lines = parts.headers.get("content-type").is_some_and(|kind| kind == "application/x-ndjson");
        let body = match body.as_ref() {
            [] => Value::Null,
            body if lines => body.split_inclusive(|byte| *byte == b'\n').map(json_of).collect(),
            body => json_of(body),
        };
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// The answer's head, and its body as it comes.
    pub(crate) async fn respond(&self, request: Call) -> Response {
        self.router.clone().oneshot(request.into_request()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call(Call::post(path).json(body)).await
    }

    /// A draft campaign's id.
    pub(crate) async fn campaign(&self, external_ids: &Value) -> Uuid {
        let mut body = campaign();
        body["external_ids"] = external_ids.clone();
        let reply = self.post("/v1/campaigns", &body).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply}");
        reply.id("campaign_id")
    }

    /// A source of a kind, by its name.
    pub(crate) async fn source(&self, name: &str, kind: &str) {
        let reply = self.post("/v1/sources", &source(name, kind)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply}");
    }

    /// The first workspace's log: each event's position, stream, version and type.
    pub(crate) async fn log(&self) -> Vec<String> {
        let events: Vec<(i64, String, i64, String)> = sqlx::query_as(
            "SELECT position, aggregate_type, sequence, event_type FROM log.events WHERE workspace = 1 ORDER BY position",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        events
            .into_iter()
            .map(|(position, kind, version, name)| format!("{position} {kind} {version} {name}"))
            .collect()
    }

    /// The payload of the first workspace's last event.
    pub(crate) async fn last_payload(&self) -> Value {
        let payload: String = sqlx::query_scalar(
            "SELECT payload::text FROM log.events WHERE workspace = 1 ORDER BY position DESC LIMIT 1",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        serde_json::from_str(&payload).unwrap()
    }
}

fn json_of(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// Connections that may do what the command part may.
async fn as_command(pool: &PgPool) -> PgPool {
    PgPoolOptions::new()
        .max_connections(8)
        .after_connect(|conn, _| {
            Box::pin(async move {
                sqlx::query("SET ROLE highwater_command").execute(conn).await?;
                Ok(())
            })
        })
        .connect_with((*pool.connect_options()).clone())
        .await
        .unwrap()
}

pub(crate) async fn add_key(pool: &PgPool, workspace: i32, key: &str, scopes: &[Scope]) {
    let mut conn = pool.acquire().await.unwrap();
    let new = NewKey { workspace, name: key, scopes };
    let now: DateTime<Utc> = "2026-11-21T22:00:00Z".parse().unwrap();
    insert_key(&mut conn, new, &SecretString::from(key), now).await.unwrap();
}

/// A campaign that can be created.
pub(crate) fn campaign() -> Value {
    json!({
        "name": "Winter sale",
        "channels": ["paid_search", "email"],
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "starts_on": "2026-12-01",
    })
}

/// A source that can be registered.
pub(crate) fn source(name: &str, kind: &str) -> Value {
    json!({
        "name": name,
        "channel": "paid_search",
        "kind": kind,
        "role": "primary",
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
        "expected_delay_s": 10_800,
        "restatement_horizon_s": 2_592_000,
    })
}

/// A request, by the first workspace unless it says otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Sent,
    key: Option<&'static str>,
}

/// A body, or the name under which one is being sent.
#[derive(Debug, Clone)]
enum Sent {
    Whole(Vec<u8>),
    Arriving(Arriving),
}

/// The receiving end of a body that is sent piece by piece; an `Err` breaks it off.
type Arriving = Arc<Mutex<Option<mpsc::Receiver<Result<Bytes, io::Error>>>>>;

impl Call {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Sent::Whole(Vec::new()), key: Some(NORTH) }
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.text(&body.to_string())
    }

    pub(crate) fn text(self, body: &str) -> Self {
        self.bytes(body.as_bytes())
    }

    pub(crate) fn bytes(self, body: &[u8]) -> Self {
        self.typed("application/json", body)
    }

    pub(crate) fn typed(mut self, media_type: &str, body: &[u8]) -> Self {
        self.body = Sent::Whole(body.to_owned());
        self.header("content-type", media_type)
    }

    /// With a body that is sent piece by piece, once, by the sender.
    pub(crate) fn arriving(mut self, media_type: &str) -> (mpsc::Sender<Result<Bytes, io::Error>>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        self.body = Sent::Arriving(Arc::new(Mutex::new(Some(receiver))));
        (sender, self.header("content-type", media_type))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an idempotency key.
    pub(crate) fn once(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn if_match(self, version: i64) -> Self {
        self.header("if-match", &tag(version))
    }

    pub(crate) fn by(mut self, key: Option<&'static str>) -> Self {
        self.key = key;
        self
    }

    fn into_request(self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        if let Some(key) = self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = match self.body {
            Sent::Whole(body) => Body::from(body),
            Sent::Arriving(arriving) => {
                let pieces = arriving.lock().unwrap().take().unwrap();
                Body::from_stream(stream::unfold(
                    pieces,
                    |mut pieces| async move { Some((pieces.recv().await?, pieces)) },
                ))
            }
        };
        request.body(body).unwrap()
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// A problem's code.
    pub(crate) fn code(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_else(|| panic!("no problem: {self}"));
        kind.rsplit('/').next().unwrap()
    }

    /// The member that a problem names first.
    pub(crate) fn field(&self) -> &str {
        self.body["errors"][0]["field"].as_str().unwrap_or_else(|| panic!("no field: {self}"))
    }

    pub(crate) fn id(&self, member: &str) -> Uuid {
        self.body[member].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no {member}: {self}"))
    }

    pub(crate) fn position(&self) -> i64 {
        self.body["position"].as_i64().unwrap_or_else(|| panic!("no position: {self}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `accepted`, `duplicates`, `conflicts`, `rejected` of a batch.
    pub(crate) fn counts(&self) -> [i64; 4] {
        assert_eq!(self.status, StatusCode::OK, "{self}");
        ["accepted", "duplicates", "conflicts", "rejected"].map(|name| self.body[name].as_i64().unwrap())
    }

    /// Each listed item of a batch: its index, status and reason.
    pub(crate) fn results(&self) -> Vec<String> {
        let results = self.body["results"].as_array().unwrap_or_else(|| panic!("no batch: {self}"));
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        results
            .iter()
            .map(|result| format!("{} {} {}", result["index"], text(&result["status"]), text(&result["reason"])))
            .collect()
    }
}

/// The wire: status, headers and body, with ids blanked.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut wire = vec![self.status.to_string()];
        let shown = ["content-type", "location", "etag", "consistency-token", "idempotency-replayed", "retry-after"];
        for (name, value) in shown.into_iter().filter_map(|name| Some((name, self.header(name)?))) {
            wire.push(format!("{name}: {value}"));
        }
        wire.push(serde_json::to_string_pretty(&self.body).unwrap());
        f.write_str(&without_ids(&wire.join("\n")))
    }
}

fn without_ids(text: &str) -> String {
    const LENGTH: usize = 36;
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.get(..LENGTH).is_some_and(|id| Uuid::parse_str(id).is_ok()) {
            shown += "[id]";
            rest = &rest[LENGTH..];
        } else {
            shown.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shown
}
