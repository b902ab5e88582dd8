//! Statements: totals as of now, of which only changes are recorded.

use axum::http::StatusCode;
use insta::assert_snapshot;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call};

fn day(campaign: Uuid, bucket: &str, measures: &Value) -> Value {
    json!({"campaign_id": campaign, "bucket": bucket, "measures": measures})
}

fn batch(statements: &[Value]) -> Value {
    json!({"source": "ads", "grain": "day", "time_zone": "Europe/Berlin", "statements": statements})
}

async fn start(pool: PgPool) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let campaign = api.campaign(&json!([{"source": "ads", "id": "123"}])).await;
    (api, campaign)
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn totals_are_recorded(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let spend = json!({"amount": "123.45", "currency": "EUR"});
    let items = [
        day(campaign, "2026-11-20", &json!({"impressions": 12_000, "clicks": "340", "spend": spend})),
        json!({"external_campaign_id": "123", "bucket": "2026-11-19", "measures": {"clicks": 3},
            "stated_at": "2026-11-21T06:00:00Z"}),
        day(campaign, "2026-11-31", &json!({"clicks": 1})),
        day(campaign, "2026-11-20", &json!({"clicks": 1.5})),
    ];
    let reply = api.post("/v1/statements", &batch(&items)).await;
    assert_snapshot!(reply, @r#"
    200 OK
    content-type: application/json
    consistency-token: Mi4xLjMuMTc5NTI5ODQwMDAwMDAwMA
    {
      "accepted": 2,
      "conflicts": 0,
      "duplicates": 0,
      "kept": 2,
      "position": 3,
      "rejected": 2,
      "results": [
        {
          "detail": "is neither a date such as 2026-11-21 nor an RFC 3339 instant",
          "field": "bucket",
          "index": 2,
          "reason": "bad_bucket",
          "status": "rejected"
        },
        {
          "detail": "must be a whole number",
          "field": "measures.clicks",
          "index": 3,
          "reason": "bad_value",
          "status": "rejected"
        }
      ],
      "retracted": 0,
      "rounded": 0
    }
    "#);
    assert_eq!(
        api.last_payload().await["statements"],
        json!([
            {"campaign": campaign, "bucket": "2026-11-20", "stated_at": "2026-11-21T22:00:00Z",
                "measures": {"impressions": 12_000, "clicks": 340, "spend": 123_450_000}},
            {"campaign": campaign, "bucket": "2026-11-19", "stated_at": "2026-11-21T06:00:00Z",
                "measures": {"clicks": 3}},
        ])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn records_reverted_but_not_repeated_totals(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let say = |clicks: u32, at: &str| {
        let mut item = day(campaign, "2026-11-20", &json!({"clicks": clicks, "impressions": 100}));
        item["stated_at"] = json!(at);
        batch(&[item])
    };
    let path = "/v1/statements";
    assert_eq!(api.post(path, &say(5, "2026-11-21T01:00:00Z")).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.post(path, &say(6, "2026-11-21T02:00:00Z")).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["statements"][0]["measures"], json!({"clicks": 6}));
    assert_eq!(api.post(path, &say(5, "2026-11-21T03:00:00Z")).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["statements"][0]["measures"], json!({"clicks": 5}));
    assert_eq!(api.log().await.len(), 5);

    let same = api.post(path, &say(5, "2026-11-21T05:00:00Z")).await;
    assert_eq!((same.counts(), same.results()), ([0, 1, 0, 0], vec!["0 duplicate unchanged".to_owned()]));
    // What was repeated at five holds against what was said at four and comes late.
    let late = api.post(path, &say(9, "2026-11-21T04:00:00Z")).await;
    assert_eq!((late.counts(), late.results()), ([0, 1, 0, 0], vec!["0 duplicate superseded".to_owned()]));
    assert_eq!((late.position(), api.log().await.len()), (5, 5));
    assert_eq!(api.post(path, &say(9, "2026-11-21T05:00:00Z")).await.counts(), [1, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn newest_statement_of_a_bucket_wins(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let say = |clicks: u32, at: &str| {
        let mut item = day(campaign, "2026-11-20", &json!({"clicks": clicks}));
        item["stated_at"] = json!(at);
        item
    };
    let items = [say(1, "2026-11-21T01:00:00Z"), say(3, "2026-11-21T03:00:00Z"), say(2, "2026-11-21T02:00:00Z")];
    let reply = api.post("/v1/statements?results=all", &batch(&items)).await;
    assert_eq!(reply.counts(), [1, 2, 0, 0]);
    assert_eq!(reply.results(), ["0 duplicate superseded", "1 accepted -", "2 duplicate superseded"]);
    let statements = api.last_payload().await["statements"].clone();
    assert_eq!(statements.as_array().unwrap().len(), 1);
    assert_eq!(statements[0]["measures"], json!({"clicks": 3}));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn measure_is_stated_in_one_grain_and_zone(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let days = batch(&[day(campaign, "2026-11-20", &json!({"clicks": 5}))]);
    assert_eq!(api.post("/v1/statements", &days).await.counts(), [1, 0, 0, 0]);
    let hours = json!({"source": "ads", "grain": "hour", "time_zone": "Europe/Berlin", "statements": [
        {"campaign_id": campaign, "bucket": "2026-11-21T10:00:00Z", "measures": {"clicks": 1}},
        {"campaign_id": campaign, "bucket": "2026-11-21T10:00:00Z", "measures": {"opens": 1}},
    ]});
    assert_snapshot!(api.post("/v1/statements", &hours).await, @r#"
    200 OK
    content-type: application/json
    consistency-token: Mi4xLjQuMTc5NTI5ODQwMDAwMDAwMA
    {
      "accepted": 1,
      "conflicts": 0,
      "duplicates": 0,
      "kept": 1,
      "position": 4,
      "rejected": 1,
      "results": [
        {
          "detail": "the source states clicks of this campaign in grain and zone day Europe/Berlin",
          "field": "measures.clicks",
          "index": 0,
          "reason": "grain_conflict",
          "status": "rejected"
        }
      ],
      "retracted": 0,
      "rounded": 0
    }
    "#);
    let mut elsewhere = days.clone();
    elsewhere["time_zone"] = json!("UTC");
    assert_eq!(api.post("/v1/statements", &elsewhere).await.results(), ["0 rejected grain_conflict"]);
    // Another campaign is another matter.
    let other = api.campaign(&json!([])).await;
    elsewhere["statements"] = json!([day(other, "2026-11-20", &json!({"clicks": 5}))]);
    assert_eq!(api.post("/v1/statements", &elsewhere).await.counts(), [1, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_archived_campaign_takes_later_buckets(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    assert_eq!(api.call(Call::post(&format!("/v1/campaigns/{campaign}/archive"))).await.status, StatusCode::OK);
    api.clock.advance(chrono::TimeDelta::days(2));
    let items = [
        day(campaign, "2026-11-21", &json!({"clicks": 5})),
        day(campaign, "2026-11-22", &json!({"clicks": 5})),
        day(campaign, "2026-11-23", &json!({"clicks": 5})),
    ];
    // In Berlin the 22nd began after the archiving at 23:00 of the 21st.
    assert_eq!(api.post("/v1/statements", &batch(&items)).await.counts(), [3, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_whole_batch_only_for_its_envelope(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.source("shop", "push").await;
    let item = day(campaign, "2026-11-20", &json!({"clicks": 5}));
    for (changes, code, field) in [
        (json!({"source": "mail"}), "unknown-source", "source"),
        (json!({"source": "shop"}), "wrong-source-kind", "source"),
        (json!({"statements": []}), "batch-size", "statements"),
        (json!({"grain": "week"}), "invalid-body", "grain"),
        (json!({"time_zone": "Mars"}), "invalid-body", "time_zone"),
        (json!({"statements": 7}), "invalid-body", "statements"),
    ] {
        let mut body = batch(std::slice::from_ref(&item));
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = api.post("/v1/statements", &body).await;
        assert_eq!((reply.status.as_u16(), reply.code(), reply.field()), (422, code, field), "{reply}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn thousand_statements_are_one_event(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let first: chrono::NaiveDate = "2024-01-01".parse().unwrap();
    let items: Vec<Value> = first
        .iter_days()
        .take(1_000)
        .map(|date| day(campaign, &date.to_string(), &json!({"clicks": 5, "impressions": 50, "spend": "1.25"})))
        .collect();
    assert_eq!(api.post("/v1/statements", &batch(&items)).await.counts(), [1_000, 0, 0, 0]);
    assert_eq!(api.post("/v1/statements", &batch(&items)).await.counts(), [0, 1_000, 0, 0]);
    assert_eq!(api.log().await.len(), 3);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_was_claimed_before_series_is_still_known(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let items =
        [day(campaign, "2026-11-20", &json!({"clicks": 5})), day(campaign, "2026-11-21", &json!({"clicks": 6}))];
    assert_eq!(api.post("/v1/statements", &batch(&items)).await.counts(), [2, 0, 0, 0]);
    let keys = "SELECT key FROM log.claims WHERE kind = 'statement' ORDER BY key";
    let written: Vec<String> = sqlx::query_scalar(keys).fetch_all(&api.pool).await.unwrap();
    // As an older version wrote them: '<source>/<campaign>/<grain>/<zone>/<bucket>'.
    sqlx::query(
        "UPDATE log.claims SET key = left(key, 37) || right(key, 37 - 1) || '/' || substr(key, 75, length(key) - 74 - 37)
         WHERE kind = 'statement'",
    )
    .execute(&api.pool)
    .await
    .unwrap();
    let older: Vec<String> = sqlx::query_scalar(keys).fetch_all(&api.pool).await.unwrap();
    let (source, _) = written[0].split_once('/').unwrap();
    assert_eq!(older[0], format!("{source}/{campaign}/day/Europe/Berlin/2026-11-20"));

    let migration = include_str!("../../../migrations/20261122000014_statement_claims.sql");
    sqlx::raw_sql(migration).execute(&api.pool).await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, String>(keys).fetch_all(&api.pool).await.unwrap(), written);
    assert_eq!(api.post("/v1/statements", &batch(&items)).await.counts(), [0, 2, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rounds_values_half_to_even_and_counts_them(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let first = day(campaign, "2026-11-20", &json!({"conversions": 0.333_333_333_333_333_3, "spend": "5.5200005"}));
    let second = day(campaign, "2026-11-19", &json!({"clicks": "1.2e1", "spend": ".220000000"}));
    let reply = api.post("/v1/statements", &batch(&[first.clone(), second])).await;
    assert_eq!(reply.counts(), [2, 0, 0, 0]);
    assert_eq!(reply.body["rounded"], 2);
    let statements = &api.last_payload().await["statements"];
    assert_eq!(statements[0]["measures"], json!({"conversions": 333_333, "spend": 5_520_000}));
    assert_eq!(statements[1]["measures"], json!({"clicks": 12, "spend": 220_000}));

    let again = api.post("/v1/statements", &batch(&[first])).await;
    assert_eq!((again.counts(), &again.body["rounded"]), ([0, 1, 0, 0], &json!(2)), "the rounded value is the same");
}
