use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00Z".parse().unwrap()
}

fn item(text: &str) -> Result<ObservationInput, RejectedItem> {
    let raw = RawValue::from_string(text.to_owned()).unwrap();
    let input = read(&raw, &mut Rounding::default())?;
    input.validate(now())?;
    Ok(input)
}

/// Why an item is rejected that is valid except for what `changes` says, and which member is at fault. `null` removes a
/// member.
fn rejected(changes: &Value) -> Option<(ItemErrorCode, Option<String>)> {
    let campaign = Uuid::from_u128(1);
    let mut sent =
        json!({"id": "o-1", "campaign_id": campaign, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"});
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            sent.as_object_mut().unwrap().remove(name);
        } else {
            sent[name] = value.clone();
        }
    }
    item(&sent.to_string()).err().map(|RejectedItem { error, .. }| (error.reason, error.field))
}

#[test]
fn checks_each_member() {
    let cases: Vec<(Value, ItemErrorCode, &str)> = vec![
        (json!({"id": ""}), ItemErrorCode::BadId, "id"),
        (json!({"id": "x".repeat(129)}), ItemErrorCode::BadId, "id"),
        (json!({"id": "a\u{0}b"}), ItemErrorCode::BadId, "id"),
        (json!({"id": 7}), ItemErrorCode::Malformed, "id"),
        (json!({"campaign_id": "seven"}), ItemErrorCode::BadCampaign, "campaign_id"),
        (json!({"campaign_id": null}), ItemErrorCode::BadCampaign, "campaign_id"),
        (json!({"external_campaign_id": "x"}), ItemErrorCode::BadCampaign, "campaign_id"),
        (json!({"campaign_id": null, "external_campaign_id": ""}), ItemErrorCode::BadCampaign, "external_campaign_id"),
        (
            json!({"campaign_id": null, "external_campaign_id": "a\nb"}),
            ItemErrorCode::BadCampaign,
            "external_campaign_id",
        ),
        (json!({"type": "klick"}), ItemErrorCode::UnknownType, "type"),
        (json!({"occurred_at": "2026-11-21 21:00"}), ItemErrorCode::BadTime, "occurred_at"),
        (json!({"occurred_at": "2026-11-21T22:05:00.001Z"}), ItemErrorCode::InFuture, "occurred_at"),
        (json!({"count": 0}), ItemErrorCode::BadCount, "count"),
        (json!({"count": -1}), ItemErrorCode::BadCount, "count"),
        (json!({"count": 1.5}), ItemErrorCode::BadCount, "count"),
        (json!({"count": true}), ItemErrorCode::BadCount, "count"),
        (json!({"count": {"amount": 1, "currency": "EUR"}}), ItemErrorCode::BadCount, "count"),
        (json!({"type": "spend", "count": 1, "value": 1}), ItemErrorCode::BadCount, "count"),
        (json!({"type": "spend"}), ItemErrorCode::BadValue, "value"),
        (json!({"value": []}), ItemErrorCode::BadValue, "value"),
        (json!({"type": "visit", "value": 1}), ItemErrorCode::ValueNotTaken, "value"),
        (json!({"dimensions": {"Country": "DE"}}), ItemErrorCode::BadDimensions, "dimensions"),
        (json!({"dimensions": {"country": "x".repeat(201)}}), ItemErrorCode::BadDimensions, "dimensions.country"),
        (json!({"dimensions": {"country": "D\u{0}"}}), ItemErrorCode::BadDimensions, "dimensions.country"),
        (json!({"dimensions": {"country": 1}}), ItemErrorCode::Malformed, "dimensions.country"),
        (json!({"adjusts": ""}), ItemErrorCode::BadAdjusts, "adjusts"),
        (json!({"adjusts": 7}), ItemErrorCode::BadAdjusts, "adjusts"),
        (json!({"adjusts": {"id": "o-0"}}), ItemErrorCode::BadAdjusts, "adjusts"),
        (json!({"adjusts": {"id": "o-0", "day": "yesterday"}}), ItemErrorCode::BadAdjusts, "adjusts"),
        (json!({"adjusts": {"id": "o-0", "day": "2026-11-20", "at": 1}}), ItemErrorCode::BadAdjusts, "adjusts"),
        (json!({"adjusts": "o-0", "dimensions": {}}), ItemErrorCode::DimensionsNotTaken, "dimensions"),
        (json!({"adjusts": "o-0", "external_campaign_id": "x"}), ItemErrorCode::BadCampaign, "campaign_id"),
        (json!({"adjusts": "o-0", "count": -1}), ItemErrorCode::BadCount, "count"),
        (json!({"adjusts": "o-0", "type": "spend", "count": 0}), ItemErrorCode::BadCount, "count"),
        (json!({"adjusts": "o-0", "type": "visit", "value": 0}), ItemErrorCode::ValueNotTaken, "value"),
    ];
    for (changes, reason, field) in cases {
        assert_eq!(rejected(&changes), Some((reason, Some(field.to_owned()))), "{changes}");
    }
    let dimensions: serde_json::Map<_, _> = (0..17).map(|n| (format!("d{n}"), json!("x"))).collect();
    assert_eq!(
        rejected(&json!({"dimensions": dimensions})),
        Some((ItemErrorCode::BadDimensions, Some("dimensions".to_owned())))
    );
}

