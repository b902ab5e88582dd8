use chrono::TimeDelta;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00Z".parse().unwrap()
}

#[test]
fn completeness_does_not_reach_ahead() {
    let through = |complete_through| {
        SyncReport::Completed { complete_through, grain: Grain::Day }.validate(now()).map_err(SyncReportError::field)
    };
    assert_eq!(through(now() + MAX_CLOCK_SKEW), Ok(()));
    assert_eq!(through(now() + MAX_CLOCK_SKEW + TimeDelta::seconds(1)), Err("complete_through"));
    assert_eq!(through("1969-12-31T23:59:59Z".parse().unwrap()), Err("complete_through"));
    assert_eq!(through("1970-01-01T00:00:00Z".parse().unwrap()), Ok(()));
}

#[test]
fn reason_is_bounded() {
    let because =
        |reason: &str| SyncReport::Failed { reason: reason.to_owned() }.validate(now()).map_err(SyncReportError::field);
    assert_eq!(because("quota\nexceeded"), Ok(()));
    assert_eq!(because(&"ü".repeat(500)), Ok(()));
    assert_eq!(because(&"ü".repeat(501)), Err("reason"));
    assert_eq!(because(" \n"), Err("reason"));
    assert_eq!(because("a\u{7}b"), Err("reason"));
}
