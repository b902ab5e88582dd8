//! Items name campaigns that the workspace does not know. Where their source says so, the campaigns are created.

use chrono::TimeDelta;
use highwater::system::SystemConfig;
use http_edge::HttpConfig;
use http_edge::config::LimitConfig;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};

const NOW: &str = "2026-11-20T15:00:00Z";

async fn register(caller: &Caller, name: &str, kind: &str, unknown: Option<&str>) {
    let mut body = json!({
        "name": name, "channel": "paid_social", "kind": kind, "role": "primary", "time_zone": "UTC",
        "currency": "USD", "expected_delay_s": 900, "restatement_horizon_s": 3600
    });
    if let Some(unknown) = unknown {
        body["unknown_campaigns"] = json!(unknown);
    }
    caller.post("/v1/sources", &body).await.expect(201);
}

fn click(id: &str, campaign: &str, at: &str) -> Value {
    json!({ "id": id, "type": "click", "external_campaign_id": campaign, "occurred_at": at })
}

async fn send(caller: &Caller, source: &str, items: &[Value]) -> Value {
    let body = json!({ "source": source, "observations": items });
    caller.post("/v1/observations", &body).await.expect(200).body
}

fn reasons(answer: &Value) -> Vec<&str> {
    answer["results"].as_array().unwrap().iter().map(|result| result["reason"].as_str().unwrap()).collect()
}

/// Every campaign by its name.
async fn campaigns(caller: &Caller) -> Vec<Value> {
    caller.caught_up().await;
    caller.get("/v1/campaigns").await.expect(200).body["data"].as_array().unwrap().clone()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_source_creates_the_campaigns_that_it_names(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    register(&acme, "tracker", "push", None).await;
    let items = [
        click("1", "spring_sale", "2026-11-20T10:00:00Z"),
        click("2", "spring_sale", "2026-11-18T23:30:00Z"),
        click("3", "too_old", "2026-11-01T00:00:00Z"),
        click("4", " ", "2026-11-20T10:00:00Z"),
    ];
    let answer = send(&acme, "tracker", &items).await;
    assert_eq!(reasons(&answer), ["unknown_campaign", "unknown_campaign", "too_old", "unknown_campaign"]);
    assert_eq!(campaigns(&acme).await, Vec::<Value>::new());

    let patch = json!({ "unknown_campaigns": "create" });
    acme.patch("/v1/sources/tracker", &patch).await.expect(200);
    let answer = send(&acme, "tracker", &items).await;
    assert_eq!((&answer["accepted"], reasons(&answer)), (&json!(2), vec!["too_old", "unknown_campaign"]));
    let known = campaigns(&acme).await;
    let [campaign] = known.as_slice() else { panic!("{known:#?}") };
    let path = format!("/v1/campaigns/{}", campaign["campaign_id"].as_str().unwrap());
    let shown = acme.get(&path).await.expect(200).body["data"].clone();
    assert_eq!(shown["created_by_source"], "tracker");
    let members = ["name", "status", "channels", "currency", "time_zone", "starts_on", "external_ids", "version"];
    assert_eq!(
        members.map(|member| shown[member].clone()),
        [
            json!("spring_sale"),
            json!("active"),
            json!(["paid_social"]),
            json!("EUR"),
            json!("UTC"),
            json!("2026-11-18"),
            json!([{ "source": "tracker", "id": "spring_sale" }]),
            json!(2),
        ]
    );
    // It is a campaign like others: the next items find it, and so do those of history.
    let old = json!({ "source": "tracker", "observations": [
        click("o-1", "spring_sale", "2024-05-01T10:00:00Z"), click("o-2", "of_old", "2024-05-02T10:00:00Z")
    ]});
    let answer = acme.post("/v1/observations?backfill=old", &old).await.expect(200).body;
    assert_eq!(answer["accepted"], 2, "{answer}");
    let known = campaigns(&acme).await;
    let told: Vec<_> = known.iter().map(|one| (one["name"].clone(), one["starts_on"].clone())).collect();
    assert_eq!(told, [(json!("of_old"), json!("2024-05-02")), (json!("spring_sale"), json!("2026-11-18")),]);
    system.verify().await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn statements_create_campaigns_too(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    register(&acme, "ads", "pull", Some("create")).await;
    let body = json!({ "source": "ads", "grain": "day", "time_zone": "UTC", "statements": [
        { "external_campaign_id": "77", "bucket": "2026-11-19", "measures": { "clicks": 3 } },
        { "external_campaign_id": "77", "bucket": "2026-11-18", "measures": { "clicks": 4 } },
        { "external_campaign_id": "78", "bucket": "2026-11-18", "measures": { "spend": { "amount": "1", "currency": "GBP" } } },
    ]});
    let answer = acme.post("/v1/statements", &body).await.expect(200).body;
    assert_eq!((&answer["accepted"], reasons(&answer)), (&json!(2), vec!["unknown_campaign"]));
    let known = campaigns(&acme).await;
    let told: Vec<_> = known.iter().map(|one| (one["name"].clone(), one["starts_on"].clone())).collect();
    assert_eq!(told, [(json!("77"), json!("2026-11-18"))]);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_day_has_room_for_so_many(pool: PgPool) {
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig {
        command: HttpConfig {
            limits: LimitConfig { new_campaigns_per_day: 2, ..LimitConfig::default() },
            ..HttpConfig::default()
        },
        ..config
    })
    .await;
    let acme = system.workspace("acme").await;
    register(&acme, "tracker", "push", Some("create")).await;
    register(&acme, "other", "push", Some("create")).await;
    let items = ["a", "b", "c", "d"].map(|name| click(name, name, "2026-11-20T10:00:00Z"));
    let answer = send(&acme, "tracker", &items).await;
    assert_eq!((&answer["accepted"], reasons(&answer)), (&json!(2), vec!["too_many_new_campaigns"; 2]));
    assert_eq!(reasons(&send(&acme, "tracker", &items[2..3]).await), ["too_many_new_campaigns"]);
    // Another source has room of its own, and so has tomorrow.
    assert_eq!(send(&acme, "other", &items[2..3]).await["accepted"], 1);
    system.clock.advance(TimeDelta::days(1));
    let answer = send(&acme, "tracker", &items).await;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(2)));
    assert_eq!(campaigns(&acme).await.len(), 5);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn two_processes_create_one_campaign(pool: PgPool) {
    let system = TestSystem::start_at_work(&pool, NOW, |config| config).await;
    let second = system.second_process().await;
    let acme = system.workspace("acme").await;
    register(&acme, "tracker", "push", Some("create")).await;
    let there = acme.on(second.addresses());
    let batch = |process: &str| -> Vec<Value> {
        (0..20).map(|n| click(&format!("{process}-{n}"), &format!("campaign {n}"), "2026-11-20T10:00:00Z")).collect()
    };
    let (ours, theirs) = (batch("one"), batch("two"));
    let (one, two) = tokio::join!(send(&acme, "tracker", &ours), send(&there, "tracker", &theirs));
    assert_eq!((&one["accepted"], &two["accepted"]), (&json!(20), &json!(20)), "{one} {two}");
    assert_eq!(campaigns(&acme).await.len(), 20);
    second.stop().await;
    system.stop().await;
}
