use serde_json::{Value, json};

use super::*;

/// An event that is valid except for what `changes` says.
fn event(changes: &Value) -> String {
    let mut event = json!({
        "specversion": "1.0", "id": "o-1", "source": "shop", "type": "com.example.click", "time": "2026-11-21T21:00:00Z",
        "subject": "winter"
    });
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    event.to_string()
}

fn observation(text: &str) -> Result<ObservationInput, (ItemErrorCode, Option<String>)> {
    read(text, &mut Rounding::default()).item.map_err(|RejectedItem { error, .. }| (error.reason, error.field))
}

#[test]
fn event_becomes_an_observation() {
    let as_item = |text: &str| {
        crate::routes::observations::item::read(
            &RawValue::from_string(text.to_owned()).unwrap(),
            &mut Rounding::default(),
        )
    };
    let expected =
        r#"{"id": "o-1", "type": "click", "occurred_at": "2026-11-21T21:00:00Z", "external_campaign_id": "winter"}"#;
    assert_eq!(observation(&event(&json!({}))).unwrap(), as_item(expected).unwrap());
    let data = json!({"campaign_id": "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62", "value": "1.50", "count": null,
                      "dimensions": {"country": "DE"}});
    let expected = r#"{"id": "o-1", "type": "click", "occurred_at": "2026-11-21T21:00:00Z", "value": "1.50",
        "campaign_id": "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62", "dimensions": {"country": "DE"}}"#;
    assert_eq!(observation(&event(&json!({"data": data}))).unwrap(), as_item(expected).unwrap());
    let correction = json!({"type": "spend", "id": "\"\\ü", "subject": null, "datacontenttype": null,
                            "data": {"adjusts": "o-0"}});
    let expected = r#"{"id": "\"\\ü", "type": "spend", "occurred_at": "2026-11-21T21:00:00Z", "adjusts": "o-0"}"#;
    assert_eq!(observation(&event(&correction)).unwrap(), as_item(expected).unwrap());
}

#[test]
fn errors_of_an_observation_name_the_attribute() {
    let cases = [
        (json!({"subject": null}), ItemErrorCode::BadCampaign, "subject"),
        (json!({"type": "klick"}), ItemErrorCode::UnknownType, "type"),
        (json!({"time": "yesterday"}), ItemErrorCode::BadTime, "time"),
        (json!({"data": {"count": true}}), ItemErrorCode::BadCount, "data.count"),
        (json!({"data": {"campaign_id": "c"}}), ItemErrorCode::BadCampaign, "data.campaign_id"),
        (json!({"data": {"campaign_id": 7}}), ItemErrorCode::Malformed, "data.campaign_id"),
        (json!({"data": {"dimensions": {"country": 1}}}), ItemErrorCode::Malformed, "data.dimensions.country"),
    ];
    for (changes, reason, field) in cases {
        assert_eq!(observation(&event(&changes)), Err((reason, Some(field.to_owned()))), "{changes}");
    }
}

#[test]
fn numbers_are_read_from_their_text() {
    let with = |value: &str, count: &str| {
        let data = format!(r#"{{"value": {value}, "count": {count}}}"#);
        observation(&event(&json!({"data": {}})).replace("{}", &data))
    };
    assert_eq!(with("0.100001", "12").unwrap().value.unwrap().value, 100_001);
    let field = |name: &str| Some(name.to_owned());
    assert_eq!(with("0.10000000000000000001", "1.2e1").unwrap().value.unwrap().value, 100_000);
    assert_eq!(with("\"1,5\"", "12"), Err((ItemErrorCode::BadValue, field("data.value"))));
    assert_eq!(with("0.1", "1.2e-1"), Err((ItemErrorCode::BadCount, field("data.count"))));
}

#[test]
fn accepts_what_the_specification_leaves_open() {
    for changes in [
        json!({"dataschema": "https://example.com/schema", "comexampleextension1": {"deep": [1]}, "traceparent": 7}),
        json!({"datacontenttype": "application/json; charset=utf-8"}),
        json!({"datacontenttype": "TEXT/JSON"}),
        json!({"datacontenttype": "application/vnd.example+json"}),
        json!({"data_base64": null}),
    ] {
        assert!(observation(&event(&changes)).is_ok(), "{changes}");
    }
}

#[test]
fn rejects_invalid_events_by_the_attribute_at_fault() {
    let cases = [
        (json!({"specversion": "0.3"}), ItemErrorCode::Unsupported, "specversion"),
        (json!({"specversion": null}), ItemErrorCode::Malformed, "specversion"),
        (json!({"specversion": 1.0}), ItemErrorCode::Malformed, "specversion"),
        (json!({"id": ""}), ItemErrorCode::Malformed, "id"),
        (json!({"id": 7}), ItemErrorCode::Malformed, "id"),
        (json!({"source": ""}), ItemErrorCode::Malformed, "source"),
        (json!({"source": null}), ItemErrorCode::Malformed, "source"),
        (json!({"type": null}), ItemErrorCode::Malformed, "type"),
        (json!({"time": null}), ItemErrorCode::Malformed, "time"),
        (json!({"subject": 3}), ItemErrorCode::Malformed, "subject"),
        (json!({"data_base64": "e30="}), ItemErrorCode::Unsupported, "data_base64"),
        (json!({"datacontenttype": "application/xml"}), ItemErrorCode::Unsupported, "datacontenttype"),
        (json!({"datacontenttype": "json"}), ItemErrorCode::Unsupported, "datacontenttype"),
        (json!({"data": "{}"}), ItemErrorCode::Malformed, "data"),
        (json!({"data": ["c"]}), ItemErrorCode::Malformed, "data"),
        (json!({"data": {"clicks": 1}}), ItemErrorCode::Malformed, "data.clicks"),
    ];
    for (changes, reason, field) in cases {
        assert_eq!(observation(&event(&changes)), Err((reason, Some(field.to_owned()))), "{changes}");
    }
    for text in ["7", "null", "[]", r#"["1.0","o-1","shop","click","2026-11-21T21:00:00Z"]"#] {
        assert!(matches!(observation(text), Err((ItemErrorCode::Malformed, _))), "{text}");
    }
}

#[test]
fn rejects_events_of_several_sources() {
    let texts =
        |sources: &[Value]| -> Vec<String> { sources.iter().map(|source| event(&json!({"source": source}))).collect() };
    let common = |sources: &[Value]| -> Result<String, Problem> {
        let texts = texts(sources);
        let sent: Vec<ReadEvent<'_>> = texts.iter().map(|text| read(text, &mut Rounding::default())).collect();
        Ok(common_source(&sent)?.to_owned())
    };
    assert_eq!(common(&[json!("shop"), json!(null), json!("shop")]).unwrap(), "shop");
    let mixed = common(&[json!("shop"), json!("shop"), json!("mail")]).unwrap_err();
    assert_eq!((mixed.code(), mixed.errors()[0].field.as_str()), ("mixed-sources", "[2].source"));
    assert_eq!(common(&[json!(null)]).unwrap_err().errors()[0].field, "source");
}

#[test]
fn fields_are_named_as_the_sender_named_them() {
    let names = [
        ("id", false, "id"),
        ("occurred_at", false, "time"),
        ("external_campaign_id", true, "subject"),
        ("external_campaign_id", false, "data.external_campaign_id"),
        ("campaign_id", true, "subject"),
        ("dimensions.country", false, "data.dimensions.country"),
    ];
    for (ours, by_subject, theirs) in names {
        assert_eq!(field_of_event(ours, by_subject), theirs);
    }
}
