use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CampaignId, SourceId};
use domain::item::{Amount, CampaignRef, ItemError, ItemErrorCode, RejectedItem};
use domain::measure::Measure;
use domain::observation::{
    CorrectionTarget, Delivered, ObservationBody, ObservationInput, ObservationType, ObservationsRecorded,
};
use domain::source::{Horizons, IdScope, SourceDefinition, SourceDetails, SourceKind, SourceRole};
use domain::zone::Zone;
use event_store::Payload;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::ObservationItem;
use super::batch::ObservationBatch;
use super::event_builder::DecidedBatch;
use super::recorded::RecordedItems;
use crate::ingest::ItemStatus;
use crate::ingest::resolved_refs::{ResolvedRefs, ResolvedSource, SourceState};

pub(super) const FIRST: Uuid = Uuid::from_u128(1);
pub(super) const SECOND: Uuid = Uuid::from_u128(2);

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
        measures: [].into(),
        platform: None,
        time_zone: Zone::UTC,
        currency: "EUR".parse().unwrap(),
        expected_delay_s: 0,
        horizons: Horizons::default(),
        complete_after_s: None,
        quiet_after_s: None,
        expected_from: None,
        observation_window_s: None,
        id_scope: IdScope::Day,
        unknown_campaigns: domain::source::UnknownCampaigns::Reject,
        dimensions: Vec::new(),
    };
    let details = SourceDetails::new(SourceId(Uuid::from_u128(9)), definition);
    ResolvedSource::of_state(SourceState { version: 1, details })
}

/// An item that is valid except for what `changes` says; `null` removes a member.
#[expect(clippy::unnecessary_wraps, reason = "an item of a batch is a result")]
pub(super) fn observation(changes: &Value) -> ObservationItem {
    let mut item = json!({"id": "o-1", "campaign_id": FIRST, "type": "click", "occurred_at": "2026-11-21T21:00:00Z"});
    for (name, value) in changes.as_object().unwrap() {
        item[name] = value.clone();
    }
    let text = |name: &str| item[name].as_str().map(str::to_owned);
    let kind: ObservationType = text("type").unwrap().parse().unwrap();
    let campaign = match (text("campaign_id"), text("external_campaign_id")) {
        (Some(id), _) => Some(CampaignRef::Id(id.parse().unwrap())),
        (None, id) => id.map(CampaignRef::External),
    };
    let count = integer(kind.count_measure(), &item["count"]);
    let body = match &item["adjusts"] {
        Value::Null => {
            let dimensions: BTreeMap<String, String> =
                serde_json::from_value(item["dimensions"].clone()).unwrap_or_default();
            let delivered = Delivered::of(text("message"), text("recipient")).unwrap();
            ObservationBody::New { campaign: campaign.unwrap(), count, dimensions, delivered }
        }
        Value::String(id) => {
            let adjusts = CorrectionTarget { id: id.clone(), day: None, original: None };
            ObservationBody::Correction { adjusts, campaign, count }
        }
        dated => {
            let day = Some(dated["day"].as_str().unwrap().parse().unwrap());
            let adjusts = CorrectionTarget { id: dated["id"].as_str().unwrap().to_owned(), day, original: None };
            ObservationBody::Correction { adjusts, campaign, count }
        }
    };
    let value = match &item["value"] {
        Value::Object(money) => {
            let currency = Some(money["currency"].as_str().unwrap().parse().unwrap());
            integer(kind.value_measure(), &money["amount"]).map(|value| Amount { value, currency })
        }
        plain => integer(kind.value_measure(), plain).map(|value| Amount { value, currency: None }),
    };
    let occurred_at = text("occurred_at").unwrap().parse().unwrap();
    Ok(ObservationInput { id: text("id").unwrap(), kind, occurred_at, value, body })
}

fn integer(measure: Option<Measure>, value: &Value) -> Option<i64> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    Some(measure.unwrap().parse_value(&text).unwrap().value)
}

/// An item's index, status and reason.
pub(super) type Settled = (usize, ItemStatus, Option<ItemErrorCode>);

/// Judges items against a source with two campaigns, of which nothing is recorded.
fn judge(items: &[ObservationItem]) -> (Option<ObservationsRecorded>, Vec<Settled>) {
    let judged = judge_after(&RecordedItems::default(), items);
    (recorded(&judged), settled(&judged))
}

/// Judges items against a source with two campaigns.
pub(super) fn judge_after(recorded: &RecordedItems, items: &[ObservationItem]) -> DecidedBatch {
    let batch = ObservationBatch::new(items, (now(), now()), None);
    let (first, second) = (CampaignRef::Id(CampaignId(FIRST)), CampaignRef::Id(CampaignId(SECOND)));
    let external = CampaignRef::External("winter".to_owned());
    let campaigns = [(&first, CampaignId(FIRST)), (&external, CampaignId(FIRST)), (&second, CampaignId(SECOND))];
    let known = ResolvedRefs::of(source(), campaigns);
    batch.decide(&known, recorded, None).unwrap()
}

