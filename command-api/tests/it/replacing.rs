//! Statements that are taken back: by null, and by a batch that is all that its source states.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Api, Call};

fn day(campaign: Uuid, bucket: &str, measures: &Value) -> Value {
    json!({"campaign_id": campaign, "bucket": bucket, "measures": measures})
}

fn batch(statements: &[Value]) -> Value {
    json!({"source": "ads", "grain": "day", "time_zone": "Europe/Berlin", "statements": statements})
}

fn replacing(statements: &[Value], replace: &Value) -> Value {
    let mut body = batch(statements);
    body["replace"] = replace.clone();
    body
}

/// A day that is replaced as a whole.
fn whole(bucket: &str) -> Value {
    json!({"from": bucket, "to": bucket})
}

async fn start<const N: usize>(pool: PgPool) -> (Api, [Uuid; N]) {
    let api = Api::start(pool).await;
    api.source("ads", "pull").await;
    let mut campaigns = [Uuid::nil(); N];
    for campaign in &mut campaigns {
        *campaign = api.campaign(&json!([])).await;
    }
    (api, campaigns)
}

/// Sends a batch: what was accepted, and how many values were taken back.
async fn send(api: &Api, body: &Value) -> (i64, i64) {
    api.clock.advance(chrono::TimeDelta::seconds(1));
    send_as_it_is(api, body).await
}

async fn send_as_it_is(api: &Api, body: &Value) -> (i64, i64) {
    let reply = api.post("/v1/statements", body).await;
    (reply.counts()[0], reply.body["retracted"].as_i64().unwrap())
}

/// What the events come to: by campaign, bucket and measure, the value that was recorded last.
async fn stated(api: &Api) -> BTreeMap<(Uuid, String, String), i64> {
    let payloads: Vec<String> = sqlx::query_scalar(
        "SELECT payload::text FROM log.events WHERE event_type = 'StatementsRecorded' ORDER BY workspace, position",
    )
    .fetch_all(&api.pool)
    .await
    .unwrap();
    let mut values = BTreeMap::new();
    for payload in payloads {
        let payload: Value = serde_json::from_str(&payload).unwrap();
        for statement in payload["statements"].as_array().unwrap() {
            for (measure, value) in statement["measures"].as_object().unwrap() {
                let campaign = statement["campaign"].as_str().unwrap().parse().unwrap();
                let key = (campaign, statement["bucket"].as_str().unwrap().to_owned(), measure.clone());
                match value.as_i64() {
                    Some(value) => values.insert(key, value),
                    None => values.remove(&key),
                };
            }
        }
    }
    values
}

