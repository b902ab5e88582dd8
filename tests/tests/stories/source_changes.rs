//! A second source that counts what the first one counts is demoted, for what is recorded and for what comes.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};

async fn state_day(caller: &Caller, source: &str, campaign: &str, day: &str, conversions: u64) {
    let statements = json!({
        "source": source, "grain": "day", "time_zone": "Europe/Berlin",
        "statements": [{ "campaign_id": campaign, "bucket": day, "measures": { "conversions": conversions } }]
    });
    let answer = caller.post("/v1/statements", &statements).await.expect(200);
    assert_eq!(answer.body["accepted"], 1, "{answer:?}");
}

/// The conversions of a range, the codes of its warnings, and its ETag.
async fn conversions(caller: &Caller, from: &str, to: &str) -> (Value, Vec<Value>, String) {
    caller.caught_up().await;
    let query = json!({"measures": ["conversions"], "date_from": from, "date_to": to, "time_zone": "Europe/Berlin"});
    let answer = caller.post_read("/v1/reports", &query).await.expect(200);
    let warnings = answer.body["meta"]["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].clone());
    (answer.body["data"][0]["conversions"].clone(), warnings.collect(), answer.header("etag"))
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn source_is_demoted_from_a_date_on(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-02-10T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    for name in ["google_ads", "analytics"] {
        let source = json!({
            "name": name, "channel": "paid_search", "kind": "pull", "role": "primary",
            "time_zone": "Europe/Berlin", "currency": "EUR", "expected_delay_s": 3600, "restatement_horizon_s": 0
        });
        acme.post("/v1/sources", &source).await.expect(201);
    }
    let campaign = acme.campaign("Winter").await;
    for (name, day) in [("google_ads", "2026-01-01"), ("analytics", "2026-01-01"), ("analytics", "2025-12-31")] {
        state_day(&acme, name, &campaign, day, 5).await;
    }
    let (counted, warnings, tag) = conversions(&acme, "2026-01-01", "2026-01-31").await;
    assert_eq!((counted, warnings), (json!(10), vec![json!("overlapping_primaries")]));

    let demoted = json!({ "role": "reference", "from": "2026-01-01", "reason": "counts what google_ads counts" });
    acme.patch("/v1/sources/analytics", &demoted).await.expect(200);
    let (counted, warnings, moved) = conversions(&acme, "2026-01-01", "2026-01-31").await;
    assert_eq!((counted, warnings), (json!(5), vec![]));
    assert_ne!(tag, moved);

    // What is stated later of a day counts by the day, not by when it came.
    state_day(&acme, "analytics", &campaign, "2026-01-02", 7).await;
    state_day(&acme, "analytics", &campaign, "2025-12-30", 7).await;
    assert_eq!(conversions(&acme, "2026-01-01", "2026-01-31").await.0, 5);
    assert_eq!(conversions(&acme, "2025-12-01", "2025-12-31").await.0, 12);
    assert_eq!(conversions(&acme, "2025-12-01", "2026-01-31").await.0, 17);
    system.stop().await;
}
