//! Random histories of sources whose zones and currencies change: no bucket is counted twice, and each currency's sum
//! is right, in whatever order streams were recorded.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::bucket::{Grain, local_date};
use domain::measure::Measure;
use domain::observation::ObservationType::Spend;
use domain::source::{SourceChange, SourceDefinition, SourceDetails, SourceEvent, SourceKind};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::source_changes::over;
use crate::source_series::series;
use crate::support::World;
use crate::support::given::{
    Given, at, created, date, definition, in_series, observed, registered, source, source_event, stated,
};

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"];
const CURRENCIES: [&str; 2] = ["EUR", "USD"];

/// What was recorded of spend, by source, series, campaign and bucket.
type Recorded = BTreeMap<(u128, u128, u128, When), i64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    At(DateTime<Utc>),
    On(NaiveDate),
}

/// Two sources that push, two that state days, one that states hours.
fn definitions() -> BTreeMap<u128, SourceDefinition> {
    let one = |n: u128| {
        let kind = if n <= 2 { SourceKind::Push } else { SourceKind::Pull };
        (n, definition(&format!("s{n}"), "email", kind))
    };
    (1..=5).map(one).collect()
}

/// What happens: the events in order, and what they come to.
struct History {
    details: BTreeMap<u128, SourceDetails>,
    changes: Vec<(u128, SourceEvent)>,
    batches: Vec<Given>,
    /// Whether the next of the changes, or of the batches, comes.
    order: Vec<bool>,
    recorded: Recorded,
    currency_of: BTreeMap<u128, String>,
}

fn history(random: &mut StdRng) -> History {
    let details: BTreeMap<_, _> =
        definitions().into_iter().map(|(n, of)| (n, SourceDetails::new(source(n), of))).collect();
    let (changes, batches, order) = (Vec::new(), Vec::new(), Vec::new());
    let currency_of = (1..=5).map(|n| (source(n).0.as_u128(), "EUR".to_owned())).collect();
    let mut history = History { details, changes, batches, order, recorded: Recorded::new(), currency_of };
    for step in 0..120_u128 {
        let n = random.random_range(1..=5_u128);
        if random.random_range(0..8) == 0 {
            // Kathmandu's hours are not those of UTC, of which the last source states some.
            let zones = if n == 5 { 3 } else { 4 };
            let of = series(step, ZONES[random.random_range(0..zones)], CURRENCIES[random.random_range(0..2)]);
            let from = date("2026-11-15") + Days::new(random.random_range(0..6));
            let change = SourceChange { series: Some(of), ..SourceChange::default() };
            let event = SourceEvent::SourceChanged { source: source(n), change, from, at: at("2026-11-22T11:00:00Z") };
            history.details.get_mut(&n).unwrap().apply(event.clone());
            history.currency_of.insert(of.id.0.as_u128(), of.currency.to_string());
            history.changes.push((n, event));
            history.order.push(true);
        } else {
            history.record(random, n);
            history.order.push(false);
        }
    }
    history
}

impl History {
    /// As the command side records it: under the series that holds the bucket at that time.
    fn record(&mut self, random: &mut StdRng, n: u128) {
        let instant = at("2026-11-14T12:00:00Z") + TimeDelta::minutes(random.random_range(0..8 * 96) * 15);
        let (campaign, units) = (random.random_range(1..=2_u128), random.random_range(1..100_i64));
        let timeline = self.details[&n].series();
        let (when, of) = if (3..=4).contains(&n) {
            let day = instant.date_naive();
            (When::On(day), timeline.on(day))
        } else {
            let hour = DateTime::from_timestamp(instant.timestamp().div_euclid(3_600) * 3_600, 0).unwrap();
            let instant = if n == 5 { hour } else { instant };
            (When::At(instant), timeline.at(instant))
        };
        let (micros, zone) = (units * 1_000_000, of.time_zone.name());
        let spend: &[(Measure, i64)] = &[(Measure::Spend, micros)];
        let given = match when {
            When::On(day) => stated(n, campaign, Grain::Day, zone, &[(&day.to_string(), spend)]),
            When::At(at) if n == 5 => stated(n, campaign, Grain::Hour, zone, &[(&at.to_rfc3339(), spend)]),
            When::At(at) => observed(n, campaign, &[(Spend, &at.to_rfc3339(), 1, Some(micros))]),
        };
        self.batches.push(in_series(given, of));
        let value = self.recorded.entry((n, of.id.0.as_u128(), campaign, when)).or_default();
        // What is pushed adds up; what is stated holds until it is stated again.
        *value = if n <= 2 { *value + micros } else { micros };
    }

