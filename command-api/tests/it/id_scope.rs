//! Ids that are unique for as long as their source may send, whatever day an observation says.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Api, Call, source};

/// A source whose ids are unique for its window of so many days, at an instant.
async fn start(pool: PgPool, now: &str, window_days: i64) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    let campaign = api.campaign(&json!([])).await;
    api.clock.set(now.parse().unwrap());
    let mut shop = source("shop", "push");
    shop["id_scope"] = json!("window");
    shop["observation_window_s"] = json!(window_days * 86_400);
    assert_eq!(api.post("/v1/sources", &shop).await.status, StatusCode::CREATED);
    (api, campaign)
}

fn order(id: &str, campaign: Uuid, occurred_at: &str, amount: &str) -> Value {
    json!({"id": id, "campaign_id": campaign, "type": "conversion", "occurred_at": occurred_at, "value": amount})
}

fn correction(id: &str, adjusts: &Value, occurred_at: &str, amount: &str) -> Value {
    json!({"id": id, "adjusts": adjusts, "type": "conversion", "occurred_at": occurred_at, "value": amount})
}

async fn send(api: &Api, items: &[Value]) -> crate::support::Reply {
    api.post("/v1/observations", &json!({"source": "shop", "observations": items})).await
}

/// What all rows of the log add to conversions (in millionths) and revenue (in micros).
async fn sums(api: &Api) -> (i64, i64) {
    let payloads: Vec<String> =
        sqlx::query_scalar("SELECT payload::text FROM log.events WHERE event_type = 'ObservationsRecorded'")
            .fetch_all(&api.pool)
            .await
            .unwrap();
    let batches: Vec<Value> = payloads.iter().map(|payload| serde_json::from_str(payload).unwrap()).collect();
    let rows = || batches.iter().flat_map(|batch| batch["observations"].as_array().unwrap());
    let counts = rows().map(|row| row[4].as_i64().unwrap_or(1_000_000)).sum();
    (counts, rows().filter_map(|row| row[5].as_i64()).sum())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn order_that_is_reported_again_the_next_day_counts_once(pool: PgPool) {
    let (api, campaign) = start(pool, "2026-11-28T10:00:10Z", 30).await;
    let sent = |at| order("order-9", campaign, at, "17.94");
    assert_eq!(send(&api, &[sent("2026-11-28T10:00:00Z")]).await.counts(), [1, 0, 0, 0]);
    api.clock.set("2026-11-29T10:00:10Z".parse().unwrap());
    let again = send(&api, &[sent("2026-11-29T10:00:00Z"), sent("2026-11-29T10:00:05Z")]).await;
    assert_eq!(again.results(), ["0 duplicate already_recorded", "1 duplicate already_recorded"]);
    let other = order("order-9", campaign, "2026-11-29T10:00:00Z", "20.00");
    let mut lead = sent("2026-11-29T10:00:00Z");
    lead["type"] = json!("lead");
    assert_eq!(send(&api, &[other, lead]).await.results(), ["0 conflict other_content"]);
    // Within one request, too.
    let both = [
        order("order-10", campaign, "2026-11-27T10:00:00Z", "1"),
        order("order-10", campaign, "2026-11-28T10:00:00Z", "1"),
    ];
    assert_eq!(send(&api, &both).await.results(), ["1 duplicate already_recorded"]);
    // Two orders, and a lead, whose count is a whole one.
    assert_eq!(sums(&api).await, (2_000_001, 17_940_000 * 2 + 1_000_000));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ids_of_a_day_are_unique_within_it(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    let campaign = api.campaign(&json!([])).await;
    let items = ["2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z", "2026-11-21T10:00:00Z"];
    let reply = send(&api, &items.map(|at| order("order-9", campaign, at, "17.94"))).await;
    assert_eq!(reply.results(), ["2 duplicate already_recorded"]);
    assert_eq!(api.call(Call::new(Method::GET, "/v1/sources/shop")).await.body["id_scope"], "day");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ids_are_unique_for_the_whole_window(pool: PgPool) {
    let (api, campaign) = start(pool, "2026-09-05T12:00:00Z", 90).await;
    let items =
        |now: &str| -> Vec<Value> { (0..3).map(|n| order(&format!("order-{n}"), campaign, now, "17.94")).collect() };
    assert_eq!(send(&api, &items("2026-09-05T11:00:00Z")).await.counts(), [3, 0, 0, 0]);
    // In each of the periods that follow, up to the last second of the window; and beside a new one.
    for now in ["2026-10-03T23:45:00Z", "2026-10-10T12:00:00Z", "2026-11-03T00:00:00Z", "2026-12-04T11:59:59Z"] {
        api.clock.set(now.parse().unwrap());
        let mut again = items(now);
        again.push(order(now, campaign, now, "1"));
        assert_eq!(send(&api, &again).await.counts(), [1, 3, 0, 0], "{now}");
    }
    // Once the window and a period have passed, they are forgotten.
    api.clock.set("2027-01-03T12:00:00Z".parse().unwrap());
    assert_eq!(send(&api, &items("2027-01-03T12:00:00Z")).await.counts(), [3, 0, 0, 0]);
}

/// 2026-12-03 begins a period of receipt.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn twins_cannot_pass_each_other_at_the_change_of_periods(pool: PgPool) {
    let moments = [
        "2026-12-02T23:29:59Z",
        "2026-12-02T23:30:00Z",
        "2026-12-02T23:59:59Z",
        "2026-12-03T00:00:00Z",
        "2026-12-03T00:29:59Z",
        "2026-12-03T00:30:00Z",
    ];
    let (api, campaign) = start(pool, moments[0], 7).await;
    let sent = |id: &str| order(id, campaign, "2026-12-02T23:00:00Z", "1");
    for (n, first) in moments.iter().enumerate() {
        api.clock.set(first.parse().unwrap());
        assert_eq!(send(&api, &[sent(first)]).await.counts(), [1, 0, 0, 0]);
        for later in &moments[n..] {
            api.clock.set(later.parse().unwrap());
            assert_eq!(send(&api, &[sent(first)]).await.counts(), [0, 1, 0, 0], "{first}, then {later}");
        }
    }
    // At once, from processes whose clocks are up to half an hour apart.
    let pairs = [
        ("2026-12-02T23:29:59Z", "2026-12-02T23:45:00Z"),
        ("2026-12-02T23:59:59Z", "2026-12-03T00:29:58Z"),
        ("2026-12-03T00:15:00Z", "2026-12-03T00:31:00Z"),
    ];
    for (early, late) in pairs {
        let processes = [api.another_process_at(early).await, api.another_process_at(late).await];
        let mut racing = JoinSet::new();
        for n in 0..20 {
            for process in processes.clone() {
                let items: Vec<Value> = (0..10).map(|m| sent(&format!("{early} {}", n / 2 * 5 + m))).collect();
                racing.spawn(async move { send(&process, &items).await.counts() });
            }
        }
        let accepted: i64 = racing
            .join_all()
            .await
            .iter()
            .map(|counts| {
                assert_eq!(counts[2..], [0, 0]);
                counts[0]
            })
            .sum();
        assert_eq!(accepted, 55, "{early} and {late}");
    }
    let count = 1_000_000 * (i64::try_from(moments.len()).unwrap() + 3 * 55);
    assert_eq!(sums(&api).await, (count, count));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrections_find_their_original_by_its_id_alone(pool: PgPool) {
    let (api, campaign) = start(pool, "2026-11-01T12:00:00Z", 60).await;
    send(&api, &[order("order-1", campaign, "2026-10-20T12:00:00Z", "59.90")]).await;
    // In the next period; then around a change, with an original that is kept under both periods; then after it.
    for (n, now) in ["2026-11-20T12:00:00Z", "2026-12-02T23:45:00Z", "2026-12-03T00:15:00Z", "2026-12-20T12:00:00Z"]
        .into_iter()
        .enumerate()
    {
        api.clock.set(now.parse().unwrap());
        let of_this = order(&format!("of-{n}"), campaign, now, "10");
        let items = [
            of_this,
            correction(&format!("c-{n}"), &json!("order-1"), now, &format!("{n}")),
            correction(&format!("d-{n}"), &json!(format!("of-{n}")), now, "9"),
        ];
        assert_eq!(send(&api, &items).await.counts(), [3, 0, 0, 0], "{now}");
        if n > 0 {
            let before = correction(&format!("e-{n}"), &json!(format!("of-{}", n - 1)), now, "8");
            assert_eq!(send(&api, std::slice::from_ref(&before)).await.counts(), [1, 0, 0, 0], "{now}");
            assert_eq!(send(&api, &[before]).await.counts(), [0, 1, 0, 0], "{now}");
        }
    }
    // order-1 comes to 3.00; of-0 to of-2 to 8.00 each; of-3 to 9.00.
    assert_eq!(sums(&api).await, (5_000_000, 36_000_000));
    // A day that is given is the one on which the original occurred.
    let now = "2026-12-20T12:00:00Z";
    let of = |day: &str| json!({"id": "of-3", "day": day});
    let dated = [correction("x-1", &of("2026-12-19"), now, "7"), correction("x-2", &of("2026-12-20"), now, "7")];
    assert_eq!(send(&api, &dated).await.results(), ["0 rejected unknown_observation"]);
    let missing = send(&api, &[correction("x-3", &json!("order-7"), now, "7")]).await;
    assert_eq!(missing.results(), ["0 rejected unknown_observation"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn scope_is_fixed_at_registration(pool: PgPool) {
    let (api, _) = start(pool, "2026-11-28T10:00:00Z", 30).await;
    assert_eq!(api.call(Call::new(Method::GET, "/v1/sources/shop")).await.body["id_scope"], "window");
    let change = Call::new(Method::PATCH, "/v1/sources/shop").json(&json!({"id_scope": "day"}));
    let refused = api.call(change).await;
    assert_eq!((refused.status, refused.field()), (StatusCode::UNPROCESSABLE_ENTITY, "id_scope"), "{refused}");
    let mut by_day = source("shop", "push");
    by_day["observation_window_s"] = json!(2_592_000);
    let other = api.post("/v1/sources", &by_day).await;
    assert_eq!((other.status, other.field()), (StatusCode::CONFLICT, "id_scope"), "{other}");
    let mut pull = source("ads", "pull");
    pull["id_scope"] = json!("window");
    let refused = api.post("/v1/sources", &pull).await;
    assert_eq!((refused.code(), refused.field()), ("id-scope-of-pull", "id_scope"), "{refused}");
}
