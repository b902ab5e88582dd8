//! What was said is taken back or said otherwise, and every number comes out exactly.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem, digest_of_epoch};
use tokio::task::JoinSet;

/// A system in the afternoon of 2026-11-20, with a shop and a campaign.
async fn shop(pool: &PgPool) -> (TestSystem, Caller, String) {
    let system = TestSystem::start(pool, "2026-11-20T15:00:00Z").await;
    let acme = system.workspace("acme").await;
    acme.push_source("shop").await;
    let campaign = acme.campaign("Winter").await;
    (system, acme, campaign)
}

async fn send(caller: &Caller, items: &[Value]) -> Value {
    let body = json!({ "source": "shop", "observations": items });
    let answer = caller.post("/v1/observations?results=all", &body).await.expect(200).body;
    caller.caught_up().await;
    answer
}

/// What became of each item: its status, and why.
fn fared(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap().iter();
    let told = results.map(|result| {
        let (status, reason) = (result["status"].as_str().unwrap(), result["reason"].as_str().unwrap_or_default());
        format!("{status} {reason}").trim().to_owned()
    });
    told.collect()
}

/// An observation of 09:05, unless `says` has another time.
fn seen(kind: &str, id: &str, campaign: &str, says: Value) -> Value {
    with(json!({ "id": id, "type": kind, "campaign_id": campaign, "occurred_at": "2026-11-20T09:05:00Z" }), says)
}

/// A correction that happens at 14:00.
fn correction(kind: &str, id: &str, adjusts: &str, says: Value) -> Value {
    with(json!({ "id": id, "type": kind, "adjusts": adjusts, "occurred_at": "2026-11-20T14:00:00Z" }), says)
}

fn with(mut item: Value, says: Value) -> Value {
    let Value::Object(says) = says else { panic!("{says} is no object") };
    item.as_object_mut().unwrap().extend(says);
    item
}

fn euros(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

/// These measures in each quarter of an hour of the day: start, then values.
async fn buckets(caller: &Caller, campaign: &str, measures: &[&str]) -> Vec<Vec<Value>> {
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?date_from=2026-11-20&date_to=2026-11-20&time_zone=UTC&granularity=15m&measures={}",
        measures.join(",")
    );
    let rows = caller.get(&path).await.expect(200).body["data"].clone();
    let row = |row: &Value| [&["bucket"], measures].concat().iter().map(|member| row[*member].clone()).collect();
    rows.as_array().unwrap().iter().map(row).collect()
}

