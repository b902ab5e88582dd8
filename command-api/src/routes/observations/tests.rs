use chrono::{DateTime, TimeDelta, Utc};
use domain::observation::{ObservationType, ObservationsRecorded};
use domain::source::{SourceDefinition, SourceKind, SourceRole};
use domain::zone::Zone;
use event_store::Payload;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::item;
use super::recorded::RecordedItems;
use super::validate::{ObservationBatch, ValidatedBatch};
use crate::item_error::{ItemError, ItemErrorCode};
use crate::routes::batch::ItemStatus;
use crate::routes::campaign_ref::CampaignRef;
use crate::routes::resolved_refs::{ResolvedCampaign, ResolvedRefs, ResolvedSource};
use domain::ids::{CampaignId, SourceId};

pub(super) const OPEN: Uuid = Uuid::from_u128(1);
pub(super) const PUT_AWAY: Uuid = Uuid::from_u128(2);

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00Z".parse().unwrap()
}

pub(super) fn source() -> ResolvedSource {
    let definition = SourceDefinition {
        name: "shop".to_owned(),
        channel: "crm".parse().unwrap(),
        kind: SourceKind::Push,
        role: SourceRole::Primary,
        measure_roles: [].into(),
        time_zone: Zone::UTC,
        currency: "EUR".parse().unwrap(),
        expected_delay_s: 0,
        restatement_horizon_s: 0,
    };
    ResolvedSource { id: SourceId(Uuid::from_u128(9)), definition }
}

/// An item that is sound but for what `changes` says; `null` takes a member away.
pub(super) fn observation(changes: &Value) -> String {
    let mut item = json!({"id": "o-1", "campaign_id": OPEN, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"});
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            item.as_object_mut().unwrap().remove(name);
        } else {
            item[name] = value.clone();
        }
    }
    item.to_string()
}

fn raw(items: &[String]) -> Vec<Box<RawValue>> {
    items.iter().map(|item| RawValue::from_string(item.clone()).unwrap()).collect()
}

/// An item's index, status and reason.
pub(super) type Fared = (usize, ItemStatus, Option<ItemErrorCode>);

/// Judges items against a source with one open and one archived campaign, of which nothing is recorded.
fn judge(items: &[String]) -> (Option<ObservationsRecorded>, Vec<Fared>) {
    let judged = judge_after(&RecordedItems::default(), items);
    (recorded(&judged), fared(&judged))
}

/// Judges items against a source with one open and one archived campaign.
pub(super) fn judge_after(past: &RecordedItems, items: &[String]) -> ValidatedBatch {
    let raw = raw(items);
    let raw: Vec<&RawValue> = raw.iter().map(AsRef::as_ref).collect();
    let batch = ObservationBatch::read(&raw, now());
    let (open, put_away) = (CampaignRef::Id(CampaignId(OPEN)), CampaignRef::Id(CampaignId(PUT_AWAY)));
    let external = CampaignRef::External("winter".into());
    let campaigns = [
        (&open, ResolvedCampaign { id: CampaignId(OPEN), archived_at: None }),
        (&external, ResolvedCampaign { id: CampaignId(OPEN), archived_at: None }),
        (&put_away, ResolvedCampaign { id: CampaignId(PUT_AWAY), archived_at: Some(now() - TimeDelta::hours(2)) }),
    ];
    let known = ResolvedRefs::of(source(), campaigns);
    batch.validate(&known, past).unwrap()
}

/// The event of a batch none of whose items is found to be taken.
pub(super) fn recorded(judged: &ValidatedBatch) -> Option<ObservationsRecorded> {
    let payload = judged.payload.as_ref()?;
    let Payload::Items { head, items, tail } = payload else { panic!("items are judged one by one") };
    let items: Vec<&str> = items.iter().map(|item| item.content.as_str()).collect();
    Some(serde_json::from_str(&format!("{head}{}{tail}", items.join(","))).unwrap())
}

/// How the items fared that are not part of the append.
pub(super) fn fared(judged: &ValidatedBatch) -> Vec<Fared> {
    judged.settled.results.iter().map(|result| (result.index, result.status, result.reason)).collect()
}

/// Why a single item is not taken, and which member is at fault.
fn refused(changes: &Value) -> Option<(ItemErrorCode, Option<String>)> {
    let raw = raw(&[observation(changes)]);
    let (_, sound) = item::read(&raw[0], now());
    sound.err().map(|ItemError { reason, field, .. }| (reason, field))
}

