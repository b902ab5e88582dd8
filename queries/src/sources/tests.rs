//! The table of freshness: each state of a source, at each time of a bucket, with and without parked events.

use chrono::TimeDelta;
use domain::bucket::Grain;
use domain::freshness::SourceSyncs;
use domain::ids::SourceId;
use domain::source::{Horizon, Horizons, IdScope, SourceDetails, SourceKind};
use domain::sync::{FinalThrough, SyncEvent};

use super::*;

const DELAY_S: i64 = 1_800;
const HORIZON_S: i64 = 86_400;

/// Minutes from the end of a bucket of an hour.
fn minute(minutes: i64) -> DateTime<Utc> {
    "2026-11-21T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

/// The present instant, relative to the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Open,
    WithinHorizon,
    PastHorizon,
}

use Time::{Open, PastHorizon, WithinHorizon};

impl Time {
    const ALL: [Self; 3] = [Open, WithinHorizon, PastHorizon];

    fn now(self) -> i64 {
        match self {
            Open => -2,
            WithinHorizon => 10,
            PastHorizon => 24 * 60 + 10,
        }
    }
}

/// A state of a source, and what follows at each time: its status, the state of the bucket without parked events, and the
/// minute from which it is incomplete.
struct Case {
    name: &'static str,
    /// Its runs until a time: started, completed, failed, and complete through.
    runs: fn(i64) -> [Option<i64>; 4],
    status: &'static str,
    states: [&'static str; 3],
    incomplete: [Option<i64>; 3],
}

const CASES: [Case; 7] = [
    Case {
        name: "synced",
        runs: |now| [Some(now - 2), Some(now - 1), None, Some(now - 1)],
        status: "ok",
        states: ["live", "provisional", "final"],
        incomplete: [Some(-3), None, None],
    },
    Case {
        name: "running",
        runs: |now| [Some(now - 1), Some(now - 5), None, Some(now - 5)],
        status: "running",
        states: ["live", "provisional", "final"],
        incomplete: [Some(-7), None, None],
    },
    Case {
        name: "late, short of the bucket",
        runs: |now| [None, Some(now - 1), None, Some(-50)],
        status: "late",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(-50), Some(-50), Some(-50)],
    },
    Case {
        name: "failed, short of the bucket",
        runs: |now| [Some(now - 2), None, Some(now - 1), Some(-50)],
        status: "failed",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(-50), Some(-50), Some(-50)],
    },
    Case {
        name: "failed, complete before",
        runs: |now| [Some(now - 2), Some(now - 4), Some(now - 1), Some(now - 5)],
        status: "failed",
        states: ["live", "provisional", "final"],
        incomplete: [Some(-7), None, None],
    },
    Case {
        name: "first run underway",
        runs: |now| [Some(now - 1), None, None, None],
        status: "running",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(-60), Some(-60), Some(-60)],
    },
    Case {
        name: "never",
        runs: |_| [None; 4],
        status: "never",
        states: ["live", "provisional", "provisional"],
        incomplete: [Some(-60), Some(-60), Some(-60)],
    },
];

const QUERY_GRAIN: QueryGrain = (Granularity::QuarterHour, Zone::UTC);

fn source(kind: SourceKind, runs: [Option<i64>; 4]) -> Source {
    let definition = SourceDefinition {
        name: "ads".to_owned(),
        channel: "paid_search".parse().unwrap(),
        kind,
        role: SourceRole::Primary,
        measure_roles: BTreeMap::new(),
        measures: BTreeSet::new(),
        platform: None,
        time_zone: "UTC".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        expected_delay_s: DELAY_S,
        horizons: Horizons::uniform(Horizon::Seconds(HORIZON_S)),
        complete_after_s: None,
        quiet_after_s: None,
        expected_from: None,
        observation_window_s: None,
        id_scope: IdScope::Day,
        unknown_campaigns: domain::source::UnknownCampaigns::Reject,
        dimensions: Vec::new(),
    };
    let [started, completed, failed, through] = runs.map(|minutes| minutes.map(minute));
    let id = SourceId(Uuid::from_u128(1));
    let mut events: Vec<(DateTime<Utc>, SyncEvent)> = Vec::new();
    events.extend(started.map(|at| (at, SyncEvent::SyncStarted { source: id, at })));
    events.extend(failed.map(|at| (at, SyncEvent::SyncFailed { source: id, at, reason: "quota exceeded".to_owned() })));
    events.extend(completed.map(|at| {
        let event = SyncEvent::SyncCompleted {
            source: id,
            at,
            complete_through: through,
            grain: Grain::QuarterHour,
            covers: None,
            lookback_s: HORIZON_S,
            final_through: FinalThrough::default(),
        };
        (at, event)
    }));
    events.sort_by_key(|(at, _)| *at);
    let mut syncs = SourceSyncs {
        complete_through: through.filter(|_| completed.is_none()),
        grain: Some(Grain::QuarterHour),
        ..SourceSyncs::default()
    };
    for (_, event) in &events {
        syncs.apply(event);
    }
    let freshness = SourceFreshness::new(&SourceDetails::new(id, definition.clone()), syncs);
    Source {
        id: id.0,
        definition,
        series: id.0,
        series_history: SeriesHistory::default(),
        history: Vec::new(),
        period: SourceDates::default(),
        freshness,
        stated: BTreeSet::from([Measure::Clicks]),
        stated_grains: Vec::new(),
        last_position: 0,
        settings_position: 0,
        has_data: true,
    }
}

