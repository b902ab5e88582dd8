//! Many callers at once: each race has one winner.

use axum::http::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::support::{Api, Call, Reply, campaign, source};

const CALLERS: usize = 16;

/// Sends all requests at once.
async fn race(api: &Api, calls: impl IntoIterator<Item = Call>) -> Vec<Reply> {
    let mut racing = JoinSet::new();
    for call in calls {
        let api = api.clone();
        racing.spawn(async move { api.call(call).await });
    }
    racing.join_all().await
}

fn count(replies: &[Reply], status: StatusCode) -> usize {
    replies.iter().filter(|reply| reply.status == status).count()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn one_of_many_sources_gets_a_name(pool: PgPool) {
    let api = Api::start(pool).await;
    let different = (0..CALLERS).map(|delay| {
        let mut body = source("ads", "pull");
        body["expected_delay_s"] = json!(delay);
        Call::post("/v1/sources").json(&body)
    });
    let replies = race(&api, different).await;
    assert_eq!(count(&replies, StatusCode::CREATED), 1);
    assert_eq!(count(&replies, StatusCode::CONFLICT), CALLERS - 1);
    assert_eq!(api.log().await.len(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_equal_registrations_create_one_source(pool: PgPool) {
    let api = Api::start(pool).await;
    let same = (0..CALLERS).map(|_| Call::post("/v1/sources").json(&source("ads", "pull")));
    let replies = race(&api, same).await;
    assert_eq!(count(&replies, StatusCode::CREATED), 1);
    assert_eq!(count(&replies, StatusCode::OK), CALLERS - 1);
    assert!(replies.iter().all(|reply| reply.body["source_id"] == replies[0].body["source_id"]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn one_of_many_campaigns_gets_an_external_id(pool: PgPool) {
    let api = Api::start(pool).await;
    let mut body = campaign();
    body["external_ids"] = json!([{"source": "ads", "id": "1"}]);
    let replies = race(&api, (0..CALLERS).map(|_| Call::post("/v1/campaigns").json(&body))).await;
    assert_eq!(count(&replies, StatusCode::CREATED), 1);
    let refused = replies.iter().filter(|reply| reply.status == StatusCode::CONFLICT);
    assert_eq!(refused.filter(|reply| reply.code() == "external-id-taken").count(), CALLERS - 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_requests_with_one_key_are_carried_out_once(pool: PgPool) {
    let api = Api::start(pool).await;
    let call = Call::post("/v1/campaigns").json(&campaign()).once("k");
    let replies = race(&api, (0..CALLERS).map(|_| call.clone())).await;
    // Whoever came while the first was carried out is told to come again; whoever came later has its answer.
    let (created, told): (Vec<&Reply>, Vec<&Reply>) =
        replies.iter().partition(|reply| reply.status == StatusCode::CREATED);
    let first = created.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
    assert_eq!(first, 1);
    for reply in told {
        let told = (reply.status, reply.code(), reply.header("retry-after"));
        assert_eq!(told, (StatusCode::CONFLICT, "request-in-flight", Some("1")));
    }
    let again = api.call(call).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert!(created.iter().all(|reply| reply.body == again.body));
    assert_eq!(api.log().await.len(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_changes_without_if_match_all_succeed(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let renames = (0..CALLERS).map(|number| {
        Call::new(Method::PATCH, &format!("/v1/campaigns/{id}")).json(&json!({"name": format!("Name {number}")}))
    });
    let replies = race(&api, renames).await;
    assert_eq!(count(&replies, StatusCode::OK), CALLERS);
    let mut versions: Vec<i64> = replies.iter().map(|reply| reply.body["version"].as_i64().unwrap()).collect();
    versions.sort_unstable();
    let all = i64::try_from(CALLERS).unwrap();
    assert_eq!(versions, (2..=all + 1).collect::<Vec<_>>());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn one_of_concurrent_changes_with_if_match_succeeds(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let renames = (0..CALLERS).map(|number| {
        let rename = Call::new(Method::PATCH, &format!("/v1/campaigns/{id}"));
        rename.json(&json!({"name": format!("Name {number}")})).if_match(1)
    });
    let replies = race(&api, renames).await;
    assert_eq!(count(&replies, StatusCode::OK), 1);
    assert_eq!(count(&replies, StatusCode::PRECONDITION_FAILED), CALLERS - 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_equal_observations_are_recorded_once(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    let id = api.campaign(&json!([])).await;
    let batch = json!({"source": "shop", "observations": [
        {"id": "o-1", "campaign_id": id, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"},
    ]});
    let replies = race(&api, (0..CALLERS).map(|_| Call::post("/v1/observations").json(&batch))).await;
    let accepted: i64 = replies.iter().map(|reply| reply.counts()[0]).sum();
    let duplicates: i64 = replies.iter().map(|reply| reply.counts()[1]).sum();
    assert_eq!((accepted, duplicates), (1, i64::try_from(CALLERS).unwrap() - 1));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn racing_statements_end_at_the_newest(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let id = api.campaign(&json!([])).await;
    let statements = (0..CALLERS).map(|minute| {
        let body = json!({"source": "ads", "grain": "day", "time_zone": "UTC", "statements": [{
            "campaign_id": id, "bucket": "2026-11-20", "measures": {"clicks": minute},
            "stated_at": format!("2026-11-21T10:{minute:02}:00Z"),
        }]});
        Call::post("/v1/statements").json(&body)
    });
    let replies = race(&api, statements).await;
    assert!(replies.iter().all(|reply| reply.counts()[3] == 0));
    let accepted: i64 = replies.iter().map(|reply| reply.counts()[0]).sum();
    assert_eq!(api.log().await.len(), 2 + usize::try_from(accepted).unwrap());
    assert_eq!(api.last_payload().await["statements"][0]["measures"]["clicks"], CALLERS - 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn activity_races_with_archiving(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    let id = api.campaign(&json!([])).await;
    let mut calls: Vec<Call> = (0..CALLERS)
        .map(|number| {
            Call::post("/v1/observations").json(&json!({"source": "shop", "observations": [
                {"id": format!("o-{number}"), "campaign_id": id, "type": "click", "occurred_at": "2026-11-21T22:03:00Z"},
            ]}))
        })
        .collect();
    calls.insert(CALLERS / 2, Call::post(&format!("/v1/campaigns/{id}/archive")));
    let replies = race(&api, calls).await;
    assert_eq!(count(&replies, StatusCode::OK), CALLERS + 1);
    // The campaign, the source, the archiving, and every batch: before or after it.
    assert_eq!(api.log().await.len(), CALLERS + 3);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_command_sees_changes_of_another_process(pool: PgPool) {
    let here = Api::start(pool.clone()).await;
    let there = here.another_process().await;
    let id = here.campaign(&json!([])).await;
    let act = |verb: &str| Call::post(&format!("/v1/campaigns/{id}/{verb}"));
    assert_eq!(there.call(act("launch")).await.status, StatusCode::OK);
    // What this process remembers is a draft: it can neither be paused nor is it launched.
    assert_eq!(here.call(act("pause")).await.status, StatusCode::OK);
    assert_eq!(there.call(act("resume")).await.status, StatusCode::OK);
    let patch = |version| Call::new(Method::PATCH, &format!("/v1/campaigns/{id}")).if_match(version);
    let renamed = here.call(patch(4).json(&json!({ "name": "Spring" }))).await;
    assert_eq!((renamed.status, &renamed.body["version"]), (StatusCode::OK, &json!(5)));
    let stale = there.call(patch(4).json(&json!({ "name": "Summer" }))).await;
    assert_eq!((stale.status, &stale.body["version"]), (StatusCode::PRECONDITION_FAILED, &json!(5)));
    for verb in ["complete", "archive"] {
        assert_eq!(there.call(act(verb)).await.status, StatusCode::OK);
    }
    let refused = here.call(act("launch")).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "campaign-archived"));
    assert_eq!(here.log().await.len(), 7);
}