    /// The spend by currency of a range of days in a zone, by the series that hold it now.
    fn spend(&self, (from, to): (NaiveDate, NaiveDate), zone: &str, of: Option<u128>) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for ((n, id, _, when), micros) in &self.recorded {
            let timeline = self.details[n].series();
            let (day, held) = match *when {
                When::On(day) => (day, timeline.on(day)),
                When::At(at) => (local_date(at, zone.parse().unwrap()), timeline.at(at)),
            };
            if held.id.0.as_u128() == *id && from <= day && day <= to && of.is_none_or(|of| of == *n) {
                *sums.entry(self.currency_of[id].clone()).or_default() += micros;
            }
        }
        sums
    }

    /// The events in an order of their own: those of sources and the batches are of different streams.
    fn given(&self, changes_first: Option<bool>) -> Vec<Given> {
        let mut changes = self.changes.iter().map(|(n, event)| source_event(*n, event.clone()));
        let mut batches = self.batches.iter().map(Given::again);
        match changes_first {
            Some(true) => changes.chain(batches).collect(),
            Some(false) => batches.chain(changes).collect(),
            None => self
                .order
                .iter()
                .map(|is_change| if *is_change { changes.next().unwrap() } else { batches.next().unwrap() })
                .collect(),
        }
    }
}

/// The amounts of a row by currency, in micros.
fn amounts(row: &Value) -> BTreeMap<String, i64> {
    let micros = |money: &Value| {
        let text = money["amount"].as_str().unwrap().replace('.', "");
        (money["currency"].as_str().unwrap().to_owned(), text.parse().unwrap())
    };
    match (&row["spend"], &row["by_currency"]) {
        (Value::Null, Value::Object(by)) => by.values().map(|of| micros(&of["spend"])).collect(),
        (Value::Null, _) => BTreeMap::new(),
        (money, _) => BTreeMap::from([micros(money)]),
    }
}

async fn begin(world: &mut World) {
    world.given((1..=2).map(|n| created(n, &format!("Campaign {n}"), &["email"]))).await;
    world.given(definitions().into_iter().map(|(n, definition)| registered(n, definition))).await;
}

fn query(from: &str, to: &str, zone: &str, more: &Value) -> Value {
    let mut query = over(from, to, more);
    (query["measures"], query["time_zone"], query["limit"]) = (json!(["spend"]), json!(zone), json!(200));
    query
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn numbers_are_of_the_series_that_hold_their_buckets(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    begin(&mut world).await;
    let history = history(&mut StdRng::seed_from_u64(17));
    world.given(history.given(None)).await;
    assert!(history.changes.len() > 8, "there are changes");
    let mut seen = 0;
    for (from, to) in [("2026-11-13", "2026-11-23"), ("2026-11-16", "2026-11-18"), ("2026-11-17", "2026-11-17")] {
        let dates = (date(from), date(to));
        for zone in ZONES {
            let context = format!("{from} to {to} in {zone}");
            let all = world.report(&query(from, to, zone, &json!({"totals": true}))).await.ok();
            assert_eq!(amounts(&all.body["totals"]), history.spend(dates, zone, None), "{context}");
            seen += amounts(&all.body["totals"]).len();
            let by_source = world.report(&query(from, to, zone, &json!({"group_by": ["source"]}))).await.ok();
            for row in by_source.body["data"].as_array().unwrap() {
                let n = row["source"].as_str().unwrap()[1..].parse().unwrap();
                assert_eq!(amounts(row), history.spend(dates, zone, Some(n)), "{context}, s{n}");
            }
            let by_day = world.report(&query(from, to, zone, &json!({"granularity": "day"}))).await.ok();
            for row in by_day.body["data"].as_array().unwrap() {
                let day = date(row["bucket"].as_str().unwrap());
                assert_eq!(amounts(row), history.spend((day, day), zone, None), "{context}, {day}");
            }
        }
    }
    assert!(seen > 15, "both currencies are there: {seen}");
    // A rebuild says the same.
    let asked =
        query("2026-11-13", "2026-11-23", "UTC", &json!({"granularity": "day", "group_by": ["source", "campaign"]}));
    let before = world.report(&asked).await.ok();
    let stop = CancellationToken::new();
    projections::replay(&world.projector, "campaign_model", &world.replaying(), &|_| {}, stop).await.unwrap();
    let after = world.report(&asked).await.ok();
    assert_ne!(before.etag(), after.etag());
    assert_eq!((&before.body["data"], before.warnings()), (&after.body["data"], after.warnings()));
}

/// Rows do not depend on the order between the streams of a source: its own, and that of its batches.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn numbers_do_not_depend_on_the_order_between_streams(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    begin(&mut world).await;
    let history = history(&mut StdRng::seed_from_u64(23));
    world.given(history.given(Some(false))).await;
    let asked = |zone: &str| query("2026-11-13", "2026-11-23", zone, &json!({"totals": true}));
    let dates = (date("2026-11-13"), date("2026-11-23"));
    for zone in ZONES {
        let told = world.report(&asked(zone)).await.ok();
        assert_eq!(amounts(&told.body["totals"]), history.spend(dates, zone, None), "{zone}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn changes_before_their_batches_say_the_same(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    begin(&mut world).await;
    let history = history(&mut StdRng::seed_from_u64(23));
    world.given(history.given(Some(true))).await;
    let dates = (date("2026-11-13"), date("2026-11-23"));
    let told = world.report(&query("2026-11-13", "2026-11-23", "UTC", &json!({"totals": true}))).await.ok();
    assert_eq!(amounts(&told.body["totals"]), history.spend(dates, "UTC", None));
}
