//! Sources: registered once, by name.

use axum::http::StatusCode;
use insta::assert_snapshot;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Api, source};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn registers_a_source(pool: PgPool) {
    let api = Api::start(pool).await;
    let mut body = source("google_ads", "pull");
    body["measure_roles"] = json!({"conversions": "reference"});
    let first = api.post("/v1/sources", &body).await;
    assert_snapshot!(first, @r#"
    201 Created
    content-type: application/json
    location: /v1/sources/google_ads
    etag: "1"
    consistency-token: Mi4xLjEuMTc5NTI5ODQwMDAwMDAwMA
    {
      "name": "google_ads",
      "position": 1,
      "source_id": "[id]",
      "version": 1
    }
    "#);
    assert_eq!(api.log().await, ["1 source 1 SourceRegistered"]);

    // The same again, however it is written.
    body["name"] = json!(" google_ads ");
    body["measure_roles"] = json!({"conversions": "reference", "clicks": "primary"});
    let again = api.post("/v1/sources", &body).await;
    assert_snapshot!(again, @r#"
    200 OK
    content-type: application/json
    etag: "1"
    consistency-token: Mi4xLjEuMTc5NTI5ODQwMDAwMDAwMA
    {
      "name": "google_ads",
      "position": 1,
      "source_id": "[id]",
      "version": 1
    }
    "#);
    assert_eq!(again.body["source_id"], first.body["source_id"]);
    assert_eq!(api.log().await.len(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_another_definition_under_the_same_name(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("google_ads", "pull").await;
    let mut other = source("google_ads", "pull");
    other["currency"] = json!("USD");
    assert_snapshot!(api.post("/v1/sources", &other).await, @r#"
    409 Conflict
    content-type: application/problem+json
    {
      "detail": "The source \"google_ads\" is registered with another currency.",
      "errors": [
        {
          "detail": "differs from what is registered under this name",
          "field": "currency"
        }
      ],
      "status": 409,
      "title": "Another source has this name",
      "type": "https://highwater.dev/problems/source-name-taken"
    }
    "#);
    for (member, value) in [
        ("kind", json!("push")),
        ("role", json!("reference")),
        ("measure_roles", json!({"spend": "reference"})),
        ("expected_delay_s", json!(1)),
    ] {
        let mut other = source("google_ads", "pull");
        other[member] = value;
        let reply = api.post("/v1/sources", &other).await;
        assert_eq!((reply.status, reply.field()), (StatusCode::CONFLICT, member));
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_sources_by_field(pool: PgPool) {
    let api = Api::start(pool).await;
    for (member, value, code) in [
        ("name", json!(""), "invalid-name"),
        ("name", json!("*"), "invalid-name"),
        ("name", json!("a\nb"), "invalid-name"),
        ("name", json!("x".repeat(10_000)), "invalid-name"),
        ("channel", json!("Paid"), "invalid-body"),
        ("kind", json!("poll"), "invalid-body"),
        ("role", json!(1), "invalid-body"),
        ("measure_roles", json!({"klicks": "primary"}), "invalid-body"),
        ("expected_delay_s", json!(-1), "expected-delay-out-of-range"),
        ("expected_delay_s", json!(1.5), "invalid-body"),
        ("expected_delay_s", json!(1e30), "invalid-body"),
        ("restatement_horizon_s", json!(i64::MAX), "restatement-horizon-out-of-range"),
        ("time_zone", json!("CET/Berlin"), "invalid-body"),
    ] {
        let mut body = source("google_ads", "pull");
        body[member] = value;
        let reply = api.post("/v1/sources", &body).await;
        assert_eq!((reply.status, reply.code(), reply.field()), (StatusCode::UNPROCESSABLE_ENTITY, code, member));
    }
    // What an unknown platform would set is not said to be missing.
    let mut body = source("google_ads", "pull");
    body["platform"] = json!("myspace");
    for left_out in ["expected_delay_s", "restatement_horizon_s", "time_zone"] {
        body.as_object_mut().unwrap().remove(left_out);
        let reply = api.post("/v1/sources", &body).await;
        assert_eq!((reply.code(), reply.field()), ("unknown-platform", "platform"));
    }
    assert_eq!(api.log().await, [""; 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn location_can_be_followed(pool: PgPool) {
    let api = Api::start(pool).await;
    let reply = api.post("/v1/sources", &source("Anzeigen / Süd?", "pull")).await;
    let location = reply.header("location").unwrap();
    assert_eq!(location, "/v1/sources/Anzeigen%20%2F%20S%C3%BCd%3F");
    let reply = api.post(&format!("{location}/syncs"), &json!({"status": "started"})).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply}");
}
