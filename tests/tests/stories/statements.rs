//! Stated totals: the newest wins, a repetition appends nothing, and one that went back goes back.

use serde_json::json;
use sqlx::PgPool;
use tests::{Caller, TestSystem};

async fn state(caller: &Caller, clicks: u64) -> serde_json::Value {
    let body = json!({
        "source": "mail", "grain": "day", "time_zone": "UTC",
        "statements": [{ "external_campaign_id": "winter", "bucket": "2026-11-19", "measures": { "clicks": clicks, "opens": 7 } }]
    });
    caller.post("/v1/statements", &body).await.expect(200).body
}

/// A pull source, a campaign, and the report that reads its day.
async fn prepare(caller: &Caller) -> serde_json::Value {
    let source = json!({
        "name": "mail", "channel": "email", "kind": "pull", "role": "primary",
        "time_zone": "UTC", "currency": "EUR", "expected_delay_s": 0, "restatement_horizon_s": 0
    });
    caller.post("/v1/sources", &source).await.expect(201);
    let campaign = json!({
        "name": "Winter", "channels": ["email"], "currency": "EUR", "time_zone": "UTC", "starts_on": "2026-11-01",
        "external_ids": [{ "id": "winter" }]
    });
    caller.post("/v1/campaigns", &campaign).await.expect(201);
    json!({
        "measures": ["clicks", "opens", "impressions", "click_to_open"], "date_from": "2026-11-19", "date_to": "2026-11-19",
        "granularity": "all", "time_zone": "UTC", "group_by": []
    })
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn newest_statement_wins_and_a_repetition_appends_nothing(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let report = prepare(&acme).await;
    for (clicks, accepted) in [(1, 1), (1, 0), (2, 1), (2, 0), (1, 1), (1, 0)] {
        system.clock.advance(chrono::Duration::seconds(1));
        let head = acme.head().await;
        let answer = state(&acme, clicks).await;
        assert_eq!(answer["accepted"], accepted, "{answer}");
        assert_eq!(acme.head().await, head + accepted);
        acme.caught_up().await;
        let read = acme.post_read("/v1/reports", &report).await.expect(200).body;
        assert_eq!(read["data"][0]["clicks"], clicks);
        assert_eq!(read["data"][0]["opens"], 7);
        assert_eq!(read["data"][0]["impressions"], serde_json::Value::Null);
    }
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_is_taken_back_has_no_number(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let report = prepare(&acme).await;
    state(&acme, 3).await;
    let done = json!({"status": "completed", "complete_through": "2026-11-20T00:00:00Z", "grain": "day"});
    acme.post("/v1/sources/mail/syncs", &done).await.expect(200);
    acme.caught_up().await;
    let read = acme.post_read("/v1/reports", &report).await.expect(200).body;
    assert_eq!((&read["data"][0]["clicks"], &read["data"][0]["opens"]), (&json!(3), &json!(7)));

    system.clock.advance(chrono::Duration::seconds(1));
    let body = json!({
        "source": "mail", "grain": "day", "time_zone": "UTC",
        "replace": {"from": "2026-11-19", "to": "2026-11-19", "measures": ["clicks", "opens"]},
        "statements": [{ "external_campaign_id": "winter", "bucket": "2026-11-19", "measures": { "opens": 7 } }]
    });
    assert_eq!(acme.post("/v1/statements", &body).await.expect(200).body["retracted"], 1);
    acme.caught_up().await;
    let read = acme.post_read("/v1/reports", &report).await.expect(200).body;
    let row = &read["data"][0];
    assert_eq!((&row["clicks"], &row["opens"]), (&serde_json::Value::Null, &json!(7)), "{read}");

    // Nothing is left: the campaign has no numbers of that day.
    system.clock.advance(chrono::Duration::seconds(1));
    let mut empty = body.clone();
    empty["statements"] = json!([]);
    assert_eq!(acme.post("/v1/statements", &empty).await.expect(200).body["retracted"], 1);
    acme.caught_up().await;
    let read = acme.post_read("/v1/reports", &report).await.expect(200).body;
    assert!(read["data"].as_array().unwrap().iter().all(|row| row["opens"].is_null()), "{read}");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn returns_make_a_day_negative_and_sums_exact(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    prepare(&acme).await;
    let day = |bucket: &str, measures: serde_json::Value| json!({"external_campaign_id": "winter", "bucket": bucket, "measures": measures});
    let body = json!({"source": "mail", "grain": "day", "time_zone": "UTC", "statements": [
        day("2026-11-18", json!({"revenue": "100", "conversions": 2, "spend": 10, "refunds": 0, "impressions": 900_000_000_000_000_u64})),
        day("2026-11-19", json!({"revenue": "-20.5", "conversions": "-1", "spend": "-2.25", "refunds": "20.5", "impressions": 900_000_000_000_000_u64})),
    ]});
    assert_eq!(acme.post("/v1/statements", &body).await.expect(200).body["accepted"], 2);
    let shop = json!({
        "name": "shop", "channel": "email", "kind": "push", "role": "primary",
        "time_zone": "UTC", "currency": "EUR", "expected_delay_s": 0, "restatement_horizon_s": 0
    });
    acme.post("/v1/sources", &shop).await.expect(201);
    let credit = json!({"source": "shop", "observations": [
        {"id": "credit-1", "external_campaign_id": "winter", "type": "spend", "value": "-0.75", "occurred_at": "2026-11-19T08:00:00Z"},
        {"id": "discount-1", "external_campaign_id": "winter", "type": "discount", "value": 3, "occurred_at": "2026-11-19T08:00:00Z"},
    ]});
    assert_eq!(acme.post("/v1/observations", &credit).await.expect(200).body["accepted"], 2);
    acme.caught_up().await;

    let measures = ["revenue", "conversions", "spend", "refunds", "discounts", "impressions"];
    let report = json!({
        "measures": measures, "date_from": "2026-11-18", "date_to": "2026-11-19", "granularity": "day", "time_zone": "UTC",
        "group_by": [], "totals": true
    });
    let read = acme.post_read("/v1/reports", &report).await.expect(200).body;
    let number = |value: &serde_json::Value| value["amount"].as_str().map_or_else(|| value.to_string(), str::to_owned);
    let shown = |row: &serde_json::Value| measures.map(|measure| number(&row[measure]));
    let second = read["data"].as_array().unwrap().last().unwrap();
    assert_eq!(shown(second), ["-20.500000", "-1", "-3.000000", "20.500000", "3.000000", "900000000000000"], "{read}");
    let totals = shown(&read["totals"]);
    assert_eq!(totals, ["79.500000", "1", "7.000000", "20.500000", "3.000000", "1800000000000000"], "{read}");
    system.stop().await;
}
