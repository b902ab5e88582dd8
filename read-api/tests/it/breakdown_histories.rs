//! Random histories of totals and of breakdowns of them: rows add to the total, in whatever order they were stated.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::breakdown::{Breakdown, NOT_BROKEN_DOWN, SourceDimension};
use domain::bucket::Bucket;
use domain::measure::Measure;
use domain::observation::Dimension::{self, Ad, ConversionAction, Country, Device};
use domain::source::SourceKind;
use domain::statement::Statement;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::source_changes::over;
use crate::support::World;
use crate::support::given::{Given, at, broken_down, campaign, created, date, definition, registered};

const DAYS: [&str; 3] = ["2026-11-17", "2026-11-18", "2026-11-19"];
const BREAKDOWNS: [&[Dimension]; 6] =
    [&[], &[Device], &[Country], &[ConversionAction], &[Country, Device], &[Ad, Device]];
const MEASURES: [Measure; 2] = [Measure::Clicks, Measure::Impressions];

fn declared() -> Vec<SourceDimension> {
    let of = |name, partition| SourceDimension { name, partition };
    vec![of(Country, true), of(ConversionAction, false), of(Device, true), of(Ad, true)]
}

fn breakdown(dimensions: &[Dimension]) -> Breakdown {
    Breakdown::new(dimensions.iter().copied()).unwrap()
}

/// Campaign, day, measure.
type Total = (u128, &'static str, Measure);
/// Of a breakdown, by its values: what was stated last, and as of when.
type Rows = BTreeMap<Vec<String>, (DateTime<Utc>, Option<i64>)>;

/// What was stated, and what it comes to.
#[derive(Default)]
struct History {
    given: Vec<Given>,
    /// By total, and by the place of the breakdown in the list.
    stated: BTreeMap<Total, BTreeMap<usize, Rows>>,
}

impl History {
    fn random(random: &mut StdRng) -> Self {
        let mut history = Self::default();
        for _ in 0..160 {
            let place = random.random_range(0..BREAKDOWNS.len());
            let (dimensions, of) = (breakdown(BREAKDOWNS[place]), random.random_range(1..=2_u128));
            let values: Vec<String> =
                dimensions.dimensions().iter().map(|name| format!("{name}-{}", random.random_range(0..3))).collect();
            let (day, measure) = (DAYS[random.random_range(0..3)], MEASURES[random.random_range(0..2)]);
            let value = (random.random_range(0..4) > 0).then(|| random.random_range(0..50_i64));
            let stated_at = at("2026-11-20T00:00:00Z") + TimeDelta::minutes(random.random_range(0..6));
            let statement = Statement {
                campaign: campaign(of),
                bucket: Bucket::Day(date(day)),
                values: values.clone(),
                stated_at,
                measures: [(measure, value)].into(),
                sealed: None,
            };
            let precedence = dimensions.precedence(&declared()).unwrap();
            history.given.push(broken_down(1, dimensions.dimensions(), precedence, vec![statement]));
            let rows = history.stated.entry((of, day, measure)).or_default().entry(place).or_default();
            let newest = rows.entry(values).or_insert((stated_at, value));
            if stated_at >= newest.0 {
                *newest = (stated_at, value);
            }
        }
        history
    }

    /// The rows of a breakdown that have a number.
    fn rows(&self, of: Total, place: usize) -> BTreeMap<&[String], i64> {
        let rows = self.stated.get(&of).and_then(|by| by.get(&place)).into_iter().flatten();
        rows.filter_map(|(values, (_, value))| Some((values.as_slice(), (*value)?))).collect()
    }

    /// The total that counts: the stated one, else the sum of the first partition.
    fn total(&self, of: Total) -> Option<i64> {
        let sum = |place: usize| {
            let rows = self.rows(of, place);
            (!rows.is_empty()).then(|| rows.values().sum::<i64>())
        };
        let mut partitions: Vec<_> = (1..BREAKDOWNS.len())
            .filter_map(|place| Some((breakdown(BREAKDOWNS[place]).precedence(&declared()).unwrap()?, place)))
            .collect();
        partitions.sort_unstable();
        sum(0).or_else(|| partitions.iter().find_map(|(_, place)| sum(*place)))
    }

    /// The values of a dimension: of the breakdown by it alone, else of the first pair with it.
    fn by(&self, dimension: Dimension, of: Total) -> BTreeMap<String, i64> {
        let alone = BREAKDOWNS.iter().position(|dimensions| **dimensions == [dimension]);
        let mut pairs: Vec<_> = (0..BREAKDOWNS.len())
            .filter(|place| BREAKDOWNS[*place].len() == 2 && BREAKDOWNS[*place].contains(&dimension))
            .map(|place| (BREAKDOWNS[place].iter().map(|one| one.name()).collect::<Vec<_>>(), place))
            .collect();
        pairs.sort_unstable();
        let places = alone.into_iter().chain(pairs.into_iter().map(|(_, place)| place));
        let mut values = BTreeMap::new();
        if let Some(place) = places.into_iter().find(|place| !self.rows(of, *place).is_empty()) {
            let dimensions = breakdown(BREAKDOWNS[place]);
            let index = dimensions.dimensions().iter().position(|one| *one == dimension).unwrap();
            for (row, value) in self.rows(of, place) {
                *values.entry(row[index].clone()).or_default() += value;
            }
        }
        values
    }

    fn totals(&self, of: impl Fn(Total) -> bool) -> Vec<Total> {
        self.stated.keys().copied().filter(|total| of(*total)).collect()
    }
}

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut ads = definition("ads", "email", SourceKind::Pull);
    ads.dimensions = declared();
    let mut world = World::new(options, connect).await;
    world.given([created(1, "One", &["email"]), created(2, "Two", &["email"]), registered(1, ads)]).await;
    world
}

