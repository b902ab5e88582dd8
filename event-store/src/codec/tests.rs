use serde_json::json;

use super::*;

const UPCASTERS: &[Upcaster] = &[
    Upcaster {
        event_type: "Renamed",
        from_version: 1,
        upcast: |payload| json!({"name": payload["title"], "note": null}),
        to_version: 2,
    },
    Upcaster {
        event_type: "Renamed",
        from_version: 2,
        upcast: |mut payload| {
            payload["note"] = json!("none");
            payload
        },
        to_version: 3,
    },
    Upcaster { event_type: "Stuck", from_version: 1, upcast: |payload| payload, to_version: 1 },
];

#[track_caller]
fn check(event_type: &str, version: &str, payload: &str, expected: &str) {
    assert_eq!(decode_payload(UPCASTERS, event_type, version, payload).unwrap(), expected);
}

#[test]
fn upcasters_are_chained_from_the_stored_version() {
    check("Renamed", "1", r#"{"title":"a"}"#, r#"{"name":"a","note":"none"}"#);
    check("Renamed", "2", r#"{"name":"a","note":null}"#, r#"{"name":"a","note":"none"}"#);
}

#[test]
fn a_payload_that_no_upcaster_reads_is_passed_on_untouched() {
    check("Renamed", "3", "not even JSON", "not even JSON");
    check("Other", "1", r#"{ "spaced" : 1.50 }"#, r#"{ "spaced" : 1.50 }"#);
    assert!(matches!(decode_payload(UPCASTERS, "Other", "1", "{}"), Ok(Cow::Borrowed("{}"))));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    assert!(matches!(decode_payload(UPCASTERS, "Other", "v1", "{}"), Err(DecodeError::Version(_))));
    assert!(matches!(decode_payload(UPCASTERS, "Renamed", "1", "{"), Err(DecodeError::Payload(_))));
    assert!(matches!(decode_payload(UPCASTERS, "Stuck", "1", "{}"), Err(DecodeError::Upcaster { .. })));
    assert!(matches!(decode_metadata(json!({"actor": 1})), Err(DecodeError::Metadata(_))));
}

#[test]
fn the_typed_path_takes_the_same_steps() {
    let event: HashMap<String, String> = decode_value(UPCASTERS, "Renamed", "1", json!({"title": "a"})).unwrap();
    assert_eq!(event["note"], "none");
}