fn key(campaign: Uuid, bucket: &str, measure: &str) -> (Uuid, String, String) {
    (campaign, bucket.to_owned(), measure.to_owned())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn null_takes_a_value_back_as_a_statement_like_others(pool: PgPool) {
    let (api, [campaign]) = start(pool).await;
    let say = |clicks: Value, at: &str| {
        let mut item = day(campaign, "2026-11-20", &json!({ "clicks": clicks }));
        item["stated_at"] = json!(at);
        batch(&[item])
    };
    assert_eq!(send(&api, &say(json!(0), "2026-11-21T01:00:00Z")).await, (1, 0));
    assert_eq!(send(&api, &say(Value::Null, "2026-11-21T03:00:00Z")).await, (1, 1));
    assert_eq!(api.last_payload().await["statements"][0]["measures"], json!({"clicks": null}));
    assert_eq!(stated(&api).await, BTreeMap::new());
    let recorded = api.log().await.len();

    let late = api.post("/v1/statements", &say(json!(7), "2026-11-21T02:00:00Z")).await;
    assert_eq!(late.results(), ["0 duplicate superseded"]);
    let again = api.post("/v1/statements", &say(Value::Null, "2026-11-21T04:00:00Z")).await;
    assert_eq!((again.results(), &again.body["retracted"]), (vec!["0 duplicate unchanged".to_owned()], &json!(0)));
    assert_eq!(api.log().await.len(), recorded);
    assert_eq!(send(&api, &say(json!(0), "2026-11-21T05:00:00Z")).await, (1, 0));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn taking_back_what_was_never_stated_appends_nothing(pool: PgPool) {
    let (api, [campaign]) = start(pool).await;
    let before = api.log().await.len();
    assert_eq!(send(&api, &batch(&[day(campaign, "2026-11-20", &json!({"clicks": null}))])).await, (0, 0));
    assert_eq!(api.log().await.len(), before);
    // Nor does it say in which grain the measure is stated.
    let hours = json!({"source": "ads", "grain": "hour", "time_zone": "UTC", "statements": [
        {"campaign_id": campaign, "bucket": "2026-11-20T10:00:00Z", "measures": {"clicks": 1}}]});
    assert_eq!(send(&api, &hours).await, (1, 0));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replacing_takes_back_what_the_batch_does_not_name(pool: PgPool) {
    let (api, [a, b]) = start(pool).await;
    let both = json!({"clicks": 5, "spend": "1.5", "opens": 3});
    let items = [day(a, "2026-11-19", &both), day(a, "2026-11-20", &both), day(b, "2026-11-20", &both)];
    assert_eq!(send(&api, &batch(&items)).await, (3, 0));

    // Of a's day the emptied cell, of b's day all that the batch names of any; the other day and opens stay.
    let export = [day(a, "2026-11-20", &json!({"clicks": 6})), day(a, "2026-11-18", &json!({"spend": 2}))];
    assert_eq!(send(&api, &replacing(&export, &whole("2026-11-20"))).await, (2, 3));
    let expected = [
        (key(a, "2026-11-18", "spend"), 2_000_000),
        (key(a, "2026-11-19", "clicks"), 5),
        (key(a, "2026-11-19", "spend"), 1_500_000),
        (key(a, "2026-11-19", "opens"), 3),
        (key(a, "2026-11-20", "clicks"), 6),
        (key(a, "2026-11-20", "opens"), 3),
        (key(b, "2026-11-20", "opens"), 3),
    ];
    assert_eq!(stated(&api).await, expected.into());
    let recorded = api.log().await.len();
    assert_eq!(send(&api, &replacing(&export, &whole("2026-11-20"))).await, (0, 0));
    assert_eq!(api.log().await.len(), recorded);

    // A batch without statements, of some campaigns and measures.
    let part = json!({"from": "2026-11-01", "to": "2026-11-21", "campaign_ids": [a], "measures": ["opens"]});
    assert_eq!(send(&api, &replacing(&[], &part)).await, (0, 2));
    let left = stated(&api).await;
    assert_eq!(
        left.keys().filter(|(_, _, measure)| measure == "opens").collect::<Vec<_>>(),
        [&key(b, "2026-11-20", "opens")]
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn export_a_then_b_then_a_ends_at_a(pool: PgPool) {
    let (api, [one, two]) = start(pool).await;
    let export = |items: &[Value]| replacing(items, &json!({"from": "2026-11-01", "to": "2026-11-20"}));
    let a = export(&[
        day(one, "2026-11-19", &json!({"clicks": 10, "spend": 1})),
        day(two, "2026-11-20", &json!({"clicks": 7, "spend": 2})),
    ]);
    let b = export(&[
        day(one, "2026-11-19", &json!({"clicks": 12})),
        day(one, "2026-11-20", &json!({"clicks": 1, "spend": 3})),
    ]);
    send(&api, &a).await;
    let at_a = stated(&api).await;
    assert_eq!(send(&api, &b).await, (2, 3));
    assert_ne!(stated(&api).await, at_a);
    assert_eq!(send(&api, &a).await, (2, 2));
    assert_eq!(stated(&api).await, at_a);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn newer_statements_and_the_values_of_rejected_items_stay(pool: PgPool) {
    let (api, [a, b]) = start(pool).await;
    let clicks = |campaign, at: &str| {
        let mut item = day(campaign, "2026-11-20", &json!({"clicks": 5}));
        item["stated_at"] = json!(at);
        item
    };
    let items = [clicks(a, "2026-11-21T05:00:00Z"), clicks(b, "2026-11-21T01:00:00Z")];
    assert_eq!(send(&api, &batch(&items)).await, (2, 0));
    // An export of three o'clock does not know what was stated at five.
    let mut other = day(b, "2026-11-19", &json!({"clicks": 1}));
    other["stated_at"] = json!("2026-11-21T03:00:00Z");
    assert_eq!(send(&api, &replacing(&[other.clone()], &whole("2026-11-20"))).await, (1, 1));
    assert_eq!(stated(&api).await.get(&key(a, "2026-11-20", "clicks")), Some(&5));

    // An item that cannot be read may name anything.
    let unreadable = day(a, "2026-11-20", &json!({"clicks": "many"}));
    let reply = api.post("/v1/statements", &replacing(&[unreadable, other], &whole("2026-11-20"))).await;
    assert_eq!((reply.counts(), &reply.body["retracted"]), ([0, 1, 0, 1], &json!(0)));
    // A campaign that is not there has no values.
    let unknown = day(Uuid::from_u128(7), "2026-11-20", &json!({"clicks": 1}));
    let reply = api.post("/v1/statements", &replacing(&[unknown], &whole("2026-11-20"))).await;
    assert_eq!((reply.counts(), &reply.body["retracted"]), ([0, 0, 0, 1], &json!(1)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_retry_is_told_what_was_taken_back(pool: PgPool) {
    let (api, [a]) = start(pool).await;
    send(&api, &batch(&[day(a, "2026-11-20", &json!({"clicks": 5}))])).await;
    let empty = replacing(&[], &json!({"from": "2026-11-20", "to": "2026-11-20", "measures": ["clicks"]}));
    let call = || Call::post("/v1/statements").json(&empty).once("export-7");
    let first = api.call(call()).await;
    let second = api.call(call()).await;
    assert_eq!(first.body["retracted"], 1);
    assert_eq!((second.header("idempotency-replayed"), &second.body), (Some("true"), &first.body));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_parts_that_cannot_be_replaced(pool: PgPool) {
    let (api, [a]) = start(pool).await;
    let item = day(a, "2026-11-20", &json!({"clicks": 5}));
    for (replace, field) in [
        (json!({"from": "2026-11-20", "to": "2026-11-19"}), "replace.to"),
        (json!({"from": "2026-11-20T00:00:00Z", "to": "2026-11-21"}), "replace.from"),
        (json!({"from": "2026-11-20", "to": "soon"}), "replace.to"),
        (json!({"from": "2026-11-20", "to": "2026-11-20", "measures": ["klicks"]}), "replace.measures"),
        (json!({"from": "2026-11-20", "to": "2026-11-20", "measures": []}), "replace.measures"),
        (json!({"from": "2026-11-20"}), "replace"),
        (json!({"from": "2026-11-20", "to": "2026-11-20", "campaigns": []}), "replace.campaigns"),
    ] {
        let reply = api.post("/v1/statements", &replacing(std::slice::from_ref(&item), &replace)).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (422, "invalid-body"), "{reply}");
        assert!(reply.field().starts_with(field), "{reply}");
    }
    let reply = api.post("/v1/statements", &replacing(&[], &whole("2026-11-20"))).await;
    assert_eq!((reply.status.as_u16(), reply.field()), (422, "replace.measures"), "{reply}");
    assert_eq!(stated(&api).await, BTreeMap::new());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn too_much_is_not_replaced_at_once(pool: PgPool) {
    // The API of tests takes back ten values at once.
    let (api, [a]) = start(pool).await;
    let items: Vec<Value> = (1..=11).map(|date| day(a, &format!("2026-11-{date:02}"), &json!({"clicks": 5}))).collect();
    send(&api, &batch(&items)).await;
    let empty = |to: &str| replacing(&[], &json!({"from": "2026-11-01", "to": to, "measures": ["clicks"]}));
    let reply = api.post("/v1/statements", &empty("2026-11-11")).await;
    assert_eq!((reply.status.as_u16(), reply.code(), reply.field()), (422, "replacement-too-large", "replace"));
    assert_eq!(stated(&api).await.len(), 11);
    assert_eq!(send(&api, &empty("2026-11-10")).await, (0, 10));
    assert_eq!(stated(&api).await.len(), 1);
}

/// Whatever the order in which exports of the same day are taken, the last one alone holds in the end.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn racing_exports_end_at_one_of_them(pool: PgPool) {
    let (api, campaigns) = start::<6>(pool).await;
    let mut racing = JoinSet::new();
    for (number, campaign) in campaigns.into_iter().enumerate() {
        let api = api.clone();
        let clicks = json!({"clicks": number + 1});
        let export = replacing(&[day(campaign, "2026-11-20", &clicks)], &whole("2026-11-20"));
        racing.spawn(async move { send_as_it_is(&api, &export).await });
    }
    let taken: Vec<(i64, i64)> = racing.join_all().await;
    let retracted: i64 = taken.iter().map(|(_, retracted)| retracted).sum();
    assert_eq!(retracted, 5, "{taken:?}");
    assert_eq!(stated(&api).await.len(), 1);
}
