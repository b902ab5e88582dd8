//! The leaderboard says what reports say, of the instant of its refresh.

use std::collections::BTreeSet;

use domain::bucket::Grain;
use domain::campaign::CampaignEvent;
use domain::measure::{DERIVED, Measure};
use domain::observation::ObservationType::{Click, Conversion, Impression, Spend};
use domain::source::{SourceKind, SourceRole};
use futures_util::future::join;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    Given, at, changed, clicks, completed, created, days, definition, observed, opened, pulled, pushing, registered,
    sale_corrected, stated,
};
use crate::support::{Reply, World};

const CLICKS: &str = "/v1/leaderboard?measure=clicks";

async fn refresh(world: &World) {
    use platform::clock::Clock;
    projections::leaderboard::refresh(&world.projector, world.clock.now()).await.unwrap();
}

/// Sources of every sort: pushing and pulled, primary and reference, in two currencies.
fn sources() -> Vec<Given> {
    let mut dollars = definition("dollars", "paid_social", SourceKind::Push);
    (dollars.currency, dollars.time_zone) = ("USD".parse().unwrap(), "Asia/Kathmandu".parse().unwrap());
    let mut analytics = definition("analytics", "organic_social", SourceKind::Push);
    analytics.role = SourceRole::Reference;
    analytics.measure_roles.insert(Measure::Visits, SourceRole::Primary);
    let mut mixed = definition("mixed", "email", SourceKind::Pull);
    mixed.measure_roles.insert(Measure::Clicks, SourceRole::Reference);
    vec![
        pushing(1, "tracker", "paid_search"),
        pulled(2, "google_ads", "paid_search"),
        registered(3, dollars),
        registered(4, analytics),
        registered(5, mixed),
    ]
}

/// The edges of the windows, in Berlin: seven days begin on the 16th, thirty on the 24th of October, which is before the clocks
/// were set back.
const INSTANTS: [&str; 9] = [
    "2026-10-23T21:59:59Z",
    "2026-10-23T22:00:00Z",
    "2026-10-25T00:30:00Z",
    "2026-11-15T22:59:59Z",
    "2026-11-15T23:00:00Z",
    "2026-11-20T10:00:00Z",
    "2026-11-22T11:59:59Z",
    "2026-11-22T22:59:59Z",
    "2026-11-22T23:00:00Z",
];
pub(crate) const DATES: [&str; 7] =
    ["2026-10-23", "2026-10-24", "2026-11-15", "2026-11-16", "2026-11-21", "2026-11-22", "2026-11-23"];

fn happening(random: &mut StdRng) -> Given {
    let of = random.random_range(1..6_u128);
    let when = INSTANTS[random.random_range(0..INSTANTS.len())];
    let date = DATES[random.random_range(0..DATES.len())];
    let count = random.random_range(0..9_i64);
    match random.random_range(0..6) {
        0 | 1 => {
            let from = [1, 3, 4][random.random_range(0..3)];
            let kind = [Click, Impression, Conversion, Spend][random.random_range(0..4)];
            let value = [None, Some(random.random_range(0..9_999_999))][random.random_range(0..2)];
            observed(from, of, &[(kind, when, count, value)])
        }
        2 => {
            let value = Some(random.random_range(-5_000_000..0));
            sale_corrected((1, of), ("c", "o", when), when, (-count, value), (0, Some(0)))
        }
        3 => {
            let zone = ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"][random.random_range(0..4)];
            let said =
                [(Measure::Clicks, count), (Measure::Spend, count * 1_234_567), (Measure::Impressions, 3 * count)];
            stated(2, of, Grain::Day, zone, &[(date, &said[..random.random_range(1..4)])])
        }
        4 => stated(
            5,
            of,
            Grain::Hour,
            "UTC",
            &[("2026-11-20T10:00:00Z", &[(Measure::Clicks, 7), (Measure::Opens, count)])],
        ),
        _ => clicks(4, of, when, count),
    }
}

/// What a report over the same days says, as the leaderboard would: best first, without what has no value.
async fn reported(world: &World, measure: &str, date_from: &str) -> Vec<Value> {
    let query = json!({"measures": [measure], "date_from": date_from, "date_to": "2026-11-22", "group_by": ["campaign"],
                       "order_by": [format!("-{measure}")], "limit": 1000});
    let reply = world.report(&query).await.ok();
    let rows = reply.body["data"].as_array().unwrap().clone();
    rows.into_iter()
        .filter(|row| !row[measure].is_null())
        .map(|row| json!([row["campaign_id"], row["campaign"], row[measure]]))
        .collect()
}

