//! A workspace says how large one amount of money may be, so that a wrong unit reaches no report.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem};

const NOW: &str = "2026-11-20T10:00:00Z";
const TODAY: &str = "2026-11-20T09:00:00Z";

fn observations(campaign: &str, at: &str, sent: &[(&str, &str)]) -> Value {
    let items = sent.iter().map(|(id, value)| {
        json!({"id": id, "type": "conversion", "occurred_at": at, "campaign_id": campaign, "value": value})
    });
    json!({"source": "shop", "observations": items.collect::<Vec<_>>()})
}

fn statements(campaign: &str, spend: &str) -> Value {
    json!({"source": "ads", "grain": "day", "time_zone": "UTC", "statements": [
        {"campaign_id": campaign, "bucket": "2026-11-19", "measures": {"spend": spend, "impressions": 900_000_000}}
    ]})
}

/// The rejected items of an answer: place, reason, field.
fn rejected(answer: &Answer) -> Vec<(u64, String, String)> {
    let text = |result: &Value, member: &str| result[member].as_str().unwrap_or_default().to_owned();
    let results = answer.body["results"].as_array().unwrap().iter();
    let rejected = results.filter(|result| result["status"] == "rejected");
    rejected.map(|result| (result["index"].as_u64().unwrap(), text(result, "reason"), text(result, "field"))).collect()
}

async fn prepare(caller: &Caller) -> String {
    caller.push_source("shop").await;
    let source = json!({
        "name": "ads", "channel": "paid_search", "kind": "pull", "role": "primary",
        "time_zone": "UTC", "currency": "EUR", "expected_delay_s": 0, "restatement_horizon_s": 0
    });
    caller.post("/v1/sources", &source).await.expect(201);
    caller.campaign("Winter").await
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn amounts_above_the_limit_are_rejected_until_it_is_raised(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let (acme, other) = (system.workspace("acme").await, system.workspace("other").await);
    let campaign = prepare(&acme).await;
    let elsewhere = prepare(&other).await;
    // Before there is a limit, only the bound of every workspace holds.
    let first = acme.post("/v1/observations", &observations(&campaign, TODAY, &[("o1", "60000")])).await.expect(200);
    assert_eq!(first.body["accepted"], 1);
    acme.caught_up().await;
    let shown = acme.get("/v1/workspace").await.expect(200);
    assert_eq!(shown.body["data"]["money_limit"], Value::Null);

    let limit = json!({"money_limit": "50000", "reason": "Micros arrived as euros."});
    acme.put("/v1/workspace/money-limit", &limit).await.expect(200);
    acme.caught_up().await;
    let limited = acme.get_if_none_match("/v1/workspace", &shown.header("etag")).await.expect(200);
    assert_eq!(limited.body["data"]["money_limit"], "50000.000000");

    // What was recorded before the limit is rejected, too, when it is sent again.
    let sent = [("o1", "60000"), ("o2", "50000"), ("o3", "50000.000001"), ("o4", "-50000.01"), ("o5", "12.50")];
    let judged = acme.post("/v1/observations", &observations(&campaign, TODAY, &sent)).await.expect(200);
    assert_eq!(judged.body["accepted"], 2, "{}", judged.body);
    let over = |index| (index, "over_money_limit".to_owned(), "value".to_owned());
    assert_eq!(rejected(&judged), [over(0), over(2), over(3)]);
    let detail = judged.body["results"][1]["detail"].as_str().unwrap();
    assert!(detail.contains("50000.000001") && detail.contains("PUT /v1/workspace/money-limit"), "{detail}");
    let stated = acme.post("/v1/statements", &statements(&campaign, "1250000000")).await.expect(200);
    assert_eq!(rejected(&stated), [(0, "over_money_limit".to_owned(), "measures.spend".to_owned())]);
    let history = observations(&campaign, "2026-03-01T09:00:00Z", &[("o6", "70000")]);
    let chunk = "/v1/observations?backfill=history&chunk=1";
    let chunk = acme.post(chunk, &history).await.expect(200);
    assert_eq!(rejected(&chunk).len(), 1, "{}", chunk.body);
    // A limit is of one workspace, and counts have none.
    let free = other.post("/v1/statements", &statements(&elsewhere, "1250000000")).await.expect(200);
    assert_eq!(free.body["accepted"], 1, "{}", free.body);

    // The same again appends nothing; a rebuild finds the same limit.
    let head = acme.head().await;
    acme.put("/v1/workspace/money-limit", &limit).await.expect(200);
    assert_eq!(acme.head().await, head);
    system.verify().await;
    system.replay().await;
    let replayed = acme.get("/v1/workspace").await.expect(200);
    assert_eq!(replayed.body["data"], limited.body["data"]);
    assert_eq!(replayed.body["meta"]["version"], limited.body["meta"]["version"]);

    // Without the limit, what was rejected gets in.
    acme.put("/v1/workspace/money-limit", &json!({"money_limit": null})).await.expect(200);
    let all = acme.post("/v1/observations", &observations(&campaign, TODAY, &sent)).await.expect(200);
    assert_eq!((&all.body["accepted"], &all.body["duplicates"]), (&json!(2), &json!(3)), "{}", all.body);
    acme.caught_up().await;
    assert_eq!(acme.get("/v1/workspace").await.expect(200).body["data"]["money_limit"], Value::Null);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn impossible_limits_are_refused_by_member(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    let path = "/v1/workspace/money-limit";
    for (limit, remedy) in [
        (json!("999.99"), "must be from 1000 to 1000000000000 units"),
        (json!(0), "must be from 1000 to 1000000000000 units"),
        (json!("-5000"), "must be from 1000 to 1000000000000 units"),
    ] {
        let refused = acme.put(path, &json!({"money_limit": limit})).await.expect(422);
        let error = &refused.body["errors"][0];
        assert_eq!(error["field"], "money_limit", "{}", refused.body);
        assert!(error["detail"].as_str().unwrap().starts_with(remedy), "{error}");
    }
    // An empty body removes nothing.
    for body in [json!({}), json!({"money_limit": "much"}), json!({"money_limit": "2000000000000"})] {
        let refused = acme.put(path, &body).await.expect(422);
        assert_eq!(refused.body["errors"][0]["field"], "money_limit", "{}", refused.body);
    }
    acme.with_scopes(&["read"]).await.put(path, &json!({"money_limit": null})).await.expect(403);
    system.stop().await;
}
