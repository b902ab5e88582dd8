//! Statements by dimension: what a batch must name, what is known of a row, and what `replace` reaches.

use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call, Reply, source};

const DAY: &str = "2026-11-20";

/// A pull source that declares dimensions, and a campaign.
async fn start(pool: PgPool, dimensions: &Value) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    let mut body = source("ads", "pull");
    body["dimensions"] = dimensions.clone();
    let registered = api.post("/v1/sources", &body).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    let campaign = api.campaign(&json!([])).await;
    (api, campaign)
}

fn device() -> Value {
    json!([{"name": "device"}])
}

fn row(campaign: Uuid, dimensions: &Value, measures: &Value) -> Value {
    json!({"campaign_id": campaign, "bucket": DAY, "dimensions": dimensions, "measures": measures})
}

fn clicks(campaign: Uuid, device: &str, clicks: &Value) -> Value {
    row(campaign, &json!({ "device": device }), &json!({ "clicks": clicks }))
}

fn batch(breakdown: &[&str], statements: &[Value]) -> Value {
    json!({"source": "ads", "grain": "day", "time_zone": "Europe/Berlin", "breakdown": breakdown, "statements": statements})
}

/// Sends a batch a second after the one before it: counts, and how many values were taken back.
async fn send(api: &Api, body: &Value) -> (Reply, i64) {
    api.clock.advance(chrono::TimeDelta::seconds(1));
    let reply = api.post("/v1/statements", body).await;
    let retracted = reply.body["retracted"].as_i64().unwrap_or(-1);
    (reply, retracted)
}

