use serde_json::Value;

use super::*;

#[test]
fn prints_the_schema_of_every_version() {
    for known in EventType::ALL {
        for version in 1..=known.version() {
            let schema: Value = serde_json::from_str(schema(known.name, Some(version)).unwrap()).unwrap();
            assert_eq!(schema["$id"], format!("urn:highwater:event:{}:{version}", known.name));
        }
        assert_eq!(schema(known.name, None).unwrap(), schema(known.name, Some(known.version())).unwrap());
    }
    let versions: usize = EventType::ALL.iter().map(EventType::version).sum();
    assert_eq!(SCHEMAS.len(), versions);
}

#[test]
fn unknown_type_or_version_lists_the_known_ones() {
    let said = |event_type, version| schema(event_type, version).unwrap_err().to_string();
    assert_eq!(
        said("CampaignDeleted", None),
        "there is no type of event \"CampaignDeleted\": `highwater events schema` lists them"
    );
    assert_eq!(said("CampaignPaused", Some(7)), "there is no version 7 of CampaignPaused: its versions are 1 to 1");
    assert_eq!(said("CampaignPaused", Some(0)), "there is no version 0 of CampaignPaused: its versions are 1 to 1");
}

#[test]
fn lists_every_type() {
    let listed = table().to_string();
    for known in EventType::ALL {
        assert!(listed.contains(known.name), "{listed}");
    }
}
