//! When an ETag moves, and when it does not. It may move needlessly; it must never stay when the answer changed.

use domain::bucket::Grain;
use domain::campaign::CampaignEvent;
use domain::measure::Measure;
use domain::observation::ObservationType::Conversion;
use http::StatusCode;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    at, campaign, changed, clicks, completed, created, days, failed, observed, pulled, pushing, stated,
};
use crate::support::{Reply, World, report_path, send};

const NOVEMBER: &str = "date_from=2026-11-01&date_to=2026-11-30&time_zone=UTC&granularity=day";

pub(crate) fn metrics() -> String {
    format!("/v1/campaigns/{}/metrics?{NOVEMBER}", campaign(1))
}

pub(crate) async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["email"]),
            pushing(1, "tracker", "paid_search"),
            // Nothing is expected of it for the campaigns, which run on other channels.
            pulled(2, "google_ads", "video"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 5),
        ])
        .await;
    world
}

/// Asks again with the answer's ETag.
async fn again(world: &World, path: &str, before: &Reply) -> Reply {
    world.get_with(path, &[("if-none-match", before.etag())]).await
}

/// The path's answer is the same as before, and a caller who has it is told so.
#[track_caller]
fn assert_unchanged(again: &Reply, before: &Reply) {
    assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{again}");
    assert_eq!(again.text, "");
    assert_eq!(again.etag(), before.etag());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn returns_304_with_current_headers(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let before = world.get(&metrics()).await.ok();
    assert_eq!(before.header("data-position"), "epoch=1, applied=6, head=6");
    world.given([created(3, "Socks", &["email"])]).await;
    world.append(world.workspace, [created(4, "Belts", &["email"])]).await;
    world.set_clock("2026-11-22T12:00:07.250Z");
    let after = again(&world, &metrics(), &before).await;
    assert_unchanged(&after, &before);
    assert_eq!(after.header("data-position"), "epoch=1, applied=7, head=8");
    assert_eq!(after.header("data-freshness"), "state=live, lag=7.250");
    for name in ["cache-control", "vary"] {
        assert_eq!(after.header(name), before.header(name));
    }
    assert_ne!(after.header("consistency-token"), before.header("consistency-token"));
    assert!(!after.headers.contains_key("content-type"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn version_moves_with_events_in_the_range_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let before = world.get(&metrics()).await.ok();
    for unrelated in [
        // Another campaign, another month, a source that feeds another campaign.
        clicks(1, 2, "2026-11-20T10:00:00Z", 1),
        clicks(1, 1, "2026-10-31T23:59:59Z", 1),
        clicks(1, 1, "2026-12-01T00:00:00Z", 1),
        failed(2, "2026-11-22T12:00:00Z", "quota"),
    ] {
        world.given([unrelated]).await;
        assert_unchanged(&again(&world, &metrics(), &before).await, &before);
    }
    let mut last = before;
    for related in [
        clicks(1, 1, "2026-11-01T00:00:00Z", 1),
        completed(1, "2026-11-22T12:00:00Z", "2026-11-22T11:45:00Z", Grain::QuarterHour),
        // It feeds the campaign from now on, though only with numbers of another month.
        days(2, 1, &[("2026-08-05", &[(Measure::Clicks, 4)])]),
        completed(2, "2026-11-22T12:00:01Z", "2026-11-20T00:00:00Z", Grain::Day),
        failed(2, "2026-11-22T12:00:02Z", "quota"),
        changed(1, CampaignEvent::CampaignRenamed { name: "Boots".to_owned(), at: at("2026-11-22T12:00:00Z") }),
    ] {
        world.given([related]).await;
        let next = again(&world, &metrics(), &last).await.ok();
        assert_ne!(next.etag(), last.etag());
        last = next;
    }
    let sources = &last.body["meta"]["freshness"]["sources"];
    assert_eq!(sources[0]["source"], json!("google_ads"));
    assert_eq!(sources[0]["status"], json!("failed"));
    // It is known to fail.
    world.given([failed(2, "2026-11-22T12:00:03Z", "quota")]).await;
    assert_unchanged(&again(&world, &metrics(), &last).await, &last);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn days_of_other_zones_move_their_displayed_month(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let first = format!("/v1/campaigns/{}/metrics?date_from=2026-11-01&date_to=2026-11-01&time_zone=UTC", campaign(1));
    let mut last = world.get(&first).await.ok();
    for (zone, clicks) in [("Pacific/Kiritimati", 14), ("Pacific/Pago_Pago", -11)] {
        let value = i64::from(clicks) + 20;
        world.given([stated(2, 1, Grain::Day, zone, &[("2026-11-01", &[(Measure::Clicks, value)])])]).await;
        let next = again(&world, &first, &last).await.ok();
        assert_ne!(next.body["data"], last.body["data"]);
        last = next;
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn version_moves_with_the_clock_at_boundaries_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([completed(1, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", Grain::Hour)]).await;
    let path = format!("/v1/campaigns/{}/metrics?date_from=2026-11-20&date_to=2026-11-22&time_zone=UTC", campaign(1));
    let mut last = world.get(&path).await.ok();
    assert_eq!(last.column("state"), [json!("provisional")]);
    for (quiet, boundary, what) in [
        ("2026-11-22T13:59:59.999Z", "2026-11-22T14:00:00Z", "late: an hour's grain and an hour's delay"),
        ("2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z", "the last day closes, and the 19th's horizon passes"),
        ("2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z", "the horizon of the 20th passes"),
    ] {
        world.set_clock(quiet);
        assert_unchanged(&again(&world, &path, &last).await, &last);
        world.set_clock(boundary);
        let next = again(&world, &path, &last).await;
        assert_eq!(next.status, StatusCode::OK, "{what}");
        assert_ne!(next.body, last.body, "{what}");
        last = next;
    }
    assert_eq!(last.column("state"), [json!("final")]);
    assert_eq!(last.body["meta"]["freshness"]["state"], json!("provisional"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn report_of_all_campaigns_moves_with_any(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let query =
        json!({"date_from": "2026-11-01", "date_to": "2026-11-30", "time_zone": "UTC", "group_by": ["campaign"]});
    let path = report_path(&query);
    let before = world.get(&path).await.ok();
    world.given([clicks(1, 2, "2026-10-20T10:00:00Z", 1)]).await;
    // It now feeds the second campaign, which changes no row, but what their state rests on.
    let fed = again(&world, &path, &before).await.ok();
    world.given([clicks(1, 2, "2026-10-21T10:00:00Z", 1)]).await;
    assert_unchanged(&again(&world, &path, &fed).await, &fed);
    let mut last = fed;
    for related in [
        clicks(1, 2, "2026-11-20T10:00:00Z", 1),
        changed(2, CampaignEvent::CampaignRenamed { name: "Caps".to_owned(), at: at("2026-11-22T12:00:00Z") }),
        completed(2, "2026-11-22T12:00:00Z", "2026-11-22T00:00:00Z", Grain::Day),
    ] {
        world.given([related]).await;
        last = again(&world, &path, &last).await.ok();
    }
    assert_eq!(last.column("campaign"), [json!("Shoes"), json!("Caps")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn report_that_shows_no_campaigns_stays_when_they_change(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let query = json!({"date_from": "2026-11-01", "date_to": "2026-11-21", "time_zone": "UTC", "measures": ["clicks"],
                       "group_by": ["source"]});
    let path = report_path(&query);
    let before = world.get(&path).await.ok();
    for unrelated in [
        created(3, "Socks", &["email"]),
        changed(2, CampaignEvent::CampaignRenamed { name: "Caps".to_owned(), at: at("2026-11-22T12:00:00Z") }),
        changed(1, CampaignEvent::CampaignLaunched { at: at("2026-11-22T12:00:00Z") }),
        // The first number of another campaign.
        clicks(1, 2, "2026-11-22T10:00:00Z", 1),
    ] {
        world.given([unrelated]).await;
        assert_unchanged(&again(&world, &path, &before).await, &before);
    }
    world.given([clicks(1, 2, "2026-11-21T10:00:00Z", 1)]).await;
    let after = again(&world, &path, &before).await.ok();
    assert_eq!(after.column("clicks"), [json!(6)]);
    // The first number of a source, whenever it is of: it is expected from now on.
    world.given([days(2, 2, &[("2026-08-05", &[(Measure::Clicks, 4)])])]).await;
    again(&world, &path, &after).await.ok();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ratio_of_two_sources_moves_when_one_feeds_a_campaign(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let sale = |day: &str| observed(3, 2, &[(Conversion, &format!("{day}T10:00:00Z"), 1_000_000, Some(9_000_000))]);
    world
        .given([
            pulled(4, "bing_ads", "paid_search"),
            pushing(3, "shop", "paid_search"),
            days(4, 1, &[("2026-11-20", &[(Measure::Clicks, 30)])]),
            days(4, 2, &[("2026-11-20", &[(Measure::Clicks, 50)])]),
            observed(3, 1, &[(Conversion, "2026-11-20T10:00:00Z", 3_000_000, None)]),
        ])
        .await;
    let query = json!({"date_from": "2026-11-01", "date_to": "2026-11-21", "time_zone": "UTC",
                       "measures": ["cvr", "cvr.clicks"], "filters": {"source": ["bing_ads", "shop"]}});
    let path = report_path(&query);
    let before = world.get(&path).await.ok();
    assert_eq!(before.column("cvr.clicks"), [json!(30)]);
    // Of another month, but from now on the clicks of this campaign have a source of the other side.
    world.given([sale("2026-10-02")]).await;
    let after = again(&world, &path, &before).await.ok();
    assert_eq!(after.column("cvr.clicks"), [json!(80)]);
    world.given([sale("2026-10-03")]).await;
    assert_unchanged(&again(&world, &path, &after).await, &after);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn filter_by_status_moves_with_the_clock(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([changed(1, CampaignEvent::CampaignLaunched { at: at("2026-11-22T12:00:00Z") })]).await;
    let active = json!({"date_from": "2026-11-20", "date_to": "2026-11-20", "measures": ["clicks"],
                        "filters": {"status": ["active"]}});
    let path = report_path(&active);
    let before = world.get(&path).await.ok();
    assert_eq!(before.body["data"], json!([]));
    // The first of December begins an hour earlier in Berlin.
    world.set_clock("2026-11-30T22:59:59Z");
    assert_unchanged(&again(&world, &path, &world.get(&path).await.ok()).await, &world.get(&path).await.ok());
    world.set_clock("2026-11-30T23:00:00Z");
    assert_eq!(again(&world, &path, &before).await.ok().column("clicks"), [json!(5)]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn post_and_get_have_the_same_etag(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let one = json!({"measures": ["cpc", "clicks", "clicks"], "group_by": ["source", "channel"], "date_from": "2026-11-01",
                     "date_to": "2026-11-30", "filters": {"channel": ["paid_search", "email"], "source": []}, "limit": 100});
    let other = json!({"measures": ["clicks", "cpc"], "group_by": ["channel", "source", "source"], "date_from": "2026-11-01",
                       "date_to": "2026-11-30", "filters": {"channel": ["email", "paid_search"]}, "granularity": "all",
                       "time_zone": "Europe/Berlin", "order_by": []});
    let posted = world.report(&one).await.ok();
    let got = world.get(&report_path(&other)).await.ok();
    assert_eq!(posted.etag(), got.etag());
    assert_eq!(posted.text, got.text);
    let twin = world.get(posted.header("content-location")).await.ok();
    assert_eq!(twin.text, posted.text);
    assert_unchanged(&again(&world, &report_path(&one), &posted).await, &posted);
    // A POST is answered whole, whatever it says to have.
    let headers = [("content-type", "application/json"), ("if-none-match", posted.etag())];
    let whole = send(world.router.clone(), "POST", "/v1/reports", &headers, Some(one.to_string())).await;
    assert_eq!(whole.ok().text, posted.text);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn another_epoch_is_another_etag(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let before = world.get(&metrics()).await.ok();
    let stop = tokio_util::sync::CancellationToken::new();
    projections::replay(&world.projector, "campaign_model", &world.replaying(), &|_| {}, stop).await.unwrap();
    let after = again(&world, &metrics(), &before).await.ok();
    assert_eq!(after.body["data"], before.body["data"]);
    assert_eq!(after.body["meta"]["version"], before.body["meta"]["version"]);
    assert_eq!((&before.body["meta"]["epoch"], &after.body["meta"]["epoch"]), (&json!(1), &json!(2)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaigns_move_with_their_own_events(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let (one, all) = (format!("/v1/campaigns/{}", campaign(1)), "/v1/campaigns".to_owned());
    let before = [world.get(&one).await.ok(), world.get(&all).await.ok()];
    world.given([clicks(1, 1, "2026-11-21T10:00:00Z", 5)]).await;
    assert_unchanged(&again(&world, &one, &before[0]).await, &before[0]);
    assert_unchanged(&again(&world, &all, &before[1]).await, &before[1]);
    world.given([changed(2, CampaignEvent::CampaignArchived { at: at("2026-11-22T12:00:00Z") })]).await;
    assert_unchanged(&again(&world, &one, &before[0]).await, &before[0]);
    assert_eq!(again(&world, &all, &before[1]).await.ok().column("status"), [json!("archived"), json!("draft")]);
}

/// A copied directory put back, a recovery to a point in time and a promoted standby have in common that other events come
/// to stand at positions that callers know.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn tag_of_a_lost_history_gets_no_304(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let paths = [
        metrics(),
        "/v1/campaigns".to_owned(),
        format!("/v1/campaigns/{}", campaign(1)),
        format!("/v1/campaigns/{}/activity", campaign(1)),
        "/v1/workspace".to_owned(),
    ];
    let mut before = Vec::new();
    for path in &paths {
        let reply = world.get(path).await.ok();
        assert_eq!(reply.body["meta"]["last_changed_at"], json!("2026-11-22T12:00:00Z"), "{path}");
        assert_unchanged(&again(&world, path, &reply).await, &reply);
        before.push(reply);
    }
    // Recorded a microsecond later than the lost ones, at the same positions.
    let rewritten = "UPDATE log.events SET recorded_at = recorded_at + interval '1 microsecond'";
    sqlx::query(rewritten).execute(&world.admin).await.unwrap();
    for (path, before) in paths.iter().zip(before) {
        let after = again(&world, path, &before).await.ok();
        assert_ne!(after.etag(), before.etag(), "{path}");
        assert_eq!(after.body["meta"]["last_changed_at"], json!("2026-11-22T12:00:00.000001Z"), "{path}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn says_when_it_was_last_modified(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    // By an event.
    let campaigns = world.get("/v1/campaigns").await.ok();
    assert_eq!(campaigns.header("last-modified"), "Sun, 22 Nov 2026 12:00:00 GMT");
    // By the clock: the day of today began earlier, and the next one moves it.
    world.set_clock("2026-11-23T07:00:00Z");
    let numbers = world.get(&metrics()).await.ok();
    assert_eq!(numbers.header("last-modified"), "Mon, 23 Nov 2026 00:00:00 GMT");
    assert_eq!(numbers.body["meta"]["last_changed_at"], json!("2026-11-22T12:00:00Z"));
    assert_eq!(again(&world, &metrics(), &numbers).await.header("last-modified"), "Mon, 23 Nov 2026 00:00:00 GMT");
}
