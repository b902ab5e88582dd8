//! Random histories of sources that run, fail, end, come back and take their word back: what their numbers are worth.

use chrono::{DateTime, TimeDelta, Utc};
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Conversion};
use domain::source::{SourceChange, SourceDefinition, SourceEvent, SourceKind};
use domain::sync::SyncEvent;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::source_changes::over;
use crate::support::World;
use crate::support::given::{
    Given, at, campaign, created, date, definition, observed, registered, source, source_event, stated, sync_event,
};

const SOURCES: u128 = 5;
const CHANNELS: [&str; 2] = ["paid_search", "email"];
const FROM: &str = "2026-11-14";
const TO: &str = "2026-11-20";

/// Two sources push, three state days; the last one states nothing but spend.
fn definitions() -> Vec<SourceDefinition> {
    let one = |n: u128| {
        let kind = if n <= 2 { SourceKind::Push } else { SourceKind::Pull };
        let channel = CHANNELS[usize::from(n.is_multiple_of(2))];
        let mut definition = definition(&format!("s{n}"), channel, kind);
        if n == SOURCES {
            definition.measures = [Measure::Spend].into();
        }
        definition
    };
    (1..=SOURCES).map(one).collect()
}

/// Something that a source says or that becomes of it.
fn anything(random: &mut StdRng, n: u128, now: DateTime<Utc>) -> Given {
    let (of, source, day) = (random.random_range(1..=2), source(n), random.random_range(14..=19));
    let earlier = now - TimeDelta::hours(random.random_range(0..80));
    let midnight = earlier.date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc();
    match random.random_range(0..12) {
        0..3 if n <= 2 => {
            let when = format!("2026-11-{day}T{:02}:00:00Z", random.random_range(0..24));
            let kind = if random.random() { Click } else { Conversion };
            observed(n, of, &[(kind, &when, 1, None)])
        }
        0..3 => {
            let measure = if n == SOURCES { Measure::Spend } else { Measure::Clicks };
            stated(n, of, Grain::Day, "UTC", &[(&format!("2026-11-{day}"), &[(measure, random.random_range(1..9))])])
        }
        3 => sync_event(n, SyncEvent::SyncStarted { source, at: now }),
        4 => sync_event(n, SyncEvent::SyncFailed { source, at: now, reason: "token expired".to_owned() }),
        5 => sync_event(n, SyncEvent::SyncReopened { source, at: now, complete_through: midnight }),
        6 => source_event(n, SourceEvent::SourceEnded { source, ends_at: earlier, at: now }),
        7 => source_event(n, SourceEvent::SourceResumed { source, resumes_at: earlier, at: now }),
        8 => {
            let mut change = SourceChange::default();
            let mut horizons = definitions()[0].horizons.clone();
            horizons.conversions = if random.random() { "1d".parse().unwrap() } else { "6d".parse().unwrap() };
            change.horizons = Some(horizons);
            source_event(n, SourceEvent::SourceChanged { source, change, from: date("2026-11-16"), at: now })
        }
        _ => completed(n, now, if n <= 2 { now } else { midnight }),
    }
}

fn completed(n: u128, at: DateTime<Utc>, through: DateTime<Utc>) -> Given {
    let event = SyncEvent::SyncCompleted {
        source: source(n),
        at,
        complete_through: Some(through),
        grain: if n <= 2 { Grain::QuarterHour } else { Grain::Day },
        covers: None,
        lookback_s: 3 * 86_400,
        final_through: domain::sync::FinalThrough::default(),
    };
    sync_event(n, event)
}

/// How settled a state is.
fn rank(state: &Value) -> usize {
    let name = state.as_str().unwrap();
    ["live", "provisional", "final"].iter().position(|state| *state == name).unwrap()
}

/// The state of a question, and whether somebody is expected of it.
fn answered(reply: &Value) -> (usize, bool) {
    let freshness = &reply["meta"]["freshness"];
    let is_expected = |source: &Value| source["role"] == "primary" && source["status"] != "ended";
    (rank(&freshness["state"]), freshness["sources"].as_array().unwrap().iter().any(is_expected))
}

/// A wider question is never more settled than a narrower one of which somebody is expected, and a source that states
/// nothing of a question does not change what is said of it.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn states_follow_from_those_who_are_expected(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut random = StdRng::seed_from_u64(11);
    world.given((1..=2).map(|n| created(n, &format!("Campaign {n}"), &CHANNELS))).await;
    world.given((1..).zip(definitions()).map(|(n, definition)| registered(n, definition))).await;
    // The last source delivers at once, so that nobody waits for it but those whom it feeds.
    world.given([stated(SOURCES, 1, Grain::Day, "UTC", &[("2026-11-14", &[(Measure::Spend, 1)])])]).await;
    let mut now = at("2026-11-20T00:00:00Z");
    let filters = [
        json!({"channel": ["paid_search"]}),
        json!({"channel": ["email"]}),
        json!({"campaign_id": [campaign(1)]}),
        json!({"campaign_id": [campaign(2)], "channel": ["email"]}),
        json!({"source": ["s1"]}),
        json!({"source": ["s3", "s4"]}),
    ];
    let (mut seen, mut compared) = ([0; 3], 0);
    for round in 0..24 {
        now += TimeDelta::hours(random.random_range(1..18));
        world.clock.set(now);
        let clicks =
            |more: Value| over(FROM, TO, &json!({"measures": ["clicks"], "granularity": "day", "filters": more}));
        for n in 1..SOURCES {
            let given = anything(&mut random, n, now);
            world.given([given]).await;
        }
        let before = world.report(&clicks(json!({}))).await.ok();
        world.given([anything(&mut random, SOURCES, now)]).await;
        let after = world.report(&clicks(json!({}))).await.ok();
        assert_eq!(before.column("state"), after.column("state"), "round {round}: the last source states no clicks");
        assert_eq!(before.body["meta"]["freshness"], after.body["meta"]["freshness"], "round {round}");

        for measures in [json!(["clicks"]), json!(["conversions"]), json!(["spend"]), json!(["clicks", "conversions"])]
        {
            let ask = |from: &str, to: &str, filters: &Value| {
                over(from, to, &json!({"measures": measures, "granularity": "all", "filters": filters}))
            };
            let (all, _) = answered(&world.report(&ask(FROM, TO, &json!({}))).await.ok().body);
            seen[all] += 1;
            for filter in &filters {
                let narrower = world.report(&ask(FROM, TO, filter)).await.ok();
                let (state, is_expected) = answered(&narrower.body);
                if is_expected {
                    compared += 1;
                    assert!(all <= state, "round {round}, {measures} of {filter} at {now}: {narrower}");
                }
                let (shorter, _) = answered(&world.report(&ask("2026-11-15", "2026-11-17", filter)).await.ok().body);
                assert!(!is_expected || state <= shorter, "round {round}, {measures} of {filter}, fewer days");
            }
        }
    }
    assert!(compared > 200 && seen.iter().all(|count| *count > 0), "{compared} compared, states {seen:?}");
}
