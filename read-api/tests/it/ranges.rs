//! Ranges of before, and ranges compared up to where both are over.

use domain::measure::Measure;
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{campaign, clicks, created, days, pulled, pushing};
use crate::support::{Reply, World};

/// A world in Berlin with clicks on each day from 20 to 30 November 2026, a Monday.
async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["paid_search"]), pushing(1, "tracker", "paid_search")]).await;
    for day in 20..=30 {
        world.given([clicks(1, 1, &format!("2026-11-{day}T11:00:00Z"), day)]).await;
    }
    world
}

fn metrics(query: &str) -> String {
    format!("/v1/campaigns/{}/metrics?measures=clicks&{query}", campaign(1))
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn wrong_comparisons_are_refused(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for (query, field, remedy) in [
        ("compare_elapsed=true", "compare_elapsed", "needs compare_to"),
        ("compare_to=previous_decade", "compare_to", "previous_year_weekday"),
    ] {
        let refused = world.get(&metrics(query)).await;
        assert_eq!(refused.problem(400), "invalid-query");
        assert_eq!(refused.wrong_fields(), [field]);
        assert!(refused.text.contains(remedy), "{refused}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn months_are_compared_with_months(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([clicks(1, 1, "2026-10-31T11:00:00Z", 100), clicks(1, 1, "2025-11-28T11:00:00Z", 50)]).await;
    let compared = |reply: &Reply| reply.body["data"][0]["compared"].clone();
    let lengths = |reply: &Reply| -> Vec<Value> {
        let warnings = reply.body["meta"]["warnings"].as_array().unwrap().iter();
        warnings
            .filter(|warning| warning["code"] == "unequal_ranges")
            .map(|warning| warning["detail"].clone())
            .collect()
    };
    let of = |query: &str| metrics(&format!("{query}&granularity=month&time_zone=UTC"));
    let november = "date_from=2026-11-01&date_to=2026-11-30";
    let month = world.get(&of(&format!("{november}&compare_to=previous_period"))).await.ok();
    assert_eq!(
        (&compared(&month)["bucket"], &compared(&month)["measures"]["clicks"]["value"]),
        (&json!("2026-10-01"), &json!(100))
    );
    assert_eq!(lengths(&month), [json!("The range has 30 days, the one that it is compared with 31 days.")]);
    // 28 November 2025 was a Friday, as 27 November 2026 is.
    let friday = "date_from=2026-11-27&date_to=2026-11-27&granularity=day";
    let weekday = world.get(&metrics(&format!("{friday}&compare_to=previous_year_weekday"))).await.ok();
    assert_eq!(compared(&weekday)["measures"]["clicks"]["value"], json!(50));
    assert_eq!(lengths(&weekday), [] as [Value; 0]);
    let by_date = world.get(&metrics(&format!("{friday}&compare_to=previous_year"))).await.ok();
    assert_eq!(compared(&by_date)["measures"]["clicks"]["value"], Value::Null);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn both_ranges_end_with_the_last_closed_bucket(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([clicks(1, 1, "2026-11-30T12:05:00Z", 1), clicks(1, 1, "2026-11-23T20:00:00Z", 7)]).await;
    let week = "date_from=2026-11-30&date_to=2026-12-06&granularity=week&time_zone=UTC&compare_to=previous_period";
    let (whole, elapsed) = (metrics(week), metrics(&format!("{week}&compare_elapsed=true")));
    let clicks_of = |reply: &Reply| {
        let row = &reply.body["data"][0];
        (row["clicks"].clone(), row["compared"]["measures"]["clicks"]["value"].clone(), row["partial"].clone())
    };
    // The tracker's sums are of quarters of an hour.
    world.set_clock("2026-11-30T12:07:00Z");
    assert_eq!(clicks_of(&world.get(&whole).await.ok()), (json!(31), json!(189), Value::Null));
    let before = world.get(&elapsed).await.ok();
    assert_eq!(clicks_of(&before), (json!(30), json!(23), json!(true)));
    let range = &before.body["meta"]["compared"];
    assert_eq!((&range["date_from"], &range["date_to"]), (&json!("2026-11-23"), &json!("2026-11-23")));
    assert_eq!(range["elapsed_through"], json!("2026-11-30T12:00:00Z"));
    assert_eq!(before.warnings(), [] as [&str; 0]);
    world.set_clock("2026-11-30T12:14:59Z");
    let held = world.get_with(&elapsed, &[("if-none-match", before.etag())]).await;
    assert_eq!(held.status, StatusCode::NOT_MODIFIED);
    world.set_clock("2026-11-30T12:15:00Z");
    let after = world.get_with(&elapsed, &[("if-none-match", before.etag())]).await.ok();
    assert_eq!(clicks_of(&after).0, json!(31));

    // One that states days: nothing of today is over.
    world
        .given([pulled(2, "google_ads", "paid_search"), days(2, 1, &[("2026-11-29", &[(Measure::Clicks, 100)])])])
        .await;
    let none = world.get(&elapsed).await.ok();
    assert_eq!(none.body["data"], json!([]));
    world.set_clock("2026-12-01T00:00:00Z");
    let day = world.get(&elapsed).await.ok();
    assert_eq!(clicks_of(&day), (json!(31), json!(30), json!(true)));
    // Once the week is over, it is compared whole.
    world.set_clock("2026-12-07T00:00:00Z");
    let over = world.get(&elapsed).await.ok();
    assert_eq!(clicks_of(&over), clicks_of(&world.get(&whole).await.ok()));
    assert!(over.body["meta"]["compared"].get("elapsed_through").is_none());
}