/// The event of a batch none of whose items is found to be taken.
pub(super) fn recorded(judged: &DecidedBatch) -> Option<ObservationsRecorded> {
    let payload = judged.payloads.first()?;
    let Payload::Items { head, items, tail } = payload else { panic!("items are judged one by one") };
    let items: Vec<&str> = items.iter().map(|item| item.content.as_str()).collect();
    Some(serde_json::from_str(&format!("{head}{}{tail}", items.join(","))).unwrap())
}

/// The results of the items that are not part of the append.
pub(super) fn settled(judged: &DecidedBatch) -> Vec<Settled> {
    judged.settled.results.iter().map(|result| (result.index, result.status, result.reason)).collect()
}

#[test]
fn batch_is_one_decodable_event() {
    let (recorded, results) = judge(&[
        observation(&json!({})),
        observation(&json!({"id": "o-2", "campaign_id": null, "external_campaign_id": "winter", "type": "conversion",
            "count": 0.5, "value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}})),
        observation(&json!({"id": "o-3", "campaign_id": SECOND, "occurred_at": "2026-11-21T19:00:00.0019999Z"})),
    ]);
    assert_eq!(results, []);
    let recorded = recorded.unwrap();
    assert_eq!(recorded.campaigns, [CampaignId(FIRST), CampaignId(SECOND)]);
    let [first, second, third] = recorded.observations.as_slice() else { panic!("{recorded:?}") };
    assert_eq!((first.campaign, first.count, first.value_micros), (0, 1, None));
    assert_eq!((second.campaign, second.count, second.value_micros), (0, 500_000, Some(59_900_000)));
    assert_eq!(second.kind, ObservationType::Conversion);
    assert_eq!(second.dimensions.get("country").map(String::as_str), Some("DE"));
    assert_eq!((third.campaign, third.occurred_at.timestamp_subsec_micros()), (1, 1_000));
}

#[test]
fn duplicates_and_conflicts_within_a_batch_are_told_apart() {
    let (recorded, results) = judge(&[
        observation(&json!({})),
        observation(&json!({})),
        observation(&json!({"count": 2})),
        observation(&json!({"type": "open"})),
        observation(&json!({"occurred_at": "2026-11-20T21:00:00Z"})),
        observation(&json!({"occurred_at": "2026-11-21T22:00:00+01:00"})),
        observation(&json!({"campaign_id": null, "external_campaign_id": "winter"})),
    ]);
    let settled = |index, status, reason| (index, status, Some(reason));
    assert_eq!(
        results,
        [
            settled(1, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            settled(2, ItemStatus::Conflict, ItemErrorCode::OtherContent),
            settled(5, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            settled(6, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
        ]
    );
    assert_eq!(recorded.unwrap().observations.len(), 3);
}

#[test]
fn items_that_their_campaign_or_source_does_not_take_are_rejected() {
    let (recorded, results) = judge(&[
        observation(&json!({"campaign_id": Uuid::from_u128(3)})),
        observation(&json!({"type": "conversion", "value": {"amount": 1, "currency": "USD"}})),
        observation(&json!({"occurred_at": "2026-11-14T21:59:59.999Z"})),
        observation(&json!({"occurred_at": "2026-11-14T22:00:00Z"})),
    ]);
    let reasons: Vec<_> = results.iter().map(|(index, _, reason)| (*index, reason.unwrap())).collect();
    assert_eq!(
        reasons,
        [(0, ItemErrorCode::UnknownCampaign), (1, ItemErrorCode::CurrencyMismatch), (2, ItemErrorCode::TooOld)]
    );
    assert_eq!(recorded.unwrap().observations.len(), 1);
    assert_eq!(judge(&[observation(&json!({"campaign_id": Uuid::from_u128(3)}))]).0, None);
}

#[test]
fn rejected_items_do_not_fail_their_neighbours() {
    let error = ItemError::whole(ItemErrorCode::Malformed, "is not an item");
    let unreadable = Err(RejectedItem { id: Some("o-9".to_owned()), error });
    let (recorded, results) = judge(&[unreadable, observation(&json!({"id": ""})), observation(&json!({}))]);
    assert_eq!(recorded.unwrap().observations.len(), 1);
    let rejected = |index, reason| (index, ItemStatus::Rejected, Some(reason));
    assert_eq!(results, [rejected(0, ItemErrorCode::Malformed), rejected(1, ItemErrorCode::BadId)]);
}

/// The rows of a batch, as `type id`.
fn rows(recorded: &ObservationsRecorded) -> Vec<String> {
    recorded.observations.iter().map(|row| format!("{} {}", row.kind.name(), row.id)).collect()
}

#[test]
fn first_open_of_a_message_and_recipient_counts_as_a_message() {
    let open = |id: &str, message: &str, recipient: &str| {
        observation(&json!({"id": id, "type": "open", "message": message, "recipient": recipient}))
    };
    let (recorded, results) = judge(&[
        open("e-1", "m", "ann@example.com"),
        open("e-2", "m", " Ann@Example.com"),
        open("e-3", "m", "bob@example.com"),
        open("e-4", "n", "ann@example.com"),
        open("e-1", "m", "ann@example.com"),
        open("e-1", "m", "bob@example.com"),
        observation(&json!({"id": "e-1", "type": "click", "message": "m", "recipient": "ann@example.com"})),
    ]);
    let recorded = recorded.unwrap();
    assert_eq!(
        rows(&recorded),
        [
            "open_total e-1",
            "open e-1#first",
            "open_total e-2",
            "open_total e-3",
            "open e-3#first",
            "open_total e-4",
            "open e-4#first",
            "click_total e-1",
            "click e-1#first",
        ]
    );
    assert_eq!(
        results,
        [
            (4, ItemStatus::Duplicate, Some(ItemErrorCode::AlreadyRecorded)),
            (5, ItemStatus::Conflict, Some(ItemErrorCode::OtherContent)),
        ]
    );
    let written = serde_json::to_string(&recorded).unwrap().to_lowercase();
    assert!(!written.contains("ann@") && !written.contains("bob@"), "{written}");
}

#[test]
fn what_is_not_one_open_of_one_person_names_no_recipient() {
    let with = |changes: serde_json::Value| {
        let mut item = json!({"type": "open", "message": "m", "recipient": "ann@example.com"});
        item.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        observation(&item)
    };
    let (recorded, results) = judge(&[
        with(json!({"type": "delivery"})),
        with(json!({"count": 2})),
        with(json!({"type": "click", "value": 1})),
        with(json!({"recipient": " "})),
        with(json!({"message": "m\n"})),
    ]);
    assert_eq!(recorded, None);
    let reasons: Vec<_> = results.iter().map(|(_, _, reason)| reason.unwrap()).collect();
    assert_eq!(
        reasons,
        [
            ItemErrorCode::BadMessage,
            ItemErrorCode::BadCount,
            ItemErrorCode::ValueNotTaken,
            ItemErrorCode::BadMessage,
            ItemErrorCode::BadMessage,
        ]
    );
}

proptest! {
    /// However opens are sent: as many messages are opened as there are pairs of message and recipient, and never more than
    /// there are opens.
    #[test]
    fn no_message_is_opened_twice_by_one_recipient(sent in prop::collection::vec((0..9_u8, 0..3_u8, 0..3_u8), 1..40)) {
        let items: Vec<ObservationItem> = sent
            .iter()
            .map(|(id, message, recipient)| {
                observation(&json!({"id": format!("e-{id}"), "type": "open", "message": format!("m-{message}"),
                                    "recipient": format!("r-{recipient}")}))
            })
            .collect();
        let (recorded, results) = judge(&items);
        let recorded = recorded.unwrap();
        let of = |kind| recorded.observations.iter().filter(|row| row.kind == kind).count();
        let accepted = |index: &usize| !results.iter().any(|(settled, ..)| settled == index);
        let pairs: std::collections::HashSet<_> =
            (0..sent.len()).filter(accepted).map(|index| (sent[index].1, sent[index].2)).collect();
        prop_assert_eq!(of(ObservationType::Open), pairs.len());
        prop_assert_eq!(of(ObservationType::OpenTotal), items.len() - results.len());
    }

    /// Every item is answered once: it is in the event, or it is among the results.
    #[test]
    fn every_item_is_answered_once(
        choices in prop::collection::vec((0..4_u8, 0..3_u8, 0..3_u8), 1..30),
    ) {
        let items: Vec<ObservationItem> = choices
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

#[test]
fn rejected_item_is_as_old_as_when_it_was_received() {
    // The window is a week.
    let given = |occurred_at: &str| observation(&json!({"occurred_at": occurred_at}));
    let judged = |waited: i64, occurred_at: &str| {
        let items = [given(occurred_at)];
        let batch = ObservationBatch::new(&items, (now() - TimeDelta::days(waited), now()), None);
        let first = CampaignRef::Id(CampaignId(FIRST));
        let known = ResolvedRefs::of(source(), [(&first, CampaignId(FIRST))]);
        let decided = batch.decide(&known, &RecordedItems::default(), None).unwrap();
        settled(&decided).first().and_then(|(_, _, reason)| *reason)
    };
    assert_eq!(judged(0, "2026-11-14T22:00:00Z"), None);
    assert_eq!(judged(0, "2026-11-14T21:59:59Z"), Some(ItemErrorCode::TooOld));
    assert_eq!(judged(30, "2026-10-15T22:00:00Z"), None);
    assert_eq!(judged(30, "2026-10-15T21:59:59Z"), Some(ItemErrorCode::TooOld));
    // Never older than ids are kept.
    assert_eq!(judged(89, "2026-08-23T22:00:00Z"), None);
    assert_eq!(judged(89, "2026-08-23T21:59:59Z"), Some(ItemErrorCode::TooOld));
    // What was in the future then is judged as of now.
    assert_eq!(judged(1, "2026-11-21T21:00:00Z"), None);
}
