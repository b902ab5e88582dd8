//! A command's token, handed to a read, shows the command.

use serde_json::json;
use sqlx::PgPool;
use tests::TestSystem;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn consistency_token_makes_the_command_visible(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let campaign = acme.campaign("Winter").await;
    for round in 0..50 {
        let name = format!("Winter {round}");
        let path = format!("/v1/campaigns/{campaign}");
        let token = acme.patch(&path, &json!({ "name": name })).await.expect(200).header("consistency-token");
        let headers = [("consistency-token", token.as_str()), ("prefer", "wait=5")];
        let answer = acme.get_with(&path, &headers).await.expect(200);
        assert_eq!(answer.body["data"]["name"], name);
        assert!(answer.header("data-freshness").contains("satisfied=?1"), "{}", answer.header("data-freshness"));
    }
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_position_beyond_head_without_waiting(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let campaign = acme.campaign("Winter").await;
    let path = format!("/v1/campaigns/{campaign}?min_position=999999");
    let answer = acme.get_with(&path, &[("prefer", "wait=5")]).await.expect(400);
    assert!(answer.problem().ends_with("/unknown-position"), "{}", answer.problem());
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn timed_out_wait_says_so(pool: PgPool) {
    let system = TestSystem::start_without_projector(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    system.catch_up().await;
    let source = acme.push_source("tracker").await;
    let headers = [("consistency-token", source.as_str()), ("prefer", "wait=0")];
    let stale = acme.get_with("/v1/campaigns", &headers).await.expect(200);
    assert!(stale.header("data-freshness").contains("satisfied=?0"), "{}", stale.header("data-freshness"));
    let refused = acme.get_with("/v1/campaigns?on_timeout=error", &headers).await.expect(503);
    assert!(refused.problem().ends_with("/not-yet-visible"), "{}", refused.problem());
    assert!(!refused.header("retry-after").is_empty());
    system.stop().await;
}
