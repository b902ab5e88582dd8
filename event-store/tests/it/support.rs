//! A writer to test, requests to give it, and what must hold of a log whatever was done to it.

use std::pin::Pin;

use chrono::{DateTime, NaiveDate, Utc};
use event_store::{
    AppendError, AppendOutcome, AppendRequest, Appender, AppenderConfig, Claim, ClaimEffect, ClaimPrecondition,
    ExpectedVersion, Item, ItemKey, Metadata, NewEvent, OnDuplicate, Payload, Receipt, StoredEvent, open_workspace,
    read_after,
};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A process that writes: a pool in the command role and an appender on it.
pub(crate) struct Writer {
    /// Connections of the user that migrates, who sees and may end those of others.
    pub(crate) admin: PgPool,
    pub(crate) pool: PgPool,
    pub(crate) appender: Appender,
    pub(crate) shutdown: CancellationToken,
    pub(crate) done: JoinHandle<()>,
}

impl Writer {
    pub(crate) async fn start(connect: &PgConnectOptions, config: AppenderConfig) -> Self {
        let pool = pool_as(connect, "highwater_command").await;
        let admin = PgPoolOptions::new().max_connections(3).connect_lazy_with(connect.clone());
        let shutdown = CancellationToken::new();
        let (appender, done) = Appender::start(pool.clone(), config, shutdown.clone());
        Self { admin, pool, appender, shutdown, done }
    }

    pub(crate) async fn append(&self, request: AppendRequest) -> Result<AppendOutcome, AppendError> {
        self.appender.append(request).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.done.await.unwrap();
        self.pool.close().await;
        self.admin.close().await;
    }
}

pub(crate) fn one_lane() -> AppenderConfig {
    AppenderConfig { lanes: 1, ..AppenderConfig::default() }
}

pub(crate) async fn pool_as(connect: &PgConnectOptions, role: &'static str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(10)
        .after_connect(move |connection, _meta| {
            Box::pin(async move {
                sqlx::query(&format!("SET ROLE {role}")).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(connect.clone())
        .await
        .unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) async fn workspace(connect: &PgConnectOptions, name: &str) -> i32 {
    let mut connection = admin(connect).await;
    open_workspace(&mut connection, name, now()).await.unwrap()
}

/// A connection of the user that migrates.
pub(crate) async fn admin(connect: &PgConnectOptions) -> sqlx::PgConnection {
    use sqlx::ConnectOptions;
    connect.connect().await.unwrap()
}

pub(crate) fn event(payload: &str) -> NewEvent {
    NewEvent {
        event_type: "Happened".to_owned(),
        event_version: "1".to_owned(),
        payload: Payload::Json(payload.to_owned()),
    }
}

/// A request for one event on a stream, whatever its version.
pub(crate) fn request(workspace: i32, id: &str) -> AppendRequest {
    AppendRequest {
        workspace,
        stream_type: "thing",
        stream_id: format!("{workspace}/{id}"),
        expected: ExpectedVersion::Any,
        events: vec![event("{}")],
        metadata: Metadata([("actor".to_owned(), "tester".to_owned())].into()),
        claims: Vec::new(),
        item_preconditions: Vec::new(),
        receipt: None,
        recorded_at: now(),
    }
}

pub(crate) fn receipt(key: &str, digest: u8, response: &str) -> Receipt {
    Receipt { key: key.to_owned(), digest: [digest; 32], response: response.to_owned() }
}

pub(crate) fn take(key: &str, owner: &str) -> Claim {
    let then = ClaimEffect::Put { owner: owner.to_owned(), state: "taken".to_owned() };
    Claim { kind: "name", key: key.to_owned(), expect: ClaimPrecondition::Absent, then }
}

pub(crate) fn day() -> NaiveDate {
    now().date_naive()
}

pub(crate) fn item(id: u128, fingerprint: i64) -> Item {
    let key = ItemKey { day: day(), also_under: None, id: Uuid::from_u128(id), fingerprint };
    Item { key: Some(key), when_taken: OnDuplicate::Skip, content: format!("[{id},{fingerprint}]") }
}

pub(crate) fn items(items: Vec<Item>) -> NewEvent {
    let payload = Payload::Items { head: "{\"ü\":[".to_owned(), items, tail: "],\"end\":true}".to_owned() };
    NewEvent { event_type: "Observed".to_owned(), event_version: "1".to_owned(), payload }
}

pub(crate) async fn log_of(pool: &PgPool, workspace: i32) -> Vec<StoredEvent> {
    read_after(&mut pool.acquire().await.unwrap(), workspace, 0, 1_000_000).await.unwrap()
}

/// What must hold of every log: positions 1 to the head, versions 1, 2, 3, … in every stream, in the order of
/// positions. Returns the head.
pub(crate) async fn check_log(pool: &PgPool, workspace: i32) -> i64 {
    let head: i64 = sqlx::query_scalar("SELECT position FROM log.heads WHERE workspace = $1")
        .bind(workspace)
        .fetch_one(pool)
        .await
        .unwrap();
    let events = log_of(pool, workspace).await;
    let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>(), "positions of workspace {workspace}");
    let mut versions = std::collections::HashMap::new();
    for event in &events {
        let version = versions.entry((event.stream_type(), event.stream_id())).or_insert(0);
        *version += 1;
        assert_eq!(event.sequence, *version, "versions of {}", event.stream_id());
    }
    head
}

/// Holds the head of a log, so that appends to it wait.
pub(crate) async fn hold_head(pool: &PgPool, workspace: i32) -> Transaction<'static, Postgres> {
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM log.heads WHERE workspace = $1 FOR UPDATE")
        .bind(workspace)
        .execute(&mut *holding)
        .await
        .unwrap();
    holding
}

/// Returns when a writer waits for a lock, with its process id.
pub(crate) async fn waiting_writer(pool: &PgPool) -> i32 {
    loop {
        let waiting: Option<i32> = sqlx::query_scalar(
            "SELECT pid FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%log.append%'",
        )
        .fetch_optional(pool)
        .await
        .unwrap();
        match waiting {
            Some(pid) => return pid,
            None => tokio::task::yield_now().await,
        }
    }
}

pub(crate) type Appending = Pin<Box<dyn Future<Output = Result<AppendOutcome, AppendError>> + Send>>;

/// An append that is in its queue, or refused, when this returns.
pub(crate) fn enqueued(appender: &Appender, request: AppendRequest) -> Appending {
    let appender = appender.clone();
    let mut appending: Appending = Box::pin(async move { appender.append(request).await });
    let polled = futures_util::FutureExt::now_or_never(&mut appending);
    match polled {
        Some(answer) => Box::pin(async move { answer }),
        None => appending,
    }
}
