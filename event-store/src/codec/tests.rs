use serde_json::json;

use super::*;

fn upcast(event_type: &str, event_version: &str, payload: Value) -> Result<Value, UpcastError> {
    match (event_type, event_version) {
        ("Renamed", "1") => Ok(json!({"name": payload["title"]})),
        ("Renamed", "2") => Ok(payload),
        _ => Err("from the future".into()),
    }
}

fn name(event_version: &str, payload: Value) -> Result<String, DecodeError> {
    decode_value(upcast, "Renamed", event_version, payload).map(|event: HashMap<String, String>| event["name"].clone())
}

#[test]
fn decodes_events_in_their_current_version() {
    assert_eq!(name("1", json!({"title": "a"})).unwrap(), "a");
    assert_eq!(name("2", json!({"name": "b"})).unwrap(), "b");
}

#[test]
fn rejects_undecodable_events() {
    let newer = name("3", json!({"name": "c"})).unwrap_err();
    assert!(matches!(&newer, DecodeError::Upcast(source) if source.to_string() == "from the future"), "{newer:?}");
    assert!(matches!(name("2", json!({"name": 7})), Err(DecodeError::Payload(_))));
    assert!(matches!(decode_metadata(json!({"actor": 1})), Err(DecodeError::Metadata(_))));
}
