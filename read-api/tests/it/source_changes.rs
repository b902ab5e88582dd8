//! Settings of a source hold for buckets from a date on, whenever their numbers were recorded.

use std::collections::BTreeMap;

use chrono::Days;
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Conversion, Spend};
use domain::source::{SourceChange, SourceEvent, SourceKind, SourceRole};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    Given, at, campaign, clicks, completed, created, date, days, definition, naming, observed, pulled, pushing,
    registered, source, source_event,
};
use crate::support::{Reply, World};

pub(crate) fn changed(n: u128, change: SourceChange, from: &str) -> Given {
    let (source, from, at) = (source(n), date(from), at("2026-11-22T11:00:00Z"));
    source_event(n, SourceEvent::SourceChanged { source, change, from, at })
}

pub(crate) fn role(role: SourceRole) -> SourceChange {
    SourceChange { role: Some(role), ..SourceChange::default() }
}

pub(crate) fn channel(name: &str) -> SourceChange {
    SourceChange { channel: Some(name.parse().unwrap()), ..SourceChange::default() }
}

pub(crate) fn over(from: &str, to: &str, more: &Value) -> Value {
    let mut query = json!({"date_from": from, "date_to": to, "time_zone": "UTC", "measures": ["conversions"]});
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    query
}

/// A member of the only row; null without one.
pub(crate) fn only(reply: &Reply, member: &str) -> Value {
    let column = reply.column(member);
    assert!(column.len() <= 1, "{reply}");
    column.into_iter().next().unwrap_or_default()
}

