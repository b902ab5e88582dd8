use chrono::TimeDelta;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00Z".parse().unwrap()
}

/// What a body says, or the member at fault.
fn check(body: &str) -> Result<ValidSync, &'static str> {
    let sync: RecordSync = serde_json::from_str(body).unwrap();
    sync.check(now()).map_err(|failure| match failure {
        CommandError::Invalid { field, .. } => field,
        other => panic!("{other}"),
    })
}

#[test]
fn each_status_has_its_members() {
    assert_eq!(check(r#"{"status": "started"}"#), Ok(ValidSync::Started));
    let completed = r#"{"status": "completed", "complete_through": "2026-11-21T21:00:00+01:00"}"#;
    let complete_through = now() - TimeDelta::hours(2);
    assert_eq!(check(completed), Ok(ValidSync::Completed { complete_through, grain: Grain::QuarterHour }));
    let completed = r#"{"status": "completed", "complete_through": "2026-11-21T20:00:00Z", "grain": "day"}"#;
    assert_eq!(check(completed), Ok(ValidSync::Completed { complete_through, grain: Grain::Day }));
    let failed = r#"{"status": "failed", "reason": "quota\nexceeded"}"#;
    assert_eq!(check(failed), Ok(ValidSync::Failed { reason: "quota\nexceeded".to_owned() }));
}

#[test]
fn members_of_another_status_are_refused() {
    assert_eq!(check(r#"{"status": "started", "reason": "x"}"#), Err("reason"));
    assert_eq!(check(r#"{"status": "started", "complete_through": "2026-11-21T20:00:00Z"}"#), Err("complete_through"));
    assert_eq!(check(r#"{"status": "failed", "reason": "x", "grain": "day"}"#), Err("grain"));
    assert_eq!(check(r#"{"status": "completed"}"#), Err("complete_through"));
    assert_eq!(check(r#"{"status": "failed"}"#), Err("reason"));
}

#[test]
fn completeness_does_not_reach_ahead() {
    let through = |instant: DateTime<Utc>| {
        check(&format!(r#"{{"status": "completed", "complete_through": "{}"}}"#, instant.to_rfc3339())).map(|_| ())
    };
    assert_eq!(through(now() + SKEW), Ok(()));
    assert_eq!(through(now() + SKEW + TimeDelta::seconds(1)), Err("complete_through"));
    assert_eq!(through("1969-12-31T23:59:59Z".parse().unwrap()), Err("complete_through"));
    assert_eq!(through("1970-01-01T00:00:00Z".parse().unwrap()), Ok(()));
}

#[test]
fn a_reason_is_bounded() {
    let because = |reason: &str| {
        let body = serde_json::json!({"status": "failed", "reason": reason});
        check(&body.to_string()).map(|_| ())
    };
    assert_eq!(because(&"ü".repeat(500)), Ok(()));
    assert_eq!(because(&"ü".repeat(501)), Err("reason"));
    assert_eq!(because(" \n"), Err("reason"));
    assert_eq!(because("a\u{7}b"), Err("reason"));
}
