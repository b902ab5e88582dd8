//! Numbers of pull sources, which settle when they are read again.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ids::SourceId;
use crate::sync::{Coverage, FinalThrough, SyncEvent};

const DAY: i64 = 1_440;
/// In hours: of the model.
const HORIZON: i64 = 10;

/// An instant, in minutes of some day.
fn minute(minutes: i64) -> DateTime<Utc> {
    "2026-11-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
}

fn id() -> SourceId {
    SourceId(Uuid::from_u128(7))
}

fn started(at: i64) -> SyncEvent {
    SyncEvent::SyncStarted { source: id(), at: minute(at) }
}

fn failed(at: i64) -> SyncEvent {
    SyncEvent::SyncFailed { source: id(), at: minute(at), reason: "token expired".to_owned() }
}

fn reopened(at: i64, through: i64) -> SyncEvent {
    SyncEvent::SyncReopened { source: id(), at: minute(at), complete_through: minute(through) }
}

/// A run of a source with horizons of two days.
fn completed(at: i64, through: Option<i64>, covers: Option<(i64, i64)>) -> SyncEvent {
    SyncEvent::SyncCompleted {
        source: id(),
        at: minute(at),
        complete_through: through.map(minute),
        grain: Grain::Day,
        covers: covers.map(|(from, to)| Coverage { from: minute(from), to: minute(to) }),
        lookback_s: 2 * DAY * 60,
        final_through: FinalThrough::default(),
    }
}

fn source(events: &[SyncEvent]) -> SourceFreshness {
    let mut syncs = SourceSyncs::default();
    for event in events {
        syncs.apply(event);
    }
    let horizons = Horizons {
        delivery: Horizon::Seconds(DAY * 60),
        conversions: Horizon::Seconds(2 * DAY * 60),
        measures: std::collections::BTreeMap::new(),
    };
    let terms = vec![DeliveryTerms { expected_delay_s: 0, horizons, ..DeliveryTerms::default() }];
    SourceFreshness { terms, syncs, ..SourceFreshness::default() }
}

fn state_of(source: &SourceFreshness, measure: Measure, (start, end): (i64, i64), now: i64) -> Finality {
    let aligned = ZoneAlignment::new(&[], true, crate::bucket::Granularity::Day, Zone::UTC);
    let watermarks = source.watermarks(&aligned, &BTreeSet::from([measure]), minute(now));
    state((minute(start), minute(end)), minute(now), &[&watermarks])
}

const FIRST_DAY: (i64, i64) = (0, DAY);

#[test]
fn clock_alone_makes_nothing_final() {
    let failing = source(&[started(DAY + 10), completed(DAY + 20, Some(DAY), None), failed(DAY + 60)]);
    for now in [DAY + 60, 2 * DAY, 3 * DAY, 400 * DAY] {
        assert_eq!(state_of(&failing, Measure::Spend, FIRST_DAY, now), Finality::Provisional, "minute {now}");
    }
    assert_eq!(failing.syncs.reads.last_read(minute(DAY)), Some(minute(DAY + 10)));
}

#[test]
fn run_that_started_past_the_horizon_makes_final() {
    // Started before the horizon of delivery had passed, and ended after.
    let early =
        [completed(DAY + 20, Some(DAY), None), started(2 * DAY - 1), completed(2 * DAY + 5, Some(2 * DAY), None)];
    assert_eq!(state_of(&source(&early), Measure::Spend, FIRST_DAY, 9 * DAY), Finality::Provisional);
    let late = [completed(DAY + 20, Some(DAY), None), started(2 * DAY), completed(2 * DAY + 5, Some(2 * DAY), None)];
    assert_eq!(state_of(&source(&late), Measure::Spend, FIRST_DAY, 9 * DAY), Finality::Final);
    // Conversions settle later.
    assert_eq!(state_of(&source(&late), Measure::Conversions, FIRST_DAY, 9 * DAY), Finality::Provisional);
}

#[test]
fn first_run_covers_everything_before_it() {
    let imported = source(&[completed(30 * DAY, Some(10 * DAY), None)]);
    assert_eq!(state_of(&imported, Measure::Conversions, (-900 * DAY, 10 * DAY), 30 * DAY), Finality::Final);
    assert_eq!(state_of(&imported, Measure::Conversions, (9 * DAY, 11 * DAY), 30 * DAY), Finality::Provisional);
}

