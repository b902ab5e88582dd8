//! The OpenAPI document, and who may ask for what.

use axum::http::{Method, StatusCode};
use platform::principal::Scope;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Api, Call, add_key, campaign};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn document_needs_no_key(pool: PgPool) {
    let api = Api::start(pool).await;
    let reply = api.call(Call::new(Method::GET, "/openapi.json").by(None)).await;
    assert_eq!((reply.status, reply.header("content-type")), (StatusCode::OK, Some("application/json")));
    let paths: Vec<&String> = reply.body["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/v1/campaigns",
            "/v1/campaigns/{id}",
            "/v1/campaigns/{id}/archive",
            "/v1/campaigns/{id}/budget",
            "/v1/campaigns/{id}/complete",
            "/v1/campaigns/{id}/launch",
            "/v1/campaigns/{id}/pause",
            "/v1/campaigns/{id}/resume",
            "/v1/campaigns/{id}/unarchive",
            "/v1/observations",
            "/v1/observations/cloud-event",
            "/v1/observations/cloud-events",
            "/v1/observations/lines",
            "/v1/rejections",
            "/v1/rejections/retry",
            "/v1/rejections/{id}",
            "/v1/rejections/{id}/retry",
            "/v1/sources",
            "/v1/sources/{name}",
            "/v1/sources/{name}/activity",
            "/v1/sources/{name}/end",
            "/v1/sources/{name}/resume",
            "/v1/sources/{name}/syncs",
            "/v1/statements",
            "/v1/workspace/calendar",
            "/v1/workspace/money-limit",
        ]
    );
    let mut names: Vec<&str> =
        operations_of(&reply.body).map(|operation| operation["operationId"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "archive_campaign",
            "change_source",
            "complete_campaign",
            "create_campaign",
            "delete_rejection",
            "delete_rejections",
            "edit_campaign",
            "end_source",
            "launch_campaign",
            "list_rejections",
            "list_source_activity",
            "list_sources",
            "pause_campaign",
            "record_cloud_event",
            "record_cloud_events",
            "record_observation_lines",
            "record_observations",
            "record_statements",
            "register_source",
            "report_sync",
            "resume_campaign",
            "resume_source",
            "retry_rejection",
            "retry_rejections",
            "set_budget",
            "set_calendar",
            "set_money_limit",
            "show_source",
            "unarchive_campaign",
        ]
    );
    // A generated client has one function for each body, so each operation takes one.
    for operation in operations_of(&reply.body).filter(|operation| !operation["requestBody"].is_null()) {
        assert_eq!(operation["requestBody"]["content"].as_object().unwrap().len(), 1, "{operation}");
    }
    // What limits answer is said everywhere.
    for operation in operations_of(&reply.body) {
        for status in ["408", "429", "431", "503"] {
            assert!(
                operation["responses"][status].is_object() || operation["requestBody"].is_null(),
                "{status}: {operation}"
            );
        }
        assert!(operation["responses"]["429"]["headers"]["RateLimit"].is_object());
    }
    // The headers of commands are described everywhere.
    for operation in operations_of(&reply.body) {
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "Idempotency-Key"), "{operation}");
        for (status, response) in operation["responses"].as_object().unwrap() {
            let described = response["headers"]["Consistency-Token"].is_object();
            assert_eq!(described, status.starts_with('2'), "{status}: {operation}");
        }
    }
    // Every reference leads somewhere.
    let document = reply.body.to_string();
    for reference in document.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(reply.body["components"]["schemas"].get(name).is_some(), "{name}");
    }
    assert_eq!(reply.body["components"]["securitySchemes"]["key"]["scheme"], "bearer");
}

fn operations_of(document: &Value) -> impl Iterator<Item = &Value> {
    document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn commands_need_a_key_with_their_scope(pool: PgPool) {
    let api = Api::start(pool).await;
    add_key(&api.pool, 1, "hw_reader", &[Scope::Read]).await;
    let reply = api.call(Call::post("/v1/campaigns").json(&campaign()).by(None)).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::UNAUTHORIZED, "unauthorized"));
    assert!(reply.header("www-authenticate").is_some());
    let reply = api.call(Call::post("/v1/campaigns").json(&campaign()).by(Some("hw_nobody"))).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    for path in ["/v1/campaigns", "/v1/sources", "/v1/observations", "/v1/statements", "/v1/sources/ads/syncs"] {
        let reply = api.call(Call::post(path).json(&json!({})).by(Some("hw_reader"))).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::FORBIDDEN, "forbidden"), "{path}");
    }
}
