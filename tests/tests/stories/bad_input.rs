//! Bad input of every kind gets a 4xx problem that names the field.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem};

/// A problem with the status, and a field or detail that mentions what is wrong.
#[track_caller]
fn names(answer: &Answer, status: u16, mentions: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.body["type"].as_str().is_some_and(|it| it.starts_with("https://")), "{}", answer.body);
    assert!(answer.body.to_string().contains(mentions), "{mentions} is not named: {}", answer.body);
}

async fn prepared(system: &TestSystem) -> (Caller, String) {
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    acme.caught_up().await;
    (acme, campaign)
}

fn campaign_with(field: &str, value: Value) -> Value {
    let mut body = json!({
        "name": "Winter", "channels": ["email"], "currency": "EUR", "time_zone": "UTC", "starts_on": "2026-11-01"
    });
    body[field] = value;
    body
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejected_command_names_the_field(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let (acme, campaign) = prepared(&system).await;
    let cases = [
        ("name", json!(7)),
        ("name", json!("")),
        ("name", json!("nul\u{0}inside")),
        ("channels", json!(["Paid Search!"])),
        ("currency", json!("euro")),
        ("time_zone", json!("Mars/Olympus")),
        ("starts_on", json!("2026-13-01")),
        ("ends_on", json!("2026-10-01")),
        ("budget", json!({ "amount": "-5", "currency": "EUR" })),
        ("budget", json!({ "amount": "NaN", "currency": "EUR" })),
        ("colour", json!("red")),
    ];
    for (field, value) in cases {
        let answer = acme.post("/v1/campaigns", &campaign_with(field, value.clone())).await;
        assert!((400..500).contains(&answer.status), "{field}={value}: {}", answer.body);
        names(&answer, answer.status, field);
    }
    names(&acme.post_raw("/v1/campaigns", "{\"name\":", "application/json").await, 400, "malformed-json");
    names(&acme.post_raw("/v1/campaigns", "{}", "text/plain").await, 415, "application/json");
    names(&acme.post_raw("/v1/campaigns", &"x".repeat(9 << 20), "application/json").await, 413, "large");
    names(&acme.post("/v1/sources/nobody/syncs", &json!({ "status": "started" })).await, 404, "not-found");
    names(&acme.post("/v1/sources/tracker/syncs", &json!({ "status": "completed" })).await, 422, "complete_through");
    names(&acme.post("/v1/campaigns/not-an-id/launch", &json!({})).await, 404, "not-found");
    names(
        &acme.patch("/v1/campaigns/00000000-0000-7000-8000-000000000000", &json!({ "name": "x" })).await,
        404,
        "not-found",
    );
    let stale = [("if-match", "\"99.1795253400000123\"")];
    names(
        &acme.patch_with(&format!("/v1/campaigns/{campaign}"), &json!({ "name": "x" }), &stale).await,
        412,
        "version-mismatch",
    );
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_observations_one_by_one(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let (acme, campaign) = prepared(&system).await;
    let good = json!({ "id": "good", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-20T09:59:00Z" });
    let with = |field: &str, value: Value| {
        let mut item = good.clone();
        item["id"] =
            json!(format!("bad-{field}-{value}").chars().filter(char::is_ascii_alphanumeric).collect::<String>());
        item[field] = value;
        item
    };
    let bad = [
        with("type", json!("teleport")),
        with("campaign_id", json!("00000000-0000-7000-8000-000000000000")),
        with("occurred_at", json!("2020-01-01T00:00:00Z")),
        with("occurred_at", json!("2027-01-01T00:00:00Z")),
        with("occurred_at", json!("yesterday")),
        with("count", json!(-1)),
        with("count", json!(1.5)),
        with("value", json!("NaN")),
        with("value", json!({ "amount": "1", "currency": "USD" })),
        with("id", json!("")),
        with("id", json!("nul\u{0}")),
        with("dimensions", json!({ "Not a key": "x" })),
        with("surprise", json!(true)),
        json!("not an object"),
    ];
    let mut items = vec![good.clone(), good.clone()];
    items.extend(bad.iter().cloned());
    let body = json!({ "source": "tracker", "observations": items });
    let answer = acme.post("/v1/observations", &body).await.expect(200).body;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)), "{answer}");
    assert_eq!(answer["rejected"], bad.len());
    for result in answer["results"].as_array().unwrap().iter().skip(1) {
        assert_eq!(result["status"], "rejected", "{result}");
        assert!(result["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{result}");
    }
    names(&acme.post("/v1/observations", &json!({ "source": "nobody", "observations": [good] })).await, 422, "source");
    names(
        &acme.post("/v1/observations", &json!({ "source": "tracker", "observations": [] })).await,
        422,
        "observations",
    );
    names(&acme.post("/v1/observations", &json!({ "source": "tracker" })).await, 422, "observations");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejected_read_names_the_parameter(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let (acme, campaign) = prepared(&system).await;
    let metrics = format!("/v1/campaigns/{campaign}/metrics");
    let queries = [
        ("time_zone=Mars/Olympus", "time_zone"),
        ("date_from=2026-13-01", "date_from"),
        ("date_from=2026-11-02&date_to=2026-11-01", "date"),
        ("date_from=1000-01-01&date_to=2026-11-01", "date"),
        ("date_from=2020-01-01&date_to=2026-11-01&granularity=15m", "granularity"),
        ("granularity=fortnight", "granularity"),
        ("measures=charm", "measures"),
        ("group_by=mood", "group_by"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("cursor=garbage", "cursor"),
        ("surprise=1", "surprise"),
        ("min_position=-1", "min_position"),
        ("max_staleness=soon", "max_staleness"),
        ("data_state=imaginary", "data_state"),
    ];
    for (query, mentions) in queries {
        let answer = acme.get(&format!("{metrics}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        names(&answer, 400, mentions);
    }
    names(&acme.get("/v1/campaigns/not-an-id").await, 404, "not-found");
    names(&acme.get("/v1/campaigns?q=a%00b").await, 400, "q");
    names(&acme.get("/v1/nowhere").await, 404, "not-found");
    names(&acme.post_read("/v1/campaigns", &json!({})).await, 405, "method");
    let report = |field: &str, value: Value| {
        let mut body = json!({ "measures": ["clicks"], "date_from": "2026-11-01", "date_to": "2026-11-20" });
        body[field] = value;
        body
    };
    for (field, value) in [
        ("measures", json!(["charm"])),
        ("measures", json!("clicks")),
        ("group_by", json!(["mood"])),
        ("filters", json!({ "campaign_id": ["x"] })),
        ("limit", json!(1_000_000)),
        ("surprise", json!(1)),
    ] {
        let answer = acme.post_read("/v1/reports", &report(field, value)).await;
        assert!([400, 422].contains(&answer.status), "{field}: {} {}", answer.status, answer.body);
        names(&answer, answer.status, field);
    }
    names(&acme.get("/v1/reports?query=%%%").await, 400, "query");
    names(&acme.get("/v1/reports?query=bm90IGpzb24").await, 400, "query");
    system.stop().await;
}
