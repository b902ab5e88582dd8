//! The pacing of all campaigns in one answer.

use std::collections::BTreeMap;

use domain::bucket::Grain;
use domain::campaign::{Budget, BudgetPeriod, CampaignEvent};
use domain::measure::Measure;
use domain::money::Money;
use domain::observation::ObservationType::Spend;
use domain::source::{SourceKind, SourceRole};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    Given, at, campaign, changed, created, date, days, definition, observed, pulled, pushing, registered, stated,
};
use crate::support::{Reply, World};

const EARLY: &str = "2026-11-02T09:00:00Z";

/// A campaign of November in a zone with a budget and a source that spent so much on each of the days of its zone.
fn flight(n: u128, zone: &str, to: Option<&str>, budget: Option<(i64, BudgetPeriod)>) -> Vec<Given> {
    let currency = "EUR".parse().unwrap();
    let budget = budget.map(|(euros, per)| Budget { amount: Money { micros: euros * 1_000_000, currency }, per });
    let at = at(EARLY);
    let (starts_on, ends_on, time_zone) = (date("2026-11-01"), to.map(date), zone.parse().unwrap());
    [
        CampaignEvent::CampaignTimeZoneChanged { time_zone, at },
        CampaignEvent::CampaignRescheduled { starts_on, ends_on, at },
        CampaignEvent::CampaignBudgetSet { budget, at },
        CampaignEvent::CampaignLaunched { at },
    ]
    .map(|event| changed(n, event))
    .into()
}

fn spent(from: u128, of: u128, when: &str, euros: i64) -> Given {
    observed(from, of, &[(Spend, when, 1, Some(euros * 1_000_000))])
}

fn said(from: u128, of: u128, day: &str, euros: i64) -> Given {
    days(from, of, &[(day, &[(Measure::Spend, euros * 1_000_000)])])
}

/// Campaigns in three zones. Their spend is pushed, or stated by day or hour, in one currency, another or both.
async fn shop(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let mut analytics = definition("analytics", "organic_social", SourceKind::Push);
    analytics.role = SourceRole::Reference;
    let mut dollars = definition("dollars", "paid_social", SourceKind::Push);
    dollars.currency = "USD".parse().unwrap();
    world.given([pushing(1, "tracker", "paid_search"), pulled(2, "google_ads", "paid_search")]).await;
    world.given([registered(3, analytics), registered(4, dollars)]).await;
    for (n, name, channel) in [
        (1, "Fast", "paid_search"),
        (2, "Slow", "email"),
        (3, "Endless", "paid_search"),
        (4, "Idle", "paid_search"),
        (5, "Dollars", "paid_social"),
        (6, "Mixed", "paid_social"),
        (7, "Draft", "email"),
    ] {
        world.given([created(n, name, &[channel])]).await;
    }
    world.given(flight(1, "Europe/Berlin", Some("2026-11-30"), Some((100, BudgetPeriod::Day)))).await;
    world.given(flight(2, "America/New_York", Some("2026-11-30"), Some((6_000, BudgetPeriod::Total)))).await;
    world.given(flight(3, "Asia/Kathmandu", None, Some((10, BudgetPeriod::Day)))).await;
    world.given(flight(4, "Europe/Berlin", Some("2026-11-30"), None)).await;
    world.given(flight(5, "Europe/Berlin", Some("2026-11-30"), Some((50, BudgetPeriod::Day)))).await;
    world.given(flight(6, "Europe/Berlin", Some("2026-11-30"), Some((50, BudgetPeriod::Day)))).await;
    world
        .given([
            // The last instant of the 20th in Berlin, and the first of the 21st.
            spent(1, 1, "2026-11-20T22:59:59Z", 4_000),
            spent(1, 1, "2026-11-20T23:00:00Z", 500),
            spent(1, 1, "2026-11-22T11:00:00Z", 7),
            spent(3, 1, "2026-11-20T10:00:00Z", 9_999),
            said(2, 2, "2026-11-10", 1_000),
            stated(2, 2, Grain::Hour, "UTC", &[("2026-11-22T03:00:00Z", &[(Measure::Spend, 30_000_000)])]),
            // In Kathmandu it is the 22nd already.
            spent(1, 3, "2026-11-21T18:20:00Z", 3),
            spent(1, 3, "2026-11-21T18:10:00Z", 100),
            spent(1, 3, "2026-09-01T10:00:00Z", 40),
            spent(4, 5, "2026-11-20T10:00:00Z", 10),
            spent(1, 6, "2026-11-20T10:00:00Z", 10),
            spent(4, 6, "2026-11-20T10:00:00Z", 10),
            changed(1, CampaignEvent::CampaignPaused { at: at("2026-11-19T08:00:00Z") }),
            changed(1, CampaignEvent::CampaignResumed { at: at("2026-11-21T08:00:00Z") }),
        ])
        .await;
    world
}

