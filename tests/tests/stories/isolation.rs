//! Nothing crosses workspaces: no row, no ETag, no cursor, no id, no token.

use serde_json::json;
use sqlx::PgPool;
use tests::TestSystem;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn same_query_never_shows_rows_of_another_workspace(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let globex = system.workspace("globex").await;
    let mut campaigns = Vec::new();
    for (caller, clicks) in [(&acme, 3), (&globex, 5)] {
        caller.push_source("tracker").await;
        for (id, name) in [(1, "A"), (2, "B"), (3, "C")] {
            let campaign = caller.campaign(name).await;
            caller.observe("tracker", &campaign, id, clicks).await;
            campaigns.push(campaign);
        }
        caller.caught_up().await;
    }
    let report = json!({
        "measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-20",
        "granularity": "all", "time_zone": "UTC", "group_by": []
    });
    let ours = acme.post_read("/v1/reports", &report).await.expect(200);
    let theirs = globex.post_read("/v1/reports", &report).await.expect(200);
    assert_eq!(ours.body["data"][0]["clicks"], 9);
    assert_eq!(theirs.body["data"][0]["clicks"], 15);
    assert_ne!(ours.header("etag"), theirs.header("etag"));

    // One's cursor, ETag, id and token mean nothing to the other.
    let page = acme.get("/v1/campaigns?limit=1").await.expect(200);
    let cursor = page.body["page"]["next_cursor"].as_str().unwrap().to_owned();
    globex.get(&format!("/v1/campaigns?limit=1&cursor={cursor}")).await.expect(400);
    acme.get(&format!("/v1/campaigns?limit=1&cursor={cursor}")).await.expect(200);
    acme.get(&format!("/v1/campaigns?limit=2&cursor={cursor}&q=x")).await.expect(400);
    let tag = page.header("etag");
    globex.get_if_none_match("/v1/campaigns?limit=1", &tag).await.expect(200);
    globex.get(&format!("/v1/campaigns/{}", campaigns[0])).await.expect(404);
    globex.get(&format!("/v1/campaigns/{}/metrics", campaigns[0])).await.expect(404);
    globex.post(&format!("/v1/campaigns/{}/launch", campaigns[0]), &json!({})).await.expect(404);
    globex.get_with("/v1/campaigns", &[("consistency-token", &page.header("consistency-token"))]).await.expect(400);

    // Ids and names are unique per workspace, not beyond it.
    let observed = json!({ "source": "tracker", "observations": [
        { "id": "1", "campaign_id": campaigns[0], "type": "click", "occurred_at": "2026-11-20T09:00:00Z" }
    ]});
    let answer = globex.post("/v1/observations", &observed).await.expect(200);
    assert_eq!(answer.body["results"][0]["reason"], "unknown_campaign");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn key_permits_only_its_scopes(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let reader = acme.with_scopes(&["read"]).await;
    let writer = acme.with_scopes(&["command"]).await;
    reader.get("/v1/campaigns").await.expect(200);
    writer.get("/v1/campaigns").await.expect(403);
    reader.post("/v1/sources", &json!({})).await.expect(403);
    let stranger = acme.with_key("hw_not_a_key");
    assert_eq!(
        stranger.get("/v1/campaigns").await.expect(401).header("www-authenticate"),
        "Bearer realm=\"highwater\""
    );
    stranger.post("/v1/observations", &json!({})).await.expect(401);
    system.stop().await;
}
