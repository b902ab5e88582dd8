//! `domain/fixtures/<Type>/v<N>/*.json`: payloads of every version that was ever written, which are decoded for ever.
//! What comes out lies beside each as a snapshot.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::schemas::{committed, folder, names};
use crate::catalogue::EventType;
use crate::event::Event;

#[test]
fn decodes_fixtures_of_every_version() {
    for event_type in EventType::ALL {
        let versions: BTreeSet<String> = (1..=event_type.version()).map(|version| format!("v{version}")).collect();
        let here = folder("fixtures").join(event_type.name);
        assert_eq!(names(&here), versions, "{}: each version has its fixtures", event_type.name);
        for version in 1..=event_type.version() {
            let here = here.join(format!("v{version}"));
            let files = names(&here);
            let fixtures: Vec<&str> = files.iter().filter_map(|name| name.strip_suffix(".json")).collect();
            assert!(!fixtures.is_empty(), "{} has no fixture", here.display());
            for fixture in fixtures {
                let text = fs::read_to_string(here.join(format!("{fixture}.json"))).unwrap();
                let decoded = check(event_type, version, &text);
                let settings = {
                    let mut settings = insta::Settings::clone_current();
                    settings.set_snapshot_path(&here);
                    settings.set_prepend_module_to_snapshot(false);
                    settings.set_omit_expression(true);
                    settings
                };
                settings.bind(|| insta::assert_snapshot!(fixture, format!("{decoded:#?}")));
            }
        }
    }
}

/// The payload has the schema of its version, and what is decoded from it that of the current one.
fn check(event_type: &EventType, version: usize, text: &str) -> Event {
    let payload: Value = serde_json::from_str(text).unwrap();
    is_valid(event_type, version, &payload);
    let decoded = Event::decode(event_type.stream_type, event_type.name, &version.to_string(), text);
    let decoded = decoded.unwrap_or_else(|error| panic!("{}, version {version}: {error}\n{text}", event_type.name));
    assert_eq!(decoded.event_type().name, event_type.name);
    let written = serde_json::to_value(&decoded).unwrap();
    is_valid(event_type, event_type.version(), &written);
    if version == event_type.version() {
        assert_eq!(written, payload, "what is read is written the same");
    }
    decoded
}

fn is_valid(event_type: &EventType, version: usize, payload: &Value) {
    let validator = jsonschema::draft202012::options().should_validate_formats(true);
    let validator = validator.build(&committed(event_type, version)).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(payload).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{}, version {version}: {wrong:#?}\n{payload:#}", event_type.name);
}
