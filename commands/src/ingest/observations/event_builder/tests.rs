use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::CampaignId;
use domain::item::ItemErrorCode;
use domain::measure::Measure;
use domain::observation::{Correction, NetAmounts, Observation, ObservationType};
use domain::source::IdScope;
use event_store::{ClaimEffect, ClaimPrecondition, ItemKey, OnDuplicate, Payload, StoredItem};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::ObservationItem;
use super::super::fingerprint;
use super::super::recorded::{RecordedItems, RecordedOriginal};
use super::super::tests::{FIRST, SECOND, Settled, judge_after, observation, recorded, settled, source};
use crate::claims::{CORRECTION, correction_key};
use crate::ingest::ItemStatus::{self, Conflict, Duplicate};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn id(kind: ObservationType, id: &str) -> Uuid {
    fingerprint::id(IdScope::Day, source().id, kind, id)
}

/// A correction of a conversion, at 21:00 of 2026-11-21.
fn correction(id: &str, of: &str, changes: &Value) -> ObservationItem {
    let mut item = json!({"id": id, "type": "conversion", "adjusts": of, "campaign_id": null});
    for (name, value) in changes.as_object().unwrap() {
        item[name] = value.clone();
    }
    observation(&item)
}

/// A sale at 09:07 of 2026-11-20, worth 59.90.
fn sale(id: &str) -> ObservationItem {
    observation(&json!({"id": id, "type": "conversion", "occurred_at": "2026-11-20T09:07:00Z", "value": "59.90",
                        "dimensions": {"country": "DE"}}))
}

/// What the log holds of a sale: the item, and what it says.
fn past_sale(id_of: &str, occurred_at: &str, campaign: Uuid) -> RecordedOriginal {
    let occurred_at = at(occurred_at);
    let observation = Observation {
        id: id_of.to_owned(),
        campaign: 3,
        kind: ObservationType::Conversion,
        occurred_at,
        count: 1_000_000,
        value_micros: Some(59_900_000),
        dimensions: BTreeMap::from([("country".to_owned(), "DE".to_owned())]),
        correction: None,
        sealed: None,
    };
    RecordedOriginal {
        key: ItemKey {
            day: observation.day(),
            also_under: None,
            id: id(ObservationType::Conversion, id_of),
            fingerprint: 7,
        },
        series: source().id,
        campaign: CampaignId(campaign),
        total: NetAmounts::of(&observation),
        observation,
        claim: ClaimPrecondition::Absent,
    }
}

fn past(originals: Vec<RecordedOriginal>) -> RecordedItems {
    let items: Vec<StoredItem> = originals
        .iter()
        .map(|RecordedOriginal { key: ItemKey { day, id, fingerprint, .. }, .. }| StoredItem {
            id: *id,
            day: *day,
            fingerprint: *fingerprint,
            position: 9,
        })
        .collect();
    RecordedItems::of(&items, originals)
}

fn rejected(index: usize, reason: ItemErrorCode) -> Settled {
    (index, ItemStatus::Rejected, Some(reason))
}

#[test]
fn corrections_record_the_difference_under_their_original() {
    let past = past(vec![past_sale("order-1", "2026-11-20T09:07:00Z", FIRST)]);
    let judged = judge_after(&past, &[correction("refund-1", "order-1", &json!({"value": "50.00"}))]);
    assert_eq!(settled(&judged), []);
    let recorded = recorded(&judged).unwrap();
    assert_eq!(recorded.campaigns, [CampaignId(FIRST)]);
    let [row] = recorded.observations.as_slice() else { panic!("{recorded:?}") };
    assert_eq!((row.id.as_str(), row.campaign, row.occurred_at), ("refund-1", 0, at("2026-11-20T09:07:00Z")));
    assert_eq!((row.count, row.value_micros), (0, Some(-9_900_000)));
    assert_eq!(row.dimensions.get("country").map(String::as_str), Some("DE"));
    let at = at("2026-11-21T21:00:00Z");
    let says = Correction { of: "order-1".to_owned(), at, count: 1_000_000, value_micros: Some(50_000_000) };
    assert_eq!(row.correction.as_deref(), Some(&says));

    let [claim] = judged.claims.as_slice() else { panic!("{:?}", judged.claims) };
    let original = id(ObservationType::Conversion, "order-1");
    assert_eq!((claim.kind, &claim.key), (CORRECTION, &correction_key(day("2026-11-20"), original)));
    assert_eq!(claim.expect, ClaimPrecondition::Absent);
    let state = "[1000000,50000000]".to_owned();
    assert_eq!(claim.then, ClaimEffect::Put { owner: source().id.to_string(), state });
    let [seen] = judged.item_preconditions.as_slice() else { panic!("{:?}", judged.item_preconditions) };
    assert_eq!((seen.day, seen.id, seen.fingerprint), (day("2026-11-20"), original, 7));
    let Some(Payload::Items { items, .. }) = judged.payloads.into_iter().next() else { panic!("nothing is recorded") };
    assert_eq!(items[0].when_taken, OnDuplicate::FailRequest);
    assert_eq!(items[0].key.unwrap().day, day("2026-11-21"));
}

