//! Items that were rejected are kept, and taken once the cause is gone.

mod forms; // whatever the form in which they were sent
mod limits; // how much is kept, how long, and for whom

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem};

const NOW: &str = "2026-11-20T15:00:00Z";

/// A system with a workspace and a push source.
async fn shop(pool: &PgPool) -> (TestSystem, Caller) {
    let system = TestSystem::start(pool, NOW).await;
    let acme = system.workspace("acme").await;
    acme.push_source("shop").await;
    (system, acme)
}

/// A click on a campaign by its external id.
fn click(id: &str, campaign: &str, at: &str) -> Value {
    json!({ "id": id, "type": "click", "external_campaign_id": campaign, "occurred_at": at })
}

async fn send(caller: &Caller, items: &[Value]) -> Value {
    let body = json!({ "source": "shop", "observations": items });
    caller.post("/v1/observations", &body).await.expect(200).body
}

/// Creates the campaign that has an external id.
async fn create(caller: &Caller, external_id: &str) -> String {
    let body = json!({
        "name": external_id, "channels": ["paid_search"], "currency": "EUR", "time_zone": "UTC",
        "starts_on": "2026-11-01", "external_ids": [{ "id": external_id }]
    });
    caller.post("/v1/campaigns", &body).await.expect(201).body["campaign_id"].as_str().unwrap().to_owned()
}

async fn list(caller: &Caller, query: &str) -> Value {
    caller.command_without_body(Method::GET, &format!("/v1/rejections{query}")).await.expect(200).body
}

/// The item ids and reasons of a list.
fn listed(list: &Value) -> Vec<(&str, &str)> {
    let data = list["data"].as_array().unwrap().iter();
    data.map(|one| (one["item_id"].as_str().unwrap_or("-"), one["reason"].as_str().unwrap())).collect()
}

/// Judges what a query names again: accepted, duplicates, rejected.
async fn retry(caller: &Caller, query: &str) -> [u64; 3] {
    let answer = caller.command_without_body(Method::POST, &format!("/v1/rejections/retry{query}")).await.expect(200);
    ["accepted", "duplicates", "rejected"].map(|name| answer.body[name].as_u64().unwrap())
}

/// The status and the code of a problem.
fn problem(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.problem().rsplit('/').next().unwrap())
}

