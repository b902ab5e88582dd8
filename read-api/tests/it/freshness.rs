//! States, sources, and numbers that changed after they were final.

use domain::bucket::Grain;
use domain::measure::Measure;
use domain::source::{Horizon, Horizons, SourceKind, SourceRole};
use http::StatusCode;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    campaign, clicks, completed, created, days, definition, failed, pulled, pushing, registered,
};
use crate::support::{Reply, World, report_path};

fn metrics(query: &str) -> String {
    format!("/v1/campaigns/{}/metrics?time_zone=UTC&measures=clicks&{query}", campaign(1))
}

/// One push source, complete through noon of the 22nd, with clicks on the 18th, 20th and 22nd.
async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            clicks(1, 1, "2026-11-18T10:00:00Z", 1),
            clicks(1, 1, "2026-11-20T10:00:00Z", 2),
            clicks(1, 1, "2026-11-22T10:00:00Z", 3),
        ])
        .await;
    world.set_clock("2026-11-22T12:05:00Z");
    world.given([completed(1, "2026-11-22T12:05:00Z", "2026-11-22T12:00:00Z", Grain::QuarterHour)]).await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_are_final_provisional_or_live(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let reply = world.get(&metrics("date_from=2026-11-18&date_to=2026-11-22")).await.ok();
    assert_eq!(reply.column("state"), [json!("final"), json!("provisional"), json!("live")]);
    assert_eq!(
        reply.body["meta"]["freshness"],
        json!({
            "state": "live",
            "first_incomplete": "2026-11-22T12:00:00Z",
            "complete_through": "2026-11-21",
            "final_through": "2026-11-18",
            "sources": [{"source": "tracker", "role": "primary", "status": "ok", "complete_through": "2026-11-22T12:00:00Z",
                         "final_through": "2026-11-19T00:00:00Z", "parked": 0}],
        })
    );
    assert_eq!(reply.header("data-freshness"), "state=live, lag=0.000, complete_through=@1795348800");

    let settled = world.get(&metrics("date_from=2026-11-18&date_to=2026-11-22&data_state=final")).await.ok();
    assert_eq!(settled.column("clicks"), [json!(1)]);
    let past = world.get(&metrics("date_from=2026-11-01&date_to=2026-11-18&granularity=all")).await.ok();
    assert_eq!(past.body["meta"]["freshness"]["state"], json!("final"));
    assert_eq!(past.body["meta"]["freshness"]["first_incomplete"], json!(null));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn only_primary_sources_decide_finality(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let mut analytics = definition("analytics", "organic_social", SourceKind::Push);
    analytics.role = SourceRole::Reference;
    world.given([registered(2, analytics), clicks(2, 1, "2026-11-18T09:00:00Z", 9)]).await;
    let range = "date_from=2026-11-18&date_to=2026-11-18";
    let beside = world.get(&metrics(range)).await.ok();
    assert_eq!(beside.column("state"), [json!("final")]);
    let apart = world.get(&metrics(&format!("{range}&group_by=source"))).await.ok();
    assert_eq!(apart.column("source"), [json!("analytics"), json!("tracker")]);
    assert_eq!(apart.column("state"), [json!("provisional"), json!("final")]);
    let sources = &beside.body["meta"]["freshness"]["sources"];
    assert_eq!((&sources[0]["role"], &sources[0]["status"]), (&json!("reference"), &json!("never")));

    world.given([pulled(3, "google_ads", "paid_search"), days(3, 1, &[("2026-09-01", &[(Measure::Spend, 1)])])]).await;
    // It states nothing of what is asked.
    assert_eq!(world.get(&metrics(range)).await.ok().column("state"), [json!("final")]);
    world.given([days(3, 1, &[("2026-09-01", &[(Measure::Clicks, 1)])])]).await;
    let waiting = world.get(&metrics(range)).await.ok();
    assert_eq!(waiting.column("state"), [json!("provisional")]);
    assert_eq!(waiting.body["meta"]["freshness"]["first_incomplete"], json!("2026-11-18T00:00:00Z"));
    assert_eq!(waiting.header("data-freshness"), "state=provisional, lag=0.000");
    // In rows by channel, the sources of the channel decide.
    world.given([pushing(4, "mailer", "email"), clicks(4, 1, "2026-11-18T10:00:00Z", 1)]).await;
    world.given([completed(3, "2026-11-22T12:05:00Z", "2026-11-22T00:00:00Z", Grain::Day)]).await;
    let by_channel = world.get(&metrics(&format!("{range}&group_by=channel"))).await.ok();
    assert_eq!(by_channel.column("channel"), [json!("email"), json!("paid_search")]);
    assert_eq!(by_channel.column("state"), [json!("provisional"), json!("final")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_by_campaign_depend_on_their_own_sources(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world
        .given([created(2, "Hats", &["email"]), pushing(2, "mailer", "email"), clicks(2, 2, "2026-11-18T10:00:00Z", 1)])
        .await;
    let query = json!({"date_from": "2026-11-18", "date_to": "2026-11-18", "time_zone": "UTC", "measures": ["clicks"],
                       "group_by": ["campaign"]});
    let reply = world.report(&query).await.ok();
    assert_eq!(reply.column("campaign"), [json!("Shoes"), json!("Hats")]);
    assert_eq!(reply.column("state"), [json!("final"), json!("provisional")]);
    assert_eq!(reply.body["meta"]["freshness"]["state"], json!("provisional"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn flags_changes_after_final(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let range = "date_from=2026-11-18&date_to=2026-11-20";
    assert_eq!(world.get(&metrics(range)).await.ok().column("restated_after_final"), [json!(null), json!(null)]);
    world.set_clock("2026-11-23T00:00:00Z");
    world.given([clicks(1, 1, "2026-11-18T11:00:00Z", 5), clicks(1, 1, "2026-11-20T11:00:00Z", 5)]).await;
    let reply = world.get(&metrics(range)).await.ok();
    assert_eq!(
        reply.body["data"],
        json!([
            {"bucket": "2026-11-18", "clicks": 6, "state": "final", "restated_after_final": true},
            {"bucket": "2026-11-20", "clicks": 7, "state": "provisional"},
        ])
    );
    // What holds it says so, too, whatever the page and whatever else it holds.
    let mut query = json!({"date_from": "2026-11-18", "date_to": "2026-11-20", "time_zone": "UTC", "measures": ["clicks"],
                           "granularity": "day", "limit": 1, "totals": true, "subtotals": "bucket"});
    let reply = world.report(&query).await.ok();
    assert_eq!(reply.body["totals"], json!({"clicks": 13, "state": "provisional", "restated_after_final": true}));
    assert_eq!(reply.body["subtotals"][0]["restated_after_final"], json!(true));
    assert_eq!(reply.body["subtotals"][1]["restated_after_final"], json!(null));
    query["date_from"] = json!("2026-11-19");
    let reply = world.report(&query).await.ok();
    assert_eq!(reply.body["totals"], json!({"clicks": 7, "state": "provisional"}));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stated_day_is_final_by_its_own_zone(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut ads = definition("ads", "paid_search", SourceKind::Pull);
    ads.horizons = Horizons::default();
    let stated = |clicks| {
        crate::support::given::stated(1, 1, Grain::Day, "UTC", &[("2026-11-22", &[(Measure::Clicks, clicks)])])
    };
    world.given([created(1, "Shoes", &["paid_search"]), registered(1, ads), stated(22)]).await;
    world.given([completed(1, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", Grain::Hour)]).await;

    // Auckland's 22nd ended at 11:00Z.
    let query = json!({"date_from": "2026-11-22", "date_to": "2026-11-22", "time_zone": "Pacific/Auckland",
                       "measures": ["clicks"], "group_by": ["source"], "fill": "zero_if_complete"});
    let auckland = report_path(&query);
    let reply = world.get(&auckland).await.ok();
    assert_eq!((reply.column("state"), reply.column("clicks")), (vec![json!("live")], vec![json!(22)]));
    assert_eq!(reply.body["meta"]["freshness"]["state"], json!("live"));
    assert_eq!(reply.body["meta"]["freshness"]["first_incomplete"], json!("2026-11-21T11:00:00Z"));
    assert!(reply.header("data-freshness").contains("complete_through=@1795258800"), "{reply}");
    let mut settled = query.clone();
    settled["measures"] = json!(["clicks", "spend"]);
    assert_eq!(world.get(&format!("{}&data_state=final", report_path(&settled))).await.ok().body["data"], json!([]));

    // The clock alone closes it, in what was kept as well.
    world.set_clock("2026-11-23T00:00:00Z");
    let closed = world.get(&auckland).await.ok();
    assert_eq!(closed.column("state"), [json!("provisional")]);
    assert_ne!(closed.etag(), reply.etag());
    world.given([completed(1, "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", Grain::Hour), stated(30)]).await;
    let reply = world.get(&auckland).await.ok();
    assert_eq!((reply.column("state"), reply.column("clicks")), (vec![json!("final")], vec![json!(30)]));

    // New York's ends five hours later, when all that the source says of it has long been there.
    world.set_clock("2026-11-23T05:00:00Z");
    let new_york = json!({"date_from": "2026-11-22", "date_to": "2026-11-22", "time_zone": "America/New_York"});
    assert_eq!(world.report(&new_york).await.ok().body["meta"]["freshness"]["state"], json!("final"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn history_that_arrives_late_was_never_final_before(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pulled(1, "import", "unassigned"),
            days(1, 1, &[("2019-01-01", &[(Measure::Clicks, 1)])]),
        ])
        .await;
    world.set_clock("2026-11-22T12:00:01Z");
    world.given([completed(1, "2026-11-22T12:00:01Z", "2019-01-02T00:00:00Z", Grain::Day)]).await;
    let path = metrics("date_from=2019-01-01&date_to=2019-01-01");
    let reply = world.get(&path).await.ok();
    assert_eq!(reply.body["data"], json!([{"bucket": "2019-01-01", "clicks": 1, "state": "final"}]));
    world.set_clock("2026-11-22T12:00:02Z");
    let restated = crate::support::given::stated(1, 1, Grain::Day, "UTC", &[("2019-01-01", &[(Measure::Clicks, 2)])]);
    world.given([restated]).await;
    let reply = world.get(&path).await.ok();
    assert_eq!(
        reply.body["data"],
        json!([{"bucket": "2019-01-01", "clicks": 2, "state": "final", "restated_after_final": true}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn freshness_lists_projections_and_sources(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([pulled(2, "google_ads", "paid_search"), failed(2, "2026-11-22T12:01:00Z", "quota exceeded")]).await;
    world.append(world.workspace, [clicks(1, 1, "2026-11-22T12:00:00Z", 1)]).await;
    world.set_clock("2026-11-22T12:05:01.500000789Z");
    // One that is made to be compared is no way back, and one that goes is gone.
    sqlx::query("INSERT INTO read.epochs (projection, epoch, state) VALUES ('campaign_model', 2, 'verifying'), ('campaign_model', 3, 'dropping')")
        .execute(&world.admin)
        .await
        .unwrap();
    let reply = world.get("/v1/freshness").await.ok();
    assert_eq!(reply.header("cache-control"), "no-store");
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": {
        "at": "2026-11-22T12:05:01.500Z",
        "head": 10,
        "projections": [
          {
            "applied": 9,
            "epoch": 1,
            "lag_events": 1,
            "lag_s": 1.5,
            "parked": [],
            "projection": "campaign_model",
            "state": "live",
            "stopped": null
          }
        ],
        "sources": [
          {
            "channel": "paid_search",
            "complete_through": null,
            "currency": "EUR",
            "ended_at": null,
            "expected_delay_s": 3600,
            "failure_reason": "quota exceeded",
            "feeds_campaigns": false,
            "final_through": null,
            "final_through_by": {
              "conversions": null,
              "delivery": null
            },
            "grain": null,
            "horizons": {
              "conversions": 259200,
              "delivery": 259200
            },
            "kind": "pull",
            "last_completed_at": null,
            "last_failed_at": "2026-11-22T12:01:00Z",
            "last_started_at": null,
            "late_at": null,
            "measure_roles": {},
            "not_reread_since": null,
            "parked": 0,
            "role": "primary",
            "source": "google_ads",
            "source_id": "00000000-0000-0000-0000-000000005002",
            "status": "failed",
            "time_zone": "UTC"
          },
          {
            "channel": "paid_search",
            "complete_through": "2026-11-22T12:00:00Z",
            "currency": "EUR",
            "ended_at": null,
            "expected_delay_s": 3600,
            "failure_reason": null,
            "feeds_campaigns": true,
            "final_through": "2026-11-19T12:05:01.500Z",
            "final_through_by": {
              "conversions": "2026-11-19T12:05:01.500Z",
              "delivery": "2026-11-19T12:05:01.500Z"
            },
            "grain": "15m",
            "horizons": {
              "conversions": 259200,
              "delivery": 259200
            },
            "kind": "push",
            "last_completed_at": "2026-11-22T12:05:00Z",
            "last_failed_at": null,
            "last_started_at": null,
            "late_at": "2026-11-22T13:15:00Z",
            "measure_roles": {},
            "not_reread_since": null,
            "parked": 0,
            "role": "primary",
            "source": "tracker",
            "source_id": "00000000-0000-0000-0000-000000005001",
            "status": "ok",
            "time_zone": "UTC"
          }
        ]
      }
    }
    "#);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn unprojected_workspace_is_fully_behind(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::empty(options, connect).await;
    world.append(world.workspace, [crate::support::given::opened("Asia/Tokyo"), created(1, "Shoes", &["email"])]).await;
    world.set_clock("2026-11-22T12:10:00Z");
    let freshness = world.get("/v1/freshness").await.ok();
    assert_eq!(
        freshness.body["data"]["projections"],
        json!([{"projection": "campaign_model", "epoch": null, "state": "missing", "applied": 0, "lag_events": 2,
                "lag_s": 600.0, "stopped": null, "parked": []}])
    );
    for path in ["/v1/campaigns".to_owned(), report_path(&json!({})), metrics("")] {
        assert_eq!(world.get(&path).await.problem(503), "building", "{path}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn source_completes_by_the_clock_while_something_of_it_arrives(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let mut world = World::new(options, connect).await;
    world.set_clock("2026-11-20T10:05:00Z");
    let mut pixel = definition("pixel", "paid_search", SourceKind::Push);
    pixel.horizons = Horizons::uniform(Horizon::Seconds(1_800));
    (pixel.complete_after_s, pixel.quiet_after_s) = (Some(600), Some(7_200));
    let seen = clicks(1, 1, "2026-11-20T09:50:00Z", 1);
    world.given([created(1, "Shoes", &["paid_search"]), registered(1, pixel), seen]).await;
    let path = metrics("date_from=2026-11-20&date_to=2026-11-20&granularity=hour");
    let told = |reply: &Reply| {
        let source = &reply.body["meta"]["freshness"]["sources"][0];
        let states: Vec<_> = reply.body["data"].as_array().unwrap().iter().map(|row| row["state"].clone()).collect();
        (source["status"].clone(), source["complete_through"].clone(), states)
    };

    // Its last hour is complete ten minutes after it closed, and final half an hour after that.
    let first = world.get(&path).await.ok();
    assert_eq!(told(&first), (json!("ok"), json!("2026-11-20T09:45:00Z"), vec![json!("provisional")]));
    world.set_clock("2026-11-20T10:10:00Z");
    let second = world.get_with(&path, &[("if-none-match", first.etag())]).await.ok();
    assert_eq!(told(&second), (json!("ok"), json!("2026-11-20T10:00:00Z"), vec![json!("provisional")]));
    world.set_clock("2026-11-20T10:24:59Z");
    assert_eq!(world.get_with(&path, &[("if-none-match", second.etag())]).await.status, StatusCode::NOT_MODIFIED);
    world.set_clock("2026-11-20T10:30:00Z");
    let third = world.get(&path).await.ok();
    assert_eq!(told(&third), (json!("ok"), json!("2026-11-20T10:15:00Z"), vec![json!("final")]));

    // Two hours after the quarter in which it was last heard of it is late, and complete up to that quarter alone.
    world.set_clock("2026-11-20T12:14:59Z");
    assert_eq!(told(&world.get(&path).await.ok()).1, json!("2026-11-20T12:00:00Z"));
    world.set_clock("2026-11-20T12:15:00Z");
    let silent = world.get(&path).await.ok();
    assert_eq!(told(&silent), (json!("late"), json!("2026-11-20T10:00:00Z"), vec![json!("final")]));

    // Whatever arrives brings it back, and a run that failed stops it.
    world.given([clicks(1, 1, "2026-11-20T12:10:00Z", 1)]).await;
    assert_eq!(told(&world.get(&path).await.ok()).0, json!("ok"));
    world.given([failed(1, "2026-11-20T12:15:00Z", "quota")]).await;
    world.set_clock("2026-11-20T13:00:00Z");
    let failed = told(&world.get(&path).await.ok());
    assert_eq!((failed.0, failed.1), (json!("failed"), json!("2026-11-20T12:00:00Z")));
}