fn names(reply: &Reply) -> Vec<String> {
    reply.column("name").iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_row_is_what_its_campaign_answers(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let zones_ahead = changed(2, CampaignEvent::CampaignPaused { at: at("2026-11-08T08:00:00Z") });
    world.given([zones_ahead]).await;
    for clock in ["2026-11-22T12:00:00Z", "2026-11-22T18:20:00Z", "2026-11-23T04:59:00Z", "2026-12-02T12:00:00Z"] {
        world.set_clock(clock);
        let reply = world.get("/v1/pacing").await.ok();
        let rows = reply.body["data"].as_array().unwrap();
        assert_eq!(rows.len(), 7);
        let mut paused = BTreeMap::new();
        for row in rows {
            let mut row = row.clone();
            let id = row["campaign_id"].as_str().unwrap().to_owned();
            let name = row.as_object_mut().unwrap().remove("name").unwrap();
            let codes = row.as_object_mut().unwrap().remove("warnings").unwrap();
            let single = world.get(&format!("/v1/campaigns/{id}/pacing")).await.ok();
            assert_eq!(row, single.body["data"], "{name} at {clock}");
            let of_campaign = |code: &&str| !["grain_mismatch", "overlapping_primaries"].contains(code);
            let mut told: Vec<_> = single.warnings().into_iter().filter(of_campaign).collect();
            told.dedup();
            assert_eq!(codes, json!(told), "{name} at {clock}");
            let warnings = single.body["meta"]["warnings"].as_array().unwrap().clone();
            let of_pause = warnings.into_iter().find(|warning| warning["code"] == "spend_while_paused");
            paused.extend(of_pause.map(|warning| (id, warning)));
        }
        let warnings = reply.body["meta"]["warnings"].as_array().unwrap();
        assert_eq!(warnings.len(), paused.len());
        for warning in warnings {
            assert_eq!(Some(warning), paused.get(warning["spend"]["campaign_id"].as_str().unwrap()));
        }
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn fast_campaigns_come_first_and_pages_are_the_whole_list(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = shop(options, connect).await;
    let whole = world.get("/v1/pacing").await.ok();
    let indexes: Vec<Option<f64>> = whole.column("index").iter().map(Value::as_f64).collect();
    assert_eq!(names(&whole)[..3], ["Fast", "Endless", "Slow"], "{indexes:?}");
    assert!(indexes[3..].iter().all(Option::is_none), "{indexes:?}");
    let slow_first = world.get("/v1/pacing?sort=index").await.ok();
    assert_eq!(names(&slow_first)[..3], ["Slow", "Endless", "Fast"]);
    assert_eq!(names(&slow_first)[3..], names(&whole)[3..]);
    let by_name = world.get("/v1/pacing?sort=name").await.ok();
    assert_eq!(names(&by_name), ["Dollars", "Draft", "Endless", "Fast", "Idle", "Mixed", "Slow"]);
    for sort in ["-index", "index", "name", "-name"] {
        let whole = world.get(&format!("/v1/pacing?sort={sort}")).await.ok();
        let (mut paged, mut path) = (Vec::new(), format!("/v1/pacing?sort={sort}&limit=2"));
        loop {
            let reply = world.get(&path).await.ok();
            paged.extend(names(&reply));
            let Some(link) = reply.headers.get("link") else { break };
            path =
                link.to_str().unwrap().strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
            assert!(paged.len() < 9);
        }
        assert_eq!(paged, names(&whole), "{sort}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn filters_by_status_and_channel(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([changed(2, CampaignEvent::CampaignPaused { at: at("2026-11-22T08:00:00Z") })]).await;
    for (query, expected) in [
        ("status=draft", vec!["Draft"]),
        ("status=paused,draft&sort=name", vec!["Draft", "Slow"]),
        ("channel=email&sort=name", vec!["Draft", "Slow"]),
        ("channel=email&status=active", vec![]),
        ("channel=paid_social&status=active&sort=name", vec!["Dollars", "Mixed"]),
    ] {
        assert_eq!(names(&world.get(&format!("/v1/pacing?{query}")).await.ok()), expected, "{query}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn it_moves_at_midnight_of_any_campaign(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let mut held = world.get("/v1/pacing").await.ok();
    for (clock, moves) in [
        ("2026-11-22T18:14:59Z", false),
        // Midnight in Kathmandu, in Berlin and in New York.
        ("2026-11-22T18:15:00Z", true),
        ("2026-11-22T22:59:59Z", false),
        ("2026-11-22T23:00:00Z", true),
        ("2026-11-23T05:00:00Z", true),
        ("2026-11-23T05:00:01Z", false),
    ] {
        world.set_clock(clock);
        let again = world.get_with("/v1/pacing", &[("if-none-match", held.etag())]).await;
        assert_eq!(again.status == 200, moves, "{clock}");
        if moves {
            held = again.ok();
        }
    }
    for event in [
        spent(1, 4, "2026-09-03T10:00:00Z", 1),
        changed(7, CampaignEvent::CampaignRenamed { name: "Sketch".to_owned(), at: at(EARLY) }),
        changed(1, CampaignEvent::CampaignPaused { at: at("2026-11-23T04:00:00Z") }),
    ] {
        world.given([event]).await;
        held = world.get_with("/v1/pacing", &[("if-none-match", held.etag())]).await.ok();
    }
    let csv = world.get_with("/v1/pacing?sort=name", &[("accept", "text/csv")]).await.ok();
    assert!(csv.text.lines().nth(1).unwrap().contains(&campaign(5).to_string()), "{}", csv.text);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_workspace_without_campaigns_has_none(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    assert_eq!(world.get("/v1/pacing").await.ok().body["data"], json!([]));
}