#[test]
fn freshness_in_every_case() {
    let measures = BTreeSet::from([Measure::Clicks]);
    for case in &CASES {
        for (index, time) in Time::ALL.into_iter().enumerate() {
            for kind in [SourceKind::Push, SourceKind::Pull] {
                for parked in [0, 2] {
                    let now = minute(time.now());
                    let source = source(kind, (case.runs)(time.now()));
                    let range = (minute(-60), minute(0));
                    let edges = [minute(-60), minute(0)];
                    let range_of_answer = FreshnessRange { span: range, grain: QUERY_GRAIN, edges: &edges };
                    let answer = freshness(&[&source], &measures, (|_| parked, parked > 0), &range_of_answer, now, now);
                    let cell = format!("{}, {kind:?}, {time:?}, {parked} parked", case.name);
                    let body = &answer.sources[0];
                    assert_eq!(body.status, case.status, "{cell}");
                    assert_eq!(body.parked, parked, "{cell}");
                    let through = source.freshness.syncs.complete_through;
                    // What is beyond the range is not told.
                    let within = |through: Option<DateTime<Utc>>| through.map(|through| through.min(range.1));
                    assert_eq!(body.complete_through, within(through), "{cell}");
                    if parked > 0 {
                        // Parked events may belong to any bucket: none is complete, and none final.
                        let expected = if time == Open { "live" } else { "provisional" };
                        assert_eq!(answer.state.name(), expected, "{cell}");
                        assert_eq!(answer.first_incomplete, Some(range.0), "{cell}");
                        assert_eq!(body.final_through, None, "{cell}");
                    } else {
                        assert_eq!(answer.state.name(), case.states[index], "{cell}");
                        assert_eq!(answer.first_incomplete, case.incomplete[index].map(minute), "{cell}");
                        let read_at =
                            if kind == SourceKind::Push { Some(now) } else { source.freshness.syncs.last_read_at };
                        let settled = read_at.map(|read_at| read_at - TimeDelta::seconds(HORIZON_S));
                        let expected = through.zip(settled).map(|(through, settled)| through.min(settled));
                        assert_eq!(body.final_through, within(expected), "{cell}");
                    }
                }
            }
        }
    }
}

#[test]
fn references_do_not_affect_finality() {
    let mut reference = source(SourceKind::Pull, [None; 4]);
    reference.definition.role = SourceRole::Reference;
    let mut done = source(SourceKind::Push, [None, Some(24 * 60), None, Some(24 * 60)]);
    done.id = Uuid::from_u128(2);
    let measures = BTreeSet::from([Measure::Clicks]);
    let now = minute(PastHorizon.now());
    let edges = [minute(-60), minute(0)];
    let range = FreshnessRange { span: (edges[0], edges[1]), grain: QUERY_GRAIN, edges: &edges };
    let told = freshness(&[&reference, &done], &measures, (|_| 0, false), &range, now, now);
    assert_eq!((told.state, told.first_incomplete), (Finality::Final, None));
    assert_eq!(told.sources.iter().map(|source| source.status).collect::<Vec<_>>(), ["never", "ok"]);
}

#[test]
fn primary_that_states_only_references_of_what_is_asked_is_one() {
    let mut done = source(SourceKind::Push, [None, Some(24 * 60), None, Some(24 * 60)]);
    done.stated = BTreeSet::from([Measure::Spend]);
    let mut late = source(SourceKind::Pull, [None; 4]);
    (late.id, late.stated) = (Uuid::from_u128(2), BTreeSet::from([Measure::Spend, Measure::Clicks]));
    late.definition.name = "late".to_owned();
    late.definition.measure_roles = BTreeMap::from([(Measure::Spend, SourceRole::Reference)]);
    let now = minute(PastHorizon.now());
    let edges = [minute(-60), minute(0)];
    let range = FreshnessRange { span: (edges[0], edges[1]), grain: QUERY_GRAIN, edges: &edges };
    let told = |measures: &[Measure]| {
        let measures = measures.iter().copied().collect();
        let told = freshness(&[&done, &late], &measures, (|_| 0, false), &range, now, now);
        (told.state, told.sources.iter().map(|source| source.role).collect::<Vec<_>>())
    };
    // It never stated revenue, for which it would be primary.
    assert_eq!(told(&[Measure::Spend, Measure::Revenue]), (Finality::Final, vec!["primary", "reference"]));
    assert_eq!(told(&[Measure::Spend, Measure::Clicks]), (Finality::Provisional, vec!["primary", "primary"]));
}
