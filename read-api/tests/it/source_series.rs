//! A source moves on to another zone or currency from a date on: a series counts within its dates alone.

use domain::bucket::Grain;
use domain::ids::SourceId;
use domain::measure::Measure;
use domain::observation::ObservationType::Conversion;
use domain::source::{Series, SourceChange, SourceKind};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

use crate::leaderboard;
use crate::source_changes::{changed, over};
use crate::support::given::{
    Given, completed, created, definition, in_series, observed, pulled, registered, sale_corrected, stated,
};
use crate::support::{Reply, World};

pub(crate) fn series(n: u128, zone: &str, currency: &str) -> Series {
    let id = SourceId(Uuid::from_u128(0x7000 + n));
    Series { id, time_zone: zone.parse().unwrap(), currency: currency.parse().unwrap() }
}

pub(crate) fn begun(n: u128, series: Series, from: &str) -> Given {
    changed(n, SourceChange { series: Some(series), ..SourceChange::default() }, from)
}

fn money(amount: &str, currency: &str) -> Value {
    json!({"amount": amount, "currency": currency})
}

/// The days of a zone on which a source spent so many units.
fn spent(zone: &str, days: &[(&str, i64)]) -> Given {
    let days: Vec<_> = days.iter().map(|(day, units)| (*day, [(Measure::Spend, *units * 1_000_000)])).collect();
    let days: Vec<(&str, &[(Measure, i64)])> = days.iter().map(|(day, spend)| (*day, spend.as_slice())).collect();
    stated(1, 1, Grain::Day, zone, &days)
}

fn spend(from: &str, to: &str, zone: &str) -> Value {
    over(from, to, &json!({"measures": ["spend"], "granularity": "day", "time_zone": zone, "totals": true}))
}

fn detail(reply: &Reply, code: &str) -> String {
    let warnings = reply.body["meta"]["warnings"].as_array().unwrap();
    let found = warnings.iter().find(|warning| warning["code"] == code);
    found.map(|warning| warning["detail"].as_str().unwrap().to_owned()).unwrap_or_default()
}

