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
    let run = |grain| CompletedRun {
        complete_through: Some(complete_through),
        grain,
        covers: None,
        final_through: FinalThrough::default(),
    };
    assert_eq!(read(completed), Ok(SyncReport::Completed(run(Grain::QuarterHour))));
    let completed = r#"{"status": "completed", "complete_through": "2026-11-21T20:00:00Z", "grain": "day"}"#;
    assert_eq!(read(completed), Ok(SyncReport::Completed(run(Grain::Day))));
    let reopened = r#"{"status": "reopened", "complete_through": "2026-11-21T20:00:00Z"}"#;
    assert_eq!(read(reopened), Ok(SyncReport::Reopened { complete_through }));
    let failed = r#"{"status": "failed", "reason": "quota\nexceeded"}"#;
    assert_eq!(read(failed), Ok(SyncReport::Failed { reason: "quota\nexceeded".to_owned() }));
}

#[test]
fn completed_run_says_what_it_read_and_what_is_final() {
    let run = |body: &str| match read(body) {
        Ok(SyncReport::Completed(run)) => run,
        other => panic!("{other:?}"),
    };
    let backfill =
        run(r#"{"status": "completed", "covers": {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}}"#);
    assert_eq!(backfill.complete_through, None);
    assert_eq!(backfill.covers.unwrap().to, "2026-11-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
    let all = run(
        r#"{"status": "completed", "complete_through": "2026-11-21T20:00:00Z", "final_through": "2026-11-20T00:00:00Z"}"#,
    );
    assert_eq!(all.final_through.delivery, all.final_through.conversions);
    let one = run(
        r#"{"status": "completed", "complete_through": "2026-11-21T20:00:00Z", "final_through": {"delivery": "2026-11-20T00:00:00Z"}}"#,
    );
    assert_eq!((one.final_through.delivery.is_some(), one.final_through.conversions), (true, None));
}

#[test]
fn rejects_members_of_another_status() {
    assert_eq!(read(r#"{"status": "started", "reason": "x"}"#), Err("reason"));
    assert_eq!(read(r#"{"status": "started", "complete_through": "2026-11-21T20:00:00Z"}"#), Err("complete_through"));
    assert_eq!(read(r#"{"status": "failed", "reason": "x", "grain": "day"}"#), Err("grain"));
    assert_eq!(read(r#"{"status": "reopened"}"#), Err("complete_through"));
    assert_eq!(
        read(r#"{"status": "reopened", "covers": {"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}}"#),
        Err("covers")
    );
    assert_eq!(read(r#"{"status": "completed"}"#), Err("complete_through"));
    assert_eq!(read(r#"{"status": "failed"}"#), Err("reason"));
}
