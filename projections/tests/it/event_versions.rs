//! Logs that older or newer code wrote.

use domain::campaign::{Budget, BudgetPeriod, CampaignEvent};
use domain::money::Money;
use projections::catch_up;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, changed, created, eur, pools, source};
use crate::support::rows::rows;

/// A campaign's payloads as version 1 wrote them.
fn version_1(micros: i64) -> [(&'static str, Value); 2] {
    let budget = json!({"micros": micros, "currency": "EUR"});
    let created = json!({"CampaignCreated": {
        "campaign": campaign(1), "name": "Campaign", "channels": [], "currency": "EUR", "time_zone": "UTC",
        "starts_on": "2026-11-01", "ends_on": null, "budget": null, "external_ids": [], "attributes": {},
        "at": "2026-10-20T09:00:00Z"
    }});
    let set = json!({"CampaignBudgetSet": {"budget": budget, "at": "2026-10-20T10:00:00Z"}});
    [("CampaignCreated", created), ("CampaignBudgetSet", set)]
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reads_version_1_budget_as_total(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    for (event_type, payload) in version_1(5_000_000) {
        let id = campaign(1).to_string();
        log.append_version("campaign", &id, (event_type, 1), &payload.to_string()).await;
    }
    catch_up(&pool).await.unwrap();
    let shown = async || rows(&admin, log.workspace, "campaigns", "version, budget_micros, budget_per").await;
    assert_eq!(shown().await, json!([{"version": 2, "budget_micros": 5_000_000, "budget_per": "total"}]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_daily_and_total_budgets(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append(created(campaign(1))).await;
    let amount = Money { micros: 7_000_000, currency: eur() };
    let budget = Some(Budget { amount, per: BudgetPeriod::Day });
    let set = CampaignEvent::CampaignBudgetSet { budget, at: at("2026-10-21T00:00:00Z") };
    log.append(changed(campaign(1), set)).await;
    catch_up(&pool).await.unwrap();
    // Read back and written again by an event that says nothing of it.
    log.append(changed(campaign(1), CampaignEvent::CampaignLaunched { at: at("2026-10-22T00:00:00Z") })).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(
        rows(&admin, log.workspace, "campaigns", "version, budget_micros, budget_per").await,
        json!([{"version": 3, "budget_micros": 7_000_000, "budget_per": "day"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn batches_of_version_1_give_the_rows_of_version_2(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut logs = Vec::new();
    for version in [1, 2] {
        let mut log = Log::opened(&admin).await;
        let from = source(1).to_string();
        let observed = json!({"source": from, "currency": "EUR", "campaigns": [campaign(1)], "observations": [
            ["a1", 0, "click", 1_795_256_130_250_i64, 3, 410_000],
            ["r1", 0, "click", 1_795_256_130_250_i64, -1, null, {}, {"of": "a1", "at": 1_795_342_530_250_i64, "count": 2, "value": 410_000}],
        ]});
        let stated = json!({"source": from, "currency": "EUR", "grain": "day", "time_zone": "UTC", "statements": [
            {"campaign": campaign(1), "bucket": "2026-11-20", "stated_at": "2026-11-21T10:15:30.250Z", "measures": {"clicks": 12}},
        ]});
        log.append_version("observations", &from, ("ObservationsRecorded", version), &observed.to_string()).await;
        log.append_version("statements", &from, ("StatementsRecorded", version), &stated.to_string()).await;
        logs.push(log);
    }
    catch_up(&pool).await.unwrap();
    let shown = async |log: &Log| {
        let increments = rows(&admin, log.workspace, "rollup_15m", "measure, value::text").await;
        let corrections = rows(&admin, log.workspace, "corrections", "original_id, count").await;
        (increments, corrections, rows(&admin, log.workspace, "statements", "bucket_date, measure, value::text").await)
    };
    let of_version_1 = shown(&logs[0]).await;
    assert_eq!(of_version_1.0, json!([{"measure": "clicks", "value": "2"}, {"measure": "spend", "value": "410000"}]));
    assert_eq!(of_version_1, shown(&logs[1]).await);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn parks_events_of_newer_versions(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append(created(campaign(1))).await;
    let payload = r#"{"CampaignRenamed":{"name":"B","at":"2026-10-22T00:00:00Z"}}"#;
    let newer = log.append_version("campaign", &campaign(1).to_string(), ("CampaignRenamed", 2), payload).await;
    catch_up(&pool).await.unwrap();
    let parked = projections::parked::list(&pool).await.unwrap().remove(0);
    assert_eq!(parked.position, newer);
    assert!(
        parked
            .reason
            .contains("CampaignRenamed was written in version 2 by newer code; this one reads it up to version 1"),
        "{}",
        parked.reason
    );
    let name = format!("Campaign {}", campaign(1));
    assert_eq!(rows(&admin, log.workspace, "campaigns", "name").await, json!([{ "name": name }]));
}