#[test]
fn a_batch_is_one_event_that_decodes() {
    let (recorded, results) = judge(&[
        observation(&json!({})),
        observation(&json!({"id": "o-2", "campaign_id": null, "external_campaign_id": "winter", "type": "conversion",
            "count": 0.5, "value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}})),
        observation(&json!({"id": "o-3", "campaign_id": PUT_AWAY, "occurred_at": "2026-11-21T19:00:00.0019999Z"})),
    ]);
    assert_eq!(results, []);
    let recorded = recorded.unwrap();
    assert_eq!(recorded.campaigns, [CampaignId(OPEN), CampaignId(PUT_AWAY)]);
    let [first, second, third] = recorded.observations.as_slice() else { panic!("{recorded:?}") };
    assert_eq!((first.campaign, first.count, first.value_micros), (0, 1, None));
    assert_eq!((second.campaign, second.count, second.value_micros), (0, 500_000, Some(59_900_000)));
    assert_eq!(second.kind, ObservationType::Conversion);
    assert_eq!(second.dimensions.get("country").map(String::as_str), Some("DE"));
    assert_eq!((third.campaign, third.occurred_at.timestamp_subsec_micros()), (1, 1_000));
}

#[test]
fn twins_within_a_request_are_told_apart() {
    let (recorded, results) = judge(&[
        observation(&json!({})),
        observation(&json!({})),
        observation(&json!({"count": 2})),
        observation(&json!({"type": "open"})),
        observation(&json!({"occurred_at": "2026-11-20T21:00:00Z"})),
        observation(&json!({"occurred_at": "2026-11-21T22:00:00+01:00"})),
        observation(&json!({"campaign_id": null, "external_campaign_id": "winter"})),
    ]);
    let twin = |index, status, reason| (index, status, Some(reason));
    assert_eq!(
        results,
        [
            twin(1, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            twin(2, ItemStatus::Conflict, ItemErrorCode::OtherContent),
            twin(5, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            twin(6, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
        ]
    );
    assert_eq!(recorded.unwrap().observations.len(), 3);
}

#[test]
fn what_its_campaign_and_source_do_not_take_is_rejected() {
    let (recorded, results) = judge(&[
        observation(&json!({"campaign_id": Uuid::from_u128(3)})),
        observation(&json!({"campaign_id": PUT_AWAY})),
        observation(&json!({"type": "conversion", "value": {"amount": 1, "currency": "USD"}})),
        observation(&json!({"occurred_at": "2026-11-14T21:59:59.999Z"})),
        observation(&json!({"occurred_at": "2026-11-14T22:00:00Z"})),
    ]);
    let reasons: Vec<_> = results.iter().map(|(index, _, reason)| (*index, reason.unwrap())).collect();
    assert_eq!(
        reasons,
        [
            (0, ItemErrorCode::UnknownCampaign),
            (1, ItemErrorCode::Archived),
            (2, ItemErrorCode::CurrencyMismatch),
            (3, ItemErrorCode::TooOld)
        ]
    );
    assert_eq!(recorded.unwrap().observations.len(), 1);
    assert_eq!(judge(&[observation(&json!({"campaign_id": PUT_AWAY}))]).0, None);
}

#[test]
fn each_member_is_checked() {
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
        assert_eq!(refused(&changes), Some((reason, Some(field.to_owned()))), "{changes}");
    }
    let dimensions: serde_json::Map<_, _> = (0..17).map(|n| (format!("d{n}"), json!("x"))).collect();
    assert_eq!(
        refused(&json!({"dimensions": dimensions})),
        Some((ItemErrorCode::BadDimensions, Some("dimensions".to_owned())))
    );
}

#[test]
fn sound_items_are_taken() {
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
        assert_eq!(refused(&changes), None, "{changes}");
    }
}

#[test]
fn an_item_of_another_shape_is_rejected_alone() {
    let (recorded, results) = judge(&[
        "7".to_owned(),
        "null".to_owned(),
        r#"{"id": "o-9", "surprise": 1}"#.to_owned(),
        format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        observation(&json!({})),
    ]);
    assert_eq!(recorded.unwrap().observations.len(), 1);
    assert!(
        results
            .iter()
            .all(|(_, status, reason)| (*status, *reason) == (ItemStatus::Rejected, Some(ItemErrorCode::Malformed)))
    );
    assert_eq!(results.len(), 4);
}

proptest! {
    /// Every item is answered once: it is in the event, or it is among the results.
    #[test]
    fn every_item_is_answered_once(
        choices in prop::collection::vec((0..4_u8, 0..3_u8, 0..3_u8), 1..30),
    ) {
        let items: Vec<String> = choices
            .iter()
            .map(|(id, count, campaign)| {
                observation(&json!({"id": format!("o-{id}"), "count": count, "campaign_id": Uuid::from_u128(1 + u128::from(*campaign))}))
            })
            .collect();
        let (recorded, results) = judge(&items);
        let taken = recorded.map_or(0, |recorded| recorded.observations.len());
        prop_assert_eq!(taken + results.len(), items.len());
    }
}
