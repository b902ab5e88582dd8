//! The same thing is reported again: the next day, by two processes at once, around a change of periods.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};
use tokio::task::JoinSet;

/// The last second before 2026-12-03, on which a period of receipt begins, with a shop whose orders count once.
const NOW: &str = "2026-12-02T23:59:59Z";

async fn shop(pool: &PgPool) -> (TestSystem, Caller, String) {
    let system = TestSystem::start(pool, NOW).await;
    let acme = system.workspace("acme").await;
    let source = json!({
        "name": "shop", "channel": "crm", "kind": "push", "role": "primary", "time_zone": "UTC", "currency": "EUR",
        "expected_delay_s": 0, "restatement_horizon_s": 2_592_000, "id_scope": "window"
    });
    acme.post("/v1/sources", &source).await.expect(201);
    let campaign = acme.campaign("Winter").await;
    (system, acme, campaign)
}

fn order(id: usize, campaign: &str, now: DateTime<Utc>) -> Value {
    json!({
        "id": format!("order-{id}"), "campaign_id": campaign, "type": "conversion", "occurred_at": now,
        "value": {"amount": "17.94", "currency": "EUR"}
    })
}

async fn send(caller: &Caller, items: &[Value]) -> [u64; 3] {
    let body = json!({ "source": "shop", "observations": items });
    let answer = caller.post("/v1/observations", &body).await.expect(200).body;
    ["accepted", "duplicates", "conflicts"].map(|count| answer[count].as_u64().unwrap())
}

/// Conversions and revenue of the campaign, over all dates.
async fn totals(caller: &Caller, campaign: &str) -> (Value, Value) {
    caller.caught_up().await;
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?date_from=2026-12-01&date_to=2027-01-31&time_zone=UTC&granularity=all&measures=conversions,revenue"
    );
    let row = caller.get(&path).await.expect(200).body["data"][0].clone();
    (row["conversions"].clone(), row["revenue"]["amount"].clone())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn twins_that_two_processes_take_at_once_count_once(pool: PgPool) {
    const ORDERS: usize = 40;
    let (system, acme, campaign) = shop(&pool).await;
    let second = system.second_process().await;
    // Before midnight, a minute later, and the next days: each order is reported to both processes, in batches of any cut.
    let mut accepted = 0;
    for now in [NOW, "2026-12-03T00:00:01Z", "2026-12-03T00:31:00Z", "2026-12-04T09:00:00Z", "2026-12-30T09:00:00Z"] {
        let now: DateTime<Utc> = now.parse().unwrap();
        system.clock.set(now);
        let mut racing = JoinSet::new();
        for (process, caller) in [&acme, &acme.on(second.addresses())].into_iter().enumerate() {
            for cut in (0..ORDERS).step_by(5 + process) {
                let items: Vec<Value> = (cut..(cut + 8).min(ORDERS)).map(|id| order(id, &campaign, now)).collect();
                let caller = caller.clone();
                racing.spawn(async move { send(&caller, &items).await });
            }
        }
        for [new, _, conflicts] in racing.join_all().await {
            assert_eq!(conflicts, 0);
            accepted += new;
        }
        assert_eq!(accepted, 40, "{now}");
    }
    assert_eq!(totals(&acme, &campaign).await, (json!(40), json!("717.600000")));

    // A correction of weeks later finds its original by its id, and the log alone gives the same numbers again.
    let refund =
        json!({"id": "r-1", "type": "conversion", "adjusts": "order-7", "occurred_at": "2026-12-30T08:00:00Z"});
    assert_eq!(send(&acme, std::slice::from_ref(&refund)).await, [1, 0, 0]);
    assert_eq!(send(&acme, &[refund]).await, [0, 1, 0]);
    assert_eq!(totals(&acme, &campaign).await, (json!(39), json!("699.660000")));
    second.stop().await;
    system.replay().await;
    system.verify().await;
    assert_eq!(totals(&acme, &campaign).await, (json!(39), json!("699.660000")));
    system.stop().await;
}
