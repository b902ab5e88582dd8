//! Events that older or newer code wrote.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call, campaign};

/// Makes an event what code of another time would have written.
async fn rewrite(api: &Api, event_type: &str, version: &str, payload: &Value) {
    let rewritten = sqlx::query(
        "UPDATE log.events SET event_version = $2, payload = $3::text::json WHERE workspace = 1 AND event_type = $1",
    )
    .bind(event_type)
    .bind(version)
    .bind(payload.to_string())
    .execute(&api.pool)
    .await
    .unwrap();
    assert_eq!(rewritten.rows_affected(), 1);
}

fn set_budget(id: Uuid, amount: &str, per: &str) -> Call {
    let body = json!({"budget": {"amount": amount, "currency": "EUR", "per": per}});
    Call::new(Method::PUT, &format!("/v1/campaigns/{id}/budget")).json(&body)
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn decides_on_a_campaign_with_events_of_version_1(pool: PgPool) {
    let api = Api::start(pool).await;
    let mut body = campaign();
    body["budget"] = json!({"amount": "25000.00", "currency": "EUR"});
    let id = api.post("/v1/campaigns", &body).await.id("campaign_id");
    let mut payload = api.last_payload().await;
    payload["CampaignCreated"]["budget"] = json!({"micros": 25_000_000_000_i64, "currency": "EUR"});
    rewrite(&api, "CampaignCreated", "1", &payload).await;

    let fresh = api.another_process().await;
    assert_eq!(fresh.call(set_budget(id, "25000", "total")).await.body["version"], 1, "it has this budget");
    assert_eq!(fresh.call(set_budget(id, "25000", "day")).await.body["version"], 2);
    let written: (String, String) =
        sqlx::query_as("SELECT event_type, event_version FROM log.events WHERE workspace = 1 AND position = 2")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!(written, ("CampaignBudgetSet".to_owned(), "2".to_owned()));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_with_newer_events_is_unavailable(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let old = api.another_process().await;
    assert_eq!(old.call(set_budget(id, "1", "total")).await.body["version"], 2, "it remembers the campaign");
    assert_eq!(api.call(set_budget(id, "2", "total")).await.body["version"], 3);
    let newer = json!({"CampaignBudgetSet": {"budget": {"flights": []}, "at": "2026-11-21T22:00:00Z"}});
    let rewritten = sqlx::query(
        "UPDATE log.events SET event_version = '3', payload = $1::text::json WHERE workspace = 1 AND position = 3",
    )
    .bind(newer.to_string())
    .execute(&api.pool)
    .await
    .unwrap();
    assert_eq!(rewritten.rows_affected(), 1);
    for process in [old, api.another_process().await] {
        let refused = process.call(set_budget(id, "3", "total")).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{refused}");
    }
    assert_eq!(api.log().await.len(), 3);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn correcting_a_newer_event_is_unavailable(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    api.source("shop", "push").await;
    let send = |item: Value| json!({"source": "shop", "observations": [item]});
    let sale = json!({
        "id": "o1", "campaign_id": id, "type": "conversion", "occurred_at": "2026-11-21T10:00:00Z", "value": "20"
    });
    assert_eq!(api.post("/v1/observations", &send(sale)).await.body["accepted"], 1);
    rewrite(&api, "ObservationsRecorded", "4", &json!({"rows": []})).await;
    let refund = json!({
        "id": "r1", "type": "conversion", "occurred_at": "2026-11-21T11:00:00Z", "value": "5", "adjusts": "o1"
    });
    let refused = api.post("/v1/observations", &send(refund)).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{refused}");
}
