//! Random histories of sources whose settings change.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::bucket::{Grain, local_date};
use domain::channel::Channel;
use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Conversion};
use domain::source::{SourceChange, SourceDefinition, SourceDetails, SourceEvent, SourceKind, SourceRole};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::leaderboard::{self, DATES};
use crate::source_changes::{changed, channel, only, over, role};
use crate::support::World;
use crate::support::given::{Given, at, created, date, definition, observed, registered, source, source_event, stated};

/// What one source says of one campaign: at an instant, or of a date.
struct Fact {
    source: u128,
    campaign: u128,
    measure: &'static str,
    when: Result<DateTime<Utc>, NaiveDate>,
    count: i64,
}

const ZONES: [&str; 3] = ["UTC", "Europe/Berlin", "Asia/Kathmandu"];
const CHANNELS: [&str; 3] = ["email", "sms", "paid_search"];

/// Three sources that push and three that state days, each in a zone of its own.
fn definitions() -> BTreeMap<u128, SourceDefinition> {
    let one = |n: u128| {
        let kind = if n <= 3 { SourceKind::Push } else { SourceKind::Pull };
        let place = usize::try_from(n % 3).unwrap();
        let mut definition = definition(&format!("s{n}"), CHANNELS[place], kind);
        definition.time_zone = ZONES[place].parse().unwrap();
        (n, definition)
    };
    (1..=6).map(one).collect()
}

fn fact(random: &mut StdRng) -> Fact {
    let source = random.random_range(1..=6_u128);
    let minutes = random.random_range(0..6 * 24 * 4) * 15;
    let instant = at("2026-11-15T00:00:00Z") + TimeDelta::minutes(minutes);
    let when = if source <= 3 { Ok(instant) } else { Err(instant.date_naive()) };
    let (campaign, count) = (random.random_range(1..=3), random.random_range(1..100));
    Fact { source, campaign, measure: ["clicks", "conversions"][random.random_range(0..2)], when, count }
}

/// As the connectors say it. What a source states again of a day replaces what it stated: each day is stated once.
fn said(facts: &[Fact]) -> Vec<Given> {
    let of = |fact: &Fact| match (fact.when, fact.measure) {
        (Ok(at), "clicks") => observed(fact.source, fact.campaign, &[(Click, &at.to_rfc3339(), fact.count, None)]),
        (Ok(at), _) => {
            observed(fact.source, fact.campaign, &[(Conversion, &at.to_rfc3339(), fact.count * 1_000_000, None)])
        }
        (Err(day), measure) => {
            let zone = definitions()[&fact.source].time_zone;
            let (measure, value) = match measure {
                "clicks" => (Measure::Clicks, fact.count),
                _ => (Measure::Conversions, fact.count * 1_000_000),
            };
            stated(fact.source, fact.campaign, Grain::Day, zone.name(), &[(&day.to_string(), &[(measure, value)])])
        }
    };
    facts.iter().map(of).collect()
}

fn any_change(random: &mut StdRng) -> (u128, SourceChange, NaiveDate) {
    let change = match random.random_range(0..3) {
        0 => channel(CHANNELS[random.random_range(0..3)]),
        1 => role([SourceRole::Primary, SourceRole::Reference][random.random_range(0..2)]),
        _ => SourceChange {
            measure_roles: Some([(Measure::Clicks, SourceRole::Reference)].into()),
            ..SourceChange::default()
        },
    };
    (random.random_range(1..=6), change, date("2026-11-14") + Days::new(random.random_range(0..8)))
}

/// The settings of a source on the date of a fact.
fn settings(details: &BTreeMap<u128, SourceDetails>, fact: &Fact) -> SourceDefinition {
    let details = &details[&fact.source];
    let day = fact.when.map_or_else(|day| day, |at| local_date(at, details.definition.time_zone));
    details.definition_on(day)
}

fn sum<'a>(facts: impl Iterator<Item = &'a Fact>) -> Value {
    facts.map(|fact| fact.count).fold(None, |sum: Option<i64>, count| Some(sum.unwrap_or(0) + count)).into()
}

