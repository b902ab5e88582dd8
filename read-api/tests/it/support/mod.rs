//! A workspace, its log and its readers. The clock stands still at noon of 2026-11-22 until a test moves it.

pub(crate) mod given; // events as the command side writes them

use std::collections::HashMap;
use std::fmt;

use axum::Router;
use axum::body::{Body, to_bytes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Request, StatusCode, header};
use platform::authenticator::Authenticator;
use platform::clock::ManualClock;
use platform::keys::{NewKey, insert_key};
use platform::principal::Scope;
use projections::ReplayOptions;
use queries::{Progress, ReadModel};
use read_api::ApiState;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

use self::given::{Given, at, opened};

/// The key of the first workspace.
pub(crate) const KEY: &str = "hw_one";
/// The header that asks for rows as CSV.
pub(crate) const CSV: (&str, &str) = ("accept", "text/csv");

pub(crate) struct World {
    pub(crate) admin: PgPool,
    pub(crate) projector: PgPool,
    pub(crate) clock: ManualClock,
    pub(crate) workspace: i32,
    pub(crate) router: Router,
    /// The same, but it keeps no results.
    pub(crate) fresh: Router,
    logs: HashMap<i32, Log>,
    /// Whoever follows the projection ends with the world: a database with sessions is not dropped, and waiting for that takes
    /// seconds.
    stop: CancellationToken,
    _stopping: DropGuard,
}

/// What was appended to a log so far.
#[derive(Default)]
struct Log {
    head: i64,
    versions: HashMap<(&'static str, String), i64>,
}

impl World {
    /// A workspace in Berlin whose first event is projected.
    pub(crate) async fn new(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        let mut world = Self::empty(options, connect).await;
        world.given([opened("Europe/Berlin")]).await;
        world
    }

    /// A workspace of which nothing is projected.
    pub(crate) async fn empty(options: PgPoolOptions, connect: PgConnectOptions) -> Self {
        let admin = options.connect_with(connect.clone()).await.unwrap();
        let projector = pool_as("SET ROLE highwater_projector", &connect).await;
        let reader = pool_as("SET ROLE highwater_read", &connect).await;
        let clock = ManualClock::new(at("2026-11-22T12:00:00Z"));
        let stop = CancellationToken::new();
        let (progress, _follower) = Progress::start(reader.clone(), stop.clone());
        let authenticator = Authenticator::new(reader.clone(), clock.shared());
        let [router, fresh] = [1 << 20, 0].map(|results_bytes| {
            let (reader, authenticator, progress) = (reader.clone(), authenticator.clone(), progress.clone());
            let model = ReadModel::new(reader, clock.shared(), progress, results_bytes);
            read_api::router(ApiState::new(model, authenticator, None))
        });
        let (logs, stopping) = (HashMap::new(), stop.clone().drop_guard());
        let mut world = Self { admin, projector, clock, workspace: 0, router, fresh, logs, stop, _stopping: stopping };
        world.workspace = world.open("one", KEY).await;
        world
    }

    /// The same API, whose reads of the database give up at once.
    pub(crate) async fn hasty(&self, connect: &PgConnectOptions) -> Router {
        self.reading(connect, "SET ROLE highwater_read; SET statement_timeout = '200ms'").await
    }

    /// The same API, whose sessions begin with this and which keeps no results.
    pub(crate) async fn reading(&self, connect: &PgConnectOptions, session: &'static str) -> Router {
        let reader = pool_as(session, connect).await;
        let (progress, _follower) = Progress::start(reader.clone(), self.stop.clone());
        let authenticator = Authenticator::new(reader.clone(), self.clock.shared());
        read_api::router(ApiState::new(ReadModel::new(reader, self.clock.shared(), progress, 0), authenticator, None))
    }

    /// What a replay of everything is told.
    pub(crate) fn replaying(&self) -> ReplayOptions {
        ReplayOptions::new(self.clock.shared())
    }

    /// Opens one more workspace, with a key that may read.
    pub(crate) async fn open(&mut self, name: &str, key: &str) -> i32 {
        let mut conn = self.admin.acquire().await.unwrap();
        let now = at("2026-11-01T00:00:00Z");
        let workspace = event_store::open_workspace(&mut conn, name, now).await.unwrap();
        let new = NewKey { workspace, name, scopes: &[Scope::Read] };
        insert_key(&mut conn, new, &SecretString::from(key), now).await.unwrap();
        self.logs.insert(workspace, Log::default());
        workspace
    }