/// A measure of all campaigns.
async fn total(caller: &Caller, measure: &str) -> Value {
    caller.caught_up().await;
    let query = json!({
        "measures": [measure], "date_from": "2024-01-01", "date_to": "2026-11-30", "time_zone": "UTC",
        "granularity": "all"
    });
    caller.post_read("/v1/reports", &query).await.expect(200).body["data"][0][measure].clone()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_item_is_taken_once_its_campaign_is_there(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    create(&acme, "winter").await;
    let autumn = click("c-2", "autumn", "2026-11-20T10:00:00Z");
    let no_type = json!({ "id": "c-3", "external_campaign_id": "winter", "occurred_at": "2026-11-20T10:00:00Z" });
    let answer = send(&acme, &[click("c-1", "winter", "2026-11-20T10:00:00Z"), autumn.clone(), no_type.clone()]).await;
    assert_eq!(json!([answer["accepted"], answer["rejected"], answer["kept"]]), json!([1, 2, 2]), "{answer}");

    let kept = list(&acme, "").await;
    assert_eq!(listed(&kept), [("c-3", "malformed"), ("c-2", "unknown_campaign")]);
    let first = &kept["data"][1];
    let content: Value = serde_json::from_str(first["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, autumn);
    let members = ["source", "kind", "field", "received_at", "expires_at"].map(|name| first[name].clone());
    let expected =
        json!(["shop", "observation", "external_campaign_id", "2026-11-20T15:00:00Z", "2026-12-20T15:00:00Z"]);
    assert_eq!(json!(members), expected);
    let totals = json!([
        { "source": "shop", "reason": "malformed", "items": 1 },
        { "source": "shop", "reason": "unknown_campaign", "items": 1 },
    ]);
    assert_eq!((&kept["totals"], &kept["not_kept"]), (&totals, &json!(0)));

    // Too early: it is rejected again, and stays.
    let path = format!("/v1/rejections/{}/retry", first["id"].as_str().unwrap());
    let judged = acme.post(&path, &json!({ "reason": "too early" })).await.expect(200).body;
    assert_eq!((&judged["status"], &judged["reason"]), (&json!("rejected"), &json!("unknown_campaign")));
    assert_eq!(total(&acme, "clicks").await, 1);

    create(&acme, "autumn").await;
    let judged = acme.post(&path, &json!({ "reason": "the campaign is there" })).await.expect(200);
    assert_eq!((&judged.body["status"], &judged.body["position"]), (&json!("accepted"), &json!(acme.head().await)));
    let token = judged.header("consistency-token");
    let waited = acme.get_with("/v1/campaigns", &[("consistency-token", &token), ("prefer", "wait=5")]).await;
    waited.expect(200);
    assert_eq!(total(&acme, "clicks").await, 2);

    // Again it changes nothing, nor does its sender.
    assert_eq!(acme.post(&path, &json!({})).await.expect(200).body["status"], "accepted");
    assert_eq!(send(&acme, &[autumn]).await["duplicates"], 1);
    assert_eq!(retry(&acme, "").await, [0, 0, 1]);
    assert_eq!(total(&acme, "clicks").await, 2);
    assert_eq!(listed(&list(&acme, "").await), [("c-3", "malformed")]);
    system.verify().await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn those_that_a_filter_names_are_judged_again(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    acme.push_source("other").await;
    let items: Vec<Value> = (0..5).map(|n| click(&format!("c-{n}"), "autumn", "2026-11-20T10:00:00Z")).collect();
    send(&acme, &items).await;
    system.clock.advance(TimeDelta::seconds(1));
    send(&acme, &[click("c-9", " ", "2026-11-20T10:00:00Z"), json!({ "id": "c-10", "count": "x" })]).await;
    system.clock.advance(TimeDelta::hours(1));
    let body = json!({ "source": "other", "observations": [click("d-1", "autumn", "2026-11-20T10:00:00Z")] });
    acme.post("/v1/observations", &body).await.expect(200);
    system.clock.advance(TimeDelta::seconds(1));
    // A correction behind its original is found, as both are judged in their order.
    let adjust =
        json!({ "id": "c-11", "type": "click", "adjusts": "c-0", "occurred_at": "2026-11-20T11:00:00Z", "count": 7 });
    assert_eq!(send(&acme, &[adjust]).await["results"][0]["reason"], "unknown_observation");

    // Pages hold everything once.
    let mut seen = Vec::new();
    let mut query = "?limit=3&since=2026-11-20T00:00:00Z".to_owned();
    loop {
        let page = acme.command_without_body(Method::GET, &format!("/v1/rejections{query}")).await.expect(200);
        seen.extend(listed(&page.body).into_iter().map(|(id, _)| id.to_owned()));
        let link = page.header("link");
        let Some(next) = link.strip_prefix("</v1/rejections") else { break };
        query = next.strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(query.ends_with(page.body["page"]["next_cursor"].as_str().unwrap()), "{query}");
    }
    assert_eq!(seen, ["c-11", "d-1", "c-10", "c-9", "c-4", "c-3", "c-2", "c-1", "c-0"]);
    let since = list(&acme, "?since=2026-11-20T15:30:00Z&source=other").await;
    assert_eq!(listed(&since), [("d-1", "unknown_campaign")]);
    assert_eq!(since["totals"], json!([{ "source": "other", "reason": "unknown_campaign", "items": 1 }]));
    let other = acme.command_without_body(Method::GET, &format!("/v1/rejections{query}&source=shop")).await;
    assert_eq!(problem(&other), (400, "cursor-mismatch"));
    for wrong in ["?limit=0", "?limit=201", "?reason=nonsense", "?cursor=AAAA"] {
        let refused = acme.command_without_body(Method::GET, &format!("/v1/rejections{wrong}")).await;
        assert_eq!(problem(&refused), (400, "invalid-query"), "{wrong}");
    }

    create(&acme, "autumn").await;
    assert_eq!(retry(&acme, "?source=other&reason=too_old").await, [0, 0, 0]);
    assert_eq!(retry(&acme, "?source=shop").await, [6, 0, 2]);
    assert_eq!(retry(&acme, "?source=shop").await, [0, 0, 2]);
    assert_eq!(total(&acme, "clicks").await, 11);
    assert_eq!(
        listed(&list(&acme, "").await),
        [("d-1", "unknown_campaign"), ("c-10", "malformed"), ("c-9", "unknown_campaign")]
    );

    // What is not wanted is deleted, by its id or by what names it.
    let all = list(&acme, "?reason=malformed").await;
    let path = format!("/v1/rejections/{}", all["data"][0]["id"].as_str().unwrap());
    acme.command_without_body(Method::DELETE, &path).await.expect(204);
    for (method, path) in [(Method::DELETE, path.clone()), (Method::POST, format!("{path}/retry"))] {
        assert_eq!(problem(&acme.command_without_body(method, &path).await), (404, "not-found"));
    }
    let all = acme.command_without_body(Method::DELETE, "/v1/rejections").await;
    assert_eq!(problem(&all), (400, "invalid-query"));
    let deleted = acme.command_without_body(Method::DELETE, "/v1/rejections?reason=unknown_campaign&source=shop").await;
    assert_eq!(deleted.expect(200).body, json!({ "deleted": 1 }));
    assert_eq!(listed(&list(&acme, "").await), [("d-1", "unknown_campaign")]);
    system.verify().await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn two_processes_that_judge_an_item_again_count_it_once(pool: PgPool) {
    let system = TestSystem::start_at_work(&pool, NOW, |config| config).await;
    let second = system.second_process().await;
    let acme = system.workspace("acme").await;
    acme.push_source("shop").await;
    let items: Vec<Value> = (0..30).map(|n| click(&format!("c-{n}"), "autumn", "2026-11-20T10:00:00Z")).collect();
    assert_eq!(send(&acme, &items).await["kept"], 30);
    create(&acme, "autumn").await;
    let there = acme.on(second.addresses());
    let (one, two) = tokio::join!(retry(&acme, ""), retry(&there, ""));
    assert_eq!((one[0] + two[0], one[2] + two[2]), (30, 0), "{one:?} {two:?}");
    assert_eq!(total(&acme, "clicks").await, 30);
    assert_eq!(listed(&list(&acme, "").await), []);
    second.stop().await;
    system.stop().await;
}
