//! Newline-delimited JSON: recorded and answered chunk by chunk.

use std::io;

use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use axum::body::Bytes;
use axum::http::StatusCode;
use chrono::TimeDelta;
use command_api::StreamLimits;
use event_store::AppenderConfig;
use insta::assert_snapshot;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use crate::support::{Api, Call, Reply, add_key};

pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const SHOP: &str = "/v1/observations?source=shop";

pub(crate) fn limits() -> StreamLimits {
    StreamLimits { chunk_lines: 10, line_bytes: 300, results: 20, ..StreamLimits::default() }
}

pub(crate) async fn start(pool: PgPool) -> (Api, Uuid) {
    start_with(pool, limits(), AppenderConfig::default()).await
}

pub(crate) async fn start_with(pool: PgPool, limits: StreamLimits, appender: AppenderConfig) -> (Api, Uuid) {
    let api = Api::with(pool, limits, appender).await;
    api.source("shop", "push").await;
    let campaign = api.campaign(&json!([{"id": "winter"}])).await;
    (api, campaign)
}

fn click(id: usize) -> String {
    json!({"id": format!("o-{id}"), "external_campaign_id": "winter", "type": "click", "occurred_at": "2026-11-21T21:00:00Z"})
        .to_string()
}

pub(crate) fn clicks(ids: std::ops::RangeInclusive<usize>) -> String {
    ids.map(|id| click(id) + "\n").collect()
}

pub(crate) fn post(body: &str) -> Call {
    Call::post(SHOP).typed(NDJSON, body.as_bytes())
}

impl Reply {
    /// The lines of chunks, and the last line.
    fn lines(&self) -> (&[Value], &Value) {
        assert_eq!((self.status, self.header("content-type")), (StatusCode::OK, Some(NDJSON)), "{self}");
        let (last, chunks) = self.body.as_array().unwrap().split_last().unwrap();
        (chunks, last)
    }

    pub(crate) fn last(&self) -> &Value {
        self.lines().1
    }
}

/// `accepted`, `duplicates`, `conflicts`, `rejected` of a line.
pub(crate) fn counts(line: &Value) -> [i64; 4] {
    ["accepted", "duplicates", "conflicts", "rejected"].map(|name| line[name].as_i64().unwrap())
}

/// The problem of a last line: its code, and where to go on.
pub(crate) fn broke_off(last: &Value) -> (&str, u64) {
    assert_eq!(last["done"], false, "{last}");
    let code = last["problem"]["type"].as_str().unwrap().rsplit('/').next().unwrap();
    (code, last["resume_from"].as_u64().unwrap())
}

