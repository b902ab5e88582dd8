//! Observations: pushed increments, each faring by itself.

use axum::http::StatusCode;
use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call};

fn click(id: &str, campaign: Uuid) -> Value {
    json!({"id": id, "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"})
}

fn batch(observations: &[Value]) -> Value {
    json!({"source": "shop", "observations": observations})
}

async fn start(pool: PgPool) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    let campaign = api.campaign(&json!([{"source": "shop", "id": "winter"}, {"id": "everywhere"}])).await;
    (api, campaign)
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn batch_is_one_event(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let items = [
        click("o-1", campaign),
        json!({"id": "o-2", "external_campaign_id": "winter", "type": "conversion", "count": 0.5,
            "value": {"amount": "59.90", "currency": "EUR"}, "occurred_at": "2026-11-21T21:30:00.5Z",
            "dimensions": {"country": "DE"}}),
        json!({"id": "o-3", "external_campaign_id": "everywhere", "type": "spend", "value": 1.25,
            "occurred_at": "2026-11-21T22:30:00+01:00"}),
        json!({"id": "o-4", "external_campaign_id": "summer", "type": "click", "occurred_at": "2026-11-21T21:30:00Z"}),
        json!({"id": 5}),
    ];
    let reply = api.post("/v1/observations", &batch(&items)).await;
    assert_snapshot!(reply, @r#"
    200 OK
    content-type: application/json
    consistency-token: Mi4xLjMuMTc5NTI5ODQwMDAwMDAwMA
    {
      "accepted": 3,
      "conflicts": 0,
      "duplicates": 0,
      "kept": 2,
      "position": 3,
      "rejected": 2,
      "results": [
        {
          "detail": "no campaign has the external id \"summer\" for the source \"shop\", or for any source",
          "field": "external_campaign_id",
          "id": "o-4",
          "index": 3,
          "reason": "unknown_campaign",
          "status": "rejected"
        },
        {
          "detail": "must be a string, not 5",
          "field": "id",
          "index": 4,
          "reason": "malformed",
          "status": "rejected"
        }
      ],
      "rounded": 0
    }
    "#);
    assert_eq!(
        api.log().await,
        ["1 source 1 SourceRegistered", "2 campaign 1 CampaignCreated", "3 observations 1 ObservationsRecorded"]
    );
    let recorded = api.last_payload().await;
    assert_eq!(recorded["campaigns"], json!([campaign]));
    assert_eq!(
        recorded["observations"],
        json!([
            ["o-1", 0, "click", 1_795_294_800_000_i64],
            ["o-2", 0, "conversion", 1_795_296_600_500_i64, 500_000, 59_900_000, {"country": "DE"}],
            ["o-3", 0, "spend", 1_795_296_600_000_i64, 1, 1_250_000],
        ])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repetition_is_a_duplicate_and_other_content_a_conflict(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let (first, second) = (click("o-1", campaign), click("o-2", campaign));
    assert_eq!(api.post("/v1/observations", &batch(&[first.clone(), second.clone()])).await.counts(), [2, 0, 0, 0]);

    let mut other = second.clone();
    other["count"] = json!(2);
    let items = [json!({}), first.clone(), click("o-3", campaign), other, click("o-3", campaign)];
    let reply = api.post("/v1/observations?results=all", &batch(&items)).await;
    assert_snapshot!(reply, @r#"
    200 OK
    content-type: application/json
    consistency-token: Mi4xLjQuMTc5NTI5ODQwMDAwMDAwMA
    {
      "accepted": 1,
      "conflicts": 1,
      "duplicates": 2,
      "kept": 1,
      "position": 4,
      "rejected": 1,
      "results": [
        {
          "detail": "is missing",
          "field": "id",
          "index": 0,
          "reason": "malformed",
          "status": "rejected"
        },
        {
          "id": "o-1",
          "index": 1,
          "reason": "already_recorded",
          "status": "duplicate"
        },
        {
          "id": "o-3",
          "index": 2,
          "status": "accepted"
        },
        {
          "id": "o-2",
          "index": 3,
          "reason": "other_content",
          "status": "conflict"
        },
        {
          "id": "o-3",
          "index": 4,
          "reason": "already_recorded",
          "status": "duplicate"
        }
      ],
      "rounded": 0
    }
    "#);
    assert_eq!(api.last_payload().await["observations"].as_array().unwrap().len(), 1);

    // A batch of which nothing is left appends nothing, and tells where the log is.
    let reply = api.post("/v1/observations", &batch(&[first])).await;
    assert_eq!((reply.counts(), reply.position()), ([0, 1, 0, 0], 4));
    assert_eq!(api.log().await.len(), 4);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn id_is_unique_per_source_type_and_day(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.source("other", "push").await;
    let first = click("o-1", campaign);
    let (mut open, mut yesterday) = (first.clone(), first.clone());
    open["type"] = json!("open");
    yesterday["occurred_at"] = json!("2026-11-20T21:00:00Z");
    assert_eq!(api.post("/v1/observations", &batch(&[first.clone(), open, yesterday])).await.counts(), [3, 0, 0, 0]);
    let elsewhere = json!({"source": "other", "observations": [first]});
    assert_eq!(api.post("/v1/observations", &elsewhere).await.counts(), [1, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_archived_campaign_takes_later_observations(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    assert_eq!(api.post("/v1/observations", &batch(&[click("o-1", campaign)])).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.call(Call::post(&format!("/v1/campaigns/{campaign}/archive"))).await.status, StatusCode::OK);
    api.clock.advance(TimeDelta::hours(1));
    let (before, mut after) = (click("o-2", campaign), click("o-3", campaign));
    after["occurred_at"] = json!("2026-11-21T22:00:00.001Z");
    assert_eq!(api.post("/v1/observations", &batch(&[before, after])).await.counts(), [2, 0, 0, 0]);
    // Logs of before say in the campaign's claim that it is archived.
    sqlx::query("UPDATE log.claims SET state = 'archived 2026-11-21T22:00:00.000000Z' WHERE kind = 'campaign'")
        .execute(&api.pool)
        .await
        .unwrap();
    let mut after = click("o-4", campaign);
    after["occurred_at"] = json!("2026-11-21T22:30:00Z");
    assert_eq!(api.post("/v1/observations", &batch(&[after])).await.counts(), [1, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn external_ids_follow_their_campaign(pool: PgPool) {
    let (api, first) = start(pool).await;
    let second = api.campaign(&json!([])).await;
    let item = |id: &str| json!({"id": id, "external_campaign_id": "winter", "type": "click", "occurred_at": "2026-11-21T21:00:00Z"});
    assert_eq!(api.post("/v1/observations", &batch(&[item("o-1")])).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["campaigns"], json!([first]));
    for (campaign, ids) in [(first, json!([])), (second, json!([{"source": "shop", "id": "winter"}]))] {
        let edit = Call::new(axum::http::Method::PATCH, &format!("/v1/campaigns/{campaign}"));
        assert_eq!(api.call(edit.json(&json!({"external_ids": ids}))).await.status, StatusCode::OK);
    }
    assert_eq!(api.post("/v1/observations", &batch(&[item("o-2")])).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["campaigns"], json!([second]));

    // A source's own id comes before the workspace's, also when that is known already.
    let everywhere = |id: &str| json!({"id": id, "external_campaign_id": "everywhere", "type": "click", "occurred_at": "2026-11-21T21:00:00Z"});
    let edit = |campaign: Uuid, ids: Value| {
        Call::new(axum::http::Method::PATCH, &format!("/v1/campaigns/{campaign}")).json(&json!({"external_ids": ids}))
    };
    assert_eq!(api.call(edit(first, json!([{"id": "everywhere"}]))).await.status, StatusCode::OK);
    assert_eq!(api.post("/v1/observations", &batch(&[everywhere("o-3")])).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["campaigns"], json!([first]));
    assert_eq!(api.call(edit(second, json!([{"source": "shop", "id": "everywhere"}]))).await.status, StatusCode::OK);
    assert_eq!(api.post("/v1/observations", &batch(&[everywhere("o-4")])).await.counts(), [1, 0, 0, 0]);
    assert_eq!(api.last_payload().await["campaigns"], json!([second]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_whole_batch_only_for_its_envelope(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.source("ads", "pull").await;
    let item = click("o-1", campaign);
    for (body, status, code, field) in [
        (json!({"source": "mail", "observations": [item]}), 422, "unknown-source", "source"),
        (json!({"source": "a\u{0}b", "observations": [item]}), 422, "unknown-source", "source"),
        (json!({"source": "ads", "observations": [item]}), 422, "wrong-source-kind", "source"),
        (json!({"source": "shop", "observations": []}), 422, "batch-size", "observations"),
        (json!({"source": "shop", "observations": vec![item.clone(); 51]}), 422, "batch-size", "observations"),
        (json!({"source": "shop", "observations": {}}), 422, "invalid-body", "observations"),
        (json!({"source": 1, "observations": [item]}), 422, "invalid-body", "source"),
        (json!({"source": "shop", "observations": [item], "more": 1}), 422, "invalid-body", "more"),
        (json!([]), 422, "invalid-body", ""),
    ] {
        let reply = api.post("/v1/observations", &body).await;
        assert_eq!((reply.status.as_u16(), reply.code(), reply.field()), (status, code, field), "{reply}");
    }
    let reply = api.post("/v1/observations?results=none", &batch(&[item])).await;
    assert_eq!((reply.status, reply.code(), reply.field()), (StatusCode::BAD_REQUEST, "invalid-query", "results"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_batch_is_answered_by_its_receipt(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let mut item = click("o-2", campaign);
    item.as_object_mut().unwrap().remove("campaign_id");
    item["external_campaign_id"] = json!("summer");
    let late = json!({"id": "o-3", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-14T22:30:00Z"});
    let call = Call::post("/v1/observations").json(&batch(&[click("o-1", campaign), item.clone(), late])).once("k");
    let first = api.call(call.clone()).await;
    assert_eq!((first.counts(), first.results()), ([2, 0, 0, 1], vec!["1 rejected unknown_campaign".to_owned()]));

    // Now the campaign is there, the other one is put away, and what was in time is late.
    api.campaign(&json!([{"id": "summer"}])).await;
    assert_eq!(api.call(Call::post(&format!("/v1/campaigns/{campaign}/archive"))).await.status, StatusCode::OK);
    api.clock.advance(TimeDelta::hours(1));
    let before = api.log().await;
    let again = api.call(call).await;
    assert_eq!((&again.body, again.header("idempotency-replayed")), (&first.body, Some("true")));
    assert_eq!(api.log().await, before);
    // What the first answer refused is still free to be sent.
    assert_eq!(api.post("/v1/observations", &batch(&[item])).await.counts(), [1, 0, 0, 0]);
}