async fn corrections(caller: &Caller, campaign: &str) -> Vec<Value> {
    let path = format!("/v1/campaigns/{campaign}/corrections?date_from=2026-11-20&date_to=2026-11-20&time_zone=UTC");
    caller.get(&path).await.expect(200).body["data"].as_array().unwrap().clone()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn refund_reduces_revenue_in_the_bucket_of_the_sale(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let order = |id, value| seen("conversion", id, &campaign, json!({ "value": value }));
    send(&acme, &[order("order-1", "59.90"), order("order-2", "20.00")]).await;
    let partly = correction("conversion", "refund-1", "order-1", json!({ "value": "49.90" }));
    assert_eq!(fared(&send(&acme, &[partly]).await), ["accepted"]);
    assert_eq!(
        buckets(&acme, &campaign, &["conversions", "revenue"]).await,
        [[json!("2026-11-20T09:00:00Z"), json!(2), euros("69.900000")]]
    );
    let wholly = correction("conversion", "refund-2", "order-1", json!({}));
    assert_eq!(fared(&send(&acme, &[wholly]).await), ["accepted"]);
    assert_eq!(
        buckets(&acme, &campaign, &["conversions", "revenue"]).await,
        [[json!("2026-11-20T09:00:00Z"), json!(1), euros("20.000000")]]
    );

    let told = corrections(&acme, &campaign).await;
    let [first, second] = told.as_slice() else { panic!("{told:#?}") };
    assert_eq!((&first["correction_id"], &first["original_id"]), (&json!("refund-1"), &json!("order-1")));
    assert_eq!((&first["source"], &first["type"]), (&json!("shop"), &json!("conversion")));
    assert_eq!(
        (&first["bucket"], &first["occurred_at"]),
        (&json!("2026-11-20T09:00:00Z"), &json!("2026-11-20T09:05:00Z"))
    );
    assert_eq!(first["corrected_at"], "2026-11-20T14:00:00Z");
    assert_eq!(first["changes"], json!({ "revenue": euros("-10.000000") }));
    assert_eq!(first["totals"], json!({ "conversions": 1, "revenue": euros("49.900000") }));
    assert_eq!(second["changes"], json!({ "conversions": -1, "revenue": euros("-49.900000") }));
    assert_eq!(second["totals"], json!({ "conversions": 0, "revenue": euros("0.000000") }));
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn retracted_click_takes_its_cost_back(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let click = |id| seen("click", id, &campaign, json!({ "value": "0.41" }));
    send(&acme, &[click("c-1"), click("c-2"), click("c-3")]).await;
    let invalid = correction("click", "ivt-1", "c-2", json!({ "campaign_id": campaign }));
    assert_eq!(fared(&send(&acme, std::slice::from_ref(&invalid)).await), ["accepted"]);
    let expected = [[json!("2026-11-20T09:00:00Z"), json!(2), euros("0.820000")]];
    assert_eq!(buckets(&acme, &campaign, &["clicks", "spend"]).await, expected);

    // The same correction again does nothing, nor does the retracted click come back by being sent again.
    let head = acme.head().await;
    assert_eq!(fared(&send(&acme, &[invalid, click("c-2")]).await), ["duplicate already_recorded"; 2]);
    let otherwise = correction("click", "ivt-1", "c-3", json!({}));
    assert_eq!(fared(&send(&acme, &[otherwise]).await), ["conflict other_content"]);
    assert_eq!(acme.head().await, head);
    assert_eq!(buckets(&acme, &campaign, &["clicks", "spend"]).await, expected);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn conversion_is_approved_or_rejected(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let pending = |id| seen("conversion", id, &campaign, json!({ "occurred_at": "2026-11-20T10:20:00Z" }));
    send(&acme, &[pending("lead-1"), pending("lead-2"), pending("lead-3")]).await;
    let expected = [[json!("2026-11-20T10:15:00Z"), json!(3), Value::Null]];
    assert_eq!(buckets(&acme, &campaign, &["conversions", "revenue"]).await, expected);
    let decided = [
        correction("conversion", "a-1", "lead-1", json!({ "value": "12.50" })),
        correction("conversion", "a-2", "lead-2", json!({ "value": 7 })),
        correction("conversion", "a-3", "lead-3", json!({})),
    ];
    assert_eq!(fared(&send(&acme, &decided).await), ["accepted"; 3]);
    let expected = [[json!("2026-11-20T10:15:00Z"), json!(2), euros("19.500000")]];
    assert_eq!(buckets(&acme, &campaign, &["conversions", "revenue"]).await, expected);
    // The rejected one was approved after all, the approved one rejected.
    let again = [
        correction("conversion", "a-4", "lead-3", json!({ "count": 1, "value": "3.25" })),
        correction("conversion", "a-5", "lead-1", json!({})),
    ];
    send(&acme, &again).await;
    let expected = [[json!("2026-11-20T10:15:00Z"), json!(2), euros("10.250000")]];
    assert_eq!(buckets(&acme, &campaign, &["conversions", "revenue"]).await, expected);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn shared_credit_sums_exactly(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let other = acme.campaign("Spring").await;
    let credit =
        |id: &str, of: &str, count: &str| seen("conversion", id, of, json!({ "count": count, "value": "0.10" }));
    // A third each, ten times: no float comes to 1 and to 0 by these.
    let credits: Vec<Value> = (0..10)
        .flat_map(|n| [credit(&format!("w-{n}"), &campaign, "0.333333"), credit(&format!("s-{n}"), &other, "0.666667")])
        .collect();
    send(&acme, &credits).await;
    let moved: Vec<Value> = (0..10)
        .flat_map(|n| {
            [
                correction("conversion", &format!("m-{n}"), &format!("w-{n}"), json!({ "count": "0.1" })),
                correction(
                    "conversion",
                    &format!("n-{n}"),
                    &format!("s-{n}"),
                    json!({ "count": "0.9", "value": "0.30" }),
                ),
            ]
        })
        .collect();
    assert_eq!(fared(&send(&acme, &moved).await), ["accepted"; 20]);
    let bucket = json!("2026-11-20T09:00:00Z");
    assert_eq!(
        buckets(&acme, &campaign, &["conversions", "revenue"]).await,
        [[bucket.clone(), json!(1), euros("1.000000")]]
    );
    assert_eq!(buckets(&acme, &other, &["conversions", "revenue"]).await, [[bucket, json!(9), euros("3.000000")]]);
    assert_eq!(corrections(&acme, &campaign).await[0]["changes"], json!({ "conversions": -0.233_333 }));
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_corrections_are_both_counted(pool: PgPool) {
    const CALLERS: u32 = 8;
    let (system, acme, campaign) = shop(&pool).await;
    send(&acme, &[seen("conversion", "order-1", &campaign, json!({ "value": "100" }))]).await;
    let mut racing = JoinSet::new();
    for n in 0..CALLERS {
        let acme = acme.clone();
        let item =
            correction("conversion", &format!("r-{n}"), "order-1", json!({ "value": n, "count": format!("0.{n}") }));
        racing.spawn(async move { send(&acme, &[item]).await["accepted"].as_u64().unwrap() });
    }
    assert_eq!(racing.join_all().await.iter().sum::<u64>(), u64::from(CALLERS));
    // Whichever came last holds, and the numbers are what it says.
    let told = corrections(&acme, &campaign).await;
    assert_eq!(told.len(), usize::try_from(CALLERS).unwrap());
    let last = &told.last().unwrap()["totals"];
    assert_eq!(
        buckets(&acme, &campaign, &["conversions", "revenue"]).await,
        [[json!("2026-11-20T09:00:00Z"), last["conversions"].clone(), last["revenue"].clone()]]
    );
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrected_final_number_is_flagged(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let says = json!({ "count": 9, "value": "0.50", "occurred_at": "2026-11-20T14:50:00Z" });
    send(&acme, &[seen("click", "c-1", &campaign, says)]).await;
    system.clock.set("2026-11-20T15:10:00Z".parse().unwrap());
    let through = json!({ "status": "completed", "complete_through": "2026-11-20T15:00:00Z", "grain": "15m" });
    acme.post("/v1/sources/shop/syncs", &through).await.expect(200);
    // The shop restates for an hour.
    system.clock.set("2026-11-20T16:30:00Z".parse().unwrap());
    acme.caught_up().await;
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?date_from=2026-11-20&date_to=2026-11-20&time_zone=UTC&granularity=15m&measures=clicks"
    );
    let before = acme.get(&path).await.expect(200);
    assert_eq!(before.body["data"][0]["state"], "final");
    assert_eq!(before.body["data"][0].get("restated_after_final"), None);

    let cost = correction("click", "r-1", "c-1", json!({ "value": "0.25", "occurred_at": "2026-11-20T16:20:00Z" }));
    send(&acme, &[cost]).await;
    // Clicks are as they were: only the cost was restated.
    let after_cost = acme.get(&path).await.expect(200);
    assert_eq!(after_cost.body["data"][0].get("restated_after_final"), None);
    let fewer = correction("click", "r-2", "c-1", json!({ "count": 7, "occurred_at": "2026-11-20T16:25:00Z" }));
    send(&acme, &[fewer]).await;
    let after = acme.get(&path).await.expect(200);
    assert_eq!(after.body["data"][0]["clicks"], 7);
    assert_eq!(after.body["data"][0]["restated_after_final"], true);
    assert_ne!(before.header("etag"), after.header("etag"));
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn accepts_original_and_corrections_in_one_batch(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let batch = [
        correction("conversion", "too-early", "order-1", json!({})),
        seen("conversion", "order-1", &campaign, json!({ "value": "10" })),
        correction("conversion", "r-1", "order-1", json!({})),
        correction("conversion", "r-2", "order-1", json!({ "count": "0.25", "value": "4.000001" })),
    ];
    assert_eq!(fared(&send(&acme, &batch).await), ["rejected unknown_observation", "accepted", "accepted", "accepted"]);
    let expected = [[json!("2026-11-20T09:00:00Z"), json!(0.25), euros("4.000001")]];
    assert_eq!(buckets(&acme, &campaign, &["conversions", "revenue"]).await, expected);
    // All of it again: what is recorded is not recorded twice, and what came too early is taken now.
    assert_eq!(
        fared(&send(&acme, &batch).await),
        ["accepted", "duplicate already_recorded", "duplicate already_recorded", "duplicate already_recorded"]
    );
    let expected = [[json!("2026-11-20T09:00:00Z"), json!(0), euros("0.000000")]];
    assert_eq!(buckets(&acme, &campaign, &["conversions", "revenue"]).await, expected);
    let told = corrections(&acme, &campaign).await;
    assert_eq!(told.iter().map(|row| row["correction_id"].clone()).collect::<Vec<_>>(), ["r-1", "r-2", "too-early"]);

    // A rebuild comes to the same rows, to the byte.
    let live = system.live_epoch(&acme).await;
    system.replay().await;
    let rebuilt = system.live_epoch(&acme).await;
    assert_ne!(live, rebuilt);
    acme.caught_up_in_every_epoch().await;
    assert_eq!(digest_of_epoch(&pool, live).await, digest_of_epoch(&pool, rebuilt).await);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_uncorrectable_items_one_by_one(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let other = acme.campaign("Spring").await;
    let yesterday = json!({ "occurred_at": "2026-11-19T09:05:00Z" });
    let given = [
        seen("click", "c-1", &campaign, json!({})),
        seen("click", "c-2", &campaign, json!({})),
        seen("click", "c-2", &campaign, yesterday),
        correction("click", "r-0", "c-1", json!({ "count": 2 })),
    ];
    assert_eq!(fared(&send(&acme, &given).await), ["accepted"; 4]);
    let items = [
        correction("click", "r-1", "c-9", json!({})),
        correction("click", "r-2", "c-2", json!({})),
        correction("click", "r-3", "r-0", json!({})),
        correction("click", "r-4", "c-1", json!({ "campaign_id": other })),
        correction("click", "r-5", "c-1", json!({ "dimensions": { "country": "DE" } })),
        correction("click", "r-6", "c-1", json!({ "count": "0.5" })),
        correction("click", "r-7", "c-1", json!({ "adjusts": [] })),
        correction("click", "r-8", "c-2", json!({ "adjusts": { "id": "c-2", "day": "2026-11-19" }, "count": 3 })),
    ];
    assert_eq!(
        fared(&send(&acme, &items).await),
        [
            "rejected unknown_observation",
            "rejected ambiguous_observation",
            "rejected adjusts_correction",
            "rejected other_campaign",
            "rejected dimensions_not_taken",
            "rejected bad_count",
            "rejected bad_adjusts",
            "accepted",
        ]
    );
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn late_items_count_when_they_occurred_and_too_late_ones_are_rejected(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let at = |id: &str, when: &str| seen("click", id, &campaign, json!({ "occurred_at": when }));
    send(&acme, &[at("on-time", "2026-11-20T14:58:00Z")]).await;
    let items = [
        at("late", "2026-11-20T02:14:59.999Z"),
        at("very-late", "2026-11-13T15:00:00Z"),
        at("too-late", "2026-11-13T14:59:59.999Z"),
        at("soon", "2026-11-20T15:05:00Z"),
        at("too-soon", "2026-11-20T15:05:00.001Z"),
    ];
    assert_eq!(
        fared(&send(&acme, &items).await),
        ["accepted", "accepted", "rejected too_old", "accepted", "rejected in_future"]
    );
    assert_eq!(
        buckets(&acme, &campaign, &["clicks"]).await,
        [
            [json!("2026-11-20T02:00:00Z"), json!(1)],
            [json!("2026-11-20T14:45:00Z"), json!(1)],
            [json!("2026-11-20T15:00:00Z"), json!(1)]
        ]
    );
    // What was too soon is not, once that time has come.
    system.clock.advance(TimeDelta::milliseconds(1));
    assert_eq!(fared(&send(&acme, &[at("too-soon", "2026-11-20T15:05:00.001Z")]).await), ["accepted"]);
    system.stop().await;
}