    /// Appends these events to the first workspace, recorded now, and projects them. Returns the head.
    pub(crate) async fn given(&mut self, events: impl IntoIterator<Item = Given>) -> i64 {
        let head = self.append(self.workspace, events).await;
        self.project().await;
        head
    }

    /// Appends without projecting.
    pub(crate) async fn append(&mut self, workspace: i32, events: impl IntoIterator<Item = Given>) -> i64 {
        use platform::clock::Clock;
        let now = self.clock.now();
        for event in events {
            self.append_at(workspace, &event, now).await;
        }
        self.logs[&workspace].head
    }

    async fn append_at(&mut self, workspace: i32, event: &Given, recorded_at: DateTime<Utc>) {
        let (event_type, id, payload) = event.stored();
        let log = self.logs.get_mut(&workspace).unwrap();
        let version = log.versions.entry((event_type.stream_type, id.clone())).or_default();
        *version += 1;
        log.head += 1;
        sqlx::query(
            "WITH moved AS (UPDATE log.heads SET position = $7, recorded_at = $8 WHERE workspace = $6)
             INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                     workspace, position, recorded_at)
             VALUES ($1, $2, $3, $4, $9, $5::json, '{}', $6, $7, $8)",
        )
        .bind(event_type.stream_type)
        .bind(format!("{workspace}/{id}"))
        .bind(*version)
        .bind(event_type.name)
        .bind(payload)
        .bind(workspace)
        .bind(log.head)
        .bind(recorded_at)
        .bind(event_type.version().to_string())
        .execute(&self.admin)
        .await
        .unwrap();
    }

    pub(crate) async fn project(&self) {
        projections::catch_up(&self.projector).await.unwrap();
    }

    /// Has so many campaigns, all like the only one.
    pub(crate) async fn many_campaigns(&self, count: i32) {
        sqlx::query(
            "INSERT INTO read.campaigns
             SELECT (jsonb_populate_record(c, jsonb_build_object('campaign_id', gen_random_uuid(), 'name', 'Shop ' || n))).*
             FROM read.campaigns c, generate_series(1, $1 - 1) n",
        )
        .bind(count)
        .execute(&self.admin)
        .await
        .unwrap();
    }

    pub(crate) fn set_clock(&self, text: &str) {
        self.clock.set(at(text));
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        send(self.router.clone(), "GET", path, headers, None).await
    }

    pub(crate) async fn report(&self, query: &Value) -> Reply {
        post(self, "/v1/reports", query).await
    }
}

/// Sends one request, with the first workspace's key unless `headers` say otherwise.
pub(crate) async fn send(
    router: Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<String>,
) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header(header::AUTHORIZATION, format!("Bearer {KEY}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.map_or(Body::empty(), Body::from)).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
    let is_json = parts.headers.get("content-type").is_some_and(|kind| kind.to_str().unwrap().ends_with("json"));
    let body = if is_json { serde_json::from_str(&text).unwrap() } else { Value::Null };
    Reply { status: parts.status, headers: parts.headers, body, text }
}

/// Posts to the first workspace.
pub(crate) async fn post(world: &World, path: &str, body: &Value) -> Reply {
    let headers = [("content-type", "application/json")];
    send(world.router.clone(), "POST", path, &headers, Some(body.to_string())).await
}

/// Where a GET asks for a report.
pub(crate) fn report_path(query: &Value) -> String {
    format!("/v1/reports?query={}", URL_SAFE_NO_PAD.encode(query.to_string()))
}

async fn pool_as(role: &'static str, connect: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(12)
        .after_connect(move |conn, _| Box::pin(async move { conn.execute(role).await.map(|_| ()) }))
        .connect_with(connect.clone())
        .await
        .unwrap()
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self}")).to_str().unwrap()
    }

    /// The answer, which must be a 200.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn etag(&self) -> &str {
        self.header("etag")
    }

    /// The code of the problem that this answer must be.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{self}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        self.body["type"].as_str().unwrap().strip_prefix("https://highwater.dev/problems/").unwrap()
    }

    /// The fields that the problem names.
    pub(crate) fn wrong_fields(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }

    /// One member of each row.
    pub(crate) fn column(&self, name: &str) -> Vec<Value> {
        self.body["data"].as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    }

    /// The codes of the answer's warnings.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        let warnings = self.body["meta"]["warnings"].as_array().unwrap();
        warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect()
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{:?}\n{:#}", self.status, self.headers, self.body)
    }
}