/// The platform and web analytics both count five conversions on each of two days around New Year.
async fn counted_twice(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let conversions = (Measure::Conversions, 5_000_000);
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pulled(1, "google_ads", "paid_search"),
            pulled(2, "analytics", "paid_search"),
            days(1, 1, &[("2025-12-31", &[conversions]), ("2026-01-01", &[conversions])]),
            days(2, 1, &[("2025-12-31", &[conversions]), ("2026-01-01", &[conversions])]),
            completed(1, "2026-11-22T06:00:00Z", "2026-11-22T00:00:00Z", Grain::Day),
        ])
        .await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn demotion_holds_for_what_is_recorded(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = counted_twice(options, connect).await;
    let year = over("2026-01-01", "2026-01-31", &json!({}));
    let before = world.report(&year).await.ok();
    assert_eq!((only(&before, "conversions"), before.warnings()), (json!(10), vec!["overlapping_primaries"]));
    let names = |reply: &Reply| {
        let sources = reply.body["meta"]["freshness"]["sources"].as_array().unwrap();
        sources.iter().map(|source| json!([source["source"], source["role"]])).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), [json!(["analytics", "primary"]), json!(["google_ads", "primary"])]);

    world.given([changed(2, role(SourceRole::Reference), "2026-01-01")]).await;
    let after = world.report(&year).await.ok();
    assert_eq!((only(&after, "conversions"), after.warnings()), (json!(5), vec![]));
    assert_ne!(before.etag(), after.etag());
    assert_eq!(names(&after), [json!(["analytics", "reference"]), json!(["google_ads", "primary"])]);
    // Analytics has never completed, and from January on nobody waits for it.
    assert_eq!(before.body["meta"]["freshness"]["first_incomplete"], "2026-01-01T00:00:00Z");
    assert_eq!(after.body["meta"]["freshness"]["first_incomplete"], Value::Null);

    // December is as it was, and a range of both has each by its own date.
    let december = world.report(&over("2025-12-01", "2025-12-31", &json!({}))).await.ok();
    assert_eq!((only(&december, "conversions"), december.warnings()), (json!(10), vec!["overlapping_primaries"]));
    let both = over("2025-12-31", "2026-01-01", &json!({"granularity": "day", "totals": true}));
    let both = world.report(&both).await.ok();
    assert_eq!(both.column("conversions"), [json!(10), json!(5)]);
    assert_eq!(both.body["totals"]["conversions"], 15);
    let by_source =
        over("2025-12-31", "2026-01-01", &json!({"group_by": ["source"], "granularity": "day", "totals": true}));
    let by_source = world.report(&by_source).await.ok();
    let rows = by_source.body["data"].as_array().unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| json!([row["bucket"], row["source"], row["role"], row["conversions"]])).collect();
    assert_eq!(
        shown,
        [
            json!(["2025-12-31", "analytics", "primary", 5]),
            json!(["2025-12-31", "google_ads", "primary", 5]),
            json!(["2026-01-01", "analytics", "reference", 5]),
            json!(["2026-01-01", "google_ads", "primary", 5]),
        ]
    );
    assert_eq!(by_source.body["totals"]["conversions"], 15);
    // Each range of a comparison has the settings of its dates.
    let compared = over("2026-01-01", "2026-01-01", &json!({"compare_to": "previous_period"}));
    let compared = world.report(&compared).await.ok();
    assert_eq!(only(&compared, "conversions"), 5);
    assert_eq!(compared.body["data"][0]["compared"]["measures"]["conversions"]["value"], 10);
    // A later change of the same date holds.
    world.given([changed(2, role(SourceRole::Primary), "2026-01-01")]).await;
    assert_eq!(world.report(&year).await.ok().body["data"], before.body["data"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn channel_changes_at_the_sources_midnight(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut tracker = definition("tracker", "paid_search", SourceKind::Push);
    tracker.time_zone = "Asia/Kathmandu".parse().unwrap();
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            registered(1, tracker),
            pushing(2, "mailer", "email"),
            // Kathmandu's 20th begins at 18:15 UTC.
            clicks(1, 1, "2026-11-19T18:14:59Z", 1),
            clicks(1, 1, "2026-11-19T18:15:00Z", 10),
            clicks(2, 1, "2026-11-19T18:15:00Z", 100),
            changed(1, channel("video"), "2026-11-20"),
        ])
        .await;
    let query = |more: Value| over("2026-11-19", "2026-11-19", &more);
    let by_channel =
        world.report(&query(json!({"measures": ["clicks"], "group_by": ["channel"], "totals": true}))).await.ok();
    let rows: BTreeMap<_, _> =
        by_channel.column("channel").iter().map(Value::to_string).zip(by_channel.column("clicks")).collect();
    let expected = [("\"email\"", 100), ("\"paid_search\"", 1), ("\"video\"", 10)];
    assert_eq!(rows, expected.map(|(name, clicks)| (name.to_owned(), json!(clicks))).into());
    assert_eq!(by_channel.body["totals"]["clicks"], 111);
    for (filter, clicks) in [("paid_search", 1), ("video", 10), ("email", 100)] {
        let reply = world.report(&query(json!({"measures": ["clicks"], "filters": {"channel": [filter]}}))).await.ok();
        assert_eq!(only(&reply, "clicks"), clicks, "{filter}");
    }
    // A row of the source alone is not cut.
    let by_source = query(json!({"measures": ["clicks"], "group_by": ["source"], "filters": {"source": ["tracker"]}}));
    assert_eq!(only(&world.report(&by_source).await.ok(), "clicks"), 11);
    // Later days have no part of it.
    let later =
        over("2026-11-20", "2026-11-21", &json!({"measures": ["clicks"], "filters": {"channel": ["paid_search"]}}));
    assert_eq!(world.report(&later).await.ok().body["data"], json!([]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rates_meet_in_the_cells_of_their_dates(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let both = |clicks: i64| [(Measure::Clicks, clicks)];
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pulled(1, "google_ads", "paid_search"),
            pushing(2, "tracker", "email"),
            days(1, 1, &[("2026-11-18", &both(100)), ("2026-11-20", &both(40))]),
            observed(
                2,
                1,
                &[
                    (Conversion, "2026-11-18T10:00:00Z", 3_000_000, Some(0)),
                    (Conversion, "2026-11-20T10:00:00Z", 2_000_000, Some(0)),
                ],
            ),
            changed(2, channel("paid_search"), "2026-11-20"),
        ])
        .await;
    let measures = json!({"measures": ["cvr", "cvr.clicks", "cvr.conversions"]});
    let reply = world.report(&over("2026-11-18", "2026-11-21", &measures)).await.ok();
    assert_eq!(reply.body["data"][0]["cvr.clicks"], 40);
    assert_eq!(reply.body["data"][0]["cvr.conversions"], 2);
    assert_eq!(reply.body["data"][0]["cvr"], 0.05);
    assert!(reply.warnings().contains(&"ratio_partial"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pacing_counts_spend_while_its_source_is_primary(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let euros = |euros: i64| [(Measure::Spend, euros * 1_000_000)];
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pulled(1, "google_ads", "paid_search"),
            pushing(2, "tracker", "paid_search"),
            days(1, 1, &[("2026-12-01", &euros(30)), ("2026-12-02", &euros(50))]),
            observed(
                2,
                1,
                &[
                    // The last quarter of the second in UTC, and the first of the third.
                    (Spend, "2026-12-02T23:45:00Z", 1, Some(7_000_000)),
                    (Spend, "2026-12-03T00:00:00Z", 1, Some(11_000_000)),
                ],
            ),
        ])
        .await;
    world.set_clock("2026-12-05T12:00:00Z");
    let spent = async |world: &World| {
        let reply = world.get(&format!("/v1/campaigns/{}/pacing", campaign(1))).await.ok();
        reply.body["data"]["spent"]["amount"].as_str().unwrap().to_owned()
    };
    assert_eq!(spent(&world).await, "98.000000");
    world.given([changed(1, role(SourceRole::Reference), "2026-12-02")]).await;
    assert_eq!(spent(&world).await, "48.000000");
    world.given([changed(2, role(SourceRole::Reference), "2026-12-03")]).await;
    assert_eq!(spent(&world).await, "37.000000");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn values_of_dimensions_count_by_their_dates(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let seen = [(Click, "2026-11-19T10:00:00Z", 3, None), (Click, "2026-11-20T10:00:00Z", 40, None)];
    let germany: &[(&str, &str)] = &[("country", "DE")];
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            pushing(2, "mailer", "email"),
            naming(observed(1, 1, &seen), &[germany, germany]),
            naming(observed(2, 1, &[(Click, "2026-11-20T10:00:00Z", 500, None)]), &[germany]),
            changed(1, role(SourceRole::Reference), "2026-11-20"),
        ])
        .await;
    let clicks = async |from: &str, more: &Value| {
        let mut query = over(from, "2026-11-21", more);
        query["measures"] = json!(["clicks"]);
        only(&world.report(&query).await.ok(), "clicks")
    };
    let grouped = json!({"group_by": ["country"]});
    assert_eq!(clicks("2026-11-19", &grouped).await, 503);
    assert_eq!(clicks("2026-11-20", &grouped).await, 500);
    assert_eq!(clicks("2026-11-19", &json!({"filters": {"country": ["DE"]}})).await, 503);
    assert_eq!(clicks("2026-11-19", &json!({"filters": {"channel": ["paid_search"], "country": ["DE"]}})).await, 3);
}

/// Each part between changes is read by itself, and there are at most 400.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ranges_of_too_many_changes_are_refused(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let first = date("2025-01-01");
    let changes = (0..420_usize).map(|day| {
        let name = ["video", "email"][day % 2];
        changed(1, channel(name), &(first + Days::new(day.try_into().unwrap())).to_string())
    });
    let seen = (0..420).map(|day| clicks(1, 1, &format!("{}T10:00:00Z", first + Days::new(day)), 1));
    world.given([created(1, "Shoes", &["paid_search"]), pushing(1, "tracker", "paid_search")]).await;
    world.given(changes.chain(seen)).await;
    let by_channel = |from: &str, to: &str| over(from, to, &json!({"measures": ["clicks"], "group_by": ["channel"]}));
    let year = world.report(&by_channel("2025-01-01", "2025-12-31")).await.ok();
    assert_eq!(year.column("channel"), ["email", "video"]);
    assert_eq!(year.column("clicks"), [182, 183]);
    let all = world.report(&by_channel("2025-01-01", "2026-11-20")).await;
    assert_eq!((all.problem(400), all.wrong_fields()), ("invalid-query", vec!["date_from"]));
}