/// Dollars of UTC up to 17 November, euros of Berlin from the 18th on.
async fn moved(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut dollars = definition("google_ads", "paid_search", SourceKind::Pull);
    dollars.currency = "USD".parse().unwrap();
    let first = Series { id: crate::support::given::source(1), ..series(0, "UTC", "USD") };
    let euros = series(1, "Europe/Berlin", "EUR");
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            registered(1, dollars),
            in_series(spent("UTC", &[("2026-11-16", 1), ("2026-11-17", 2), ("2026-11-18", 4)]), first),
            begun(1, euros, "2026-11-18"),
        ])
        .await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn series_counts_within_its_dates_alone(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = moved(options, connect).await;
    // The 18th was stated in the old series: it does not count, and the answer says so.
    let silent = world.report(&spend("2026-11-16", "2026-11-18", "UTC")).await.ok();
    assert_eq!(silent.column("spend"), [money("1.000000", "USD"), money("2.000000", "USD")]);
    assert_eq!(silent.warnings(), ["series_replaced"]);
    assert!(detail(&silent, "series_replaced").starts_with("google_ads changed its time zone or currency"));
    assert!(detail(&silent, "series_replaced").contains("stated before of 2026-11-18 does not count"), "{silent}");
    let before = world.report(&spend("2026-11-16", "2026-11-17", "UTC")).await.ok();
    assert_eq!((before.body["totals"]["spend"].clone(), before.warnings()), (money("3.000000", "USD"), vec![]));

    let euros = series(1, "Europe/Berlin", "EUR");
    world.given([in_series(spent("Europe/Berlin", &[("2026-11-18", 8), ("2026-11-19", 16)]), euros)]).await;
    let anew = world.report(&spend("2026-11-16", "2026-11-19", "Europe/Berlin")).await.ok();
    assert_eq!(
        anew.column("spend"),
        [money("1.000000", "USD"), money("2.000000", "USD"), money("8.000000", "EUR"), money("16.000000", "EUR")]
    );
    assert_eq!(
        anew.body["totals"]["by_currency"],
        json!({"EUR": {"spend": money("24.000000", "EUR")}, "USD": {"spend": money("3.000000", "USD")}})
    );
    assert_eq!(anew.warnings(), ["grain_mismatch", "mixed_currency"]);
    assert_ne!(silent.etag(), anew.etag());
    let by_source = json!({"measures": ["spend"], "group_by": ["source"], "time_zone": "Europe/Berlin"});
    let by_source = world.report(&over("2026-11-16", "2026-11-19", &by_source)).await.ok();
    assert_eq!(by_source.column("source"), ["google_ads"], "the answer names the source, never the series");
    assert_eq!(by_source.body["data"][0]["by_currency"], anew.body["totals"]["by_currency"]);
    assert_eq!(by_source.body["meta"]["freshness"]["sources"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn days_are_complete_in_the_zone_of_their_series(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = moved(options, connect).await;
    let euros = series(1, "Europe/Berlin", "EUR");
    world.given([in_series(spent("Europe/Berlin", &[("2026-11-18", 8), ("2026-11-19", 16)]), euros)]).await;
    let mut through = async |at: &str, said_at: &str, zone: &str| {
        world.given([completed(1, said_at, at, Grain::Day)]).await;
        let reply = world.report(&spend("2026-11-16", "2026-11-19", zone)).await.ok();
        reply.body["meta"]["freshness"]["complete_through"].clone()
    };
    // The 17th is a day of UTC, the 18th one of Berlin, in whatever zone is asked.
    for (n, (at, expected)) in [
        ("2026-11-17T22:59:59Z", "2026-11-16"),
        ("2026-11-17T23:30:00Z", "2026-11-16"),
        ("2026-11-18T00:00:00Z", "2026-11-17"),
        ("2026-11-18T22:59:59Z", "2026-11-17"),
        ("2026-11-18T23:00:00Z", "2026-11-18"),
        ("2026-11-19T23:00:00Z", "2026-11-19"),
    ]
    .into_iter()
    .enumerate()
    {
        for (m, zone) in ["UTC", "Europe/Berlin", "America/New_York"].into_iter().enumerate() {
            let said_at = format!("2026-11-21T{n:02}:{m:02}:00Z");
            assert_eq!(through(at, &said_at, zone).await, expected, "{at} in {zone}");
        }
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrections_and_pacing_are_in_the_currency_of_their_series(options: PgPoolOptions, connect: PgConnectOptions) {
    let dollars = series(1, "UTC", "USD");
    let mut world = World::new(options, connect).await;
    let sale = |when: &str| observed(1, 1, &[(Conversion, when, 1_000_000, Some(10_000_000))]);
    let refund = |id: &str, when: &str| {
        sale_corrected(
            (1, 1),
            (id, "o-0", "2026-11-21T10:00:00Z"),
            when,
            (0, Some(-4_000_000)),
            (1_000_000, Some(6_000_000)),
        )
    };
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            registered(1, definition("shop", "paid_search", SourceKind::Push)),
            sale("2026-11-17T10:00:00Z"),
            begun(1, dollars, "2026-11-18"),
            in_series(sale("2026-11-18T10:00:00Z"), dollars),
            refund("r-1", "2026-11-17T10:00:00Z"),
            in_series(refund("r-2", "2026-11-18T10:00:00Z"), dollars),
        ])
        .await;
    let campaign = crate::support::given::campaign(1);
    let path = format!("/v1/campaigns/{campaign}/corrections?date_from=2026-11-16&date_to=2026-11-19");
    let told = world.get(&path).await.ok();
    let changes: Vec<_> = told.column("changes").iter().map(|change| change["revenue"].clone()).collect();
    assert_eq!(changes, [money("-4.000000", "EUR"), money("-4.000000", "USD")]);
    let activity = world.get(&format!("/v1/campaigns/{campaign}/activity")).await.ok();
    let rows = activity.body["data"].as_array().unwrap().iter().filter(|row| row["kind"] == "corrected");
    let added: Vec<_> = rows.map(|row| row["added"]["revenue"].clone()).collect();
    assert_eq!(added, [money("-4.000000", "USD"), money("-4.000000", "EUR")]);
    let revenue = over("2026-11-16", "2026-11-19", &json!({"measures": ["revenue"], "granularity": "day"}));
    let by_day = world.report(&revenue).await.ok();
    assert_eq!(by_day.column("revenue"), [money("6.000000", "EUR"), money("6.000000", "USD")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn hours_on_both_sides_of_the_edge_count_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let berlin = series(1, "Europe/Berlin", "EUR");
    let mut world = World::new(options, connect).await;
    let hours = |zone: &str, clicks: &[(&str, i64)]| {
        let of: Vec<_> = clicks.iter().map(|(hour, clicks)| (*hour, [(Measure::Clicks, *clicks)])).collect();
        let of: Vec<(&str, &[(Measure, i64)])> = of.iter().map(|(hour, of)| (*hour, of.as_slice())).collect();
        stated(1, 1, Grain::Hour, zone, &of)
    };
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pulled(1, "google_ads", "paid_search"),
            hours("UTC", &[("2026-11-17T22:00:00Z", 1), ("2026-11-17T23:00:00Z", 2), ("2026-11-18T00:00:00Z", 4)]),
            begun(1, berlin, "2026-11-18"),
        ])
        .await;
    let clicks = |zone: &str| {
        over("2026-11-17", "2026-11-18", &json!({"measures": ["clicks"], "granularity": "hour", "time_zone": zone}))
    };
    // Berlin's 18th begins at 23:00Z.
    let silent = world.report(&clicks("UTC")).await.ok();
    assert_eq!((silent.column("clicks"), silent.warnings()), (vec![json!(1)], vec!["series_replaced"]));
    world
        .given([in_series(
            hours("Europe/Berlin", &[("2026-11-17T23:00:00Z", 8), ("2026-11-18T00:00:00Z", 16)]),
            berlin,
        )])
        .await;
    for zone in ["UTC", "Europe/Berlin"] {
        let told = world.report(&clicks(zone)).await.ok();
        assert_eq!((told.column("clicks"), told.warnings()), (vec![json!(1), json!(8), json!(16)], vec![]), "{zone}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaderboard_counts_series_within_their_dates(options: PgPoolOptions, connect: PgConnectOptions) {
    use rand::SeedableRng;
    let mut random = rand::rngs::StdRng::seed_from_u64(5);
    let mut world = leaderboard::busy(options, connect, &mut random).await;
    for (n, zone, currency, from) in [
        (1, "Asia/Kathmandu", "USD", "2026-11-16"),
        (2, "Europe/Berlin", "EUR", "2026-11-20"),
        (3, "America/New_York", "EUR", "2026-11-01"),
    ] {
        let next = series(n, zone, currency);
        world.given([begun(n, next, from)]).await;
        let (seen, _) = leaderboard::equals_reports(&world).await;
        assert!(seen > 20, "{seen}");
        let more = (Measure::Spend, 7_000_000);
        let given = match n {
            2 => stated(2, 1, Grain::Day, zone, &[("2026-11-21", &[more])]),
            _ => observed(n, 1, &[(Conversion, "2026-11-20T10:00:00Z", 1_000_000, Some(9_000_000))]),
        };
        world.given([in_series(given, next)]).await;
    }
}
