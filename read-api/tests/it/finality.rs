//! When numbers are final: once they were read again, by the horizons of what is asked, and only if everybody who is
//! expected has delivered.

use domain::bucket::Grain;
use domain::measure::Measure;
use domain::source::{SourceEvent, SourceKind};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::World;
use crate::support::given::{
    campaign, completed, created, days, definition, failed, pulled, registered, source, source_event,
};

fn metrics(query: &str) -> String {
    format!("/v1/campaigns/{}/metrics?time_zone=UTC&measures=clicks&{query}", campaign(1))
}

/// A pull source of paid search, complete through the 22nd, that states clicks of the 18th and the 20th.
async fn read_once(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let clicked = |day| days(1, 1, &[(day, &[(Measure::Clicks, 1)])]);
    world.given([created(1, "Shoes", &["paid_search"]), pulled(1, "ads", "paid_search")]).await;
    world.given([clicked("2026-11-18"), clicked("2026-11-20")]).await;
    world.set_clock("2026-11-22T12:05:00Z");
    world.given([completed(1, "2026-11-22T12:05:00Z", "2026-11-22T00:00:00Z", Grain::Day)]).await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pulled_numbers_are_final_once_they_were_read_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = read_once(options, connect).await;
    let range = "date_from=2026-11-18&date_to=2026-11-20";
    let states = [json!("final"), json!("provisional")];
    assert_eq!(world.get(&metrics(range)).await.ok().column("state"), states);
    // The horizon of the 20th passes, while the source fails: the clock alone settles nothing.
    world.given([failed(1, "2026-11-23T00:00:00Z", "token expired")]).await;
    world.set_clock("2026-11-29T00:00:00Z");
    let reply = world.get(&metrics(range)).await.ok();
    assert_eq!(reply.column("state"), states);
    assert_eq!(reply.body["meta"]["freshness"]["final_through"], json!("2026-11-18"));
    let source = &reply.body["meta"]["freshness"]["sources"][0];
    assert_eq!((&source["status"], &source["not_reread_since"]), (&json!("failed"), &json!("2026-11-22T12:05:00Z")));

    world.given([completed(1, "2026-11-29T00:05:00Z", "2026-11-29T00:00:00Z", Grain::Day)]).await;
    let reply = world.get(&metrics(range)).await.ok();
    assert_eq!(reply.column("state"), [json!("final"), json!("final")]);
    assert_eq!(reply.body["meta"]["freshness"]["sources"][0]["not_reread_since"], json!(null));
    assert_eq!(reply.body["meta"]["freshness"]["final_through"], json!("2026-11-20"));
    // What changes from now on says so.
    world.set_clock("2026-11-29T01:00:00Z");
    world.given([days(1, 1, &[("2026-11-20", &[(Measure::Clicks, 9)])])]).await;
    let reply = world.get(&metrics(range)).await.ok();
    assert_eq!(reply.column("restated_after_final"), [json!(null), json!(true)]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn source_that_never_delivered_is_expected(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = read_once(options, connect).await;
    let range = "date_from=2026-11-18&date_to=2026-11-18";
    let query = |filters| {
        json!({"date_from": "2026-11-18", "date_to": "2026-11-18", "time_zone": "UTC", "measures": ["clicks"],
               "granularity": "all", "filters": filters})
    };
    world.given([pulled(2, "bing", "paid_search"), failed(2, "2026-11-22T12:01:00Z", "401")]).await;
    // It is named, and keeps the number from being final, however widely is asked.
    for filters in [
        json!({}),
        json!({"source": ["bing"]}),
        json!({"source": ["ads", "bing"]}),
        json!({"channel": ["paid_search"]}),
    ] {
        let reply = world.report(&query(filters.clone())).await.ok();
        let freshness = &reply.body["meta"]["freshness"];
        assert_eq!(freshness["state"], json!("provisional"), "{filters}");
        let bing = freshness["sources"].as_array().unwrap().iter().find(|source| source["source"] == "bing").unwrap();
        assert_eq!(bing["status"], json!("failed"), "{filters}");
    }
    assert_eq!(
        world.report(&query(json!({"source": ["ads"]}))).await.ok().body["meta"]["freshness"]["state"],
        json!("final")
    );
    // A campaign of its channel waits for it, one of another channel does not.
    assert_eq!(world.get(&metrics(range)).await.ok().column("state"), [json!("provisional")]);
    world.given([created(2, "Letters", &["email"]), days(1, 2, &[("2026-11-18", &[(Measure::Clicks, 1)])])]).await;
    let other = world.report(&query(json!({"campaign_id": [campaign(2)]}))).await.ok();
    assert_eq!(other.body["meta"]["freshness"]["state"], json!("final"));
    // Ended, nobody waits for it.
    let ended = SourceEvent::SourceEnded {
        source: source(2),
        ends_at: "2026-11-01T00:00:00Z".parse().unwrap(),
        at: "2026-11-22T12:10:00Z".parse().unwrap(),
    };
    world.given([source_event(2, ended)]).await;
    assert_eq!(world.get(&metrics(range)).await.ok().column("state"), [json!("final")]);
    let listed = world.get("/v1/freshness").await.ok();
    assert_eq!(listed.body["data"]["sources"][1]["status"], json!("ended"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_wait_for_the_horizons_of_what_is_asked(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut ads = definition("ads", "paid_search", SourceKind::Pull);
    ads.horizons.conversions = "30d".parse().unwrap();
    let numbers: &[(Measure, i64)] = &[(Measure::Spend, 5), (Measure::Conversions, 1_000_000)];
    world
        .given([created(1, "Shoes", &["paid_search"]), registered(1, ads), days(1, 1, &[("2026-11-18", numbers)])])
        .await;
    world.set_clock("2026-11-22T12:05:00Z");
    world.given([completed(1, "2026-11-22T12:05:00Z", "2026-11-22T00:00:00Z", Grain::Day)]).await;
    let asked = |measures| json!({"date_from": "2026-11-18", "date_to": "2026-11-18", "time_zone": "UTC", "measures": measures});
    for (measures, state) in [
        (json!(["spend"]), "final"),
        (json!(["conversions"]), "provisional"),
        (json!(["spend", "conversions"]), "provisional"),
    ] {
        assert_eq!(world.report(&asked(measures.clone())).await.ok().column("state"), [json!(state)], "{measures}");
    }
    let both = world.report(&asked(json!(["spend", "conversions"]))).await.ok();
    let freshness = &both.body["meta"]["freshness"];
    assert_eq!(freshness["final_through"], json!(null));
    assert_eq!(freshness["final_through_by_measure"], json!({"spend": "2026-11-18", "conversions": null}));
}
