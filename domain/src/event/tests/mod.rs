//! What is in a log stays there: every version that was ever written is read, for ever.

mod any; // generated events
mod fixtures; // stored ones
mod forms; // schemas of forms of our own
mod schemas; // the committed schemas

use serde_json::{Value, json};

use super::*;
use crate::ids::{CampaignId, SourceId, WorkspaceId};

#[test]
fn rejects_unknown_streams_types_and_shapes() {
    let error = |stream_type, event_type, version, payload| {
        Event::decode(stream_type, event_type, version, payload).unwrap_err().to_string()
    };
    assert_eq!(error("invoices", "InvoiceSent", "1", "{}"), "the stream type \"invoices\" is not known");
    for (stream_type, event_type) in [("campaign", "CampaignDeleted"), ("campaign", "SyncStarted"), ("syncs", "")] {
        let unknown = format!("the event type {event_type:?} is not known in such a stream");
        assert_eq!(error(stream_type, event_type, "1", "{}"), unknown);
    }
    for version in ["", "0", "-1", "v1", "1.0"] {
        let wrong = format!("the version {version:?} of the event is not an integer from 1 on");
        assert_eq!(error("campaign", "CampaignLaunched", version, "{}"), wrong);
    }
    for (stream_type, event_type, payload) in [
        ("campaign", "CampaignLaunched", "{}"),
        ("campaign", "CampaignLaunched", "null"),
        ("campaign", "CampaignLaunched", r#"{"CampaignLaunched":{}}"#),
        ("campaign", "CampaignLaunched", r#"{"CampaignLaunched":{"at":"2026-11-21T10:15:30Z"}} more"#),
        ("syncs", "SyncStarted", r#"{"SyncStarted":{"source":"x","at":"2026-11-21T10:15:30Z"}}"#),
        ("observations", "ObservationsRecorded", r#"{"observations":[]}"#),
        ("statements", "StatementsRecorded", "not json"),
    ] {
        assert_eq!(error(stream_type, event_type, "1", payload), "the payload could not be decoded", "{payload}");
    }
}

#[test]
fn rejects_events_of_newer_versions() {
    let payload = r#"{"CampaignLaunched":{"at":"2026-11-21T10:15:30Z"}}"#;
    let newer = "CampaignLaunched was written in version 2 by newer code; this one reads it up to version 1";
    let read = Event::decode("campaign", "CampaignLaunched", "2", payload).unwrap_err();
    assert_eq!(read.to_string(), newer);
    let loaded = upcast("CampaignLaunched", "2", Value::Null).unwrap_err();
    assert_eq!(loaded.to_string(), newer);
}

#[test]
fn event_type_names_are_unique() {
    let names: std::collections::BTreeSet<_> = EventType::ALL.iter().map(|known| known.name).collect();
    assert_eq!(names.len(), EventType::ALL.len());
}

#[test]
fn upcasts_budget_v1_to_a_total_budget() {
    let version_1 =
        json!({"CampaignBudgetSet": {"budget": {"micros": 5, "currency": "EUR"}, "at": "2026-11-21T10:15:30Z"}});
    let current = upcast("CampaignBudgetSet", "1", version_1).unwrap();
    let budget = json!({"amount": {"micros": 5, "currency": "EUR"}, "per": "total"});
    assert_eq!(current["CampaignBudgetSet"], json!({"budget": budget, "at": "2026-11-21T10:15:30Z"}));
    assert_eq!(upcast("CampaignBudgetSet", "2", current.clone()).unwrap(), current);
    // What is broken is left, for the decoder to say so.
    for broken in [json!(null), json!({}), json!({"CampaignBudgetSet": 1}), json!({"CampaignBudgetSet": {"budget": 7}})]
    {
        assert_eq!(upcast("CampaignBudgetSet", "1", broken.clone()).unwrap(), broken);
    }
}

#[test]
fn streams_are_named_by_workspace_and_id() {
    let id = "019abcde-0000-7000-8000-000000000001";
    let stream = format!("7/{id}");
    assert_eq!(id.parse::<CampaignId>().unwrap().stream(WorkspaceId(7)), stream);
    assert_eq!(id.parse::<SourceId>().unwrap().stream(WorkspaceId(7)), stream);
}
