//! Nothing crosses workspaces.

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Api, Call, SOUTH, campaign, source};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ids_of_another_workspace_are_not_there(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([{"source": "shop", "id": "winter"}])).await;
    api.source("shop", "push").await;
    let by_south = |call: Call| api.call(call.by(Some(SOUTH)));

    for step in ["launch", "pause", "resume", "complete", "archive"] {
        assert_eq!(by_south(Call::post(&format!("/v1/campaigns/{id}/{step}"))).await.status, StatusCode::NOT_FOUND);
    }
    let edit = Call::new(Method::PATCH, &format!("/v1/campaigns/{id}")).json(&json!({"name": "Mine"}));
    assert_eq!(by_south(edit.if_match(1)).await.status, StatusCode::NOT_FOUND);
    let sync = Call::post("/v1/sources/shop/syncs").json(&json!({"status": "started"}));
    assert_eq!(by_south(sync).await.status, StatusCode::NOT_FOUND);

    // Names and external ids are each workspace's own, and so are remembered claims.
    let observations = json!({"source": "shop", "observations": [
        {"id": "o-1", "campaign_id": id, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"},
        {"id": "o-2", "external_campaign_id": "winter", "type": "click", "occurred_at": "2026-11-21T21:00:00Z"},
    ]});
    let call = Call::post("/v1/observations").json(&observations);
    assert_eq!(api.call(call.clone()).await.counts(), [2, 0, 0, 0]);
    assert_eq!(by_south(call.clone()).await.code(), "unknown-source");
    assert_eq!(by_south(Call::post("/v1/sources").json(&source("shop", "push"))).await.status, StatusCode::CREATED);
    let reply = by_south(call.clone()).await;
    assert_eq!(reply.results(), ["0 rejected unknown_campaign", "1 rejected unknown_campaign"]);

    let mut body = campaign();
    body["external_ids"] = json!([{"source": "shop", "id": "winter"}]);
    assert_eq!(by_south(Call::post("/v1/campaigns").json(&body)).await.status, StatusCode::CREATED);
    assert_eq!(by_south(call).await.results(), ["0 rejected unknown_campaign"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn idempotency_keys_are_each_workspaces_own(pool: PgPool) {
    let api = Api::start(pool).await;
    let call = Call::post("/v1/campaigns").json(&campaign()).once("k");
    let north = api.call(call.clone()).await;
    let south = api.call(call.by(Some(SOUTH))).await;
    assert_eq!((north.status, south.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_ne!(north.id("campaign_id"), south.id("campaign_id"));
    assert_ne!(north.header("consistency-token"), south.header("consistency-token"));
    assert_eq!(south.position(), 1);
}
