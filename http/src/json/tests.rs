use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Order {
    name: String,
    #[serde(default)]
    lines: Vec<Line>,
    #[serde(default)]
    notes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Line {
    count: u32,
}

#[track_caller]
fn refused(text: &str) -> (String, String) {
    match parse::<Order>(text) {
        Err(JsonError::Invalid(FieldError { field, detail })) => (field, detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_an_invalid_field_by_its_path() {
    let (field, detail) = refused(r#"{"name": "a", "lines": [{"count": 1}, {"count": "x"}]}"#);
    assert_eq!((field.as_str(), detail.as_str()), ("lines[1].count", r#"must be a whole number, not "x""#));
    let (field, _) = refused(r#"{"name": "a", "lines": [{"count": 1, "cuont": 2}]}"#);
    assert_eq!(field, "lines[0].cuont");
    let (field, detail) = refused(r#"{"lines": []}"#);
    assert_eq!((field.as_str(), detail.as_str()), ("name", "is missing"));
    assert_eq!(refused(r#"{"name": "a", "lines": [{"count": 1, "count": 1}]}"#).0, "lines[0].count");
    assert_eq!(refused("[]").0, "");
}

#[test]
fn wrong_type_is_invalid_not_malformed() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Push,
    }
    #[derive(Debug, Deserialize)]
    struct Source {
        #[serde(rename = "kind")]
        _kind: Kind,
    }
    assert!(parse::<Source>(r#"{"kind": "push"}"#).is_ok());
    for text in [r#"{"kind": 1}"#, r#"{"kind": {}}"#, r#"{"kind": []}"#, r#"{"kind": null}"#] {
        match parse::<Source>(text) {
            Err(JsonError::Invalid(error)) => assert_eq!(error.field, "kind", "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(matches!(parse::<Source>(r#"{"kind": 1"#), Err(JsonError::Malformed { .. })));
}

#[test]
fn shortens_long_values_in_errors() {
    let (_, detail) = refused(&format!(r#"{{"name": "a", "lines": "{}"}}"#, "é".repeat(5_000)));
    assert!(detail.chars().count() <= 301, "{}", detail.len());
}

#[test]
fn rejects_what_is_not_json_as_malformed() {
    let deep = "[".repeat(1_000);
    for text in ["", "{", r#"{"name": "a"} x"#, r#"{"name": "a",}"#, "nope", "{\"name\": \"a\u{0}\"}", &deep] {
        assert!(matches!(parse::<Value>(text), Err(JsonError::Malformed { .. })), "{text}");
    }
}

#[test]
fn rejects_nul_anywhere() {
    assert_eq!(refused(r#"{"name": "a\u0000"}"#).0, "name");
    assert_eq!(refused(r#"{"name": "a", "notes": {"x": "\u0000"}}"#).0, "notes.x");
    assert_eq!(refused(r#"{"name": "a", "notes": {"\u0000": ""}}"#).0, "notes");
    let escaped = parse::<Order>(r#"{"name": "a\\u0000"}"#).unwrap();
    assert_eq!(escaped.name, r"a\u0000");
}

#[test]
fn envelope_keeps_items_unparsed() {
    let text = r#"[{"count": 1}, {"count": "\u0000"}, {"count": 3}]"#;
    let items: Vec<Box<RawValue>> = parse_envelope(text).unwrap();
    let judged: Vec<bool> = items.iter().map(|item| parse::<Line>(item.get()).is_ok()).collect();
    assert_eq!(judged, [true, false, true]);
}

#[test]
fn ignores_a_byte_order_mark() {
    let marked = Bytes::from("\u{feff}{\"a\": 1}");
    assert_eq!(text(&marked).unwrap(), "{\"a\": 1}");
    let elsewhere = Bytes::from("{\"a\": \u{feff}1}");
    assert!(matches!(parse::<Value>(text(&elsewhere).unwrap()), Err(JsonError::Malformed { .. })));
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "a", "size": {"width": 1, "height": 2}, "tags": ["x"]}))]
#[expect(dead_code, reason = "is only read")]
struct Crate {
    name: String,
    size: Size,
    #[serde(default)]
    tags: Vec<String>,
    lid: Option<bool>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "is only read")]
struct Size {
    width: u32,
    height: u32,
}

#[track_caller]
fn faults(text: &str) -> Vec<String> {
    let problem = parse_body::<Crate>(text).unwrap_err();
    assert_eq!(problem.code(), "invalid-body");
    problem.errors().iter().map(|error| format!("{} {}", error.field, error.detail)).collect()
}

#[test]
fn names_every_fault_of_a_body() {
    assert_eq!(faults("{}"), ["name is missing", "size is missing"]);
    assert_eq!(
        faults(r#"{"name": 7, "colour": "red", "lid": "open", "size": {"width": -1, "depth": 1}}"#),
        [
            "name must be a string, not 7",
            "colour is not known; known are name, size, tags, lid",
            "lid must be true or false, not \"open\"",
            "size.depth is not known; known are width or height",
            "size.width must be a whole number, not -1",
            "size.height is missing",
        ]
    );
    assert_eq!(faults(r#"{"name": "a", "name": "b", "tags": "x", "size": []}"#).len(), 3);
    assert_eq!(faults("[]"), [" must be an object, not a list"]);
    assert_eq!(faults("7").len(), 1);
}
