//! Campaigns: creation, edits, life, budgets, and `If-Match`.

use axum::http::{Method, StatusCode};
use insta::assert_snapshot;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call, campaign, tag};

fn patch(id: Uuid, body: &Value) -> Call {
    Call::new(Method::PATCH, &format!("/v1/campaigns/{id}")).json(body)
}

fn step(id: Uuid, step: &str) -> Call {
    Call::post(&format!("/v1/campaigns/{id}/{step}"))
}

fn budget(id: Uuid, body: &Value) -> Call {
    Call::new(Method::PUT, &format!("/v1/campaigns/{id}/budget")).json(body)
}

/// A stored budget for the whole campaign.
fn in_all(micros: i64) -> Value {
    json!({"amount": {"micros": micros, "currency": "EUR"}, "per": "total"})
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn creates_a_campaign(pool: PgPool) {
    let api = Api::start(pool).await;
    let mut body = campaign();
    body["ends_on"] = json!("2026-12-31");
    body["budget"] = json!({"amount": "25000.00", "currency": "EUR"});
    body["external_ids"] = json!([{"source": "google_ads", "id": "123"}, {"id": "winter"}]);
    body["attributes"] = json!({"region": "dach"});
    let reply = api.post("/v1/campaigns", &body).await;
    assert_snapshot!(reply, @r#"
    201 Created
    content-type: application/json
    location: /v1/campaigns/[id]
    etag: "1.1795298400000000"
    consistency-token: Mi4xLjEuMTc5NTI5ODQwMDAwMDAwMA
    {
      "campaign_id": "[id]",
      "etag": "\"1.1795298400000000\"",
      "position": 1,
      "version": 1
    }
    "#);
    let id = reply.id("campaign_id");
    assert_eq!(reply.header("location"), Some(format!("/v1/campaigns/{id}").as_str()));
    assert_eq!(id.get_version_num(), 7);
    assert_eq!(api.log().await, ["1 campaign 1 CampaignCreated"]);
    let payload = api.last_payload().await;
    assert_eq!(payload["CampaignCreated"]["budget"], in_all(25_000_000_000));
    assert_eq!(payload["CampaignCreated"]["campaign"], json!(id));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn events_say_who_and_in_which_flow(pool: PgPool) {
    let api = Api::start(pool).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reply = api.call(Call::post("/v1/campaigns").json(&campaign()).header("traceparent", traceparent)).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let metadata: String =
        sqlx::query_scalar("SELECT metadata::text FROM log.events").fetch_one(&api.pool).await.unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["correlation_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(metadata["causation_id"], "b7ad6b7169203331");
    assert_eq!(metadata["received_at"], "2026-11-21T22:00:00.000000Z");
    let key: Uuid =
        sqlx::query_scalar("SELECT key_id FROM auth.keys WHERE workspace = 1").fetch_one(&api.pool).await.unwrap();
    assert_eq!(metadata["actor"], format!("key:{key}"));
    assert!(metadata["traceparent"].as_str().unwrap().starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_campaigns_by_field(pool: PgPool) {
    let api = Api::start(pool).await;
    let refused: [(Value, &str, &str); 12] = [
        (json!({"name": null}), "invalid-body", "name"),
        (json!({"name": 7}), "invalid-body", "name"),
        (json!({"name": " "}), "invalid-name", "name"),
        (json!({"name": "a\u{0}b"}), "invalid-body", "name"),
        (json!({"channels": ["Paid Search"]}), "invalid-body", "channels[0]"),
        (json!({"currency": "euro"}), "invalid-body", "currency"),
        (json!({"time_zone": "Berlin"}), "invalid-body", "time_zone"),
        (json!({"starts_on": "2026-02-30"}), "invalid-body", "starts_on"),
        (json!({"ends_on": "2026-11-30"}), "ends-before-start", "ends_on"),
        (json!({"budget": {"amount": 1e300, "currency": "EUR"}}), "invalid-body", "budget.amount"),
        (json!({"budget": {"amount": "1", "currency": "USD"}}), "budget-currency", "budget"),
        (json!({"colour": "red"}), "invalid-body", "colour"),
    ];
    for (changes, code, field) in refused {
        let mut body = campaign();
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        let reply = api.post("/v1/campaigns", &body).await;
        assert_eq!(
            (reply.status, reply.code(), reply.field()),
            (StatusCode::UNPROCESSABLE_ENTITY, code, field),
            "{reply}"
        );
    }
    let reply = api.call(Call::post("/v1/campaigns").text("{\"name\":")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, "malformed-json"));
    let reply = api.call(Call::post("/v1/campaigns")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"));
    assert_eq!(api.log().await, [""; 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejection_names_its_rule(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    assert_snapshot!(api.call(step(id, "pause")).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    {
      "detail": "only a launched campaign can be paused, and the campaign is draft",
      "status": 422,
      "title": "The campaign is not launched",
      "type": "https://highwater.dev/problems/not-launched"
    }
    "#);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn edit_changes_only_the_given_members(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    assert_snapshot!(api.call(patch(id, &json!({"name": "Spring sale", "ends_on": "2027-01-31"}))).await, @r#"
    200 OK
    content-type: application/json
    etag: "3.1795298400000000"
    consistency-token: Mi4xLjMuMTc5NTI5ODQwMDAwMDAwMA
    {
      "campaign_id": "[id]",
      "etag": "\"3.1795298400000000\"",
      "position": 3,
      "version": 3
    }
    "#);
    assert_eq!(
        api.log().await,
        ["1 campaign 1 CampaignCreated", "2 campaign 2 CampaignRenamed", "3 campaign 3 CampaignRescheduled"]
    );

    let reply = api.call(patch(id, &json!({"ends_on": null, "attributes": {"team": "b"}}))).await;
    assert_eq!((reply.status, reply.body["version"].as_i64()), (StatusCode::OK, Some(5)), "{reply}");
    let reply = api.call(patch(id, &json!({"attributes": null, "external_ids": null}))).await;
    assert_eq!((reply.status, reply.body["version"].as_i64()), (StatusCode::OK, Some(6)), "{reply}");

    // What is so already is answered with the version and position that there are.
    for same in [json!({}), json!({"name": "Spring sale", "ends_on": null})] {
        let reply = api.call(patch(id, &same)).await;
        assert_eq!((reply.status, reply.body["version"].as_i64(), reply.position()), (StatusCode::OK, Some(6), 6));
    }
    for (body, field) in [
        (json!({"name": null}), "name"),
        (json!({"starts_on": null}), "starts_on"),
        (json!({"channels": null}), "channels"),
        (json!({"currency": null}), "currency"),
        (json!({"time_zone": null}), "time_zone"),
        (json!({"budget": null}), "budget"),
    ] {
        let reply = api.call(patch(id, &body)).await;
        assert_eq!((reply.code(), reply.field()), ("invalid-body", field));
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_passes_its_lifecycle(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    for (version, name) in [(2, "launch"), (3, "pause"), (4, "resume"), (5, "complete"), (6, "archive")] {
        let reply = api.call(step(id, name)).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {reply}");
        assert_eq!(reply.header("etag"), Some(tag(version).as_str()));
    }
    let reply = api.call(patch(id, &json!({"name": "Too late"}))).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, "campaign-archived"));
    assert_eq!(api.call(step(id, "unarchive")).await.header("etag"), Some(tag(7).as_str()));
    let reply = api.call(step(id, "unarchive")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, "not-archived"));
    // It is completed again.
    assert_eq!(api.call(patch(id, &json!({"name": "In time"}))).await.status, StatusCode::OK);
    assert_eq!(api.call(step(id, "pause")).await.code(), "not-launched");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lifecycle_commands_need_no_body(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let reply = api.call(step(id, "launch").text(r#"{"when": "now"}"#)).await;
    assert_eq!((reply.status, reply.field()), (StatusCode::UNPROCESSABLE_ENTITY, "when"));
    let reply = api.call(step(id, "launch").text("launch!")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, "malformed-json"));
    assert_eq!(api.call(step(id, "launch").text(" {} ")).await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn sets_and_removes_a_budget(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let reply = api.call(budget(id, &json!({"budget": {"amount": 1500.25, "currency": "EUR"}}))).await;
    assert_eq!((reply.status, reply.body["version"].as_i64()), (StatusCode::OK, Some(2)));
    let set = api.last_payload().await;
    assert_eq!(set["CampaignBudgetSet"]["budget"], in_all(1_500_250_000));
    let said = json!({"budget": {"amount": 1500.25, "currency": "EUR", "per": "total"}});
    assert_eq!(api.call(budget(id, &said)).await.body["version"], 2, "what is so already");
    let a_day = json!({"budget": {"amount": 1500.25, "currency": "EUR", "per": "day"}});
    assert_eq!(api.call(budget(id, &a_day)).await.body["version"], 3);
    assert_eq!(api.last_payload().await["CampaignBudgetSet"]["budget"]["per"], "day");
    let reply = api.call(budget(id, &json!({"budget": null}))).await;
    assert_eq!((reply.status, reply.body["version"].as_i64()), (StatusCode::OK, Some(4)));

    for (body, code) in [
        (json!({}), "invalid-body"),
        (json!({"budget": 5}), "invalid-body"),
        (json!({"budget": {"amount": "0", "currency": "EUR"}}), "budget-not-positive"),
        (json!({"budget": {"amount": "1", "currency": "USD"}}), "budget-currency"),
        (json!({"budget": {"amount": "1.0000001", "currency": "EUR"}}), "invalid-body"),
        (json!({"budget": {"amount": "1", "currency": "EUR", "per": "week"}}), "invalid-body"),
        (json!({"budget": {"amount": "1", "currency": "EUR", "per": null}}), "invalid-body"),
    ] {
        let reply = api.call(budget(id, &body)).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, code), "{body}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn if_match_names_the_version_to_change(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let renamed = api.call(patch(id, &json!({"name": "B"})).if_match(1)).await;
    assert_eq!((renamed.status, renamed.header("etag")), (StatusCode::OK, Some(tag(2).as_str())));
    assert_snapshot!(api.call(patch(id, &json!({"name": "C"})).if_match(1)).await, @r#"
    412 Precondition Failed
    content-type: application/problem+json
    {
      "detail": "It is at version 2. Read it again and decide anew.",
      "status": 412,
      "title": "The campaign has changed",
      "type": "https://highwater.dev/problems/version-mismatch",
      "version": 2
    }
    "#);
    assert_eq!(
        api.call(step(id, "launch").header("if-match", &format!("{}, {}", tag(1), tag(2)))).await.status,
        StatusCode::OK
    );
    assert_eq!(api.call(step(id, "pause").header("if-match", "*")).await.status, StatusCode::OK);
    for (sent, status, code) in [
        ("4", StatusCode::BAD_REQUEST, "invalid-if-match"),
        ("\"4", StatusCode::BAD_REQUEST, "invalid-if-match"),
        ("\"4\"", StatusCode::BAD_REQUEST, "invalid-if-match"),
        ("W/\"4.1795298400000000\"", StatusCode::PRECONDITION_FAILED, "version-mismatch"),
        ("\"4.1795298400000001\"", StatusCode::PRECONDITION_FAILED, "version-mismatch"),
        ("\"other\"", StatusCode::PRECONDITION_FAILED, "version-mismatch"),
    ] {
        let reply = api.call(step(id, "resume").header("if-match", sent)).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{sent}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn unknown_campaign_is_not_found(pool: PgPool) {
    let api = Api::start(pool).await;
    for id in [Uuid::from_u128(1).to_string(), "seven".to_owned(), "%00".to_owned()] {
        let reply = api.call(Call::post(&format!("/v1/campaigns/{id}/launch"))).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::NOT_FOUND, "not-found"), "{id}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn external_id_has_one_campaign(pool: PgPool) {
    let api = Api::start(pool).await;
    let first = api.campaign(&json!([{"source": "ads", "id": "1"}, {"id": "winter"}])).await;
    let mut body = campaign();
    body["external_ids"] = json!([{"source": "ads", "id": "2"}, {"id": "winter"}]);
    let mut taken = api.post("/v1/campaigns", &body).await;
    assert_eq!(taken.body["campaign_id"].take(), first.to_string());
    assert_snapshot!(taken, @r#"
    409 Conflict
    content-type: application/problem+json
    {
      "campaign_id": null,
      "detail": "The external id \"winter\" belongs to another campaign.",
      "errors": [
        {
          "detail": "\"winter\" is taken",
          "field": "external_ids"
        }
      ],
      "status": 409,
      "title": "Another campaign has this external id",
      "type": "https://highwater.dev/problems/external-id-taken"
    }
    "#);

    // The same id of another source is another id.
    let second = api.campaign(&json!([{"source": "mail", "id": "1"}])).await;
    let taken = api.call(patch(second, &json!({"external_ids": [{"source": "ads", "id": "1"}]}))).await;
    assert_eq!((taken.status, taken.code()), (StatusCode::CONFLICT, "external-id-taken"));

    let released = api.call(patch(first, &json!({"external_ids": [{"id": "winter"}]}))).await;
    assert_eq!(released.status, StatusCode::OK);
    let taken = api.call(patch(second, &json!({"external_ids": [{"source": "ads", "id": "1"}]}))).await;
    assert_eq!(taken.status, StatusCode::OK, "{taken}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_of_history_begins_in_its_status(pool: PgPool) {
    let api = Api::start(pool).await;
    let with = |status: &str, ends_on: &str| {
        let mut body = campaign();
        (body["starts_on"], body["ends_on"], body["status"]) = ("2026-01-01".into(), ends_on.into(), status.into());
        body
    };
    let over = api.post("/v1/campaigns", &with("completed", "2026-02-01")).await;
    assert_eq!((over.status, &over.body["version"]), (StatusCode::CREATED, &json!(3)));
    let id = over.body["campaign_id"].as_str().unwrap();
    let launched = api.call(Call::post(&format!("/v1/campaigns/{id}/launch"))).await;
    assert_eq!(launched.code(), "not-a-draft", "{launched}");
    let running = api.post("/v1/campaigns", &with("active", "2027-02-01")).await;
    assert_eq!((running.status, &running.body["version"]), (StatusCode::CREATED, &json!(2)));

    let passed = api.post("/v1/campaigns", &with("active", "2026-02-01")).await;
    assert_eq!((passed.status, passed.code()), (StatusCode::UNPROCESSABLE_ENTITY, "last-day-passed"));
    let unknown = api.post("/v1/campaigns", &with("paused", "2026-02-01")).await;
    assert_eq!(unknown.body["errors"][0]["field"], "status", "{unknown}");
}