#[test]
fn run_after_an_outage_reads_what_was_left_open() {
    let outage = [
        completed(DAY + 20, Some(DAY), None),
        failed(2 * DAY),
        failed(9 * DAY),
        completed(10 * DAY, Some(10 * DAY), None),
    ];
    assert_eq!(state_of(&source(&outage), Measure::Conversions, (0, 8 * DAY), 10 * DAY), Finality::Final);
    assert_eq!(state_of(&source(&outage), Measure::Conversions, (8 * DAY, 9 * DAY), 10 * DAY), Finality::Provisional);
    // It says itself that it read less.
    let mut narrow = outage.to_vec();
    narrow[3] = completed(10 * DAY, Some(10 * DAY), Some((8 * DAY, 10 * DAY)));
    assert_eq!(state_of(&source(&narrow), Measure::Conversions, FIRST_DAY, 10 * DAY), Finality::Provisional);
    // A run that reads a range again moves nothing else.
    narrow.push(completed(11 * DAY, None, Some((0, 2 * DAY))));
    let healed = source(&narrow);
    assert_eq!(state_of(&healed, Measure::Conversions, (0, 2 * DAY), 11 * DAY), Finality::Final);
    assert_eq!(healed.syncs.complete_through, Some(minute(10 * DAY)));
}

#[test]
fn reopening_takes_completeness_and_finality_back() {
    let mut events = vec![completed(30 * DAY, Some(10 * DAY), None), reopened(30 * DAY + 1, 8 * DAY)];
    let open = source(&events);
    assert_eq!(open.syncs.complete_through, Some(minute(8 * DAY)));
    assert_eq!(state_of(&open, Measure::Spend, (8 * DAY, 9 * DAY), 31 * DAY), Finality::Provisional);
    assert_eq!(state_of(&open, Measure::Spend, (7 * DAY, 8 * DAY), 31 * DAY), Finality::Final);
    events.push(completed(32 * DAY, Some(10 * DAY), None));
    assert_eq!(state_of(&source(&events), Measure::Spend, (8 * DAY, 9 * DAY), 32 * DAY), Finality::Final);
}

#[test]
fn source_may_call_its_numbers_final_itself() {
    let mut said = completed(DAY + 20, Some(DAY), None);
    if let SyncEvent::SyncCompleted { final_through, .. } = &mut said {
        final_through.delivery = Some(minute(DAY));
    }
    let source = source(&[said]);
    assert_eq!(state_of(&source, Measure::Spend, FIRST_DAY, DAY + 20), Finality::Final);
    assert_eq!(state_of(&source, Measure::Revenue, FIRST_DAY, DAY + 20), Finality::Provisional);
}

#[test]
fn nothing_is_expected_after_the_end() {
    let mut ended = source(&[completed(30 * DAY, Some(10 * DAY), None)]);
    ended.unexpected = vec![(Some(minute(10 * DAY)), None)];
    assert_eq!(ended.status(minute(30 * DAY)), SourceStatus::Ended);
    assert_eq!(state_of(&ended, Measure::Spend, (9 * DAY, 20 * DAY), 30 * DAY), Finality::Final);
    ended.unexpected = vec![(Some(minute(11 * DAY)), Some(minute(12 * DAY)))];
    assert_eq!(state_of(&ended, Measure::Spend, (11 * DAY, 12 * DAY), 30 * DAY), Finality::Final);
    assert_eq!(state_of(&ended, Measure::Spend, (12 * DAY, 13 * DAY), 30 * DAY), Finality::Provisional);
}

#[test]
fn steady_runs_take_no_more_room_with_time() {
    let mut events = Vec::new();
    for run in 0..2_000 {
        events.push(started(run * 60 + 3 + run % 7));
        events.push(completed(run * 60 + 12, Some(run * 60), None));
    }
    let source = source(&events);
    assert!(serde_json::to_string(&source.syncs.reads).unwrap().len() < 1_000, "{:?}", source.syncs.reads);
    let settled = source.final_through(&BTreeSet::from([Measure::Conversions]), minute(2_000 * 60)).unwrap();
    assert!(settled >= minute(1_999 * 60 - 2 * DAY - 60), "{settled}");
}