/// Every number is counted by the settings of its own date; a report is the sum of its parts, wherever it is cut.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn numbers_count_by_the_settings_of_their_dates(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut random = StdRng::seed_from_u64(3);
    let mut facts: Vec<Fact> = Vec::new();
    for fact in (0..300).map(|_| fact(&mut random)) {
        let is_alike = |other: &Fact| {
            (other.source, other.campaign, other.measure, other.when)
                == (fact.source, fact.campaign, fact.measure, fact.when)
        };
        if fact.when.is_ok() || !facts.iter().any(is_alike) {
            facts.push(fact);
        }
    }
    world.given((1..=3).map(|n| created(n, &format!("Campaign {n}"), &["email"]))).await;
    let mut details = BTreeMap::new();
    for (n, definition) in definitions() {
        details.insert(n, SourceDetails::new(source(n), definition.clone()));
        world.given([registered(n, definition)]).await;
    }
    let (early, late) = said(&facts).into_iter().enumerate().partition::<Vec<_>, _>(|(place, _)| place % 2 == 0);
    world.given(early.into_iter().map(|(_, given)| given)).await;
    let is_in = |fact: &Fact, (from, to): (NaiveDate, NaiveDate), zone: &str| {
        let day = fact.when.map_or_else(|day| day, |at| local_date(at, zone.parse().unwrap()));
        from <= day && day <= to
    };
    let mut late = Some(late);
    for round in 0..6 {
        let (n, change, from) = any_change(&mut random);
        let event = SourceEvent::SourceChanged { source: source(n), change, from, at: at("2026-11-22T11:00:00Z") };
        details.get_mut(&n).unwrap().apply(event.clone());
        world.given([source_event(n, event)]).await;
        // What is recorded after a change counts like what was before it.
        if round == 2 {
            world.given(late.take().unwrap().into_iter().map(|(_, given)| given)).await;
        } else if round < 2 {
            continue;
        }
        for (from, to) in [("2026-11-14", "2026-11-21"), ("2026-11-17", "2026-11-18"), ("2026-11-16", "2026-11-16")] {
            for zone in ZONES {
                let (from, to, dates) = (from, to, (date(from), date(to)));
                let among = || facts.iter().filter(move |fact| is_in(fact, dates, zone));
                for measure in ["clicks", "conversions"] {
                    let counts = |fact: &&Fact| {
                        fact.measure == measure
                            && settings(&details, fact).role_of(measure.parse().unwrap()) == SourceRole::Primary
                    };
                    let query = |more: &Value| {
                        let mut query = over(from, to, more);
                        (query["measures"], query["time_zone"]) = (json!([measure]), json!(zone));
                        query
                    };
                    let context = format!("round {round}, {from} to {to} in {zone}, {measure}");
                    let all = world.report(&query(&json!({}))).await.ok();
                    assert_eq!(only(&all, measure), sum(among().filter(counts)), "{context}");
                    let by_channel = world.report(&query(&json!({"group_by": ["channel"], "totals": true}))).await.ok();
                    assert_eq!(by_channel.body["totals"][measure], only(&all, measure), "{context}");
                    for name in CHANNELS {
                        let on = |fact: &&Fact| settings(&details, fact).channel == name.parse::<Channel>().unwrap();
                        let expected = sum(among().filter(counts).filter(on));
                        let filtered = query(&json!({"filters": {"channel": [name]}}));
                        assert_eq!(only(&world.report(&filtered).await.ok(), measure), expected, "{context}, {name}");
                        let rows = by_channel.column("channel").into_iter().zip(by_channel.column(measure));
                        let row = rows.filter(|(channel, _)| *channel == name).map(|(_, value)| value).next();
                        assert_eq!(row.unwrap_or_default(), expected, "{context}, row of {name}");
                    }
                    let by_source = world.report(&query(&json!({"group_by": ["source"]}))).await.ok();
                    for (name, value) in by_source.column("source").into_iter().zip(by_source.column(measure)) {
                        let is_of = |fact: &&Fact| fact.measure == measure && name == format!("s{}", fact.source);
                        assert_eq!(value, sum(among().filter(is_of)), "{context}, {name}");
                    }
                    let by_day = world.report(&query(&json!({"granularity": "day", "limit": 100}))).await.ok();
                    let parts: i64 = by_day.column(measure).iter().filter_map(Value::as_i64).sum();
                    assert_eq!(parts, only(&all, measure).as_i64().unwrap_or(0), "{context} by day");
                }
            }
        }
    }
    assert!(late.is_none(), "everything was said");
    // A rebuild says the same.
    let query = over(
        "2026-11-14",
        "2026-11-21",
        &json!({"measures": ["clicks", "conversions"], "group_by": ["channel", "source"]}),
    );
    let before = world.report(&query).await.ok();
    let stop = CancellationToken::new();
    projections::replay(&world.projector, "campaign_model", &world.replaying(), &|_| {}, stop).await.unwrap();
    let after = world.report(&query).await.ok();
    assert_ne!(before.etag(), after.etag());
    assert_eq!((&before.body["data"], before.warnings()), (&after.body["data"], after.warnings()));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaderboard_follows_the_settings_of_dates(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut random = StdRng::seed_from_u64(11);
    let mut world = leaderboard::busy(options, connect, &mut random).await;
    for _ in 0..4 {
        let changes: Vec<_> = (0..2)
            .map(|_| {
                let (n, change, _) = any_change(&mut random);
                let from = DATES[random.random_range(0..DATES.len())];
                changed(n.min(5), change, from)
            })
            .collect();
        world.given(changes).await;
        let (seen, _) = leaderboard::equals_reports(&world).await;
        assert!(seen > 20, "{seen}");
    }
}
