//! `Idempotency-Key`: the first answer again, whatever it was.

use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Api, Call, Reply, SOUTH, campaign, source};

/// The same answer, marked as given before.
#[track_caller]
fn assert_replayed(first: &Reply, again: &Reply) {
    assert_eq!(first.header("idempotency-replayed"), None, "{first}");
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{again}");
    let mut without = again.clone();
    without.headers.remove("idempotency-replayed");
    assert_eq!(first, &without);
}

/// Sends a request twice, with something else in between.
async fn twice(api: &Api, call: Call) -> Reply {
    let first = api.call(call.clone()).await;
    api.campaign(&json!([])).await;
    let before = api.log().await;
    let again = api.call(call).await;
    assert_replayed(&first, &again);
    assert_eq!(api.log().await, before);
    first
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_command_is_replayed_by_its_key(pool: PgPool) {
    let api = Api::start(pool).await;
    let created = twice(&api, Call::post("/v1/campaigns").json(&campaign()).once("create")).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let id = created.id("campaign_id");

    let registered = twice(&api, Call::post("/v1/sources").json(&source("shop", "push")).once("source")).await;
    assert_eq!(registered.status, StatusCode::CREATED);
    let again = twice(&api, Call::post("/v1/sources").json(&source("shop", "push")).once("source-again")).await;
    assert_eq!(again.status, StatusCode::OK);
    twice(&api, Call::post("/v1/sources").json(&source("ads", "pull")).once("ads")).await;

    let edit = Call::new(Method::PATCH, &format!("/v1/campaigns/{id}")).json(&json!({"name": "B"}));
    assert_eq!(twice(&api, edit.once("edit").if_match(1)).await.body["version"], 2);
    let budget = Call::new(Method::PUT, &format!("/v1/campaigns/{id}/budget")).json(&json!({"budget": null}));
    assert_eq!(twice(&api, budget.once("nothing")).await.body["version"], 2);
    assert_eq!(twice(&api, Call::post(&format!("/v1/campaigns/{id}/launch")).once("launch")).await.status, 200);

    let sync = Call::post("/v1/sources/ads/syncs").json(&json!({"status": "started"}));
    assert_eq!(twice(&api, sync.once("sync")).await.status, 200);

    let observation = |id: &str| json!({"id": id, "campaign_id": created.id("campaign_id"), "type": "click", "occurred_at": "2026-11-21T21:00:00Z"});
    let batch = |items: Vec<Value>| json!({"source": "shop", "observations": items});
    assert_eq!(api.post("/v1/observations", &batch(vec![observation("o-1")])).await.status, 200);
    let mixed = batch(vec![json!({}), observation("o-1"), observation("o-2"), observation("o-2"), observation("o-3")]);
    let observed = twice(&api, Call::post("/v1/observations").json(&mixed).once("observations")).await;
    assert_eq!(
        observed.results(),
        ["0 rejected malformed", "1 duplicate already_recorded", "3 duplicate already_recorded"]
    );
    // The receipt answers for what the caller wants listed, too.
    let all = api.call(Call::post("/v1/observations?results=all").json(&mixed).once("observations")).await;
    assert_eq!((all.counts(), all.results().len()), (observed.counts(), 5));

    let statements = json!({"source": "ads", "grain": "day", "time_zone": "UTC", "statements": [
        {"campaign_id": id, "bucket": "2026-11-20", "measures": {"clicks": 5}},
        {"campaign_id": id, "bucket": "2026-11-20", "measures": {"clicks": 5}},
    ]});
    let stated = twice(&api, Call::post("/v1/statements").json(&statements).once("statements")).await;
    assert_eq!(stated.results(), ["1 duplicate unchanged"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn domain_rejection_leaves_a_receipt(pool: PgPool) {
    let api = Api::start(pool).await;
    let id = api.campaign(&json!([])).await;
    let pause = Call::post(&format!("/v1/campaigns/{id}/pause")).once("pause");
    let refused = twice(&api, pause.clone()).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "not-launched"));
    // Even when the rules would allow it by now.
    assert_eq!(api.call(Call::post(&format!("/v1/campaigns/{id}/launch"))).await.status, StatusCode::OK);
    assert_replayed(&refused, &api.call(pause).await);

    let mut body = campaign();
    body["ends_on"] = json!("2026-01-01");
    let refused = twice(&api, Call::post("/v1/campaigns").json(&body).once("create")).await;
    assert_eq!(refused.code(), "ends-before-start");
    let mut body = source("ads", "pull");
    body["expected_delay_s"] = json!(-1);
    let refused = twice(&api, Call::post("/v1/sources").json(&body).once("source")).await;
    assert_eq!(refused.code(), "expected-delay-out-of-range");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn other_errors_leave_no_receipt(pool: PgPool) {
    let api = Api::start(pool).await;
    let observations = json!({"source": "shop", "observations": [{}]});
    let call = Call::post("/v1/observations").json(&observations).once("k");
    assert_eq!(api.call(call.clone()).await.code(), "unknown-source");
    api.source("shop", "push").await;
    let reply = api.call(call).await;
    assert_eq!((reply.counts(), reply.header("idempotency-replayed")), ([0, 0, 0, 1], None));

    let mut body = campaign();
    body["external_ids"] = json!([{"id": "winter"}]);
    let first = api.campaign(&body["external_ids"]).await;
    let call = Call::post("/v1/campaigns").json(&body).once("winter");
    assert_eq!(api.call(call.clone()).await.code(), "external-id-taken");
    let release = Call::new(Method::PATCH, &format!("/v1/campaigns/{first}")).json(&json!({"external_ids": []}));
    assert_eq!(api.call(release).await.status, StatusCode::OK);
    assert_eq!(api.call(call).await.status, StatusCode::CREATED);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_key_that_was_used_for_another_request(pool: PgPool) {
    let api = Api::start(pool).await;
    let first = api.call(Call::post("/v1/campaigns").json(&campaign()).once("k")).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let mut other = campaign();
    other["name"] = json!("Summer sale");
    for call in [
        Call::post("/v1/campaigns").json(&other),
        Call::post("/v1/campaigns").text(&format!(" {}", campaign())),
        Call::post("/v1/sources").json(&source("ads", "pull")),
        Call::post(&format!("/v1/campaigns/{}/launch", first.id("campaign_id"))),
    ] {
        let reply = api.call(call.once("k")).await;
        assert_eq!((reply.status, reply.code()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"));
    }
    // Quoted or bare, it is the same key.
    let again = api.call(Call::post("/v1/campaigns").json(&campaign()).once("\"k\"")).await;
    assert_replayed(&first, &again);
    let reply = api.call(Call::post("/v1/campaigns").json(&campaign()).once("two words")).await;
    assert_eq!((reply.status, reply.code()), (StatusCode::BAD_REQUEST, "invalid-idempotency-key"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_key_that_is_in_flight(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    api.source("ads", "pull").await;
    let campaign_id = api.campaign(&json!([])).await;
    let log = api.log().await.len();
    let observation = json!({"source": "shop", "observations": [
        {"id": "o", "campaign_id": campaign_id, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"},
    ]});
    let statement = json!({"source": "ads", "grain": "day", "time_zone": "UTC", "statements": [
        {"campaign_id": campaign_id, "bucket": "2026-11-20", "measures": {"clicks": 5}},
    ]});
    let calls = [
        Call::post("/v1/campaigns").json(&campaign()),
        Call::post(&format!("/v1/campaigns/{campaign_id}/launch")),
        Call::post("/v1/sources").json(&source("mail", "push")),
        Call::post("/v1/observations").json(&observation),
        Call::post("/v1/statements").json(&statement),
        Call::post("/v1/sources/ads/syncs").json(&json!({"status": "started"})),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        let call = call.once(&format!("k-{number}"));
        // Nothing is appended to the workspace's log while its head is held.
        let mut holder = api.pool.begin().await.unwrap();
        sqlx::query("SELECT position FROM log.heads WHERE workspace = 1 FOR UPDATE")
            .execute(&mut *holder)
            .await
            .unwrap();
        let first = tokio::spawn({
            let (api, call) = (api.clone(), call.clone());
            async move { api.call(call).await }
        });
        waits_for_the_head(&api).await;
        let other = Call::post("/v1/sources").json(&source("other", "push")).once(&format!("k-{number}"));
        for twin in [call.clone(), other.clone()] {
            let told = api.call(twin).await;
            assert_eq!((told.status, told.code()), (StatusCode::CONFLICT, "request-in-flight"), "{told}");
            assert_eq!(told.header("retry-after"), Some("1"));
        }
        // Another workspace's key is another key.
        let elsewhere = api.call(other.by(Some(SOUTH))).await;
        assert!(elsewhere.status.is_success(), "{elsewhere}");
        holder.rollback().await.unwrap();
        let first = first.await.unwrap();
        assert!(first.status.is_success(), "{first}");
        assert_replayed(&first, &api.call(call).await);
    }
    assert_eq!(api.log().await.len(), log + 6);
}

/// Waits until an append waits for the head that this test holds.
async fn waits_for_the_head(api: &Api) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&api.pool).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn key_is_free_after_a_failure(pool: PgPool) {
    let api = Api::start(pool).await;
    let unknown = Call::post("/v1/sources/ads/syncs").json(&json!({"status": "started"})).once("k");
    assert_eq!(api.call(unknown.clone()).await.code(), "not-found");
    api.source("ads", "pull").await;
    assert_eq!(api.call(unknown).await.status, StatusCode::OK);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn disconnected_caller_finds_its_receipt(pool: PgPool) {
    let api = Api::start(pool).await;
    let call = Call::post("/v1/campaigns").json(&campaign()).once("k");
    let mut holder = api.pool.begin().await.unwrap();
    sqlx::query("SELECT position FROM log.heads WHERE workspace = 1 FOR UPDATE").execute(&mut *holder).await.unwrap();
    let gone = tokio::spawn({
        let (api, call) = (api.clone(), call.clone());
        async move { api.call(call).await }
    });
    waits_for_the_head(&api).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    // What was queued is written all the same; the second waits behind it and is answered by its receipt.
    let again = tokio::spawn({
        let (api, call) = (api.clone(), call.clone());
        async move { api.call(call).await }
    });
    holder.rollback().await.unwrap();
    let again = again.await.unwrap();
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, Some("true")), "{again}");
    assert_eq!(api.log().await.len(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn receipt_is_kept_for_more_than_a_day(pool: PgPool) {
    let api = Api::start(pool).await;
    // Recorded at 22:00 UTC: after 47 hours it is of the day before yesterday.
    let call = Call::post("/v1/campaigns").json(&campaign()).once("k");
    let first = api.call(call.clone()).await;
    for hours in [24, 23] {
        api.clock.advance(TimeDelta::hours(hours));
        assert_replayed(&first, &api.call(call.clone()).await);
    }
    // Days later its partition is gone; the key stands for a new request then, and nothing fails.
    api.clock.advance(TimeDelta::days(4));
    sqlx::query("DROP TABLE log.receipts_20261121").execute(&api.pool).await.unwrap();
    let anew = api.call(call.clone()).await;
    assert_eq!((anew.status, anew.header("idempotency-replayed")), (StatusCode::CREATED, None), "{anew}");
    assert_ne!(anew.body["campaign_id"], first.body["campaign_id"]);
    assert_replayed(&anew, &api.call(call).await);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn receipt_is_found_after_midnight(pool: PgPool) {
    let api = Api::start(pool).await;
    let call = Call::post("/v1/campaigns").json(&campaign()).once("k");
    let first = api.call(call.clone()).await;
    api.clock.advance(TimeDelta::hours(26));
    assert_replayed(&first, &api.call(call).await);
}