#[test]
fn corrections_start_from_the_total_of_the_last_one() {
    let mut original = past_sale("order-1", "2026-11-20T09:07:00Z", FIRST);
    original.total = NetAmounts { count: 500_000, value_micros: Some(50_000_000) };
    original.claim = ClaimPrecondition::Held { owner: source().id.to_string(), state: "[500000,50000000]".to_owned() };
    let judged = judge_after(
        &past(vec![original.clone()]),
        &[
            correction("r-1", "order-1", &json!({})),
            correction("r-2", "order-1", &json!({"count": "0.25"})),
            correction("r-3", "order-1", &json!({"count": 1, "value": 1})),
        ],
    );
    assert_eq!(settled(&judged), []);
    let changes: Vec<_> =
        recorded(&judged).unwrap().observations.iter().map(|row| (row.count, row.value_micros)).collect();
    assert_eq!(changes, [(-500_000, Some(-50_000_000)), (250_000, None), (750_000, Some(1_000_000))]);
    let [claim] = judged.claims.as_slice() else { panic!("{:?}", judged.claims) };
    assert_eq!(claim.expect, original.claim);
    assert!(matches!(&claim.then, ClaimEffect::Put { state, .. } if state == "[1000000,1000000]"), "{claim:?}");
    assert_eq!(judged.item_preconditions.len(), 1);
}

#[test]
fn originals_may_precede_their_corrections_in_one_batch() {
    let judged = judge_after(
        &RecordedItems::default(),
        &[
            correction("r-0", "order-1", &json!({})),
            sale("order-1"),
            correction("r-1", "order-1", &json!({})),
            correction("r-2", "order-1", &json!({"count": "0.333333", "campaign_id": FIRST})),
            correction("r-3", "r-1", &json!({})),
        ],
    );
    assert_eq!(
        settled(&judged),
        [rejected(0, ItemErrorCode::UnknownObservation), rejected(4, ItemErrorCode::AdjustsCorrection)]
    );
    let recorded = recorded(&judged).unwrap();
    let changes: Vec<_> = recorded.observations.iter().map(|row| (row.count, row.value_micros)).collect();
    assert_eq!(changes, [(1_000_000, Some(59_900_000)), (-1_000_000, Some(-59_900_000)), (333_333, None)]);
    assert!(recorded.observations.iter().all(|row| row.occurred_at == at("2026-11-20T09:07:00Z")));
    assert_eq!(judged.claims[0].expect, ClaimPrecondition::Absent);
    let Some(Payload::Items { items, .. }) = judged.payloads.into_iter().next() else { panic!("nothing is recorded") };
    // The original may have been recorded meanwhile as it is; that the corrections rest on it is asserted.
    assert_eq!(items[0].when_taken, OnDuplicate::Skip);
    assert_eq!(judged.item_preconditions[0].fingerprint, items[0].key.unwrap().fingerprint);
}

#[test]
fn the_recorded_original_prevails_over_the_one_in_the_batch() {
    let mut original = past_sale("order-1", "2026-11-20T08:00:00Z", FIRST);
    original.total = NetAmounts { count: 1_000_000, value_micros: Some(1_000_000) };
    let judged = judge_after(&past(vec![original]), &[sale("order-1"), correction("r-1", "order-1", &json!({}))]);
    assert_eq!(settled(&judged), [(0, ItemStatus::Conflict, Some(ItemErrorCode::OtherContent))]);
    let recorded = recorded(&judged).unwrap();
    assert_eq!(recorded.observations[0].value_micros, Some(-1_000_000));
    assert_eq!(recorded.observations[0].occurred_at, at("2026-11-20T08:00:00Z"));
}

