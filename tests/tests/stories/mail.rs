//! Mail: one delivery and three opens are one message that was opened.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::TestSystem;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn open_rate_counts_messages_and_no_machines(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T15:00:00Z").await;
    let acme = system.workspace("acme").await;
    let mailer = json!({
        "name": "mailer", "channel": "email", "kind": "push", "role": "primary", "time_zone": "UTC", "currency": "EUR",
        "expected_delay_s": 0, "restatement_horizon_s": 604_800, "id_scope": "window"
    });
    acme.post("/v1/sources", &mailer).await.expect(201);
    let campaign = acme.campaign("Letters").await;
    let seen = |kind: &str, id: &str, at: &str, recipient: Option<&str>| {
        let mut item = json!({ "id": id, "type": kind, "campaign_id": campaign, "occurred_at": at });
        if let Some(recipient) = recipient {
            item["message"] = json!("spring-1");
            item["recipient"] = json!(recipient);
        }
        item
    };
    let (ann, bob) = (Some("ann@example.com"), Some("bob@example.com"));
    let items = [
        seen("send", "s-1", "2026-11-18T08:00:00Z", None),
        seen("send", "s-2", "2026-11-18T08:00:00Z", None),
        seen("delivery", "d-1", "2026-11-18T08:01:00Z", None),
        seen("delivery", "d-2", "2026-11-18T08:01:00Z", None),
        seen("machine_open", "m-1", "2026-11-18T08:01:05Z", None),
        seen("open", "o-1", "2026-11-18T09:00:00Z", ann),
        seen("open", "o-2", "2026-11-18T19:00:00Z", ann),
        seen("open", "o-3", "2026-11-19T07:00:00Z", ann),
        seen("open", "o-4", "2026-11-19T08:00:00Z", bob),
        seen("click", "c-1", "2026-11-19T07:01:00Z", ann),
        seen("click", "c-2", "2026-11-19T07:02:00Z", ann),
    ];
    // Each by itself, some twice, as a provider's webhooks come.
    for (index, item) in items.iter().chain(&items[5..8]).enumerate() {
        let body = json!({ "source": "mailer", "observations": [item] });
        let answer = acme.post("/v1/observations", &body).await.expect(200).body;
        let is_new = u64::from(index < items.len());
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(is_new), &json!(1 - is_new)), "{item}");
    }
    let measures = [
        "sends",
        "deliveries",
        "opens",
        "opens_total",
        "machine_opens",
        "clicks",
        "clicks_total",
        "open_rate",
        "click_to_open",
    ];
    let report = json!({
        "measures": measures, "date_from": "2026-11-18", "date_to": "2026-11-19", "granularity": "all", "time_zone": "UTC"
    });
    let expected: [Value; 9] =
        [json!(2), json!(2), json!(2), json!(4), json!(1), json!(1), json!(2), json!(1.0), json!(0.5)];
    for replayed in [false, true] {
        if replayed {
            system.replay().await;
            system.verify().await;
        }
        acme.caught_up().await;
        let row = acme.post_read("/v1/reports", &report).await.expect(200).body["data"][0].clone();
        let shown = measures.map(|measure| row[measure].clone());
        let as_numbers = |values: &[Value]| values.iter().map(|value| value.as_f64().unwrap()).collect::<Vec<f64>>();
        assert_eq!(as_numbers(&shown), as_numbers(&expected), "{row}");
    }
    system.stop().await;
}
