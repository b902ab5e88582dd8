//! Why a command was given: kept beside its events, and never part of them.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call, campaign};

const URL: &str = "https://tracker.example/T-17";

/// The type of each event with the reason and URL of its metadata, and whether its payload holds either.
async fn noted(api: &Api) -> Vec<(String, Value, Value, bool)> {
    sqlx::query_as(
        "SELECT event_type, coalesce(metadata->'reason', 'null'), coalesce(metadata->'note_url', 'null'),
                payload::text LIKE ANY ('{%reason%,%note_url%}')
         FROM (SELECT event_type, metadata::jsonb AS metadata, payload, position FROM log.events WHERE workspace = 1) e
         ORDER BY position",
    )
    .fetch_all(&api.pool)
    .await
    .unwrap()
}

fn with_note(mut body: Value, reason: &str) -> Value {
    body["reason"] = json!(reason);
    body["note_url"] = json!(URL);
    body
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_command_keeps_its_reason_in_metadata(pool: PgPool) {
    let api = Api::start(pool).await;
    let source = json!({"name": "ads", "channel": "paid_search", "kind": "pull", "role": "primary", "time_zone": "UTC",
        "currency": "EUR", "expected_delay_s": 0, "restatement_horizon_s": 0});
    let registered = api.post("/v1/sources", &with_note(source, "register")).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered}");
    let created = api.post("/v1/campaigns", &with_note(campaign(), "create")).await;
    assert_eq!(created.status, StatusCode::CREATED, "{created}");
    let id: Uuid = created.body["campaign_id"].as_str().unwrap().parse().unwrap();
    let path = format!("/v1/campaigns/{id}");
    let edit = with_note(json!({"name": "Spring", "ends_on": "2099-12-31"}), "edit");
    let budget = with_note(json!({"budget": {"amount": "70", "currency": "EUR"}}), "budget\n\tof two lines");
    let mut calls = vec![
        Call::new(Method::PATCH, &path).json(&edit),
        Call::new(Method::PUT, &format!("{path}/budget")).json(&budget),
    ];
    let steps = ["launch", "pause", "resume", "complete", "archive", "unarchive"];
    let step = |name: &str| Call::post(&format!("{path}/{name}")).text(&with_note(json!({}), name).to_string());
    calls.extend(steps.iter().map(|name| step(name)));
    calls.push(Call::post(&format!("{path}/archive")));
    for call in calls {
        let reply = api.call(call).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply}");
    }
    let noted = noted(&api).await;
    assert!(noted.iter().all(|(.., in_payload)| !in_payload), "{noted:?}");
    let reasons: Vec<_> = noted.iter().map(|(kind, reason, ..)| (kind.as_str(), reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("SourceRegistered", Some("register")),
            ("CampaignCreated", Some("create")),
            ("CampaignRenamed", Some("edit")),
            ("CampaignRescheduled", Some("edit")),
            ("CampaignBudgetSet", Some("budget\n\tof two lines")),
            ("CampaignLaunched", Some("launch")),
            ("CampaignPaused", Some("pause")),
            ("CampaignResumed", Some("resume")),
            ("CampaignCompleted", Some("complete")),
            ("CampaignArchived", Some("archive")),
            ("CampaignUnarchived", Some("unarchive")),
            ("CampaignArchived", None),
        ]
    );
    assert!(noted.iter().all(|(_, reason, url, _)| reason.is_null() == url.is_null()));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_what_is_no_reason_or_link(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let path = format!("/v1/campaigns/{id}");
    for (field, wrong) in [
        ("reason", json!("")),
        ("reason", json!(" \n")),
        ("reason", json!("x".repeat(501))),
        ("reason", json!("a\rb")),
        ("reason", json!("a\u{1b}[2Jb")),
        ("reason", json!(7)),
        ("note_url", json!("javascript:alert(1)")),
        ("note_url", json!("https://a b")),
    ] {
        let body = json!({field: wrong});
        let edit = Call::new(Method::PATCH, &path).json(&body);
        for call in [edit, Call::post(&format!("{path}/launch")).text(&body.to_string())] {
            let reply = api.call(call).await;
            assert_eq!((reply.code(), reply.field()), ("invalid-body", field), "{reply}");
        }
    }
    let body = json!({"reason": "ü".repeat(500), "note_url": null});
    assert_eq!(api.call(Call::post(&format!("{path}/launch")).text(&body.to_string())).await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reason_is_part_of_what_a_key_stands_for(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let launch = |reason: &str| {
        let body = json!({"reason": reason}).to_string();
        Call::post(&format!("/v1/campaigns/{id}/launch")).text(&body).header("idempotency-key", "k")
    };
    let first = api.call(launch("it is time")).await;
    let again = api.call(launch("it is time")).await;
    assert_eq!((first.status, again.status, &first.body), (StatusCode::OK, StatusCode::OK, &again.body));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(api.call(launch("it is late")).await.code(), "idempotency-key-reused");
}
