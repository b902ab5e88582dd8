//! What an answer repeats of its query is a query: it asks the same.

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{campaign, clicks, created, pushing};
use crate::support::{World, post, report_path};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["email"]),
            pushing(1, "tracker", "paid_search"),
            pushing(2, "mailer", "email"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 5),
            clicks(2, 2, "2026-11-10T11:00:00Z", 7),
        ])
        .await;
    world
}

fn queries() -> Vec<Value> {
    let shoes = json!({"campaign_id": [campaign(1).to_string()]});
    vec![
        json!({}),
        json!({"data_state": "final"}),
        json!({"data_state": "all", "measures": ["ctr", "clicks", "clicks"], "group_by": ["source", "channel"]}),
        json!({"granularity": "week", "week_start": "sunday", "time_zone": "Asia/Kathmandu"}),
        json!({"granularity": "day", "fill": "zero", "totals": true, "subtotals": "bucket", "group_by": ["campaign"]}),
        json!({"group_by": ["country"], "filters": {"country": ["DE", null]}, "order_by": ["-clicks", "bucket"]}),
        json!({"compare_to": "previous_year", "order_by": ["-clicks_relative_change"], "measures": ["clicks"]}),
        json!({"compare_to": {"date_from": "2026-10-01", "date_to": "2026-10-31"}, "fill": "zero_if_complete"}),
        json!({"range": "last_30_days", "granularity": "quarter", "retail_weeks": "4-4-5"}),
        json!({"range": "this_month", "compare_to": "previous_period", "compare_elapsed": true}),
        json!({"filters": shoes}),
        json!({"filters": {"not": {"or": [shoes, {"channel": ["email"], "status": ["draft"]}]}}}),
        json!({"filters": {"and": [{"source": ["tracker"]}, {"source": ["mailer"]}, {"not": {"not": shoes}}]}}),
        json!({"filters": {"or": [{"source": ["tracker"]}, {"source": ["mailer"]}], "not": {"source": ["x"]}}}),
    ]
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_canonical_report_gives_the_same_result(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for query in queries() {
        let first = world.report(&query).await.ok();
        let told = &first.body["meta"]["query"];
        let dashboard = json!({"reports": {"a": told}});
        for again in [world.report(told).await.ok(), world.get(&report_path(told)).await.ok()] {
            assert_eq!((&again.text, again.etag()), (&first.text, first.etag()), "{query}");
        }
        let tile = post(&world, "/v1/dashboards", &dashboard).await.ok();
        assert_eq!(tile.body["data"]["a"], first.body, "{query}");
    }
    let metrics = format!("/v1/campaigns/{}/metrics?data_state=final&compare_to=2026-10-01/2026-10-31", campaign(1));
    let metrics = world.get(&metrics).await.ok();
    let report = world.report(&metrics.body["meta"]["query"]).await.ok();
    assert_eq!(report.body["data"], metrics.body["data"]);
    assert_eq!(report.body["meta"]["query"], metrics.body["meta"]["query"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn post_and_get_addresses_are_equivalent(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let by_body = world.report(&json!({"data_state": "final"})).await.ok();
    let settled = json!({"data_state": "final"});
    let both = post(&world, "/v1/reports?data_state=final", &settled).await.ok();
    let by_address = post(&world, "/v1/reports?data_state=final", &json!({})).await.ok();
    for other in [&both, &by_address] {
        assert_eq!((&other.text, other.etag()), (&by_body.text, by_body.etag()));
        let twin = world.get(other.header("content-location")).await.ok();
        assert_eq!((&twin.text, twin.etag()), (&by_body.text, by_body.etag()));
    }
    for contradicting in [
        post(&world, "/v1/reports?data_state=all", &settled).await,
        world.get(&format!("{}&data_state=all", report_path(&settled))).await,
        world.report(&json!({"data_state": "maybe"})).await,
    ] {
        assert_eq!((contradicting.problem(400), contradicting.wrong_fields()), ("invalid-query", vec!["data_state"]));
    }
    // Of a dashboard, that is one report's fault.
    let reports = json!({"reports": {"one": settled, "other": {"data_state": "all"}, "unsaid": {}}});
    let dashboard = post(&world, "/v1/dashboards?data_state=final", &reports).await.ok();
    for answered in ["one", "unsaid"] {
        assert_eq!(dashboard.body["data"][answered], by_body.body);
    }
    let problem = &dashboard.body["data"]["other"]["problem"];
    assert_eq!((&problem["status"], &problem["errors"][0]["field"]), (&json!(400), &json!("data_state")));
}
