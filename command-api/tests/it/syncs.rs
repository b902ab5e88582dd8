//! Syncs: how a source's runs go.

use axum::http::StatusCode;
use insta::assert_snapshot;
use serde_json::json;
use sqlx::PgPool;

use crate::support::Api;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn syncs_are_recorded(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("google ads", "pull").await;
    let path = "/v1/sources/google%20ads/syncs";
    assert_snapshot!(api.post(path, &json!({"status": "started"})).await, @r#"
    200 OK
    content-type: application/json
    consistency-token: Mi4xLjIuMTc5NTI5ODQwMDAwMDAwMA
    {
      "position": 2
    }
    "#);
    let completed = json!({"status": "completed", "complete_through": "2026-11-21T21:00:00+01:00", "grain": "day"});
    assert_eq!(api.post(path, &completed).await.position(), 3);
    assert_eq!(api.last_payload().await["SyncCompleted"]["complete_through"], "2026-11-21T20:00:00Z");
    assert_eq!(api.post(path, &json!({"status": "failed", "reason": "quota"})).await.position(), 4);
    assert_eq!(
        api.log().await,
        ["1 source 1 SourceRegistered", "2 syncs 1 SyncStarted", "3 syncs 2 SyncCompleted", "4 syncs 3 SyncFailed"]
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_syncs_by_field(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    for (body, field) in [
        (json!({"status": "done"}), "status"),
        (json!({}), "status"),
        (json!({"status": "completed"}), "complete_through"),
        (json!({"status": "completed", "complete_through": "2026-11-21"}), "complete_through"),
        (json!({"status": "completed", "complete_through": "2026-11-21T22:06:00Z"}), "complete_through"),
        (json!({"status": "completed", "complete_through": "2026-11-21T22:00:00Z", "grain": "week"}), "grain"),
        (json!({"status": "failed", "reason": ""}), "reason"),
        (json!({"status": "started", "reason": "because"}), "reason"),
    ] {
        let reply = api.post("/v1/sources/ads/syncs", &body).await;
        assert_eq!(
            (reply.status, reply.code(), reply.field()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-body", field)
        );
    }
    for name in ["mail", "%00", "%ff", "a%2Fb"] {
        let reply = api.post(&format!("/v1/sources/{name}/syncs"), &json!({"status": "started"})).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, "not-found"), "{name}");
    }
}
