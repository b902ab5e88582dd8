//! A user of both APIs, bound to one key.

use std::net::SocketAddr;
use std::time::Duration;

use platform::clock::{Clock, SystemClock};
use platform::keys::{NewKey, create_key as new_key};
use platform::principal::Scope;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::applied::{Epochs, until_applied};

const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);

/// The addresses of a system.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// The command API.
    pub command: SocketAddr,
    /// The read API.
    pub read: SocketAddr,
}

/// A caller with a key. It uses the command API for changes and the read API for reads.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    addresses: Addresses,
    pool: PgPool,
    workspace: i32,
    key: String,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// The body; `null` if there was none.
    pub body: Value,
}

impl Answer {
    /// Asserts the status, and shows the body if it differs.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "a call for its assertion alone is fine")]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// A header's text; empty if it is missing.
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The `type` of a problem.
    pub fn problem(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }

    fn position_part(&self, name: &str) -> i64 {
        let header = self.header("data-position");
        let part = header.split(", ").find_map(|part| part.strip_prefix(&format!("{name}=")));
        part.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in Data-Position: {header:?}"))
    }

    /// `applied` of `Data-Position`.
    pub fn applied(&self) -> i64 {
        self.position_part("applied")
    }

    /// `epoch` of `Data-Position`.
    pub fn epoch(&self) -> i32 {
        i32::try_from(self.position_part("epoch")).unwrap()
    }
}

impl Caller {
    pub(crate) fn new(client: Client, addresses: Addresses, pool: PgPool, workspace: i32, key: String) -> Self {
        Self { client, addresses, pool, workspace, key }
    }

    /// The same caller of another process.
    #[must_use]
    pub fn on(&self, addresses: Addresses) -> Self {
        Self { addresses, ..self.clone() }
    }

    /// The same caller with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// A caller of the same workspace with only these scopes.
    pub async fn with_scopes(&self, scopes: &[&str]) -> Self {
        self.with_key(&create_key(&self.pool, self.workspace, scopes).await)
    }

    /// The key that it calls with.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The workspace's number.
    pub fn workspace(&self) -> i32 {
        self.workspace
    }

    fn command(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addresses.command)).bearer_auth(&self.key)
    }

    fn read(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.addresses.read)).bearer_auth(&self.key)
    }

    async fn send(request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Self::send(self.read(Method::GET, path)).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request =
            headers.iter().fold(self.read(Method::GET, path), |request, (name, value)| request.header(*name, *value));
        Self::send(request).await
    }

    pub async fn get_if_none_match(&self, path: &str, tag: &str) -> Answer {
        self.get_with(path, &[("if-none-match", tag)]).await
    }

    pub async fn post_read(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.read(Method::POST, path).json(body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.command(Method::POST, path).json(body)).await
    }

    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.command(Method::POST, path).json(body);
        Self::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    pub async fn post_raw(&self, path: &str, body: &str, content_type: &str) -> Answer {
        Self::send(self.command(Method::POST, path).header(CONTENT_TYPE, content_type).body(body.to_owned())).await
    }

    /// Sends a request of any method to the command API.
    pub async fn command_without_body(&self, method: Method, path: &str) -> Answer {
        Self::send(self.command(method, path)).await
    }

    /// Sends lines of observations, and returns the lines of the answer.
    pub async fn post_lines(&self, path: &str, lines: Vec<u8>) -> Vec<Value> {
        let request = self.command(Method::POST, path).header(CONTENT_TYPE, "application/x-ndjson").body(lines);
        let answer = request.send().await.unwrap().text().await.unwrap();
        answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.command(Method::PUT, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.command(Method::PATCH, path).json(body)).await
    }

    pub async fn patch_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        let request = self.command(Method::PATCH, path).json(body);
        Self::send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    async fn source(&self, name: &str, kind: &str) -> String {
        let body = json!({
            "name": name, "channel": "paid_search", "kind": kind, "role": "primary",
            "time_zone": "UTC", "currency": "EUR",
            "expected_delay_s": 900, "restatement_horizon_s": 3600
        });
        self.post("/v1/sources", &body).await.expect(201).header("consistency-token")
    }

    /// Registers a push source and returns its consistency token.
    pub async fn push_source(&self, name: &str) -> String {
        self.source(name, "push").await
    }

    /// Registers a pull source and returns its consistency token.
    pub async fn pull_source(&self, name: &str) -> String {
        self.source(name, "pull").await
    }

    /// Drafts a campaign and returns its id.
    pub async fn campaign(&self, name: &str) -> String {
        let body = json!({
            "name": name, "channels": ["paid_search"], "currency": "EUR", "time_zone": "UTC", "starts_on": "2026-11-01"
        });
        self.post("/v1/campaigns", &body).await.expect(201).body["campaign_id"].as_str().unwrap().to_owned()
    }

    /// Pushes one observation of `clicks` clicks at 09:05 of the stories' day.
    pub async fn observe(&self, source: &str, campaign: &str, id: u64, clicks: u64) {
        let body = json!({ "source": source, "observations": [{
            "id": id.to_string(), "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-20T09:05:00Z",
            "count": clicks
        }]});
        let answer = self.post("/v1/observations", &body).await.expect(200);
        assert_eq!(answer.body["accepted"], 1, "{}", answer.body);
    }

    /// The log's last position.
    pub async fn head(&self) -> i64 {
        sqlx::query_scalar("SELECT position FROM log.heads WHERE workspace = $1")
            .bind(self.workspace)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Waits until the live epoch has applied all events that are in the log now.
    pub async fn caught_up(&self) {
        self.caught_up_within(CAUGHT_UP_WITHIN).await;
    }

    /// Like `caught_up`, for logs that take longer.
    pub async fn caught_up_within(&self, within: Duration) {
        let head = self.head().await;
        until_applied(&self.pool, Epochs::Live, (self.workspace, head), within).await;
    }

    /// Waits until every epoch that is kept applied has all events that are in the log now.
    pub async fn caught_up_in_every_epoch(&self) {
        self.caught_up_in_every_epoch_within(CAUGHT_UP_WITHIN).await;
    }

    /// Like `caught_up_in_every_epoch`, for logs that take longer.
    pub async fn caught_up_in_every_epoch_within(&self, within: Duration) {
        let head = self.head().await;
        until_applied(&self.pool, Epochs::All, (self.workspace, head), within).await;
    }
}

/// Creates a key with these scopes.
pub(crate) async fn create_key(pool: &PgPool, workspace: i32, scopes: &[&str]) -> String {
    let scopes: Vec<Scope> = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    let mut connection = pool.acquire().await.unwrap();
    let new = NewKey { workspace, name: "story", scopes: &scopes };
    let (_, key) = new_key(&mut connection, new, SystemClock.now()).await.unwrap();
    key.expose_secret().to_owned()
}
