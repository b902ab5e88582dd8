//! An ad account that is read by device, then in total, then by country: every sum is the total, and rows add to it.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};

const DAY: &str = "2026-11-19";

async fn state(caller: &Caller, breakdown: &[&str], rows: &[(&[(&str, &str)], &str)]) -> Value {
    let statement = |(dimensions, spend): &(&[(&str, &str)], &str)| {
        let dimensions: serde_json::Map<_, _> =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({"external_campaign_id": "winter", "bucket": DAY, "dimensions": dimensions, "measures": {"spend": spend}})
    };
    let mut body = json!({
        "source": "ads", "grain": "day", "time_zone": "UTC", "statements": rows.iter().map(statement).collect::<Vec<_>>()
    });
    if !breakdown.is_empty() {
        body["breakdown"] = json!(breakdown);
    }
    caller.post("/v1/statements", &body).await.expect(200).body
}

/// Spend by a dimension; by nothing, in one row.
async fn spend(caller: &Caller, dimension: Option<&str>) -> Vec<(Value, String)> {
    caller.caught_up().await;
    let query = json!({
        "measures": ["spend"], "date_from": DAY, "date_to": DAY, "time_zone": "UTC", "granularity": "all",
        "group_by": dimension.into_iter().collect::<Vec<_>>()
    });
    let answer = caller.post_read("/v1/reports", &query).await.expect(200);
    let row = |row: &Value| {
        let value = dimension.map_or(Value::Null, |dimension| row[dimension].clone());
        (value, row["spend"]["amount"].as_str().unwrap_or("none").to_owned())
    };
    answer.body["data"].as_array().unwrap().iter().map(row).collect()
}

fn rows(rows: &[(&str, &str)]) -> Vec<(Value, String)> {
    rows.iter().map(|(value, amount)| (json!(value), (*amount).to_owned())).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn account_is_read_by_device_then_in_total_then_by_country(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    let source = json!({
        "name": "ads", "channel": "paid_search", "kind": "pull", "role": "primary", "time_zone": "UTC", "currency": "EUR",
        "expected_delay_s": 0, "restatement_horizon_s": 0, "dimensions": [{"name": "device"}]
    });
    acme.post("/v1/sources", &source).await.expect(201);
    let campaign = json!({
        "name": "Winter", "channels": ["paid_search"], "currency": "EUR", "time_zone": "UTC", "starts_on": DAY,
        "ends_on": DAY, "budget": {"amount": "10", "currency": "EUR"}, "external_ids": [{"id": "winter"}]
    });
    let created = acme.post("/v1/campaigns", &campaign).await.expect(201);
    let campaign = created.body["campaign_id"].as_str().unwrap();

    // By device alone: the rows are the total.
    let sent = state(&acme, &["device"], &[(&[("device", "phone")], "5"), (&[("device", "tv")], "2.5")]).await;
    assert_eq!(sent["accepted"], 2, "{sent}");
    assert_eq!(spend(&acme, None).await, [(Value::Null, "7.500000".to_owned())]);
    assert_eq!(spend(&acme, Some("device")).await, rows(&[("phone", "5.000000"), ("tv", "2.500000")]));
    let pacing = acme.get(&format!("/v1/campaigns/{campaign}/pacing")).await.expect(200);
    assert_eq!(pacing.body["data"]["spent"]["amount"], "7.500000", "{}", pacing.body);

    // In total as well: the total rules everywhere, and the rest is a row.
    assert_eq!(state(&acme, &[], &[(&[], "8")]).await["accepted"], 1);
    assert_eq!(spend(&acme, None).await, [(Value::Null, "8.000000".to_owned())]);
    let by_device = [("(not broken down)", "0.500000"), ("phone", "5.000000"), ("tv", "2.500000")];
    assert_eq!(spend(&acme, Some("device")).await, rows(&by_device));
    let pacing = acme.get(&format!("/v1/campaigns/{campaign}/pacing")).await.expect(200);
    assert_eq!(pacing.body["data"]["spent"]["amount"], "8.000000");

    // By country, once that is declared.
    let refused = json!({"source": "ads", "grain": "day", "time_zone": "UTC", "breakdown": ["country"], "statements": [
        {"external_campaign_id": "winter", "bucket": DAY, "dimensions": {"country": "DE"}, "measures": {"spend": "9"}}]});
    let refused = acme.post("/v1/statements", &refused).await.expect(422);
    assert!(refused.body.to_string().contains("does not declare"), "{}", refused.body);
    let declared = json!({"dimensions": [{"name": "device"}, {"name": "country"}]});
    acme.patch("/v1/sources/ads", &declared).await.expect(200);
    assert_eq!(state(&acme, &["country"], &[(&[("country", "DE")], "9")]).await["accepted"], 1);
    assert_eq!(spend(&acme, Some("country")).await, rows(&[("(not broken down)", "-1.000000"), ("DE", "9.000000")]));
    assert_eq!(spend(&acme, None).await, [(Value::Null, "8.000000".to_owned())]);

    // The total is taken back: the first partition makes it again.
    let back = json!({"source": "ads", "grain": "day", "time_zone": "UTC",
                      "statements": [{"external_campaign_id": "winter", "bucket": DAY, "measures": {"spend": null}}]});
    system.clock.advance(chrono::Duration::seconds(1));
    acme.post("/v1/statements", &back).await.expect(200);
    assert_eq!(spend(&acme, None).await, [(Value::Null, "7.500000".to_owned())]);
    system.stop().await;
}
