//! Requests of lines while they are underway: what is answered before everything is sent, and what stops them.

use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;
use command_api::StreamLimits;
use event_store::AppenderConfig;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::{Value, json};
use sqlx::{PgPool, Postgres, Transaction};
use tokio::task::JoinSet;

use crate::lines::{NDJSON, SHOP, broke_off, clicks, counts, limits, post, recorded, start, start_with};
use crate::support::{Api, Call, Reply};

/// The lines of an answer as they come.
struct Lines(BoxStream<'static, Bytes>);

impl Lines {
    fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.body().size_hint().exact().is_none());
        Self(response.into_body().into_data_stream().map(Result::unwrap).boxed())
    }

    async fn next(&mut self) -> Option<Value> {
        self.0.next().await.map(|line| serde_json::from_slice(&line).unwrap())
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn answers_a_chunk_while_the_next_arrives(pool: PgPool) {
    let (api, _) = start(pool).await;
    let (sender, call) = Call::post(SHOP).arriving(NDJSON);
    sender.send(Ok(Bytes::from(clicks(1..=10)))).await.unwrap();
    let mut lines = Lines::of(api.respond(call).await);
    assert_eq!(counts(&lines.next().await.unwrap()), [10, 0, 0, 0]);
    // Half a line more is no chunk, until the body ends.
    sender.send(Ok(Bytes::from(clicks(11..=20) + "{\"id\":"))).await.unwrap();
    assert_eq!(lines.next().await.unwrap()["lines"], json!([11, 20]));
    drop(sender);
    assert_eq!(counts(&lines.next().await.unwrap()), [0, 0, 0, 1]);
    assert_eq!(lines.next().await.unwrap()["done"], true);
    assert!(lines.next().await.is_none());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_stream_that_is_too_large(pool: PgPool) {
    let limits = StreamLimits { lines: 24, ..limits() };
    let (api, _) = start_with(pool, limits, AppenderConfig::default()).await;
    assert_eq!(counts(api.call(post(&clicks(1..=24))).await.last()), [24, 0, 0, 0]);
    let (sender, call) = Call::post(SHOP).arriving(NDJSON);
    let sending = async move {
        // Blank lines count: an endless body of them must end too.
        let _ = sender.send(Ok(Bytes::from(clicks(1..=20)))).await;
        while sender.send(Ok(Bytes::from_static(b"\n\n"))).await.is_ok() {}
    };
    let (reply, ()) = tokio::join!(api.call(call), sending);
    assert_eq!(broke_off(reply.last()), ("payload-too-large", 21));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stops_reading_a_disconnected_stream(pool: PgPool) {
    let (api, _) = start(pool).await;
    let (sender, call) = Call::post(SHOP).arriving(NDJSON);
    sender.send(Ok(Bytes::from(clicks(1..=10)))).await.unwrap();
    drop(api.respond(call).await);
    sender.closed().await;
    assert_eq!(recorded(&api).await, [10]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn revoked_key_ends_a_stream(pool: PgPool) {
    let (api, _) = start(pool).await;
    let (sender, call) = Call::post(SHOP).arriving(NDJSON);
    sender.send(Ok(Bytes::from(clicks(1..=10)))).await.unwrap();
    let mut lines = Lines::of(api.respond(call).await);
    assert_eq!(lines.next().await.unwrap()["chunk"], 1);
    sqlx::query("UPDATE auth.keys SET revoked_at = now()").execute(&api.pool).await.unwrap();
    api.clock.advance(TimeDelta::minutes(1));
    sender.send(Ok(Bytes::from(clicks(11..=20)))).await.unwrap();
    assert_eq!(broke_off(&lines.next().await.unwrap()), ("unauthorized", 11));
    assert_eq!(recorded(&api).await, [10]);
}

/// A log with one lane and a queue of one request, in which nothing moves and nothing has room.
struct FullLog {
    holding: Option<Transaction<'static, Postgres>>,
    waiting: JoinSet<Reply>,
}

impl FullLog {
    fn appender() -> AppenderConfig {
        AppenderConfig { lanes: 1, queue_requests: 1, ..AppenderConfig::default() }
    }

    async fn of(api: &Api) -> Self {
        let mut holding = api.pool.begin().await.unwrap();
        sqlx::query("SELECT FROM log.heads WHERE workspace = 1 FOR UPDATE").execute(&mut *holding).await.unwrap();
        let mut waiting = JoinSet::new();
        let mut push = || {
            let api = api.clone();
            waiting.spawn(async move {
                api.post("/v1/observations", &json!({"source": "shop", "observations": [{}]})).await
            });
        };
        push();
        // Once the writer waits for the head it takes nothing more out of the queue.
        let waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&api.pool).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        push();
        push();
        let refused = waiting.join_next().await.unwrap().unwrap();
        assert_eq!((refused.code(), refused.header("retry-after")), ("overloaded", Some("1")));
        Self { holding: Some(holding), waiting }
    }

    async fn let_go(&mut self) {
        self.holding.take().unwrap().rollback().await.unwrap();
        while let Some(reply) = self.waiting.join_next().await {
            assert_eq!(reply.unwrap().status, 200);
        }
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn full_queue_slows_the_stream_before_it_fails(pool: PgPool) {
    let (api, _) = start_with(pool, limits(), FullLog::appender()).await;
    let (sender, call) = Call::post(SHOP).arriving(NDJSON);
    sender.send(Ok(Bytes::from(clicks(1..=10)))).await.unwrap();
    let mut lines = Lines::of(api.respond(call).await);
    assert_eq!(lines.next().await.unwrap()["chunk"], 1);

    let mut full = FullLog::of(&api).await;
    sender.send(Ok(Bytes::from(clicks(11..=20)))).await.unwrap();
    sender.send(Ok(Bytes::from(clicks(21..=30)))).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), lines.next()).await.is_err());
    full.let_go().await;
    assert_eq!(counts(&lines.next().await.unwrap()), [10, 0, 0, 0]);
    drop(sender);
    assert_eq!(lines.next().await.unwrap()["lines"], json!([21, 30]));
    let last = lines.next().await.unwrap();
    assert_eq!((&last["done"], counts(&last)), (&json!(true), [30, 0, 0, 0]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn late_reader_is_not_blocked(pool: PgPool) {
    let (api, _) = start(pool).await;
    let (sender, call) = Call::post(SHOP).arriving(NDJSON);
    sender.send(Ok(Bytes::from("{}\n".repeat(10)))).await.unwrap();
    let response = api.respond(call).await;
    for _ in 0..200 {
        sender.send(Ok(Bytes::from("{}\n".repeat(10)))).await.unwrap();
    }
    drop(sender);
    let mut lines = Lines::of(response);
    let mut chunks = 0;
    let last = loop {
        let line = lines.next().await.unwrap();
        if line["done"].is_boolean() {
            break line;
        }
        chunks += 1;
    };
    assert_eq!((chunks, counts(&last), &last["results_omitted"]), (201, [0, 0, 0, 2_010], &json!(1_990)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stream_fails_when_the_queue_stays_full(pool: PgPool) {
    let limits = StreamLimits { patience: Duration::from_millis(100), ..limits() };
    let (api, _) = start_with(pool, limits, FullLog::appender()).await;
    let (sender, call) = Call::post(SHOP).once("k").arriving(NDJSON);
    sender.send(Ok(Bytes::from(clicks(1..=10)))).await.unwrap();
    let mut lines = Lines::of(api.respond(call).await);
    assert_eq!(lines.next().await.unwrap()["chunk"], 1);

    let mut full = FullLog::of(&api).await;
    sender.send(Ok(Bytes::from(clicks(11..=20)))).await.unwrap();
    assert_eq!(broke_off(&lines.next().await.unwrap()), ("overloaded", 11));
    assert!(lines.next().await.is_none());
    // What begins now is refused at once, and the same request later goes on.
    assert_eq!(api.call(post(&clicks(30..=31))).await.status, 503);
    full.let_go().await;
    assert_eq!(counts(api.call(post(&clicks(1..=20)).once("k")).await.last()), [20, 0, 0, 0]);
}