#[test]
fn accepts_valid_items() {
    for changes in [
        json!({"id": "ü".repeat(128)}),
        json!({"count": "3"}),
        json!({"count": 3.0}),
        json!({"type": "conversion", "count": "0.333333"}),
        json!({"type": "spend", "value": "1.25"}),
        json!({"value": 0}),
        json!({"dimensions": {}}),
        json!({"occurred_at": "2026-11-21T22:05:00Z"}),
        json!({"adjusts": null}),
        json!({"adjusts": "o-0", "campaign_id": null}),
        json!({"adjusts": {"id": "o-0", "day": "2026-11-20"}, "count": 0}),
        json!({"adjusts": "o-0", "type": "spend", "campaign_id": null}),
    ] {
        assert_eq!(rejected(&changes), None, "{changes}");
    }
}

#[test]
fn rejects_items_of_another_shape() {
    let nested = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for text in ["7", "null", r#"{"id": "o-9", "surprise": 1}"#, &nested] {
        assert_eq!(item(text).unwrap_err().error.reason, ItemErrorCode::Malformed, "{}", &text[..text.len().min(80)]);
    }
}

#[test]
fn rejected_items_keep_their_id() {
    assert_eq!(item(r#"{"id": "o-9", "surprise": 1}"#).unwrap_err().id.as_deref(), Some("o-9"));
    let unknown = r#"{"id": "o-9", "type": "klick", "occurred_at": "2026-11-21T21:00:00Z"}"#;
    assert_eq!(item(unknown).unwrap_err().id.as_deref(), Some("o-9"));
    assert_eq!(item(r#"{"id": 7}"#).unwrap_err().id, None);
}

#[test]
fn items_become_typed_input() {
    let input = item(
        r#"{"id": "o-2", "external_campaign_id": "winter", "type": "conversion", "count": 0.5,
            "occurred_at": "2026-11-21T19:00:00.0019999Z", "value": {"amount": "59.90", "currency": "EUR"},
            "dimensions": {"country": "DE"}}"#,
    );
    let input = input.unwrap();
    assert_eq!(input.occurred_at.timestamp_subsec_micros(), 1_000);
    assert_eq!(input.value, Some(Amount { value: 59_900_000, currency: Some("EUR".parse().unwrap()) }));
    let dimensions = [("country".to_owned(), "DE".to_owned())].into();
    let campaign = domain::item::CampaignRef::External("winter".to_owned());
    assert_eq!(input.body, ObservationBody::New { campaign, count: Some(500_000), dimensions, delivered: None });
}
