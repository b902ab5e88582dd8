use serde_json::{Value, json};

use super::*;

/// An event that is sound but for what `changes` says.
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

fn observation(text: &str) -> Result<String, (ItemErrorCode, Option<String>)> {
    read(text).observation.map(|sound| sound.item.get().to_owned()).map_err(|refusal| (refusal.reason, refusal.field))
}

#[test]
fn an_event_is_an_observation() {
    assert_eq!(
        observation(&event(&json!({}))).unwrap(),
        r#"{"id":"o-1","type":"click","occurred_at":"2026-11-21T21:00:00Z","external_campaign_id":"winter"}"#
    );
    let data =
        json!({"campaign_id": "c", "value": "1.50", "dimensions": {"country": "DE"}, "adjusts": "o-0", "count": null});
    assert_eq!(
        observation(&event(&json!({"data": data}))).unwrap(),
        r#"{"id":"o-1","type":"click","occurred_at":"2026-11-21T21:00:00Z","campaign_id":"c","value":"1.50","dimensions":{"country":"DE"},"adjusts":"o-0"}"#
    );
    let other = json!({"type": "spend", "id": "\"\\ü", "subject": null, "datacontenttype": null, "data": null});
    assert_eq!(
        observation(&event(&other)).unwrap(),
        r#"{"id":"\"\\ü","type":"spend","occurred_at":"2026-11-21T21:00:00Z"}"#
    );
}

#[test]
fn numbers_are_never_read_on_the_way() {
    let text = event(&json!({"data": {}})).replace("{}", r#"{"value": 0.10000000000000000001, "count": 1e2}"#);
    let item = observation(&text).unwrap();
    assert!(item.ends_with(r#""count":1e2,"value":0.10000000000000000001}"#), "{item}");
}

#[test]
fn what_the_specification_leaves_open_is_taken() {
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
fn what_is_no_event_of_ours_is_refused_by_the_attribute_at_fault() {
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
fn events_are_of_one_source() {
    let texts =
        |sources: &[Value]| -> Vec<String> { sources.iter().map(|source| event(&json!({"source": source}))).collect() };
    let common = |sources: &[Value]| -> Result<String, Problem> {
        let texts = texts(sources);
        let sent: Vec<Sent<'_>> = texts.iter().map(|text| read(text)).collect();
        common_source(&sent).map(str::to_owned)
    };
    assert_eq!(common(&[json!("shop"), json!(null), json!("shop")]).unwrap(), "shop");
    let mixed = common(&[json!("shop"), json!("shop"), json!("mail")]).unwrap_err();
    assert_eq!((mixed.code(), mixed.errors()[0].field.as_str()), ("mixed-sources", "[2].source"));
    assert_eq!(common(&[json!(null)]).unwrap_err().errors()[0].field, "source");
}

#[test]
fn a_member_goes_by_the_name_that_its_sender_gave_it() {
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
