//! Months that are not kept any more.

use domain::measure::Measure;
use domain::observation::ObservationType::Click;
use projections::retention;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{at, created, days, naming, observed, pulled, pushing, sale_corrected};
use crate::support::{Reply, World};

async fn years(world: &mut World) {
    let seen = |when| naming(observed(1, 1, &[(Click, when, 1, None)]), &[&[("country", "DE")]]);
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            pulled(2, "google_ads", "paid_search"),
            seen("2025-12-31T23:59:59Z"),
            seen("2026-01-01T00:00:00Z"),
            seen("2026-10-15T10:00:00Z"),
            days(2, 1, &[("2025-12-31", &[(Measure::Clicks, 100)])]),
        ])
        .await;
}

/// The first row's clicks, and whether it is told that not all of them are kept.
fn clicks(reply: &Reply) -> (Value, bool) {
    (reply.column("clicks").into_iter().next().unwrap_or(Value::Null), reply.warnings().contains(&"beyond_retention"))
}

fn query(from: &str, granularity: &str, zone: &str) -> Value {
    json!({"measures": ["clicks"], "date_from": from, "date_to": "2026-11-01", "granularity": granularity,
           "time_zone": zone, "filters": {"source": ["tracker", "google_ads"]}})
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn warns_of_dropped_months(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    years(&mut world).await;
    let now = at("2026-11-22T12:00:00Z");
    let whole = query("2025-01-01", "all", "UTC");
    let before = world.report(&whole).await.ok();
    assert_eq!(clicks(&before).0, json!(103));

    // This month and the ten before it: from January on.
    retention::set(&world.admin, None, Some(10), now).await.unwrap();
    let told = world.report(&whole).await.ok();
    let warning = &told.body["meta"]["warnings"][0];
    assert_eq!(warning["code"], json!("beyond_retention"));
    assert!(warning["detail"].as_str().unwrap().contains("2026-01-01T00:00:00Z"), "{warning}");
    assert_ne!(told.header("etag"), before.header("etag"));
    assert_ne!(told.body["meta"]["version"], before.body["meta"]["version"]);
    // What reaches no further back is not touched.
    assert_eq!(clicks(&world.report(&query("2026-01-01", "all", "UTC")).await.ok()), (json!(2), false));

    // Before its months are dropped, too: from one version on it is the same.
    assert_eq!(clicks(&told), (json!(2), true));
    let dropped = retention::maintain(&world.admin, now).await.unwrap();
    assert_eq!(
        dropped,
        [
            "dimension_totals_e1_202512",
            "rollup_15m_e1_202512",
            "rollup_daily_e1_202512",
            "rollup_hourly_e1_202512",
            "statements_e1"
        ]
    );
    assert_eq!(clicks(&world.report(&whole).await.ok()), (json!(2), true));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn retention_of_statements_is_separate(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    years(&mut world).await;
    let now = at("2026-11-22T12:00:00Z");
    let whole = query("2025-01-01", "all", "UTC");
    retention::set(&world.admin, Some("statements"), Some(10), now).await.unwrap();
    assert_eq!(retention::maintain(&world.admin, now).await.unwrap(), ["statements_e1"]);
    let told = world.report(&whole).await.ok();
    assert_eq!(clicks(&told), (json!(3), true));
    let detail = told.body["meta"]["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("Totals that pull sources stated of what ended by 2026-01-01T00:00:00Z"), "{detail}");
    assert_eq!(clicks(&world.report(&query("2026-01-01", "all", "UTC")).await.ok()), (json!(2), false));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn retention_of_corrections_is_separate(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    years(&mut world).await;
    let (then, now) = ("2025-12-31T10:00:00Z", at("2026-11-22T12:00:00Z"));
    world.given([sale_corrected((1, 1), ("c", "o", then), then, (0, Some(-1)), (1, Some(5)))]).await;
    let path = |from: &str| {
        format!(
            "/v1/campaigns/00000000-0000-0000-0000-00000000ca01/corrections?date_from={from}&date_to=2026-11-01&time_zone=UTC"
        )
    };
    let before = world.get(&path("2025-12-01")).await.ok();
    assert_eq!((before.column("correction_id"), before.warnings().len()), (vec![json!("c")], 0));
    retention::set(&world.admin, Some("corrections"), Some(10), now).await.unwrap();
    assert_eq!(retention::maintain(&world.admin, now).await.unwrap(), ["corrections_e1"]);
    let told = world.get_with(&path("2025-12-01"), &[("if-none-match", before.etag())]).await.ok();
    assert_eq!((&told.body["data"], told.warnings()), (&json!([]), vec!["beyond_retention"]));
    assert_eq!(world.get(&path("2026-01-01")).await.ok().warnings().len(), 0);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn coarser_sums_are_kept_longer(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    years(&mut world).await;
    let now = at("2026-11-22T12:00:00Z");
    for table in ["rollup_15m", "dimension_totals"] {
        retention::set(&world.admin, Some(table), Some(1), now).await.unwrap();
    }
    retention::maintain(&world.admin, now).await.unwrap();
    assert_eq!(clicks(&world.report(&query("2025-01-01", "all", "UTC")).await.ok()), (json!(103), false));
    assert_eq!(clicks(&world.report(&query("2025-01-01", "all", "Europe/Berlin")).await.ok()), (json!(103), false));
    // Kathmandu's days need the quarters: what is left of them, and what was stated.
    let kathmandu = world.report(&query("2025-01-01", "all", "Asia/Kathmandu")).await.ok();
    assert_eq!(clicks(&kathmandu), (json!(101), true));
    // By country: the earlier numbers stand under null, so that the rows still add up.
    let mut by_country = query("2025-01-01", "all", "UTC");
    by_country["group_by"] = json!(["country"]);
    let reply = world.report(&by_country).await.ok();
    assert_eq!(reply.column("country"), [json!("DE"), json!(null)]);
    assert_eq!(reply.column("clicks"), [json!(1), json!(102)]);
    assert!(clicks(&reply).1, "{reply}");
}