fn ranked(reply: &Reply) -> Vec<Value> {
    let rows = reply.body["data"].as_array().unwrap();
    rows.iter().map(|row| json!([row["campaign_id"], row["campaign"], row["value"]])).collect()
}

/// What is warned of. Reports tell the zones of a source's days apart, the leaderboard does not.
fn warned(reply: &Reply) -> BTreeSet<String> {
    let warnings = reply.body["meta"]["warnings"].as_array().unwrap().iter();
    let each = |warning: &Value| {
        let measures = warning["measures"].as_array().unwrap().clone();
        let (code, sources) = (warning["code"].clone(), warning["sources"].clone());
        measures.into_iter().map(move |measure| json!([code, sources, measure]).to_string())
    };
    warnings.flat_map(each).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaderboard_equals_reports(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut random = StdRng::seed_from_u64(7);
    let world = busy(options, connect, &mut random).await;
    let (seen, mixed) = equals_reports(&world).await;
    assert!(seen > 60 && mixed > 2, "the world is varied: {seen}, {mixed}");
}

/// A world in which much has happened.
pub(crate) async fn busy(options: PgPoolOptions, connect: PgConnectOptions, random: &mut StdRng) -> World {
    let mut world = World::new(options, connect).await;
    world.given((1..6).map(|n| created(n, &format!("Campaign {n}"), &["email"])).chain(sources())).await;
    world.given((0..150).map(|_| happening(random))).await;
    world.given([completed(2, "2026-11-22T06:00:00Z", "2026-11-22T00:00:00Z", Grain::Day)]).await;
    world
}

/// Requires that the leaderboard says what reports say. Returns how many values it has, and how many times currencies are
/// mixed.
pub(crate) async fn equals_reports(world: &World) -> (usize, usize) {
    refresh(world).await;
    let measures = Measure::ALL.iter().map(|measure| measure.name()).chain(DERIVED.iter().map(|derived| derived.name));
    let (mut seen, mut mixed) = (0, 0);
    for measure in measures {
        for (window, date_from) in [("7d", "2026-11-16"), ("30d", "2026-10-24")] {
            let reply = world.get(&format!("/v1/leaderboard?measure={measure}&window={window}")).await.ok();
            assert_eq!(ranked(&reply), reported(world, measure, date_from).await, "{measure} {window}");
            let query = json!({"measures": [measure], "date_from": date_from, "date_to": "2026-11-22", "group_by": ["campaign"]});
            let report = world.report(&query).await.ok();
            let (said, meant) = (&reply.body["meta"], &report.body["meta"]);
            assert_eq!(warned(&reply), warned(&report), "{measure} {window}");
            assert_eq!(said["freshness"]["state"], meant["freshness"]["state"]);
            assert_eq!(said["freshness"]["first_incomplete"], meant["freshness"]["first_incomplete"]);
            seen += ranked(&reply).len();
            mixed += usize::from(reply.warnings().contains(&"mixed_currency"));
        }
    }
    (seen, mixed)
}

async fn shop(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([created(1, "Shoes", &["email"]), created(2, "Hats", &["email"]), created(3, "Socks", &["email"])])
        .await;
    world.given([pushing(1, "tracker", "email")]).await;
    world
        .given([
            clicks(1, 1, "2026-11-20T10:00:00Z", 5),
            clicks(1, 2, "2026-11-20T10:00:00Z", 9),
            clicks(1, 3, "2026-11-20T10:00:00Z", 5),
        ])
        .await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaderboard_states_its_refresh_time(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    refresh(&world).await;
    let reply = world.get(CLICKS).await.ok();
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": [
        {
          "campaign": "Hats",
          "campaign_id": "00000000-0000-0000-0000-00000000ca02",
          "rank": 1,
          "value": 9
        },
        {
          "campaign": "Shoes",
          "campaign_id": "00000000-0000-0000-0000-00000000ca01",
          "rank": 2,
          "value": 5
        },
        {
          "campaign": "Socks",
          "campaign_id": "00000000-0000-0000-0000-00000000ca03",
          "rank": 2,
          "value": 5
        }
      ],
      "meta": {
        "as_of": "2026-11-22T12:00:00Z",
        "currency": "EUR",
        "epoch": 1,
        "freshness": {
          "complete_through": null,
          "final_through": null,
          "first_incomplete": "2026-11-15T23:00:00Z",
          "sources": [
            {
              "complete_through": null,
              "final_through": null,
              "parked": 0,
              "role": "primary",
              "source": "tracker",
              "status": "never"
            }
          ],
          "state": "live"
        },
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "leaderboard",
        "position": 8,
        "query": {
          "date_from": "2026-11-16",
          "date_to": "2026-11-22",
          "limit": 100,
          "measure": "clicks",
          "window": "7d"
        },
        "time_zone": "Europe/Berlin",
        "version": "8@1795348800000000.1795348800",
        "warnings": []
      },
      "page": {
        "next_cursor": null
      }
    }
    "#);
    assert_eq!(reply.header("data-position"), "epoch=1, applied=8, head=8");
    assert_eq!(reply.header("data-freshness"), "state=live, lag=0.000");

    // What comes later is not in it, and it says so.
    let held = reply.etag().to_owned();
    let head = world
        .given([
            clicks(1, 1, "2026-11-20T10:00:00Z", 50),
            changed(2, CampaignEvent::CampaignRenamed { name: "Caps".to_owned(), at: at("2026-11-22T12:00:00Z") }),
        ])
        .await;
    world.set_clock("2026-11-22T12:00:07Z");
    let later = world.get_with(CLICKS, &[("if-none-match", &held)]).await;
    assert_eq!((later.status.as_u16(), later.etag()), (304, held.as_str()));
    assert_eq!(later.header("data-position"), "epoch=1, applied=8, head=10");
    assert_eq!(later.header("data-freshness"), "state=live, lag=7.000");
    let asked = world.get(&format!("{CLICKS}&min_position={head}")).await.ok();
    assert!(asked.header("data-freshness").ends_with("satisfied=?0"));
    let refused = world.get(&format!("{CLICKS}&min_position={head}&on_timeout=error")).await;
    assert_eq!(refused.problem(503), "not-yet-visible");
    // Nor is it had from somebody who asks at the same time and is content with less.
    let more = format!("{CLICKS}&min_position={head}&on_timeout=error");
    let (less, more) = join(world.get(CLICKS), world.get(&more)).await;
    assert_eq!((less.ok().status.as_u16(), more.problem(503)), (200, "not-yet-visible"));
    let stale = world.get(&format!("{CLICKS}&max_staleness=5s")).await;
    assert_eq!(stale.problem(503), "staleness-bound-unmet");
    assert_eq!(stale.body["detail"], json!(format!("It would lag by {} ms.", stale.body["lag_ms"])));
    assert_eq!(world.get(&format!("{CLICKS}&min_position=11")).await.problem(400), "unknown-position");

    refresh(&world).await;
    let refreshed = world.get_with(CLICKS, &[("if-none-match", &held)]).await.ok();
    assert_eq!(refreshed.column("campaign"), ["Shoes", "Caps", "Socks"].map(|name| json!(name)));
    assert_eq!(refreshed.body["meta"]["as_of"], json!("2026-11-22T12:00:07Z"));
    assert_eq!(refreshed.body["meta"]["position"], json!(head));
    assert_eq!(refreshed.header("data-position"), "epoch=1, applied=10, head=10");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaderboard_warns_of_dropped_days(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([clicks(1, 1, "2026-10-30T10:00:00Z", 100)]).await;
    // As if it were December: November and what follows.
    projections::retention::set(&world.admin, None, Some(1), at("2026-12-22T12:00:00Z")).await.unwrap();
    refresh(&world).await;
    let board = world.get(&format!("{CLICKS}&window=30d")).await.ok();
    assert_eq!(board.warnings(), ["beyond_retention"]);
    let detail = board.body["meta"]["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("2026-11-01T00:00:00Z"), "{detail}");
    assert!(world.get(CLICKS).await.ok().warnings().is_empty());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_contain_the_whole_leaderboard(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([created(4, "Belts", &["email"]), clicks(1, 4, "2026-11-20T10:00:00Z", 1)]).await;
    refresh(&world).await;
    let whole = world.get(CLICKS).await.ok();
    assert_eq!(whole.column("rank"), [1, 2, 2, 4].map(|rank| json!(rank)));
    let mut paged = Vec::new();
    let mut reply = world.get(&format!("{CLICKS}&limit=1")).await.ok();
    loop {
        paged.extend(ranked(&reply));
        let Some(link) = reply.headers.get("link") else { break };
        let next = link.to_str().unwrap().strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        reply = world.get(next).await.ok();
        assert!(paged.len() < 5);
    }
    assert_eq!(paged, ranked(&whole));
    let cursor =
        world.get(&format!("{CLICKS}&limit=1")).await.ok().body["page"]["next_cursor"].as_str().unwrap().to_owned();
    let other = world.get(&format!("{CLICKS}&window=30d&cursor={cursor}")).await;
    assert_eq!(other.problem(400), "cursor-mismatch");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaderboards_use_the_days_of_their_workspace(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let other = world.open("two", "hw_two").await;
    let headers = [("authorization", "Bearer hw_two")];
    refresh(&world).await;
    assert_eq!(world.get_with(CLICKS, &headers).await.problem(503), "building");
    // It is the 23rd there.
    world.append(other, [opened("Pacific/Auckland")]).await;
    world.project().await;
    let opened = world.get_with(CLICKS, &headers).await.ok();
    assert_eq!((opened.warnings(), &opened.body["data"]), (vec!["not_refreshed"], &json!([])));
    assert_eq!(opened.body["meta"]["as_of"], json!(null));
    world.append(other, [created(1, "Kiwis", &["email"]), pushing(1, "tracker", "email")]).await;
    world.append(other, [clicks(1, 1, "2026-11-16T10:59:59Z", 2), clicks(1, 1, "2026-11-16T11:00:00Z", 3)]).await;
    world.project().await;
    refresh(&world).await;
    let there = world.get_with(CLICKS, &headers).await.ok();
    assert_eq!((there.column("campaign"), there.column("value")), (vec![json!("Kiwis")], vec![json!(3)]));
    let query = &there.body["meta"]["query"];
    assert_eq!((&query["date_from"], &query["date_to"]), (&json!("2026-11-17"), &json!("2026-11-23")));
    assert_eq!(world.get(CLICKS).await.ok().column("campaign").len(), 3);
    // Another day begins in one of them.
    world.set_clock("2026-11-23T00:00:00Z");
    refresh(&world).await;
    assert_eq!(world.get(CLICKS).await.ok().body["meta"]["query"]["date_to"], json!("2026-11-23"));
    assert_eq!(world.get_with(CLICKS, &headers).await.ok().body["meta"]["query"]["date_to"], json!("2026-11-23"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn amounts_of_several_currencies_are_never_added(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given((1..4).map(|n| created(n, &format!("Campaign {n}"), &["email"])).chain(sources())).await;
    let spent = |from, of, micros| observed(from, of, &[(Spend, "2026-11-20T10:00:00Z", 1, Some(micros))]);
    world.given([spent(1, 1, 5_000_000), spent(3, 2, 9_000_000), spent(1, 3, 1), spent(3, 3, 1)]).await;
    world.given([days(2, 2, &[("2026-11-20", &[(Measure::Clicks, 3)])])]).await;
    refresh(&world).await;
    let reply = world.get("/v1/leaderboard?measure=spend").await.ok();
    let money = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
    assert_eq!(reply.column("value"), [money("5.000000", "EUR"), money("9.000000", "USD")]);
    assert_eq!(reply.column("rank"), [1, 1].map(|rank| json!(rank)));
    assert_eq!(reply.warnings(), ["mixed_currency"]);
    // No source states both sides.
    assert_eq!(world.get("/v1/leaderboard?measure=cpc").await.ok().body["data"], json!([]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_leaderboard_parameters(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    for (query, fields) in [
        ("", vec!["measure"]),
        ("measure=fame", vec!["measure"]),
        ("measure=clicks&window=8d", vec!["window"]),
        ("measure=clicks&limit=0", vec!["limit"]),
        ("measure=clicks&cursor=eA", vec!["cursor"]),
    ] {
        let reply = world.get(&format!("/v1/leaderboard?{query}")).await;
        assert_eq!((reply.problem(400), reply.wrong_fields()), ("invalid-query", fields), "{query}");
    }
}
