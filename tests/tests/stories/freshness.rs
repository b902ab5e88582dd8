//! One bucket, seen in every state that it can have.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};

const DAY: &str = "2026-11-20";

/// Clicks of the day, with the answer's headers.
async fn read_day(caller: &Caller, campaign: &str) -> (String, Value) {
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?date_from={DAY}&date_to={DAY}&granularity=day&time_zone=UTC&measures=clicks"
    );
    let answer = caller.get(&path).await.expect(200);
    (answer.header("etag"), answer.body)
}

fn state(body: &Value) -> &str {
    body["meta"]["freshness"]["state"].as_str().unwrap()
}

fn status(body: &Value) -> &str {
    body["meta"]["freshness"]["sources"][0]["status"].as_str().unwrap()
}

async fn state_clicks(caller: &Caller, campaign: &str, clicks: u64) -> Value {
    let statements = json!({
        "source": "google_ads", "grain": "day", "time_zone": "UTC",
        "statements": [{ "campaign_id": campaign, "bucket": DAY, "measures": { "clicks": clicks } }]
    });
    let body = caller.post("/v1/statements", &statements).await.expect(200).body;
    caller.caught_up().await;
    body
}

async fn sync(caller: &Caller, body: Value) {
    caller.post("/v1/sources/google_ads/syncs", &body).await.expect(200);
    caller.caught_up().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn bucket_goes_from_live_to_final(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let source = json!({
        "name": "google_ads", "channel": "paid_search", "kind": "pull", "role": "primary",
        "time_zone": "UTC", "currency": "EUR", "expected_delay_s": 3 * 3600, "restatement_horizon_s": 2 * 86_400
    });
    acme.post("/v1/sources", &source).await.expect(201);
    let campaign = acme.campaign("Winter").await;

    // Open: the day is not over.
    state_clicks(&acme, &campaign, 10).await;
    let (live_tag, live) = read_day(&acme, &campaign).await;
    assert_eq!((state(&live), status(&live)), ("live", "never"));
    assert_eq!(live["data"][0]["clicks"], 10);
    assert_eq!(live["data"][0]["state"], "live");
    assert_eq!(live["meta"]["freshness"]["first_incomplete"], "2026-11-20T00:00:00Z");

    // A run is underway, then done, through the end of the day before.
    sync(&acme, json!({ "status": "started" })).await;
    assert_eq!(status(&read_day(&acme, &campaign).await.1), "running");
    sync(&acme, json!({ "status": "completed", "complete_through": "2026-11-20T00:00:00Z", "grain": "day" })).await;
    let (_, synced) = read_day(&acme, &campaign).await;
    assert_eq!((state(&synced), status(&synced)), ("live", "ok"));
    let (before_midnight, _) = read_day(&acme, &campaign).await;

    // Closed by the clock alone: provisional, and the version moved without an event.
    system.clock.set("2026-11-21T00:30:00Z".parse().unwrap());
    let (closed_tag, closed) = read_day(&acme, &campaign).await;
    assert_eq!((state(&closed), status(&closed)), ("provisional", "ok"));
    assert_ne!(before_midnight, closed_tag);
    assert_ne!(live_tag, closed_tag);

    // Due a day and three hours after what it was complete through: late, by the clock alone.
    system.clock.set("2026-11-21T03:00:00Z".parse().unwrap());
    let (late_tag, late) = read_day(&acme, &campaign).await;
    assert_eq!((state(&late), status(&late)), ("provisional", "late"));
    assert_ne!(closed_tag, late_tag);

    // The run fails, and says why.
    sync(&acme, json!({ "status": "failed", "reason": "quota exceeded" })).await;
    let (failed_tag, failed) = read_day(&acme, &campaign).await;
    assert_eq!((state(&failed), status(&failed)), ("provisional", "failed"));
    assert_ne!(late_tag, failed_tag);

    // Complete past the day, inside the horizon: still provisional, nothing missing.
    sync(&acme, json!({ "status": "completed", "complete_through": "2026-11-21T00:00:00Z", "grain": "day" })).await;
    let (_, complete) = read_day(&acme, &campaign).await;
    assert_eq!((state(&complete), status(&complete)), ("provisional", "ok"));
    assert_eq!(complete["meta"]["freshness"]["first_incomplete"], Value::Null);
    let (complete_tag, _) = read_day(&acme, &campaign).await;

    // The horizon passes, but nobody has read the day again: the clock alone makes nothing final.
    system.clock.set("2026-11-23T00:00:00Z".parse().unwrap());
    assert_eq!(state(&read_day(&acme, &campaign).await.1), "provisional");

    // A run that started after it has read the day: final.
    sync(&acme, json!({ "status": "started" })).await;
    sync(&acme, json!({ "status": "completed", "complete_through": "2026-11-23T00:00:00Z", "grain": "day" })).await;
    let (final_tag, finished) = read_day(&acme, &campaign).await;
    assert_eq!(state(&finished), "final");
    assert_eq!(finished["data"][0]["state"], "final");
    assert_eq!(finished["data"][0].get("restated_after_final"), None);
    assert_ne!(complete_tag, final_tag);

    // A late statement is taken, flagged, and moves the version.
    state_clicks(&acme, &campaign, 12).await;
    let (restated_tag, restated) = read_day(&acme, &campaign).await;
    assert_eq!(restated["data"][0]["clicks"], 12);
    assert_eq!(restated["data"][0]["restated_after_final"], true);
    assert_ne!(final_tag, restated_tag);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn nothing_is_final_while_a_primary_source_is_incomplete(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    for (name, role) in [("google_ads", "primary"), ("meta_ads", "primary"), ("analytics", "reference")] {
        let source = json!({
            "name": name, "channel": "paid_search", "kind": "pull", "role": role,
            "time_zone": "UTC", "currency": "EUR", "expected_delay_s": 3600, "restatement_horizon_s": 0
        });
        acme.post("/v1/sources", &source).await.expect(201);
    }
    let campaign = acme.campaign("Winter").await;
    for (name, measure) in [("google_ads", "clicks"), ("meta_ads", "clicks"), ("analytics", "clicks")] {
        let statements = json!({
            "source": name, "grain": "day", "time_zone": "UTC",
            "statements": [{ "campaign_id": campaign, "bucket": DAY, "measures": { measure: 5 } }]
        });
        acme.post("/v1/statements", &statements).await.expect(200);
    }
    system.clock.set("2026-11-21T02:00:00Z".parse().unwrap());
    let completed = json!({ "status": "completed", "complete_through": "2026-11-21T00:00:00Z", "grain": "day" });
    acme.post("/v1/sources/google_ads/syncs", &completed).await.expect(200);
    acme.caught_up().await;
    assert_eq!(state(&read_day(&acme, &campaign).await.1), "provisional");

    // The reference source never says anything, and need not.
    acme.post("/v1/sources/meta_ads/syncs", &completed).await.expect(200);
    acme.caught_up().await;
    assert_eq!(state(&read_day(&acme, &campaign).await.1), "final");
    system.stop().await;
}