/// What is in the log of the first workspace: how many observations each event has.
pub(crate) async fn recorded(api: &Api) -> Vec<i32> {
    sqlx::query_scalar(
        "SELECT json_array_length(payload->'observations') FROM log.events
         WHERE workspace = 1 AND event_type = 'ObservationsRecorded' ORDER BY position",
    )
    .fetch_all(&api.pool)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lines_are_recorded_and_answered_chunk_by_chunk(pool: PgPool) {
    let (api, _) = start(pool).await;
    let mut body = clicks(1..=9).into_bytes();
    body.extend_from_slice(b"\r\n{\"id\": \"o-10\"\n\xff\n");
    body.extend_from_slice(format!("{}\n{{\"id\": \"{}\"}}\n[]\n", click(3), "x".repeat(400)).as_bytes());
    body.extend_from_slice(click(12).as_bytes());
    let reply = api.call(Call::post(SHOP).typed(NDJSON, &body)).await;
    assert_snapshot!(reply, @r#"
    200 OK
    content-type: application/x-ndjson
    [
      {
        "accepted": 9,
        "chunk": 1,
        "conflicts": 0,
        "consistency_token": "Mi4xLjMuMTc5NTI5ODQwMDAwMDAwMA",
        "duplicates": 0,
        "lines": [
          1,
          10
        ],
        "position": 3,
        "rejected": 0,
        "replayed": false,
        "results": [],
        "results_omitted": 0,
        "rounded": 0
      },
      {
        "accepted": 1,
        "chunk": 2,
        "conflicts": 0,
        "consistency_token": "Mi4xLjQuMTc5NTI5ODQwMDAwMDAwMA",
        "duplicates": 1,
        "kept": 4,
        "lines": [
          11,
          16
        ],
        "position": 4,
        "rejected": 4,
        "replayed": false,
        "results": [
          {
            "detail": "is not JSON: EOF while parsing an object at line 1 column 13",
            "line": 11,
            "reason": "malformed",
            "status": "rejected"
          },
          {
            "detail": "is not UTF-8 from byte 0 on",
            "line": 12,
            "reason": "malformed",
            "status": "rejected"
          },
          {
            "id": "o-3",
            "line": 13,
            "reason": "already_recorded",
            "status": "duplicate"
          },
          {
            "detail": "is longer than a line may be",
            "line": 14,
            "reason": "too_long",
            "status": "rejected"
          },
          {
            "detail": "must be an object",
            "line": 15,
            "reason": "malformed",
            "status": "rejected"
          }
        ],
        "results_omitted": 0,
        "rounded": 0
      },
      {
        "accepted": 10,
        "chunks": 2,
        "conflicts": 0,
        "consistency_token": "Mi4xLjQuMTc5NTI5ODQwMDAwMDAwMA",
        "done": true,
        "duplicates": 1,
        "kept": 4,
        "lines": 16,
        "position": 4,
        "rejected": 4,
        "results_omitted": 0,
        "rounded": 0
      }
    ]
    "#);
    assert_eq!(recorded(&api).await, [9, 1]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_stream_resumes_after_a_break(pool: PgPool) {
    let (api, _) = start(pool).await;
    let whole = clicks(1..=35);
    let (sender, call) = Call::post(SHOP).once("k").arriving(NDJSON);
    let sending = async {
        sender.send(Ok(Bytes::from(clicks(1..=25)))).await.unwrap();
        sender.send(Err(io::Error::other("reset"))).await.unwrap();
    };
    let (first, ()) = tokio::join!(api.call(call), sending);
    assert_eq!(broke_off(first.last()), ("unreadable-body", 21));
    assert_eq!((first.lines().0.len(), counts(first.last())), (2, [20, 0, 0, 0]));

    // Something comes between, and a day too.
    api.campaign(&json!([])).await;
    api.clock.advance(TimeDelta::hours(26));
    let again = api.call(post(&whole).once("k")).await;
    let (chunks, last) = again.lines();
    assert_eq!((counts(last), &last["done"], &last["lines"]), ([35, 0, 0, 0], &json!(true), &json!(35)));
    let replayed: Vec<&Value> = chunks.iter().map(|chunk| &chunk["replayed"]).collect();
    assert_eq!(replayed, [true, true, false, false]);
    for (chunk, before) in chunks.iter().zip(first.lines().0) {
        assert_eq!((&chunk["position"], counts(chunk)), (&before["position"], counts(before)));
    }
    assert_eq!(recorded(&api).await, [10, 10, 10, 5]);

    let third = api.call(post(&whole).once("k")).await;
    assert_eq!(third.last(), last);
    assert!(third.lines().0.iter().all(|chunk| chunk["replayed"] == true));
    assert_eq!(recorded(&api).await, [10, 10, 10, 5]);

    // Without a key the ids tell.
    assert_eq!(counts(api.call(post(&whole)).await.last()), [0, 35, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_key_that_was_used_for_another_body(pool: PgPool) {
    let (api, _) = start(pool).await;
    api.source("mail", "push").await;
    assert_eq!(counts(api.call(post(&clicks(1..=15)).once("k")).await.last()), [15, 0, 0, 0]);
    let reused = (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused");
    let json = json!({"source": "shop", "observations": []});
    for call in [
        post(&clicks(2..=15)),
        Call::post("/v1/observations?source=mail").typed(NDJSON, clicks(1..=15).as_bytes()),
        Call::post("/v1/campaigns").json(&crate::support::campaign()),
        Call::post("/v1/sources").json(&crate::support::source("ads", "pull")),
    ] {
        let reply = api.call(call.once("k")).await;
        assert_eq!((reply.status, reply.code()), reused, "{reply}");
    }
    assert_eq!(api.call(Call::post("/v1/observations").json(&json).once("k")).await.code(), "batch-size");
    // Only the second chunk is another one.
    let reply = api.call(post(&(clicks(1..=10) + &clicks(20..=22))).once("k")).await;
    assert_eq!(broke_off(reply.last()), ("idempotency-key-reused", 11));
    assert_eq!(recorded(&api).await, [10, 5]);
    // How the network cuts it makes no difference.
    let (sender, call) = Call::post(SHOP).once("k").arriving(NDJSON);
    let sending = async move {
        for piece in clicks(1..=15).into_bytes().chunks(100) {
            sender.send(Ok(Bytes::copy_from_slice(piece))).await.unwrap();
        }
    };
    let (reply, ()) = tokio::join!(api.call(call), sending);
    assert!(reply.lines().0.iter().all(|chunk| chunk["replayed"] == true), "{reply}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn errors_before_the_first_chunk_are_plain_problems(pool: PgPool) {
    let (api, _) = start(pool).await;
    api.source("ads", "pull").await;
    add_key(&api.pool, 1, "hw_reader", &[platform::principal::Scope::Read]).await;
    let body = clicks(1..=15);
    let typed = |path: &str, media_type: &str| Call::post(path).typed(media_type, body.as_bytes());
    for (call, status, code) in [
        (post(&body).by(None), 401, "unauthorized"),
        (post(&body).by(Some("hw_reader")), 403, "forbidden"),
        (typed("/v1/observations", NDJSON), 400, "invalid-query"),
        (typed(SHOP, "application/json"), 400, "invalid-query"),
        (typed(SHOP, "text/plain"), 415, "unsupported-media-type"),
        (typed("/v1/observations/lines?source=shop", "application/json"), 415, "unsupported-media-type"),
        (typed("/v1/observations/lines", NDJSON), 400, "invalid-query"),
        (typed("/v1/observations/cloud-event", NDJSON), 415, "unsupported-media-type"),
        (typed("/v1/observations/cloud-events?chunk=1", NDJSON), 400, "invalid-query"),
        (typed(SHOP, "application/x-ndjson; charset=latin1"), 415, "unsupported-media-type"),
        (post(&body).header("content-encoding", "br"), 415, "unsupported-media-type"),
        (post(&body).header("content-encoding", "gzip"), 400, "undecodable-body"),
        (post(&body).once("two words"), 400, "invalid-idempotency-key"),
        (typed("/v1/observations?source=nobody", NDJSON), 422, "unknown-source"),
        (typed("/v1/observations?source=", NDJSON), 422, "unknown-source"),
        (typed("/v1/observations?source=ads", NDJSON), 422, "wrong-source-kind"),
        (post(""), 422, "batch-size"),
        (post("\n \r\n\n"), 422, "batch-size"),
    ] {
        let reply = api.call(call).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{reply}");
    }
    assert!(recorded(&api).await.is_empty());
    for media_type in ["application/ndjson", "application/jsonl; charset=utf-8"] {
        assert_eq!(api.call(typed(SHOP, media_type)).await.last()["done"], true);
    }
    api.reads.close().await;
    let reply = api.call(post(&clicks(16..=16))).await;
    assert_eq!((reply.status.as_u16(), reply.code()), (503, "unavailable"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn bounds_the_results_of_a_response(pool: PgPool) {
    let (api, _) = start(pool).await;
    let reply = api.call(post(&"{}\n".repeat(55))).await;
    let (chunks, last) = reply.lines();
    assert_eq!((counts(last), &last["results_omitted"]), ([0, 0, 0, 55], &json!(35)));
    let listed: Vec<usize> = chunks.iter().map(|chunk| chunk["results"].as_array().unwrap().len()).collect();
    assert_eq!(listed, [10, 10, 0, 0, 0, 0]);
    assert_eq!(chunks[5]["results_omitted"], 5);
    let all = api.call(Call::post(&format!("{SHOP}&results=all")).typed(NDJSON, clicks(1..=2).as_bytes())).await;
    assert_eq!(all.lines().0[0]["results"][1], json!({"line": 2, "id": "o-2", "status": "accepted"}));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn compressed_lines_are_the_same_request(pool: PgPool) {
    let (api, _) = start(pool).await;
    let body = clicks(1..=25);
    let (mut gzip, mut zstd) = (Vec::new(), Vec::new());
    GzipEncoder::new(body.as_bytes()).read_to_end(&mut gzip).await.unwrap();
    ZstdEncoder::new(body.as_bytes()).read_to_end(&mut zstd).await.unwrap();
    let packed =
        |coding: &str, body: &[u8]| Call::post(SHOP).once("k").typed(NDJSON, body).header("content-encoding", coding);
    let first = api.call(packed("gzip", &gzip)).await;
    assert_eq!(counts(first.last()), [25, 0, 0, 0]);
    for call in [packed("zstd", &zstd), packed("identity", body.as_bytes())] {
        let reply = api.call(call).await;
        assert_eq!(reply.last(), first.last());
        assert!(reply.lines().0.iter().all(|chunk| chunk["replayed"] == true), "{reply}");
    }
    // A stream that breaks off keeps what came whole: 25 lines are three chunks, and the last is not.
    let broken = packed("gzip", &gzip[..gzip.len() - 10]);
    let reply = api.call(broken).await;
    let (chunks, problem) = match reply.status.as_u16() {
        400 => (0, reply.code()),
        _ => (reply.lines().0.len(), broke_off(reply.last()).0),
    };
    assert!(chunks < 3 && problem == "undecodable-body", "{reply}");
}