#[test]
fn month_rules_settle_after_the_month() {
    let rule: Horizon = "month_end + 40d".parse().unwrap();
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let settles = |end: &str| rule.settles_at(end.parse().unwrap(), berlin).unwrap().to_rfc3339();
    assert_eq!(settles("2026-10-02T22:00:00Z"), "2026-12-10T23:00:00+00:00");
    // The last day of a month ends where the next month begins.
    assert_eq!(settles("2026-10-31T23:00:00Z"), "2026-12-10T23:00:00+00:00");
    assert_eq!(settles("2026-10-31T23:15:00Z"), "2027-01-09T23:00:00+00:00");
    for (text, horizon) in [("30d", 2_592_000), ("12h", 43_200), ("900s", 900), ("900", 900)] {
        assert_eq!(text.parse(), Ok(Horizon::Seconds(horizon)));
    }
    for text in ["", "d", "-1d", "30 days", "month_end - 1d", "month_end + 40"] {
        assert!(text.parse::<Horizon>().is_err(), "{text}");
    }
}

/// What a source may say, an hour later than before.
#[derive(Debug, Clone, Copy)]
enum Word {
    Start,
    Fail,
    Complete { back: i64 },
    Reread { from: i64, hours: i64 },
    Reopen { back: i64 },
}

fn any_word() -> impl Strategy<Value = Word> {
    prop_oneof![
        Just(Word::Start),
        Just(Word::Fail),
        (0_i64..30).prop_map(|back| Word::Complete { back }),
        (0_i64..200, 1_i64..100).prop_map(|(from, hours)| Word::Reread { from, hours }),
        (0_i64..60).prop_map(|back| Word::Reopen { back }),
    ]
}

proptest! {
    /// No bucket is final whose last read started before its end plus the horizon: against a run by run model.
    #[test]
    fn final_buckets_were_read_after_their_horizon(words in prop::collection::vec(any_word(), 1..60)) {
        let hour = |hours: i64| minute(hours * 60);
        let mut syncs = SourceSyncs::default();
        // By the end of each hour's bucket: when the last run started that read it.
        let mut model: Vec<Option<i64>> = vec![None; 400];
        let (mut complete, mut open, mut read_at): (Option<i64>, Option<i64>, Option<i64>) = (None, None, None);
        for (index, word) in words.iter().enumerate() {
            let at = 100 + i64::try_from(index).unwrap();
            let event = match *word {
                Word::Start => {
                    open = Some(at);
                    started(at * 60)
                }
                Word::Fail => {
                    open = None;
                    failed(at * 60)
                }
                Word::Complete { back } => {
                    let run = open.take().unwrap_or(at);
                    let from = complete.map(|before: i64| before.min(read_at.unwrap_or(before)) - HORIZON);
                    let through = complete.unwrap_or(0).max(at - back);
                    let ends = (from.unwrap_or(-1) + 1..=through).filter_map(|end| usize::try_from(end).ok());
                    ends.for_each(|end| model[end] = Some(run));
                    (complete, read_at) = (Some(through), Some(run));
                    completed(at * 60, Some((at - back) * 60), None)
                }
                Word::Reread { from, hours } => {
                    let run = open.take().unwrap_or(at);
                    (from + 1..=from + hours).for_each(|end| model[usize::try_from(end).unwrap()] = Some(run));
                    completed(at * 60, None, Some((from * 60, (from + hours) * 60)))
                }
                Word::Reopen { back } => {
                    let through = at - back;
                    complete = complete.map(|before| before.min(through));
                    model[usize::try_from(through).unwrap() + 1..].fill(None);
                    reopened(at * 60, through * 60)
                }
            };
            let event = match event {
                SyncEvent::SyncCompleted { source, at, complete_through, grain, covers, final_through, .. } => {
                    let lookback_s = HORIZON * 3_600;
                    SyncEvent::SyncCompleted { source, at, complete_through, grain, covers, lookback_s, final_through }
                }
                SyncEvent::SyncStarted { .. } | SyncEvent::SyncReopened { .. } | SyncEvent::SyncFailed { .. } => event,
            };
            syncs.apply(&event);
        }
        prop_assert_eq!(syncs.complete_through, complete.map(hour));
        let settled = syncs.reads.settled(Horizon::Seconds(HORIZON * 3_600), Zone::UTC);
        for end in 1..300_i64 {
            let expected = model[usize::try_from(end).unwrap()].is_some_and(|run| run >= end + HORIZON);
            let found = settled.iter().any(|(from, to)| from.is_none_or(|from| from < hour(end)) && hour(end) <= *to);
            prop_assert_eq!(found, expected, "the bucket that ends in hour {}: {:?}", end, syncs.reads);
        }
        let stored = serde_json::to_string(&syncs.reads).unwrap();
        prop_assert_eq!(serde_json::from_str::<ReadHistory>(&stored).unwrap(), syncs.reads);
    }
}
