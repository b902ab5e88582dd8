//! Whoever asks for too much is told so, with when to come again, and nobody else is the worse for it.

use chrono::TimeDelta;
use highwater::system::SystemConfig;
use http_edge::HttpConfig;
use http_edge::config::LimitConfig;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem};

const NOW: &str = "2026-11-20T10:00:00Z";

/// Both APIs behind the same limits.
async fn system(pool: &PgPool, limits: LimitConfig) -> TestSystem {
    let http = HttpConfig { limits, ..HttpConfig::default() };
    TestSystem::start_as(pool, NOW, |config| SystemConfig { command: http.clone(), read: http, ..config }).await
}

/// A 429 that names its policy and says when to come again.
#[track_caller]
fn assert_limited(answer: &Answer, policy: &str, quota: u32, window: u32) {
    assert_eq!((answer.status, answer.problem()), (429, "https://highwater.dev/problems/rate-limited"));
    assert_eq!(answer.body["violated-policies"], json!([policy]));
    assert_eq!(answer.header("ratelimit-policy"), format!("\"{policy}\";q={quota};w={window}"));
    assert_eq!(answer.header("ratelimit"), format!("\"{policy}\";r=0;t={}", answer.header("retry-after")));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn limits_each_key_on_each_api(pool: PgPool) {
    let limits = LimitConfig { key_requests_per_s: 1, rate_window_s: 5, ..LimitConfig::default() };
    let system = system(&pool, limits).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    for left in (0..4).rev() {
        let answer = acme.post("/v1/sources/tracker/syncs", &json!({ "status": "started" })).await.expect(200);
        assert!(answer.header("ratelimit").contains(&format!("\"key\";r={left};t=")), "{}", answer.header("ratelimit"));
        assert!(answer.header("ratelimit-policy").contains("\"key\";q=5;w=5"));
    }
    let head = acme.head().await;
    let refused = acme.post("/v1/sources/tracker/syncs", &json!({ "status": "started" })).await;
    assert_limited(&refused, "key", 5, 5);
    assert_eq!(acme.head().await, head);

    // The read API counts for itself, and so does each key.
    for _ in 0..5 {
        acme.get("/v1/measures").await.expect(200);
    }
    assert_limited(&acme.get("/v1/measures").await, "key", 5, 5);
    let other = acme.with_scopes(&["command", "read"]).await;
    other.get("/v1/measures").await.expect(200);
    other.post("/v1/sources/tracker/syncs", &json!({ "status": "started" })).await.expect(200);

    system.clock.advance(TimeDelta::seconds(1));
    acme.get("/v1/measures").await.expect(200);
    assert_limited(&acme.get("/v1/measures").await, "key", 5, 5);
    system.stop().await;
}

async fn push(caller: &Caller, source: &str, campaign: &str, ids: std::ops::Range<u32>) -> Answer {
    let items: Vec<Value> = ids
        .map(|id| json!({ "id": format!("o-{id}"), "campaign_id": campaign, "type": "click", "occurred_at": NOW }))
        .collect();
    caller.post("/v1/observations", &json!({ "source": source, "observations": items })).await
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn limits_items_of_a_source_across_keys(pool: PgPool) {
    let limits = LimitConfig { source_items_per_s: 10, rate_window_s: 2, ..LimitConfig::default() };
    let system = system(&pool, limits).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    acme.push_source("other").await;
    acme.pull_source("ads").await;
    let campaign = acme.campaign("Winter").await;

    push(&acme, "tracker", &campaign, 0..15).await.expect(200);
    let second_key = acme.with_scopes(&["command"]).await;
    let refused = push(&second_key, "tracker", &campaign, 15..25).await;
    assert_limited(&refused, "source", 20, 2);
    push(&acme, "tracker", &campaign, 15..20).await.expect(200);
    push(&acme, "other", &campaign, 0..20).await.expect(200);
    // A name that is no source's is nobody's quota.
    push(&acme, "nobody", &campaign, 0..20).await.expect(422);

    let statements = |count: u32| {
        let items: Vec<Value> = (0..count)
            .map(|day| json!({ "campaign_id": campaign, "bucket": format!("2026-11-{:02}", day + 1), "measures": { "clicks": 1 } }))
            .collect();
        json!({ "source": "ads", "grain": "day", "time_zone": "UTC", "statements": items })
    };
    acme.post("/v1/statements", &statements(19)).await.expect(200);
    let sync = json!({ "status": "started" });
    acme.post("/v1/sources/ads/syncs", &sync).await.expect(200);
    assert_limited(&acme.post("/v1/sources/ads/syncs", &sync).await, "source", 20, 2);
    assert_limited(&acme.post("/v1/statements", &statements(1)).await, "source", 20, 2);

    // Nothing of what was refused was recorded: sent again later, it is new.
    system.clock.advance(TimeDelta::seconds(1));
    let answer = push(&second_key, "tracker", &campaign, 20..25).await.expect(200);
    assert_eq!((&answer.body["accepted"], &answer.body["duplicates"]), (&json!(5), &json!(0)));
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn takes_client_address_from_trusted_proxy(pool: PgPool) {
    let limits = LimitConfig { address_requests_per_s: 1, rate_window_s: 3, ..LimitConfig::default() };
    let http = HttpConfig { behind_proxy: true, limits, ..HttpConfig::default() };
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig { read: http, ..config }).await;
    let acme = system.workspace("acme").await;
    let ask = async |forwarded: &str| acme.get_with("/v1/measures", &[("x-forwarded-for", forwarded)]).await;
    for spoofed in ["192.0.2.1", "198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1"] {
        ask(spoofed).await.expect(200);
    }
    assert_limited(&ask("198.51.100.3, 192.0.2.1").await, "address", 3, 3);
    ask("192.0.2.1, 192.0.2.2").await.expect(200);
    system.clock.advance(TimeDelta::seconds(1));
    ask("192.0.2.1").await.expect(200);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn limits_key_guessing_without_affecting_valid_keys(pool: PgPool) {
    let limits = LimitConfig { address_bad_keys_per_s: 1, rate_window_s: 4, ..LimitConfig::default() };
    let system = system(&pool, limits).await;
    let acme = system.workspace("acme").await;
    acme.get("/v1/measures").await.expect(200);
    for guess in 0..4 {
        acme.with_key(&format!("hw_guess{guess}")).get("/v1/measures").await.expect(401);
    }
    let stopped = acme.with_key("hw_guess4").get("/v1/measures").await;
    assert_limited(&stopped, "bad_keys", 4, 4);
    assert!(!stopped.body.to_string().contains("hw_guess"));
    // A key that is in use is remembered.
    acme.get("/v1/measures").await.expect(200);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_oversized_request_head(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    let large = "x".repeat(40 << 10);
    let refused = acme.get_with("/v1/measures", &[("x-large", &large)]).await.expect(431);
    assert_eq!(refused.problem(), "https://highwater.dev/problems/headers-too-large");
    acme.get_with("/v1/measures", &[("x-large", &large[..20 << 10])]).await.expect(200);
    // As an address that holds a whole dashboard can be.
    let refused = acme.get(&format!("/v1/dashboards?query={large}")).await.expect(431);
    assert_eq!(refused.problem(), "https://highwater.dev/problems/headers-too-large");
    system.stop().await;
}
