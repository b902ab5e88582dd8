//! When an ETag moves, and when it does not. It may move needlessly; it must never stay when the answer changed.

use std::collections::HashMap;

use chrono::TimeDelta;
use domain::bucket::Grain;
use domain::campaign::CampaignEvent;
use domain::measure::Measure;
use http::StatusCode;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    Given, at, campaign, changed, clicks, completed, created, days, failed, pulled, pushing, stated,
};
use crate::support::{Reply, World, report_path, send};

const NOVEMBER: &str = "date_from=2026-11-01&date_to=2026-11-30&time_zone=UTC&granularity=day";

fn metrics() -> String {
    format!("/v1/campaigns/{}/metrics?{NOVEMBER}", campaign(1))
}

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
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
        failed(2, "2026-11-22T12:00:00Z", "quota"),
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

/// Whatever happens, in whatever order, at whatever time: an ETag that comes again stands for the same body, to the byte.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn body_depends_on_its_version_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let one = json!([campaign(1).to_string()]);
    let paths = [
        metrics(),
        format!("/v1/campaigns/{}/metrics?granularity=hour&date_from=2026-11-20&date_to=2026-11-25", campaign(1)),
        format!(
            "/v1/campaigns/{}/metrics?granularity=all&date_from=2026-11-22&date_to=2026-11-22&group_by=source",
            campaign(2)
        ),
        report_path(&json!({"date_from": "2026-10-31", "date_to": "2026-11-26", "filters": {"status": ["active"]}})),
        report_path(
            &json!({"date_from": "2026-11-01", "date_to": "2026-12-01", "granularity": "week", "group_by": ["campaign", "channel"]}),
        ),
        report_path(
            &json!({"date_from": "2026-11-20", "date_to": "2026-11-22", "filters": {"source": ["late_comer"], "campaign_id": one}}),
        ),
        report_path(&json!({"range": "last_7_days", "granularity": "week", "compare_to": "previous_month"})),
        report_path(&json!({"range": "this_week", "compare_to": "previous_period", "compare_elapsed": true})),
        format!("/v1/campaigns/{}/metrics?range=today&granularity=hour&time_zone=America/New_York", campaign(1)),
        "/v1/campaigns?status=active,paused".to_owned(),
        "/v1/campaigns?source=google_ads,late_comer".to_owned(),
        format!("/v1/campaigns/{}", campaign(1)),
        format!("/v1/campaigns/{}/pacing", campaign(1)),
        format!("/v1/campaigns/{}/activity", campaign(2)),
    ];
    let mut random = StdRng::seed_from_u64(7);
    let mut told = HashMap::new();
    let mut moved = 0;
    for step in 0..60_i64 {
        world.clock.set(at("2026-11-22T12:00:00Z") + TimeDelta::minutes(step * 149));
        if step % 3 != 2 {
            let event = anything(&mut random, step);
            world.given([event]).await;
        }
        for path in &paths {
            let reply = world.get(path).await.ok();
            let known = told.entry((path, reply.etag().to_owned())).or_insert_with(|| {
                moved += 1;
                reply.text.clone()
            });
            assert_eq!(*known, reply.text, "{path} at step {step}");
            if reply.header("cache-status") == "highwater; fwd=miss" {
                continue;
            }
            // What is kept is never told where it no longer holds.
            let fresh = send(world.fresh.clone(), "GET", path, &[], None).await.ok();
            for name in ["etag", "data-position", "data-freshness", "consistency-token"] {
                assert_eq!(reply.header(name), fresh.header(name), "{path} at step {step}");
            }
            assert_eq!(reply.text, fresh.text, "{path} at step {step}");
        }
    }
    // Neither always the same, nor always another.
    assert!((14..45).contains(&(moved / paths.len())), "{moved} of {}", 60 * paths.len());
}

/// Any event that changes an answer, or should not.
fn anything(random: &mut StdRng, step: i64) -> Given {
    let now = (at("2026-11-22T12:00:00Z") + TimeDelta::minutes(step * 149)).to_rfc3339();
    // The third source is registered late.
    if step == 12 {
        return pulled(3, "late_comer", "affiliate");
    }
    let known = if step > 12 { 4 } else { 3 };
    let (from, of) = (random.random_range(1..known), random.random_range(1..3));
    let month = random.random_range(10..13);
    let day = random.random_range(1..31);
    let date = format!("2026-{month}-{day:02}");
    let zone = ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"][random.random_range(0..4)];
    match random.random_range(0..12) {
        0..3 => clicks(from, of, &format!("{date}T{:02}:40:00Z", random.random_range(0..24)), step + 1),
        3..6 => stated(
            from,
            of,
            Grain::Day,
            zone,
            &[(&date, &[(Measure::Clicks, step), (Measure::Spend, step * 1_000_000)])],
        ),
        6 => completed(from, &now, &format!("2026-11-{day:02}T00:00:00Z"), Grain::Day),
        7 => failed(from, &now, "quota"),
        8..10 => changed(of, CampaignEvent::CampaignLaunched { at: at(&now) }),
        10 => changed(of, CampaignEvent::CampaignPaused { at: at(&now) }),
        _ => changed(
            of,
            CampaignEvent::CampaignRescheduled {
                starts_on: format!("2026-11-{day:02}").parse().unwrap(),
                ends_on: None,
                at: at(&now),
            },
        ),
    }
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
