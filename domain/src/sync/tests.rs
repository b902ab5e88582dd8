use chrono::TimeDelta;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00Z".parse().unwrap()
}

fn run() -> CompletedRun {
    CompletedRun { complete_through: None, grain: Grain::Day, covers: None, final_through: FinalThrough::default() }
}

fn refused_field(run: CompletedRun) -> Option<&'static str> {
    SyncReport::Completed(run).validate(now()).err().map(SyncReportError::field)
}

#[test]
fn rejects_completeness_ahead_of_the_clock() {
    let through = |complete_through| refused_field(CompletedRun { complete_through: Some(complete_through), ..run() });
    assert_eq!(through(now() + MAX_CLOCK_SKEW), None);
    assert_eq!(through(now() + MAX_CLOCK_SKEW + TimeDelta::seconds(1)), Some("complete_through"));
    assert_eq!(through("1969-12-31T23:59:59Z".parse().unwrap()), Some("complete_through"));
    assert_eq!(through("1970-01-01T00:00:00Z".parse().unwrap()), None);
}

#[test]
fn rejects_runs_that_say_nothing_and_empty_ranges() {
    let hours = |hours| now() - TimeDelta::hours(hours);
    let covering = |from, to| CompletedRun { covers: Some(Coverage { from: hours(from), to: hours(to) }), ..run() };
    assert_eq!(refused_field(run()), Some("complete_through"));
    assert_eq!(refused_field(covering(9, 4)), None);
    assert_eq!(refused_field(covering(4, 4)), Some("covers"));
    assert_eq!(refused_field(covering(4, -1)), Some("covers"));
    let word = |hours_ago| CompletedRun {
        complete_through: Some(hours(4)),
        final_through: FinalThrough { delivery: Some(hours(hours_ago)), conversions: None },
        ..run()
    };
    assert_eq!(refused_field(word(4)), None);
    assert_eq!(refused_field(word(3)), Some("final_through"));
}

#[test]
fn rejects_blank_long_and_control_character_reasons() {
    let because =
        |reason: &str| SyncReport::Failed { reason: reason.to_owned() }.validate(now()).map_err(SyncReportError::field);
    assert_eq!(because("quota\nexceeded"), Ok(()));
    assert_eq!(because(&"ü".repeat(500)), Ok(()));
    assert_eq!(because(&"ü".repeat(501)), Err("reason"));
    assert_eq!(because(" \n"), Err("reason"));
    assert_eq!(because("a\u{7}b"), Err("reason"));
}
