//! Corrections of observations that the log holds.

use std::collections::{BTreeMap, HashSet};

use chrono::TimeDelta;
use command_api::StreamLimits;
use event_store::AppenderConfig;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Api, Call};

async fn start(pool: PgPool) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    let campaign = api.campaign(&json!([])).await;
    (api, campaign)
}

fn batch(observations: &[Value]) -> Value {
    json!({"source": "shop", "observations": observations})
}

fn sale(id: &str, campaign: Uuid) -> Value {
    json!({"id": id, "campaign_id": campaign, "type": "conversion", "occurred_at": "2026-11-20T09:07:00Z",
           "value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}})
}

fn correction(id: &str, of: &str, says: &Value) -> Value {
    let mut item = json!({"id": id, "type": "conversion", "occurred_at": "2026-11-21T21:00:00Z", "adjusts": of});
    item.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
    item
}

/// What all rows of the log add to conversions and revenue, and how many there are.
async fn sums(api: &Api) -> (i64, i64, usize) {
    let payloads: Vec<String> =
        sqlx::query_scalar("SELECT payload::text FROM log.events WHERE event_type = 'ObservationsRecorded'")
            .fetch_all(&api.pool)
            .await
            .unwrap();
    let batches: Vec<Value> = payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect();
    let rows: Vec<&Value> = batches.iter().flat_map(|batch| batch["observations"].as_array().unwrap()).collect();
    // A sale counts one conversion where its row does not say.
    let count = |row: &&Value| row[4].as_i64().unwrap_or(1_000_000);
    (rows.iter().map(count).sum(), rows.iter().filter_map(|row| row[5].as_i64()).sum(), rows.len())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn correction_is_recorded_as_a_difference(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    // The original is not the only one in its event, nor its event the only one.
    let sales: Vec<Value> = (0..5).map(|n| sale(&format!("order-{n}"), campaign)).collect();
    assert_eq!(api.post("/v1/observations", &batch(&sales)).await.counts(), [5, 0, 0, 0]);
    assert_eq!(api.post("/v1/observations", &batch(&[sale("order-9", campaign)])).await.counts(), [1, 0, 0, 0]);
    let refund = correction("refund-1", "order-3", &json!({"value": "50.00"}));
    let reply = api.post("/v1/observations", &batch(&[refund])).await;
    assert_eq!(reply.counts(), [1, 0, 0, 0]);
    let recorded = api.last_payload().await;
    assert_eq!(recorded["campaigns"], json!([campaign]));
    assert_eq!(
        recorded["observations"],
        json!([["refund-1", 0, "conversion", 1_795_165_620_000_i64, 0, -9_900_000, {"country": "DE"},
                {"of": "order-3", "at": 1_795_294_800_000_i64, "count": 1_000_000, "value": 50_000_000}]])
    );
    let retraction = correction("refund-2", "order-3", &json!({}));
    assert_eq!(api.post("/v1/observations", &batch(&[retraction])).await.counts(), [1, 0, 0, 0]);
    let recorded = api.last_payload().await;
    let row = &recorded["observations"][0];
    assert_eq!((&row[4], &row[5]), (&json!(-1_000_000), &json!(-50_000_000)));
    assert_eq!(sums(&api).await, (5_000_000, 5 * 59_900_000, 8));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_correction_is_a_duplicate(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.post("/v1/observations", &batch(&[sale("order-1", campaign)])).await;
    let refund = correction("refund-1", "order-1", &json!({}));
    let once = Call::post("/v1/observations").json(&batch(&[refund.clone(), refund.clone()])).once("k-1");
    let first = api.call(once.clone()).await;
    assert_eq!(first.counts(), [1, 1, 0, 0]);
    assert_eq!(api.call(once).await.body, first.body);
    assert_eq!(api.post("/v1/observations", &batch(&[refund])).await.counts(), [0, 1, 0, 0]);
    let other = correction("refund-1", "order-1", &json!({"count": 1}));
    let reply = api.post("/v1/observations", &batch(&[other])).await;
    assert_eq!(reply.results(), ["0 conflict other_content"]);
    assert_eq!(sums(&api).await, (0, 0, 2));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn invalid_corrections_are_rejected_one_by_one(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let other = api.campaign(&json!([])).await;
    let mut days_before = sale("order-2", campaign);
    days_before["occurred_at"] = json!("2026-11-18T09:00:00Z");
    let click =
        json!({"id": "order-3", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-20T09:00:00Z"});
    let given = [sale("order-1", campaign), sale("order-2", campaign), days_before, click];
    assert_eq!(api.post("/v1/observations", &batch(&given)).await.counts(), [4, 0, 0, 0]);
    api.post("/v1/observations", &batch(&[correction("r-0", "order-1", &json!({"count": 1}))])).await;
    let items = [
        correction("r-1", "order-9", &json!({})),
        correction("r-2", "order-2", &json!({})),
        correction("r-3", "r-0", &json!({})),
        correction("r-4", "order-1", &json!({"campaign_id": other})),
        correction("r-5", "order-1", &json!({"dimensions": {"country": "FR"}})),
        // Ids are a type's own.
        correction("r-6", "order-3", &json!({})),
        correction("r-7", "order-1", &json!({"value": {"amount": 1, "currency": "USD"}})),
        correction("r-8", "order-1", &json!({"occurred_at": "2026-11-21T22:06:00Z"})),
        correction("r-9", "order-1", &json!({"adjusts": {"id": "order-1", "day": "2026-10-01"}})),
        correction("r-9a", "order-1", &json!({"adjusts": {"id": "order-1", "day": "-262143-01-01"}})),
        correction("r-9b", "order-1", &json!({"adjusts": {"id": "order-1", "day": "+262142-12-31"}})),
        correction("r-9c", "order-1", &json!({"adjusts": {"id": "order-1", "day": "0000-01-01"}})),
        correction("r-9d", "order-1", &json!({"adjusts": {"id": "order-1", "day": "9999-12-31"}})),
        correction(
            "r-10",
            "order-2",
            &json!({"adjusts": {"id": "order-2", "day": "2026-11-18"}, "campaign_id": campaign}),
        ),
    ];
    let reply = api.post("/v1/observations", &batch(&items)).await;
    assert_eq!(
        reply.results(),
        [
            "0 rejected unknown_observation",
            "1 rejected ambiguous_observation",
            "2 rejected adjusts_correction",
            "3 rejected other_campaign",
            "4 rejected dimensions_not_taken",
            "5 rejected unknown_observation",
            "6 rejected currency_mismatch",
            "7 rejected in_future",
            "8 rejected too_old",
            "9 rejected bad_adjusts",
            "10 rejected bad_adjusts",
            "11 rejected too_old",
            "12 rejected unknown_observation",
        ]
    );
    assert_eq!(reply.counts(), [1, 0, 0, 13]);
    assert_eq!(api.last_payload().await["observations"][0][3], json!(1_794_992_400_000_i64));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lines_may_correct_what_earlier_lines_said(pool: PgPool) {
    let limits = StreamLimits { chunk_lines: 2, ..StreamLimits::default() };
    let api = Api::with(pool, limits, AppenderConfig::default()).await;
    api.source("shop", "push").await;
    let campaign = api.campaign(&json!([])).await;
    let lines = [
        sale("order-1", campaign),
        sale("order-2", campaign),
        correction("r-1", "order-1", &json!({})),
        correction("r-2", "order-2", &json!({"value": "9.90"})),
        correction("r-1", "order-1", &json!({})),
        correction("r-3", "order-2", &json!({"count": "0.5"})),
    ];
    let body: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let post = Call::post("/v1/observations?source=shop").typed("application/x-ndjson", body.as_bytes()).once("k-1");
    // Sent twice, as a caller does whose connection broke.
    for replayed in [false, true] {
        let reply = api.call(post.clone()).await;
        let accepted: Vec<_> = reply.body.as_array().unwrap().iter().map(|line| line["accepted"].clone()).collect();
        assert_eq!(accepted, [2, 2, 1, 5].map(|count| json!(count)), "{reply}");
        assert_eq!(reply.body[0]["replayed"], replayed, "{reply}");
        assert_eq!(sums(&api).await, (500_000, 9_900_000, 5));
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn original_is_found_within_the_window(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.post("/v1/observations", &batch(&[sale("order-1", campaign)])).await;
    let late = |id: &str, now: &str| correction(id, "order-1", &json!({"occurred_at": now}));
    // The source restates for 30 days.
    api.clock.set("2026-12-20T09:00:00Z".parse().unwrap());
    let reply = api.post("/v1/observations", &batch(&[late("r-1", "2026-12-20T09:00:00Z")])).await;
    assert_eq!(reply.counts(), [1, 0, 0, 0]);
    api.clock.set("2026-12-21T09:00:00Z".parse().unwrap());
    let reply = api.post("/v1/observations", &batch(&[late("r-2", "2026-12-21T09:00:00Z")])).await;
    assert_eq!(reply.results(), ["0 rejected unknown_observation"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn observations_of_an_archived_campaign_can_be_corrected(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    api.post("/v1/observations", &batch(&[sale("order-1", campaign)])).await;
    let reply = api.call(Call::post(&format!("/v1/campaigns/{campaign}/archive"))).await;
    assert_eq!(reply.status, 200, "{reply}");
    api.clock.advance(TimeDelta::hours(2));
    let after = json!({"occurred_at": "2026-11-21T23:30:00Z"});
    let mut sold_after = sale("order-2", campaign);
    sold_after["occurred_at"] = json!("2026-11-21T23:10:00Z");
    assert_eq!(api.post("/v1/observations", &batch(&[sold_after])).await.counts(), [1, 0, 0, 0]);
    let corrections = [correction("r-1", "order-1", &after), correction("r-2", "order-2", &after)];
    assert_eq!(api.post("/v1/observations", &batch(&corrections)).await.counts(), [2, 0, 0, 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrections_that_race_are_all_counted_exactly(pool: PgPool) {
    const CALLERS: i64 = 12;
    let (api, campaign) = start(pool).await;
    api.post("/v1/observations", &batch(&[sale("order-1", campaign), sale("order-2", campaign)])).await;
    let mut racing = JoinSet::new();
    for n in 0..CALLERS {
        let says = json!({"count": format!("0.{n:02}"), "value": n});
        let items = [
            correction(&format!("r-{n}"), "order-1", &says),
            correction(&format!("s-{n}"), "order-2", &says),
            // All of them send this one too.
            correction("t", "order-2", &json!({"value": 7})),
        ];
        let api = api.clone();
        racing.spawn(async move { api.post("/v1/observations", &batch(&items)).await.counts() });
    }
    let counts = racing.join_all().await;
    assert_eq!(counts.iter().map(|counts| counts[0]).sum::<i64>(), 2 * CALLERS + 1, "{counts:?}");
    assert_eq!(counts.iter().map(|counts| counts[1]).sum::<i64>(), CALLERS - 1, "{counts:?}");
    // The rows add up to what the last correction of each left, which is what the claims say.
    let states: Vec<String> = sqlx::query_scalar("SELECT state FROM log.claims WHERE kind = 'correction'")
        .fetch_all(&api.pool)
        .await
        .unwrap();
    let totals: Vec<(i64, i64)> = states.iter().map(|state| serde_json::from_str(state).unwrap()).collect();
    assert_eq!(totals.len(), 2);
    let (count, value, rows) = sums(&api).await;
    assert_eq!(count, totals.iter().map(|total| total.0).sum::<i64>());
    assert_eq!(value, totals.iter().map(|total| total.1).sum::<i64>());
    assert_eq!(rows, 2 + usize::try_from(2 * CALLERS + 1).unwrap());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrections_racing_with_their_original_are_all_counted(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let mut racing = JoinSet::new();
    for n in 0..8 {
        let items = [sale("order-1", campaign), correction(&format!("r-{n}"), "order-1", &json!({"value": n}))];
        let api = api.clone();
        racing.spawn(async move { api.post("/v1/observations", &batch(&items)).await.counts() });
    }
    let counts = racing.join_all().await;
    assert_eq!(counts.iter().map(|counts| counts[0]).sum::<i64>(), 9, "{counts:?}");
    let state: String = sqlx::query_scalar("SELECT state FROM log.claims WHERE kind = 'correction'")
        .fetch_one(&api.pool)
        .await
        .unwrap();
    let total: (i64, i64) = serde_json::from_str(&state).unwrap();
    assert_eq!(sums(&api).await, (total.0, total.1, 9));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_items_in_a_batch_are_judged_by_the_log(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let click = |count: i64| json!({"id": "c-1", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-21T21:00:00Z", "count": count});
    api.post("/v1/observations", &batch(&[click(1)])).await;
    let reply = api.post("/v1/observations", &batch(&[click(2), click(2), click(1), click(3)])).await;
    assert_eq!(
        reply.results(),
        [
            "0 conflict other_content",
            "1 conflict other_content",
            "2 duplicate already_recorded",
            "3 conflict other_content"
        ]
    );
    // Callers that send the same twins at once: one item is recorded, the others are told apart by it.
    let racing: JoinSet<_> = (0..8)
        .map(|n| {
            let api = api.clone();
            let item = move |count: i64| {
                json!({"id": "c-2", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-21T21:00:00Z", "count": count})
            };
            async move { api.post("/v1/observations", &batch(&[item(n % 2 + 1), item(1), item(2)])).await.counts() }
        })
        .collect();
    let counts = racing.join_all().await;
    assert_eq!(counts.iter().map(|counts| counts[0]).sum::<i64>(), 1, "{counts:?}");
    let recorded = api.last_payload().await["observations"][0].clone();
    let is_one = recorded.as_array().unwrap().len() == 4;
    // Of each three items that are 1 or 2, those that are as the recorded one are duplicates, but for itself.
    let duplicates = 8 + 4 - 1;
    assert_eq!(counts.iter().map(|counts| counts[1]).sum::<i64>(), duplicates, "one: {is_one}, {counts:?}");
    assert_eq!(counts.iter().map(|counts| counts[2]).sum::<i64>(), 24 - duplicates - 1, "{counts:?}");
}

/// What the log comes to, as plainly as can be said: which items it has, and conversions and revenue of each order.
#[derive(Default)]
struct Model {
    items: HashSet<String>,
    orders: BTreeMap<String, (i64, i64)>,
}

impl Model {
    /// How an item fares.
    fn take(&mut self, item: &Value) -> &'static str {
        let id = item["id"].as_str().unwrap().to_owned();
        if self.items.contains(&id) {
            return "duplicate";
        }
        let millionths = |member: &str| {
            let number = item[member].as_str()?.replace('.', "");
            number.parse::<i64>().ok()
        };
        if let Some(of) = item["adjusts"].as_str() {
            let Some(total) = self.orders.get_mut(of) else { return "rejected" };
            *total = match (millionths("count"), millionths("value")) {
                (None, None) => (0, 0),
                (count, value) => (count.unwrap_or(total.0), value.unwrap_or(total.1)),
            };
        } else {
            self.orders.insert(id.clone(), (1_000_000, 59_900_000));
        }
        self.items.insert(id);
        "accepted"
    }
}

/// Orders and corrections of them, also of orders that are not there yet.
fn any_items(rng: &mut StdRng, named: &mut usize) -> Vec<Value> {
    fn maybe(rng: &mut StdRng, member: &str) -> Value {
        if rng.random() { json!({member: format!("0.{:06}", rng.random_range(0..1_000_000))}) } else { json!({}) }
    }
    let mut items = Vec::new();
    for _ in 0..rng.random_range(1..7) {
        let order = format!("order-{}", rng.random_range(0..12));
        if rng.random_ratio(1, 3) {
            items.push(sale(&order, Uuid::nil()));
        } else {
            *named += 1;
            let mut says = maybe(rng, "count");
            says.as_object_mut().unwrap().extend(maybe(rng, "value").as_object().unwrap().clone());
            items.push(correction(&format!("r-{named}"), &order, &says));
        }
    }
    items
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn log_sums_to_the_last_totals(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let mut rng = StdRng::seed_from_u64(7);
    let (mut model, mut named) = (Model::default(), 0);
    let mut batches: Vec<Vec<Value>> = Vec::new();
    for _ in 0..80 {
        // A batch is sent again now and then: what was refused is taken then, if its order has come meanwhile.
        let items = if !batches.is_empty() && rng.random_ratio(1, 4) {
            batches[rng.random_range(0..batches.len())].clone()
        } else {
            let mut items = any_items(&mut rng, &mut named);
            for sale in items.iter_mut().filter(|item| item["adjusts"].is_null()) {
                sale["campaign_id"] = json!(campaign);
            }
            items
        };
        let reply = api.post("/v1/observations?results=all", &batch(&items)).await;
        let fared: Vec<&str> =
            reply.body["results"].as_array().unwrap().iter().map(|item| item["status"].as_str().unwrap()).collect();
        let expected: Vec<&str> = items.iter().map(|item| model.take(item)).collect();
        assert_eq!(fared, expected, "{items:#?}");
        batches.push(items);
        let totals = model.orders.values().fold((0, 0), |sum, total| (sum.0 + total.0, sum.1 + total.1));
        assert_eq!(sums(&api).await, (totals.0, totals.1, model.items.len()));
    }
}
