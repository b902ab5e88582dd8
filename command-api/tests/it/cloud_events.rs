//! CloudEvents 1.0: one event or a batch, each an observation.

use async_compression::tokio::bufread::GzipEncoder;
use axum::http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::io::AsyncReadExt;

use crate::support::{Api, Call};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

async fn start(pool: PgPool) -> Api {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    api.campaign(&json!([{"id": "winter"}])).await;
    api
}

fn event(id: &str, kind: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "shop", "type": format!("com.example.shop.{kind}"),
        "time": "2026-11-21T21:00:00Z", "subject": "winter", "comexampleextension": {"anything": true},
    })
}

fn one(event: &Value) -> Call {
    Call::post("/v1/observations").typed(ONE, event.to_string().as_bytes())
}

fn batch(events: &[Value]) -> Call {
    Call::post("/v1/observations").typed(BATCH, json!(events).to_string().as_bytes())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn event_becomes_an_observation(pool: PgPool) {
    let api = start(pool).await;
    let mut sent = event("o-1", "conversion");
    sent["data"] =
        json!({"count": "0.333333", "value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}});
    let reply = api.call(one(&sent)).await;
    assert_eq!((reply.counts(), reply.header("content-type")), ([1, 0, 0, 0], Some("application/json")));
    assert!(reply.header("consistency-token").is_some());
    assert_eq!(
        api.last_payload().await["observations"],
        json!([["o-1", 0, "conversion", 1_795_294_800_000_i64, 333_333, 59_900_000, {"country": "DE"}]])
    );
    // The same observation in another form is the same observation.
    let ours = json!({"source": "shop", "observations": [{"id": "o-1", "external_campaign_id": "winter", "type": "conversion",
        "occurred_at": "2026-11-21T21:00:00Z", "count": 0.333_333, "value": 59.9, "dimensions": {"country": "DE"}}]});
    assert_eq!(api.post("/v1/observations", &ours).await.counts(), [0, 1, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn each_event_of_a_batch_has_its_own_result(pool: PgPool) {
    let api = start(pool).await;
    let with = |id: &str, name: &str, value: Value| {
        let mut event = event(id, "click");
        event[name] = value;
        event
    };
    let events = [
        event("o-1", "click"),
        with("o-2", "specversion", json!("0.3")),
        with("o-3", "subject", json!("summer")),
        with("o-4", "time", json!("yesterday")),
        with("o-5", "data", json!({"dimensions": {"Country": "DE"}})),
        event("o-6", "teleport"),
        json!({"id": 7}),
        with("o-8", "data_base64", json!("e30=")),
        event("o-1", "click"),
        event("o-9", "open"),
    ];
    let reply = api.call(batch(&events)).await;
    assert_snapshot!(reply, @r#"
    200 OK
    content-type: application/json
    consistency-token: Mi4xLjMuMTc5NTI5ODQwMDAwMDAwMA
    {
      "accepted": 2,
      "conflicts": 0,
      "duplicates": 1,
      "kept": 7,
      "position": 3,
      "rejected": 7,
      "results": [
        {
          "detail": "must be \"1.0\"",
          "field": "specversion",
          "id": "o-2",
          "index": 1,
          "reason": "unsupported",
          "status": "rejected"
        },
        {
          "detail": "no campaign has the external id \"summer\" for the source \"shop\", or for any source",
          "field": "subject",
          "id": "o-3",
          "index": 2,
          "reason": "unknown_campaign",
          "status": "rejected"
        },
        {
          "detail": "is not an RFC 3339 instant such as 2026-11-21T22:00:00Z",
          "field": "time",
          "id": "o-4",
          "index": 3,
          "reason": "bad_time",
          "status": "rejected"
        },
        {
          "detail": "\"Country\" is not a key: a to z, 0 to 9 and _, a letter first, at most 40",
          "field": "data.dimensions",
          "id": "o-5",
          "index": 4,
          "reason": "bad_dimensions",
          "status": "rejected"
        },
        {
          "detail": "\"teleport\" is not an observation type",
          "field": "type",
          "id": "o-6",
          "index": 5,
          "reason": "unknown_type",
          "status": "rejected"
        },
        {
          "detail": "must be a string, not 7",
          "field": "id",
          "index": 6,
          "reason": "malformed",
          "status": "rejected"
        },
        {
          "detail": "is not taken: send JSON in `data`",
          "field": "data_base64",
          "id": "o-8",
          "index": 7,
          "reason": "unsupported",
          "status": "rejected"
        },
        {
          "id": "o-1",
          "index": 8,
          "reason": "already_recorded",
          "status": "duplicate"
        }
      ],
      "rounded": 0
    }
    "#);
    assert_eq!(api.last_payload().await["observations"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_events_of_several_sources(pool: PgPool) {
    let api = start(pool).await;
    let mut foreign = event("o-2", "click");
    foreign["source"] = json!("https://shop.example.com/tracker");
    let mixed = [event("o-1", "click"), foreign.clone()];
    let reply = api.call(batch(&mixed)).await;
    assert_snapshot!(reply, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    {
      "detail": "Event 1 names \"https://shop.example.com/tracker\", event 0 \"shop\". Send the events of each source in a request of their own, or name one source for all of them: ?source=NAME.",
      "errors": [
        {
          "detail": "differs from [0].source",
          "field": "[1].source"
        }
      ],
      "status": 422,
      "title": "The events are of several sources",
      "type": "https://highwater.dev/problems/mixed-sources"
    }
    "#);
    assert_eq!(api.call(one(&foreign)).await.code(), "unknown-source");
    // The query says for all of them whose they are.
    let named = |events: &[Value]| {
        Call::post("/v1/observations?source=shop").typed(BATCH, json!(events).to_string().as_bytes())
    };
    assert_eq!(api.call(named(&mixed)).await.counts(), [2, 0, 0, 0]);
    assert_eq!(api.call(named(&[json!({}), json!(7)])).await.counts(), [0, 0, 0, 2]);
    let reply = api.call(batch(&[json!({})])).await;
    assert_eq!((reply.code(), reply.field()), ("invalid-body", "source"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn events_have_results_like_a_json_batch(pool: PgPool) {
    let api = start(pool).await;
    for (call, status, code) in [
        (batch(&[]), 422, "batch-size"),
        (batch(&vec![event("o-1", "click"); 51]), 422, "batch-size"),
        (one(&json!([event("o-1", "click")])), 422, "invalid-body"),
        (
            Call::post("/v1/observations").typed(BATCH, event("o-1", "click").to_string().as_bytes()),
            422,
            "invalid-body",
        ),
        (Call::post("/v1/observations").typed(ONE, b"{"), 400, "malformed-json"),
        (Call::post("/v1/observations").typed(BATCH, b"[{]"), 400, "malformed-json"),
        (Call::post("/v1/observations").typed(ONE, b"\xff"), 400, "malformed-json"),
        (one(&event("o-1", "click")).by(None), 401, "unauthorized"),
        (
            Call::post("/v1/observations").json(&json!({})).header("ce-specversion", "1.0"),
            415,
            "unsupported-media-type",
        ),
        (Call::post("/v1/observations").typed("application/cloudevents", b"{}"), 415, "unsupported-media-type"),
    ] {
        let reply = api.call(call).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (status, code), "{reply}");
    }
    let events = [event("o-1", "click"), json!({"id": "o-2"}), event("o-3", "open")];
    let first = api.call(batch(&events).once("k")).await;
    assert_eq!(first.counts(), [2, 0, 0, 1]);
    let again = api.call(batch(&events).once("k")).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let mut packed = Vec::new();
    GzipEncoder::new(json!(events).to_string().as_bytes()).read_to_end(&mut packed).await.unwrap();
    let packed = Call::post("/v1/observations").typed(BATCH, &packed).header("content-encoding", "gzip").once("k");
    assert_eq!(api.call(packed).await.header("idempotency-replayed"), Some("true"));
    // For another source it is another request.
    let elsewhere = Call::post("/v1/observations?source=shop").typed(BATCH, json!(events).to_string().as_bytes());
    let reply = api.call(elsewhere.once("k")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"));
}
