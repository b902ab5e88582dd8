//! Every endpoint, fed with generated bodies, valid and broken: an answer is never a 5xx, and a refusal is always a
//! problem.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use tests::{Answer, TestSystem};

/// The words that our bodies are made of, so that generated ones come close to being right.
const WORDS: &[&str] = &[
    "name",
    "channels",
    "currency",
    "time_zone",
    "starts_on",
    "ends_on",
    "budget",
    "amount",
    "external_ids",
    "attributes",
    "source",
    "observations",
    "id",
    "campaign_id",
    "external_campaign_id",
    "type",
    "occurred_at",
    "count",
    "value",
    "dimensions",
    "adjusts",
    "day",
    "statements",
    "grain",
    "bucket",
    "measures",
    "stated_at",
    "status",
    "complete_through",
    "reason",
    "kind",
    "role",
    "channel",
    "expected_delay_s",
    "restatement_horizon_s",
    "measure_roles",
    "date_from",
    "date_to",
    "granularity",
    "group_by",
    "filters",
    "order_by",
    "limit",
    "cursor",
    "compare_to",
    "previous_year",
    "fill",
    "zero_if_complete",
    "totals",
    "subtotals",
    "week_start",
    "and",
    "or",
    "not",
    "country",
    "EUR",
    "UTC",
    "Asia/Kathmandu",
    "2026-11-20",
    "2026-11-20T09:00:00Z",
    "click",
    "clicks",
    "spend",
    "tracker",
    "day",
    "15m",
    "push",
    "pull",
    "primary",
    "completed",
    "failed",
    "all",
    "\u{0}",
    "-1",
    "NaN",
    "1e999",
    "",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(WORDS), inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>()
            )),
        ]
    })
}

/// A sound body in which one part, found by walking `path`, is replaced.
fn broken(mut body: Value, path: &[prop::sample::Index], replacement: Value) -> Value {
    fn place<'a>(at: &'a mut Value, path: &[prop::sample::Index]) -> &'a mut Value {
        let Some((step, rest)) = path.split_first() else { return at };
        let size = at.as_object().map_or(0, Map::len) + at.as_array().map_or(0, Vec::len);
        if size == 0 {
            return at;
        }
        match at {
            Value::Object(map) => place(map.values_mut().nth(step.index(size)).unwrap(), rest),
            Value::Array(items) => place(&mut items[step.index(size)], rest),
            other => other,
        }
    }
    *place(&mut body, path) = replacement;
    body
}

#[track_caller]
fn is_an_answer(answer: &Answer, request: &str) {
    assert!(answer.status < 500, "{request}: {} {}", answer.status, answer.body);
    if answer.status >= 400 {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{request}");
        assert!(
            answer.body["title"].is_string() && answer.body["status"] == answer.status,
            "{request}: {}",
            answer.body
        );
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn no_body_causes_a_server_error(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    acme.pull_source("mail").await;
    let campaign = acme.campaign("Winter").await;
    let commands = [
        (
            "/v1/campaigns".to_owned(),
            json!({
                "name": "Winter", "channels": ["email"], "currency": "EUR", "time_zone": "UTC", "starts_on": "2026-11-01",
                "ends_on": "2026-12-01", "budget": { "amount": "10.5", "currency": "EUR" },
                "external_ids": [{ "source": "tracker", "id": "7" }], "attributes": { "team": "blue" }
            }),
        ),
        (
            "/v1/sources".to_owned(),
            json!({
                "name": "other", "channel": "email", "kind": "push", "role": "primary", "measure_roles": { "clicks": "reference" },
                "time_zone": "UTC", "currency": "EUR", "expected_delay_s": 60, "restatement_horizon_s": 60
            }),
        ),
        (
            "/v1/observations".to_owned(),
            json!({ "source": "tracker", "observations": [{
            "id": "1", "campaign_id": campaign, "type": "conversion", "occurred_at": "2026-11-20T09:00:00Z",
            "count": 1.5, "value": "12.34", "dimensions": { "country": "DE" }
        }, {
            "id": "2", "type": "conversion", "occurred_at": "2026-11-20T09:30:00Z",
            "adjusts": { "id": "1", "day": "2026-11-20" }, "value": "12.30"
        }] }),
        ),
        (
            "/v1/statements".to_owned(),
            json!({ "source": "mail", "grain": "day", "time_zone": "UTC", "statements": [{
            "campaign_id": campaign, "bucket": "2026-11-19", "measures": { "clicks": 3, "spend": "1.5" }, "stated_at": "2026-11-20T09:00:00Z"
        }] }),
        ),
        (
            "/v1/sources/mail/syncs".to_owned(),
            json!({
                "status": "completed", "complete_through": "2026-11-20T00:00:00Z", "grain": "day"
            }),
        ),
        (format!("/v1/campaigns/{campaign}/launch"), json!({})),
    ];
    let report = json!({
        "measures": ["clicks", "ctr"], "date_from": "2026-11-01", "date_to": "2026-11-20", "granularity": "day",
        "time_zone": "UTC", "group_by": ["source", "country"], "limit": 10,
        "filters": { "channel": ["email"], "or": [{ "country": ["DE", null] }, { "status": ["draft"] }], "not": { "source": ["x"] } },
        "compare_to": { "date_from": "2026-10-01", "date_to": "2026-10-20" }, "fill": "zero", "totals": true, "subtotals": "source"
    });
    let budget = json!({ "budget": { "amount": "100", "currency": "EUR" } });

    let mut runner = TestRunner::new(Config::default());
    let path = prop::collection::vec(any::<prop::sample::Index>(), 0..5);
    let mut draw = |sound: &Value| -> Value {
        let wild = any_json().new_tree(&mut runner).unwrap().current();
        let path = path.new_tree(&mut runner).unwrap().current();
        broken(sound.clone(), &path, wild)
    };
    for round in 0..60 {
        for (endpoint, sound) in &commands {
            let body = draw(sound);
            is_an_answer(&acme.post(endpoint, &body).await, &format!("POST {endpoint} {body}"));
        }
        let body = draw(&json!({ "name": "Winter" }));
        is_an_answer(&acme.patch(&format!("/v1/campaigns/{campaign}"), &body).await, &format!("PATCH {body}"));
        let body = draw(&budget);
        is_an_answer(&acme.put(&format!("/v1/campaigns/{campaign}/budget"), &body).await, &format!("PUT {body}"));
        let body = draw(&report);
        is_an_answer(&acme.post_read("/v1/reports", &body).await, &format!("POST /v1/reports {body} ({round})"));
        let dashboard = json!({ "reports": { "sound": report, "broken": body } });
        is_an_answer(&acme.post_read("/v1/dashboards", &dashboard).await, &format!("POST /v1/dashboards {dashboard}"));
    }
    // What was accepted can all be projected.
    acme.caught_up().await;
    system.stop().await;
}