async fn patch(api: &Api, body: &Value) {
    let changed = api.call(Call::new(Method::PATCH, "/v1/sources/ads").json(body)).await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn batch_is_by_dimensions_that_its_source_declares(pool: PgPool) {
    let (api, campaign) =
        start(pool, &json!([{"name": "device"}, {"name": "conversion_action", "partition": false}])).await;
    for (breakdown, says) in [
        (vec!["country"], "does not declare (device, conversion_action); PATCH"),
        (vec!["weather"], "is not a dimension by which totals are kept"),
        (vec!["device", "device"], "names device twice"),
        (vec!["device", "country", "ad"], "one dimension or two"),
        (vec!["device", "conversion_action"], "pairs conversion_action, which is not a partition"),
    ] {
        let (refused, _) = send(&api, &batch(&breakdown, &[clicks(campaign, "tv", &json!(1))])).await;
        assert_eq!((refused.code(), refused.field()), ("invalid-body", "breakdown"), "{refused:?}");
        assert!(refused.body.to_string().contains(says), "{says}: {refused:?}");
    }
    let rows = [
        row(campaign, &json!({}), &json!({"clicks": 1})),
        row(campaign, &json!({"device": "tv", "country": "DE"}), &json!({"clicks": 1})),
        row(campaign, &json!({"device": "(not broken down)"}), &json!({"clicks": 1})),
        clicks(campaign, "tv", &json!(1)),
    ];
    let (sent, _) = send(&api, &batch(&["device"], &rows)).await;
    assert_eq!(sent.counts(), [1, 0, 0, 3], "{sent:?}");
    let reasons: Vec<_> = sent.body["results"].as_array().unwrap().iter().map(|result| &result["field"]).collect();
    assert_eq!(reasons, ["dimensions.device", "dimensions", "dimensions.device"]);
    // A total names none.
    let (total, _) = send(&api, &batch(&[], &[clicks(campaign, "tv", &json!(1))])).await;
    assert_eq!(total.body["results"][0]["reason"], "bad_dimensions");
    let payload = api.last_payload().await;
    assert_eq!((&payload["breakdown"], &payload["precedence"]), (&json!(["device"]), &json!(0)));
    assert_eq!(payload["statements"][0]["values"], json!(["tv"]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_row_is_known_by_its_values(pool: PgPool) {
    let (api, campaign) = start(pool, &device()).await;
    let both = [clicks(campaign, "tv", &json!(1)), clicks(campaign, "phone", &json!(1))];
    assert_eq!(send(&api, &batch(&["device"], &both)).await.0.counts(), [2, 0, 0, 0]);
    assert_eq!(send(&api, &batch(&["device"], &both)).await.0.counts(), [0, 2, 0, 0]);
    let (back, retracted) = send(&api, &batch(&["device"], &[clicks(campaign, "tv", &Value::Null)])).await;
    assert_eq!((back.counts(), retracted), ([1, 0, 0, 0], 1));
    // The rows of a bucket are one claim.
    let claims: i64 = sqlx::query_scalar("SELECT count(*) FROM log.claims WHERE kind = 'statement_breakdown'")
        .fetch_one(&api.pool)
        .await
        .unwrap();
    assert_eq!(claims, 1);
    // A total beside them is another key; another grain is none of this source.
    let total = json!({"campaign_id": campaign, "bucket": DAY, "measures": {"clicks": 9}});
    assert_eq!(send(&api, &batch(&[], &[total])).await.0.counts(), [1, 0, 0, 0]);
    let mut hour = clicks(campaign, "tv", &json!(1));
    hour["bucket"] = json!("2026-11-20T10:00:00Z");
    let mut hours = batch(&["device"], &[hour]);
    hours["grain"] = json!("hour");
    assert_eq!(send(&api, &hours).await.0.body["results"][0]["reason"], "grain_conflict");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replace_reaches_the_rows_of_its_breakdown(pool: PgPool) {
    let (api, campaign) = start(pool, &json!([{"name": "device"}, {"name": "country"}])).await;
    let devices = [clicks(campaign, "tv", &json!(1)), clicks(campaign, "phone", &json!(2))];
    let country = row(campaign, &json!({"country": "DE"}), &json!({"clicks": 3}));
    let total = json!({"campaign_id": campaign, "bucket": DAY, "measures": {"clicks": 3}});
    send(&api, &batch(&["device"], &devices)).await;
    send(&api, &batch(&["country"], &[country])).await;
    send(&api, &batch(&[], &[total])).await;
    let mut whole = batch(&["device"], &[clicks(campaign, "watch", &json!(3))]);
    whole["replace"] = json!({"from": DAY, "to": DAY});
    let (sent, retracted) = send(&api, &whole).await;
    assert_eq!((sent.counts(), retracted), ([1, 0, 0, 0], 2), "{sent:?}");
    let payload = api.last_payload().await;
    let values: Vec<_> = payload["statements"].as_array().unwrap().iter().map(|row| &row["values"][0]).collect();
    assert_eq!(values, ["watch", "phone", "tv"]);
    // A then B then A ends at A.
    let mut again = batch(&["device"], &devices);
    again["replace"] = json!({"from": DAY, "to": DAY});
    let (sent, retracted) = send(&api, &again).await;
    assert_eq!((sent.counts(), retracted), ([2, 0, 0, 0], 1));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_bucket_has_at_most_a_thousand_rows(pool: PgPool) {
    let (api, campaign) = start(pool, &device()).await;
    let rows =
        |range: std::ops::Range<u32>| range.map(|n| clicks(campaign, &format!("d{n}"), &json!(1))).collect::<Vec<_>>();
    let (sent, _) = send(&api, &batch(&["device"], &rows(0..1_001))).await;
    assert_eq!(sent.counts(), [1_000, 0, 0, 1], "{:?}", sent.results().first());
    assert_eq!(sent.body["results"][0]["reason"], "too_many_values");
    assert_eq!(sent.body["results"][0]["index"], 1_000);
    // What is replaced makes room.
    let mut whole = batch(&["device"], &rows(8..1_008));
    whole["replace"] = json!({"from": DAY, "to": DAY});
    let (sent, retracted) = send(&api, &whole).await;
    assert_eq!((sent.counts(), retracted), ([8, 992, 0, 0], 8));
    assert_eq!(send(&api, &batch(&["device"], &rows(0..1))).await.0.counts(), [0, 0, 0, 1]);
    send(&api, &batch(&["device"], &[clicks(campaign, "d700", &Value::Null)])).await;
    assert_eq!(send(&api, &batch(&["device"], &rows(0..1))).await.0.counts(), [1, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_is_stated_again_counts_as_it_is_declared_now(pool: PgPool) {
    let (api, campaign) = start(pool, &json!([{"name": "device", "partition": false}])).await;
    let row = [clicks(campaign, "tv", &json!(1))];
    assert_eq!(send(&api, &batch(&["device"], &row)).await.0.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["precedence"], Value::Null);
    patch(&api, &json!({"dimensions": [{"name": "country"}, {"name": "device"}]})).await;
    assert_eq!(send(&api, &batch(&["device"], &row)).await.0.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["precedence"], 1);
    assert_eq!(send(&api, &batch(&["device"], &row)).await.0.counts(), [0, 1, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_pull_source_declares_each_dimension_once(pool: PgPool) {
    let api = Api::start(pool).await;
    let mut body = source("ads", "pull");
    body["dimensions"] = json!([{"name": "device"}, {"name": "device", "partition": false}]);
    let refused = api.post("/v1/sources", &body).await;
    assert_eq!((refused.code(), refused.field()), ("repeated-dimension", "dimensions"));
    body["dimensions"] = json!([{"name": "weather"}]);
    let refused = api.post("/v1/sources", &body).await;
    assert_eq!((refused.code(), refused.field()), ("invalid-body", "dimensions"));
    let mut pushing = source("tracker", "push");
    pushing["dimensions"] = device();
    assert_eq!(api.post("/v1/sources", &pushing).await.code(), "dimensions-of-push");

    body["dimensions"] = device();
    assert_eq!(api.post("/v1/sources", &body).await.status, 201);
    assert_eq!(api.post("/v1/sources", &body).await.status, 200);
    patch(&api, &json!({"dimensions": [{"name": "device"}, {"name": "ad", "partition": true}], "reason": "ads too"}))
        .await;
    let shown = api.call(Call::new(Method::GET, "/v1/sources/ads")).await;
    let dimensions = json!([{"name": "device", "partition": true}, {"name": "ad", "partition": true}]);
    assert_eq!(shown.body["settings"]["dimensions"], dimensions);
    let activity = api.call(Call::new(Method::GET, "/v1/sources/ads/activity")).await;
    assert_eq!(activity.body["data"][0]["changes"]["dimensions"]["to"], dimensions, "{activity:?}");
}
