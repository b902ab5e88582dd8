use super::*;

/// What a body reports, or the member at fault.
fn read(body: &str) -> Result<SyncReport, &'static str> {
    let sync: ReportSync = serde_json::from_str(body).unwrap();
    sync.into_report().map_err(|error| match error {
        CommandError::Invalid { field, .. } => field,
        other => panic!("{other}"),
    })
}

#[test]
fn each_status_has_its_members() {
    assert_eq!(read(r#"{"status": "started"}"#), Ok(SyncReport::Started));
    let completed = r#"{"status": "completed", "complete_through": "2026-11-21T21:00:00+01:00"}"#;
    let complete_through = "2026-11-21T20:00:00Z".parse().unwrap();
    assert_eq!(read(completed), Ok(SyncReport::Completed { complete_through, grain: Grain::QuarterHour }));
    let completed = r#"{"status": "completed", "complete_through": "2026-11-21T20:00:00Z", "grain": "day"}"#;
    assert_eq!(read(completed), Ok(SyncReport::Completed { complete_through, grain: Grain::Day }));
    let failed = r#"{"status": "failed", "reason": "quota\nexceeded"}"#;
    assert_eq!(read(failed), Ok(SyncReport::Failed { reason: "quota\nexceeded".to_owned() }));
}

#[test]
fn rejects_members_of_another_status() {
    assert_eq!(read(r#"{"status": "started", "reason": "x"}"#), Err("reason"));
    assert_eq!(read(r#"{"status": "started", "complete_through": "2026-11-21T20:00:00Z"}"#), Err("complete_through"));
    assert_eq!(read(r#"{"status": "failed", "reason": "x", "grain": "day"}"#), Err("grain"));
    assert_eq!(read(r#"{"status": "completed"}"#), Err("complete_through"));
    assert_eq!(read(r#"{"status": "failed"}"#), Err("reason"));
}