#[test]
fn ids_used_on_several_days_need_their_day() {
    let two_days = past(vec![
        past_sale("order-1", "2026-11-19T09:00:00Z", FIRST),
        past_sale("order-1", "2026-11-20T09:00:00Z", FIRST),
    ]);
    let on = |day: &str| json!({"adjusts": {"id": "order-1", "day": day}});
    let judged = judge_after(
        &two_days,
        &[
            correction("r-1", "order-1", &json!({})),
            correction("r-2", "order-1", &on("2026-11-19")),
            correction("r-3", "order-1", &on("2026-11-18")),
            correction("r-4", "order-1", &on("2026-11-13")),
        ],
    );
    assert_eq!(
        settled(&judged),
        [
            rejected(0, ItemErrorCode::AmbiguousObservation),
            rejected(2, ItemErrorCode::UnknownObservation),
            rejected(3, ItemErrorCode::TooOld)
        ]
    );
    assert_eq!(recorded(&judged).unwrap().observations[0].occurred_at, at("2026-11-19T09:00:00Z"));

    // One day in the log and another one in the request are two as well.
    let one_day = past(vec![past_sale("order-1", "2026-11-19T09:00:00Z", FIRST)]);
    let judged = judge_after(&one_day, &[sale("order-1"), correction("r-1", "order-1", &json!({}))]);
    assert_eq!(settled(&judged), [rejected(1, ItemErrorCode::AmbiguousObservation)]);
}

#[test]
fn corrections_may_name_only_the_campaign_of_their_original() {
    let other = Uuid::from_u128(3);
    let past = past(vec![
        past_sale("order-1", "2026-11-20T09:00:00Z", FIRST),
        past_sale("order-2", "2026-11-20T09:00:00Z", SECOND),
    ]);
    let judged = judge_after(
        &past,
        &[
            correction("r-1", "order-1", &json!({"campaign_id": SECOND})),
            correction("r-2", "order-1", &json!({"campaign_id": other})),
            correction("r-3", "order-1", &json!({"external_campaign_id": "winter", "campaign_id": null})),
            correction("r-4", "order-2", &json!({})),
        ],
    );
    assert_eq!(
        settled(&judged),
        [rejected(0, ItemErrorCode::OtherCampaign), rejected(1, ItemErrorCode::UnknownCampaign)]
    );
    assert_eq!(recorded(&judged).unwrap().campaigns, [CampaignId(FIRST), CampaignId(SECOND)]);
}

#[test]
fn rejects_corrections_of_corrections() {
    let mut original = past_sale("r-0", "2026-11-20T09:00:00Z", FIRST);
    let at = at("2026-11-21T08:00:00Z");
    original.observation.correction =
        Some(Box::new(Correction { of: "order-1".to_owned(), at, count: 0, value_micros: Some(0) }));
    original.key.day = day("2026-11-21");
    let judged = judge_after(&past(vec![original]), &[correction("r-1", "r-0", &json!({}))]);
    assert_eq!(settled(&judged), [rejected(0, ItemErrorCode::AdjustsCorrection)]);
    assert_eq!((judged.payloads, judged.claims, judged.item_preconditions), (vec![], vec![], vec![]));
}

/// What the log holds under an item's id.
fn item(sent: &ObservationItem, fingerprint: i64) -> StoredItem {
    let judged = judge_after(&RecordedItems::default(), std::slice::from_ref(sent));
    let Some(Payload::Items { items, .. }) = judged.payloads.into_iter().next() else {
        panic!("{sent:?} is not taken")
    };
    let key = items[0].key.unwrap();
    StoredItem {
        id: key.id,
        day: key.day,
        fingerprint: if fingerprint == 0 { key.fingerprint } else { fingerprint },
        position: 4,
    }
}

