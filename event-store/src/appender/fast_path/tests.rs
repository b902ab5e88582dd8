use chrono::{NaiveDate, TimeDelta};
use uuid::Uuid;

use super::*;
use crate::append::{AppendRequest, ExpectedVersion, ItemPrecondition, Metadata, NewEvent, Payload};
use crate::claims::Claim;
use crate::receipts::Receipt;
use crate::validated_request::prepare;

fn request(stream: &str, events: usize) -> AppendRequest {
    let event = NewEvent {
        event_type: "Happened".to_owned(),
        event_version: "1".to_owned(),
        payload: Payload::Json("{}".to_owned()),
    };
    AppendRequest {
        workspace: 7,
        stream_type: "thing",
        stream_id: format!("7/{stream}"),
        expected: ExpectedVersion::Any,
        events: vec![event; events],
        metadata: Metadata::default(),
        claims: Vec::new(),
        item_preconditions: Vec::new(),
        receipt: None,
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

fn at_version(version: i64, request: AppendRequest) -> AppendRequest {
    AppendRequest { expected: ExpectedVersion::Exact(version), ..request }
}

fn claiming(key: &str, expect: ClaimPrecondition, then: ClaimEffect) -> AppendRequest {
    AppendRequest { claims: vec![Claim { kind: "name", key: key.to_owned(), expect, then }], ..request("a", 1) }
}

fn held(state: &str) -> ClaimPrecondition {
    ClaimPrecondition::Held { owner: "o".to_owned(), state: state.to_owned() }
}

fn put(state: &str) -> ClaimEffect {
    ClaimEffect::Put { owner: "o".to_owned(), state: state.to_owned() }
}

fn forecast<const N: usize>(requests: [AppendRequest; N]) -> FastPathPlan {
    let prepared = requests.map(|request| prepare(request).unwrap());
    let prepared: Vec<&ValidatedRequest> = prepared.iter().collect();
    FastPathPlan::of(&prepared, &AppendColumns::of(&prepared))
}

#[test]
fn numbers_events_by_stream_and_by_log() {
    let plain = forecast([request("a", 2), at_version(5, request("b", 1)), request("c", 0), request("a", 1)]);
    assert!(plain.is_eligible);
    assert_eq!(plain.event_request, [1, 1, 2, 4]);
    assert_eq!(plain.event_sequence, [1, 2, 1, 3]);
    assert_eq!(plain.event_position, [1, 2, 3, 4]);
    assert_eq!((plain.request_version, plain.request_position), (vec![2, 1, 0, 3], vec![2, 3, 3, 4]));
    assert_eq!((plain.stream_expected, plain.head_events), (vec![None, Some(5), None], vec![4]));
}

#[test]
fn derives_expected_versions_from_earlier_requests() {
    let follows = forecast([request("a", 2), at_version(5, request("a", 1)), at_version(6, request("a", 1))]);
    assert_eq!((follows.is_eligible, follows.stream_expected), (true, vec![Some(3)]));
    assert!(!forecast([at_version(5, request("a", 1)), at_version(5, request("a", 1))]).is_eligible);
    assert!(!forecast([request("a", 1), at_version(0, request("a", 1))]).is_eligible);
}

#[test]
fn skips_the_lookup_of_new_streams() {
    assert!(forecast([at_version(0, request("a", 1)), at_version(1, request("a", 1))]).streams_are_new);
    assert!(!forecast([at_version(0, request("a", 1)), at_version(0, request("b", 0))]).streams_are_new);
    assert!(!forecast([at_version(0, request("a", 1)), request("b", 1)]).streams_are_new);
    assert!(!forecast([at_version(0, request("a", 1)), at_version(2, request("b", 1))]).streams_are_new);
}

#[test]
fn looks_up_only_the_first_expectation_of_a_claim() {
    let mut handed_on = forecast([
        claiming("x", ClaimPrecondition::Absent, put("1")),
        claiming("x", held("1"), put("2")),
        claiming("y", held("1"), ClaimEffect::Keep),
        claiming("y", held("1"), ClaimEffect::Remove),
        claiming("z", ClaimPrecondition::Any, put("1")),
        claiming("z", held("1"), ClaimEffect::Keep),
        claiming("gone", ClaimPrecondition::Absent, put("1")),
        claiming("gone", held("1"), ClaimEffect::Remove),
    ]);
    assert!(handed_on.is_eligible);
    handed_on.checked_uses.sort_unstable();
    assert_eq!(handed_on.checked_uses, [3, 7], "what is taken collides if it is held");
    let (taking, putting, removing) = (handed_on.taking_uses, handed_on.putting_uses, handed_on.removing_uses);
    assert_eq!((taking, putting, removing), (vec![2], vec![5], vec![4]));
}

#[test]
fn contradictory_batch_has_no_fast_path() {
    assert!(
        !forecast([
            claiming("x", ClaimPrecondition::Absent, put("1")),
            claiming("x", ClaimPrecondition::Absent, put("1"))
        ])
        .is_eligible
    );
    assert!(
        !forecast([claiming("x", held("1"), ClaimEffect::Keep), claiming("x", held("2"), ClaimEffect::Keep)])
            .is_eligible
    );
    assert!(
        !forecast([claiming("x", held("1"), ClaimEffect::Remove), claiming("x", held("1"), ClaimEffect::Keep)])
            .is_eligible
    );
    let receipt = || Some(Receipt { key: "k".to_owned(), digest: [1; 32], response: String::new() });
    let twins = [1, 2].map(|_| AppendRequest { receipt: receipt(), ..request("a", 1) });
    assert!(!forecast(twins).is_eligible);
    let keyed = |key: &str| Receipt { key: key.to_owned(), digest: [1; 32], response: String::new() };
    let today = AppendRequest { receipt: Some(keyed("k")), ..request("a", 1) };
    let tomorrow = AppendRequest { recorded_at: today.recorded_at + TimeDelta::days(1), ..today.clone() };
    assert!(!forecast([today, AppendRequest { receipt: Some(keyed("l")), ..tomorrow }]).is_eligible);
    let seen = vec![ItemPrecondition { day: NaiveDate::default(), id: Uuid::nil(), fingerprint: 1 }];
    assert!(!forecast([AppendRequest { item_preconditions: seen, ..request("a", 1) }]).is_eligible);
}
