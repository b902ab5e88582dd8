//! Ranges named by where they lie from today, and ranges compared up to where both are over.

use domain::measure::Measure;
use http::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{campaign, clicks, created, days, pulled, pushing};
use crate::support::{Reply, World, post, report_path};

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

fn days_of(reply: &Reply) -> [&str; 2] {
    ["date_from", "date_to"].map(|member| reply.body["meta"]["dates"][member].as_str().unwrap())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn relative_range_equals_the_days_that_it_stands_for(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    // 23:59:59 of a Monday in Berlin.
    world.set_clock("2026-11-30T22:59:59Z");
    for (range, from, to) in [
        ("today", "2026-11-30", "2026-11-30"),
        ("yesterday", "2026-11-29", "2026-11-29"),
        ("this_week", "2026-11-30", "2026-11-30"),
        ("last_week", "2026-11-23", "2026-11-29"),
        ("last_7_days", "2026-11-23", "2026-11-29"),
        ("last_2_days", "2026-11-28", "2026-11-29"),
        ("this_month", "2026-11-01", "2026-11-30"),
        ("last_month", "2026-10-01", "2026-10-31"),
        ("this_quarter", "2026-10-01", "2026-11-30"),
        ("last_year", "2025-01-01", "2025-12-31"),
    ] {
        for granularity in ["day", "week", "month", "all"] {
            let relative = world.get(&metrics(&format!("range={range}&granularity={granularity}"))).await.ok();
            assert_eq!(days_of(&relative), [from, to], "{range}");
            let query = &relative.body["meta"]["query"];
            assert_eq!((&query["range"], &query["date_from"]), (&json!(range), &Value::Null));
            let given = format!("date_from={from}&date_to={to}&granularity={granularity}");
            let given = world.get(&metrics(&given)).await.ok();
            assert_eq!(relative.body["data"], given.body["data"], "{range} by {granularity}");
            assert_eq!(relative.body["meta"]["freshness"], given.body["meta"]["freshness"]);
            assert!(given.body["meta"].get("dates").is_none());
        }
    }
    // The days are those of the query's zone, where it is still Sunday evening at the clock's noon before.
    world.set_clock("2026-11-30T04:59:59Z");
    let new_york = world.get(&metrics("range=yesterday&time_zone=America/New_York")).await.ok();
    assert_eq!(days_of(&new_york), ["2026-11-28", "2026-11-28"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn no_tag_of_a_relative_range_holds_over_midnight(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let report = report_path(&json!({"range": "last_7_days", "measures": ["clicks"]}));
    for (path, before, midnight, dates) in [
        (metrics("range=last_7_days"), "2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z", ["2026-11-24", "2026-11-30"]),
        (report, "2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z", ["2026-11-24", "2026-11-30"]),
        (
            metrics("range=last_month&time_zone=Asia/Kathmandu"),
            "2026-11-30T18:14:59Z",
            "2026-11-30T18:15:00Z",
            ["2026-11-01", "2026-11-30"],
        ),
    ] {
        // Long before, so that no boundary but midnight lies between.
        world.set_clock(before);
        let today = world.get(&path).await.ok();
        let held = world.get_with(&path, &[("if-none-match", today.etag())]).await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED, "{path}");
        world.set_clock(midnight);
        let tomorrow = world.get_with(&path, &[("if-none-match", today.etag())]).await.ok();
        assert_ne!(tomorrow.etag(), today.etag());
        assert_eq!(days_of(&tomorrow), dates);
        assert_ne!(tomorrow.body["data"], today.body["data"]);
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_keep_the_days_of_the_first_one(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    world.set_clock("2026-11-30T22:59:59Z");
    let first = world.get(&metrics("range=last_3_days&granularity=day&limit=2")).await.ok();
    assert_eq!(first.column("bucket"), [json!("2026-11-27"), json!("2026-11-28")]);
    let next = first.header("link");
    let next = next.split(['<', '>']).nth(1).unwrap().to_owned();
    assert!(next.contains("range=last_3_days") && !next.contains("date_from"), "{next}");
    world.set_clock("2026-12-01T08:00:00Z");
    let second = world.get(&next).await.ok();
    assert_eq!(second.column("bucket"), [json!("2026-11-29")]);
    assert_eq!(days_of(&second), ["2026-11-27", "2026-11-29"]);
    assert_eq!(second.body["page"]["next_cursor"], Value::Null);
    // The address of the report is the same every day, and so is that of a dashboard.
    let asked = json!({"range": "yesterday", "measures": ["clicks"]});
    let posted = world.report(&asked).await.ok();
    let dashboard = post(&world, "/v1/dashboards", &json!({"reports": {"one": asked}})).await.ok();
    assert_eq!(dashboard.body["data"]["one"]["data"], posted.body["data"]);
    world.set_clock("2026-12-02T08:00:00Z");
    let [report, tile] = [posted.header("content-location"), dashboard.header("content-location")];
    let (report, tile) = (world.get(report).await.ok(), world.get(tile).await.ok());
    assert_eq!(days_of(&report), ["2026-12-01", "2026-12-01"]);
    assert_eq!(tile.body["data"]["one"]["meta"]["dates"], report.body["meta"]["dates"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn wrong_ranges_are_refused(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for (query, field, remedy) in [
        ("range=last_0_days", "range", "is none of today, yesterday"),
        ("range=last_401_days", "range", "1 to 400"),
        ("range=tomorrow", "range", "is none of today, yesterday"),
        ("range=today&date_to=2026-11-30", "range", "leave out date_from and date_to"),
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