fn query(measure: Measure, more: &Value) -> Value {
    let mut query = over(DAYS[0], DAYS[2], more);
    (query["measures"], query["limit"]) = (json!([measure.name()]), json!(200));
    query
}

/// Every stored row of totals and breakdowns, of whatever epoch is live.
async fn stored(world: &World) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT (to_jsonb(s) - 'epoch')::text FROM read.statements s
         WHERE s.epoch = (SELECT max(epoch) FROM read.checkpoints WHERE following)
         UNION ALL
         SELECT (to_jsonb(b) - 'epoch')::text FROM read.breakdowns b
         WHERE b.epoch = (SELECT max(epoch) FROM read.checkpoints WHERE following)
         ORDER BY 1",
    )
    .fetch_all(&world.admin)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_add_to_the_total_in_any_order(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let random = &mut StdRng::seed_from_u64(29);
    let history = History::random(random);
    // Cut into batches of any length.
    let mut rest: Vec<_> = history.given.iter().map(Given::again).collect();
    while !rest.is_empty() {
        let length = random.random_range(1..=rest.len().min(24));
        world.given(rest.drain(..length)).await;
    }
    let (mut rests, mut values_seen) = (BTreeSet::new(), 0);
    for measure in MEASURES {
        let all = world.report(&query(measure, &json!({"group_by": ["campaign"], "granularity": "day"}))).await.ok();
        let told: Vec<_> = all.column("campaign_id").into_iter().zip(all.column("bucket")).collect();
        assert!(told.len() > 3, "{told:?}");
        for (row, told) in all.column(measure.name()).iter().zip(told) {
            let is_it = |(of, day, of_measure): Total| {
                json!(campaign(of).to_string()) == told.0 && json!(day) == told.1 && of_measure == measure
            };
            let totals = history.totals(is_it);
            let total = totals.into_iter().next().and_then(|total| history.total(total));
            assert_eq!(row.as_i64(), total, "{told:?}");
        }
        for dimension in [Device, Country, ConversionAction, Ad] {
            let asked = query(measure, &json!({"group_by": [dimension.name()]}));
            let reply = world.report(&asked).await.ok();
            let rows: BTreeMap<String, i64> = reply
                .column(dimension.name())
                .iter()
                .zip(reply.column(measure.name()))
                .map(|(value, number)| (value.as_str().unwrap().to_owned(), number.as_i64().unwrap_or(0)))
                .collect();
            let (mut expected, mut total) = (BTreeMap::new(), 0);
            for of in history.totals(|(.., of_measure)| of_measure == measure) {
                total += history.total(of).unwrap_or(0);
                for (value, number) in history.by(dimension, of) {
                    *expected.entry(value).or_default() += number;
                }
            }
            assert_eq!(rows.values().sum::<i64>(), total, "{measure} by {dimension}: {rows:?}");
            let (beside, named): (BTreeMap<_, _>, BTreeMap<_, _>) =
                rows.into_iter().partition(|(value, _)| value == NOT_BROKEN_DOWN);
            assert_eq!(named, expected, "{measure} by {dimension}");
            rests.extend(beside.values().map(|number| number.signum()));
            values_seen += named.len();
            // Each value by a filter, which leaves the rest out.
            for (value, number) in &expected {
                let one = query(measure, &json!({"filters": {dimension.name(): [value]}}));
                let one = world.report(&one).await.ok();
                assert_eq!(one.column(measure.name()), [json!(number)], "{dimension} {value}");
                assert!(!one.warnings().contains(&"dimension_not_stated"));
            }
            let others = query(measure, &json!({"filters": {dimension.name(): [NOT_BROKEN_DOWN]}}));
            let others = world.report(&others).await.ok();
            let others: i64 = others.column(measure.name()).iter().filter_map(Value::as_i64).sum();
            assert_eq!(others, beside.values().sum::<i64>(), "{dimension}");
        }
    }
    assert!(values_seen > 12, "{values_seen}");
    assert!(rests.is_superset(&[-1, 1].into()), "the rest has both signs: {rests:?}");

    let before = stored(&world).await;
    let stop = CancellationToken::new();
    projections::replay(&world.projector, "campaign_model", &world.replaying(), &|_| {}, stop).await.unwrap();
    assert_eq!(stored(&world).await, before, "a rebuild gives the same rows");
}
