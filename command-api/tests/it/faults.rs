//! What the API says when it cannot do its work.

use insta::assert_snapshot;
use serde_json::json;
use sqlx::PgPool;

use crate::support::{Api, Call, campaign};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn without_a_database_it_is_unavailable(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    // One that remembers nothing of the campaign.
    let api = api.another_process().await;
    api.reads.close().await;
    let reply = api.call(Call::post(&format!("/v1/campaigns/{id}/launch"))).await;
    assert_snapshot!(reply, @r#"
    503 Service Unavailable
    content-type: application/problem+json
    retry-after: 1
    {
      "status": 503,
      "title": "The service cannot answer at the moment",
      "type": "https://highwater.dev/problems/unavailable"
    }
    "#);
    for call in [
        Call::post("/v1/campaigns").json(&campaign()).once("k"),
        Call::post("/v1/observations").json(&json!({"source": "shop", "observations": [{}]})),
        Call::post("/v1/sources/shop/syncs").json(&json!({"status": "started"})),
    ] {
        let reply = api.call(call).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (503, "unavailable"), "{reply}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn shutdown_writes_the_queue_and_rejects_later_commands(pool: PgPool) {
    let api = Api::start(pool).await;
    api.shutdown.cancel();
    // The writer ends when it is through with its queue; until then it may still take a command.
    let mut replies = Vec::new();
    for _ in 0..64 {
        replies.push(api.post("/v1/campaigns", &campaign()).await);
    }
    let last = replies.last().unwrap();
    assert_eq!((last.status.as_u16(), last.code(), last.header("retry-after")), (503, "unavailable", Some("1")));
    let written = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(api.log().await.len(), written);
}
