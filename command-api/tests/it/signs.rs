//! Which amounts may be negative, and how large they may be.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Reply};

async fn start(pool: PgPool) -> (Api, Uuid) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    api.source("ads", "pull").await;
    let campaign = api.campaign(&json!([])).await;
    (api, campaign)
}

async fn observe(api: &Api, campaign: Uuid, items: &[Value]) -> Reply {
    let items: Vec<Value> = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let mut item = item.clone();
            item["id"] = json!(format!("i-{index}"));
            item["campaign_id"] = json!(campaign);
            item["occurred_at"] = json!("2026-11-21T21:00:00Z");
            item
        })
        .collect();
    api.post("/v1/observations", &json!({"source": "shop", "observations": items})).await
}

async fn state(api: &Api, campaign: Uuid, measures: &Value) -> Reply {
    let item = json!({"campaign_id": campaign, "bucket": "2026-11-20", "measures": measures});
    let body = json!({"source": "ads", "grain": "day", "time_zone": "UTC", "statements": [item]});
    api.post("/v1/statements", &body).await
}

/// Index, reason, field and detail of each rejected item.
fn refusals(reply: &Reply) -> Vec<[String; 4]> {
    let results = reply.body["results"].as_array().unwrap_or_else(|| panic!("no batch: {reply}"));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    results.iter().map(|result| ["index", "reason", "field", "detail"].map(|name| text(&result[name]))).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn spend_revenue_and_conversions_may_be_negative(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let items = [
        json!({"type": "spend", "value": "-5.25"}),
        json!({"type": "conversion", "count": "-0.5", "value": -20}),
        json!({"type": "click", "value": "-0.1"}),
        json!({"type": "refund", "value": 20}),
        json!({"type": "discount", "value": {"amount": "3.5", "currency": "EUR"}}),
    ];
    let reply = observe(&api, campaign, &items).await;
    assert_eq!(reply.counts(), [5, 0, 0, 0], "{reply}");
    let rows = api.last_payload().await["observations"].clone();
    assert_eq!(rows[0][5], json!(-5_250_000));
    assert_eq!((&rows[1][4], &rows[1][5]), (&json!(-500_000), &json!(-20_000_000)));
    assert_eq!((&rows[3][2], &rows[3][5]), (&json!("refund"), &json!(20_000_000)));

    let measures = json!({"spend": -5.25, "revenue": "-3.2", "conversions": "-1.5", "refunds": 20, "discounts": "0.5"});
    assert_eq!(state(&api, campaign, &measures).await.counts(), [1, 0, 0, 0]);
    let stated = json!({"spend": -5_250_000, "revenue": -3_200_000, "conversions": -1_500_000,
                        "refunds": 20_000_000, "discounts": 500_000});
    assert_eq!(api.last_payload().await["statements"][0]["measures"], stated);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn counts_and_what_is_paid_back_are_not_negative(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let items = [
        json!({"type": "click", "count": -1}),
        json!({"type": "refund", "value": "-20"}),
        json!({"type": "conversion", "count": 0}),
        json!({"type": "click", "count": 0}),
        json!({"type": "refund", "value": 20, "count": 2}),
    ];
    let expected = [
        ["0", "bad_count", "count", "must not be negative"],
        ["1", "bad_value", "value", "must not be negative"],
        ["2", "bad_count", "count", "must not be 0"],
        ["3", "bad_count", "count", "must be greater than 0"],
        ["4", "bad_count", "count", "is not taken by type refund"],
    ];
    assert_eq!(refusals(&observe(&api, campaign, &items).await), expected);
    for measure in ["impressions", "sends", "refunds", "discounts", "opens_total"] {
        let refused = refusals(&state(&api, campaign, &json!({ measure: -1 })).await);
        let field = format!("measures.{measure}");
        assert_eq!(refused, [["0", "bad_value", field.as_str(), "must not be negative"]]);
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn bounds_follow_the_unit(pool: PgPool) {
    let (api, campaign) = start(pool).await;
    let largest = json!({"impressions": 1_000_000_000_000_000_i64, "clicks": 3_000_000_000_i64,
                         "conversions": 1_000_000_000_000_i64, "spend": "-1000000000000", "revenue": "1000000000000"});
    assert_eq!(state(&api, campaign, &largest).await.counts(), [1, 0, 0, 0]);
    for (measure, value, bound) in [
        ("impressions", "1000000000000001", "must not be larger than 1000000000000000"),
        ("conversions", "1000000000000.000001", "must lie between -1000000000000 and 1000000000000"),
        ("spend", "-1000000000001", "must lie between -1000000000000 and 1000000000000"),
        ("refunds", "1000000000001", "must not be larger than 1000000000000"),
    ] {
        let refused = refusals(&state(&api, campaign, &json!({ measure: value })).await);
        let field = format!("measures.{measure}");
        assert_eq!(refused, [["0", "bad_value", field.as_str(), bound]]);
    }
    // Between the bounds no correction is too great.
    let first = [json!({"type": "conversion", "count": "1000000000000", "value": "1000000000000"})];
    assert_eq!(observe(&api, campaign, &first).await.counts(), [1, 0, 0, 0]);
    let correction = json!({"id": "c", "type": "conversion", "occurred_at": "2026-11-21T21:30:00Z", "adjusts": "i-0",
                            "count": "-1000000000000", "value": "-1000000000000"});
    let reply = api.post("/v1/observations", &json!({"source": "shop", "observations": [correction]})).await;
    assert_eq!(reply.counts(), [1, 0, 0, 0], "{reply}");
    let row = api.last_payload().await["observations"][0].clone();
    assert_eq!((&row[4], &row[5]), (&json!(-2_000_000_000_000_000_000_i64), &json!(-2_000_000_000_000_000_000_i64)));
}
