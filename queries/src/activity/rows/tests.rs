use super::*;

#[test]
fn omits_fields_set_to_the_same_value() {
    let values = |text: &str| serde_json::from_str::<Map<String, Json>>(text).unwrap();
    let to = values(
        r#"{"budget": {"amount": {"micros": 7000000, "currency": "EUR"}, "per": "day"}, "ends_on": null,
            "starts_on": "2026-12-01"}"#,
    );
    let from = values(r#"{"budget": null, "name": "Shoes", "ends_on": "2026-12-31", "starts_on": "2026-12-01"}"#);
    let changes = changes(to, Some(from));
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["budget", "ends_on"]);
    assert_eq!(
        changes["budget"],
        FieldChange { from: Json::Null, to: json!({"amount": "7.000000", "currency": "EUR", "per": "day"}) }
    );
    assert_eq!(changes["ends_on"], FieldChange { from: json!("2026-12-31"), to: Json::Null });
}

#[test]
fn request_id_is_that_of_the_command_api() {
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    assert_eq!(request_id(&format!("00-{trace}-{span}-01")), Some(format!("{trace}-{span}")));
    assert_eq!(request_id("nonsense"), None);
}