#[test]
fn repeated_items_are_judged_by_what_is_recorded() {
    let (first, second) = (observation(&json!({})), observation(&json!({"count": 2})));
    let batch = [first.clone(), second.clone(), first.clone(), second.clone()];
    let fares = |past: &RecordedItems| -> Vec<_> {
        settled(&judge_after(past, &batch)).into_iter().map(|(index, status, _)| (index, status)).collect()
    };
    assert_eq!(fares(&RecordedItems::default()), [(1, Conflict), (2, Duplicate), (3, Conflict)]);
    let first_recorded = RecordedItems::of(&[item(&first, 0)], Vec::new());
    assert_eq!(fares(&first_recorded), [(0, Duplicate), (1, Conflict), (2, Duplicate), (3, Conflict)]);
    let second_recorded = RecordedItems::of(&[item(&second, 0)], Vec::new());
    assert_eq!(fares(&second_recorded), [(0, Conflict), (1, Duplicate), (2, Conflict), (3, Duplicate)]);
    let third_recorded = RecordedItems::of(&[item(&first, 1)], Vec::new());
    assert_eq!(fares(&third_recorded), [(0, Conflict), (1, Conflict), (2, Conflict), (3, Conflict)]);

    // The one that is left must be new: the others were told what they are by it.
    let Some(Payload::Items { items, .. }) = judge_after(&RecordedItems::default(), &batch).payloads.into_iter().next()
    else {
        panic!()
    };
    assert_eq!(items[0].when_taken, OnDuplicate::FailRequest);
    let Some(Payload::Items { items, .. }) =
        judge_after(&RecordedItems::default(), &batch[..1]).payloads.into_iter().next()
    else {
        panic!()
    };
    assert_eq!(items[0].when_taken, OnDuplicate::Skip);
}

#[test]
fn corrections_of_one_id_are_told_apart_by_content() {
    let first = correction("r-1", "order-1", &json!({"count": "0.5"}));
    let same = correction("r-1", "order-1", &json!({"count": "0.500", "campaign_id": FIRST}));
    let batch = [
        sale("order-1"),
        first.clone(),
        same,
        correction("r-1", "order-1", &json!({"count": "0.5", "value": 0})),
        correction("r-1", "order-2", &json!({"count": "0.5"})),
        correction("r-1", "order-1", &json!({})),
        observation(&json!({"id": "r-1", "type": "conversion", "count": "0.5"})),
    ];
    let judged = judge_after(&RecordedItems::default(), &batch);
    let fares: Vec<_> = settled(&judged).into_iter().map(|(index, status, _)| (index, status)).collect();
    assert_eq!(fares, [(2, Duplicate), (3, Conflict), (4, Conflict), (5, Conflict), (6, Conflict)]);

    // Once recorded it is a duplicate, whatever became of its original.
    let taken =
        judge_after(&past(vec![past_sale("order-1", "2026-11-20T09:00:00Z", FIRST)]), std::slice::from_ref(&first));
    let Some(Payload::Items { items, .. }) = taken.payloads.into_iter().next() else { panic!("it is not taken") };
    let ItemKey { day, id, fingerprint, .. } = items[0].key.unwrap();
    let recorded = RecordedItems::of(&[StoredItem { id, day, fingerprint, position: 5 }], Vec::new());
    let judged = judge_after(&recorded, &[first]);
    assert_eq!(settled(&judged), [(0, Duplicate, Some(ItemErrorCode::AlreadyRecorded))]);
    assert_eq!(judged.claims, []);
}

proptest! {
    /// However a batch mixes observations and their corrections: what its event adds is what its claims say.
    #[test]
    fn recorded_differences_add_up_to_the_claimed_totals(
        steps in prop::collection::vec((0..3_u8, prop::option::of(0..2_000_000_u32), prop::option::of(0..2_000_000_u32)), 1..25),
    ) {
        let decimal = |millionths: u32| format!("0.{millionths:06}");
        let mut items: Vec<ObservationItem> = (0..3).map(|n| sale(&format!("order-{n}"))).collect();
        for (n, (order, count, value)) in steps.iter().enumerate() {
            let mut says = json!({});
            if let Some(count) = count {
                says["count"] = json!(decimal(count % 1_000_000));
            }
            if let Some(value) = value {
                says["value"] = json!(decimal(value % 1_000_000));
            }
            items.push(correction(&format!("r-{n}"), &format!("order-{order}"), &says));
        }
        let judged = judge_after(&RecordedItems::default(), &items);
        prop_assert_eq!(settled(&judged), []);
        let mut sums: BTreeMap<Measure, i64> = BTreeMap::new();
        for (measure, value) in recorded(&judged).unwrap().observations.iter().flat_map(Observation::increments) {
            *sums.entry(measure).or_default() += value;
        }
        let untouched = 3 - i64::try_from(judged.claims.len()).unwrap();
        let mut expected = (untouched * 1_000_000, untouched * 59_900_000);
        for claim in &judged.claims {
            let ClaimEffect::Put { state, .. } = &claim.then else { panic!("{claim:?}") };
            let total: NetAmounts = serde_json::from_str(state).unwrap();
            expected.0 += total.count;
            expected.1 += total.value_micros.unwrap();
        }
        prop_assert_eq!((sums[&Measure::Conversions], sums[&Measure::Revenue]), expected);
    }
}
