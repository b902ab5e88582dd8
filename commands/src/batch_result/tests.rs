use domain::item::ItemErrorCode;

use super::*;
use crate::outcome::Outcome;

fn settled(results: &[(usize, ItemStatus, ItemErrorCode)], total: usize) -> PreAppendResults {
    let results = results.iter().map(|(index, status, reason)| ItemResult::with_reason(*index, None, *status, *reason));
    PreAppendResults { total, results: results.collect(), ..PreAppendResults::default() }
}

#[test]
fn duplicates_are_numbered_among_the_items_of_the_append() {
    // Items 1 and 4 were settled before, so the append was given 0, 2, 3, 5 and calls them 0, 1, 2, 3.
    let settled = settled(
        &[
            (4, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            (1, ItemStatus::Rejected, ItemErrorCode::UnknownType),
        ],
        6,
    );
    let batch = settled.complete(|index| Some(format!("id-{index}")), &[3], &[1]);
    let results: Vec<_> = batch.results.iter().map(|result| (result.index, result.status, result.reason)).collect();
    assert_eq!(
        results,
        [
            (1, ItemStatus::Rejected, Some(ItemErrorCode::UnknownType)),
            (2, ItemStatus::Conflict, Some(ItemErrorCode::OtherContent)),
            (4, ItemStatus::Duplicate, Some(ItemErrorCode::AlreadyRecorded)),
            (5, ItemStatus::Duplicate, Some(ItemErrorCode::AlreadyRecorded)),
        ]
    );
    assert_eq!(batch.results[1].id.as_deref(), Some("id-2"));
    assert_eq!((batch.accepted, batch.duplicates, batch.conflicts, batch.rejected), (2, 2, 1, 1));
}

#[test]
fn receipts_of_before_archived_campaigns_took_everything_are_read() {
    let stored = r#"{"batch_processed":{"total":1,"results":[{"index":0,"status":"rejected","reason":"archived"}]}}"#;
    let settled = settled(&[(0, ItemStatus::Rejected, ItemErrorCode::Archived)], 1);
    assert_eq!(serde_json::from_str::<Outcome>(stored).unwrap(), Outcome::BatchProcessed(settled));
}

#[test]
fn companions_give_no_result() {
    // Item 1 was settled before; items 0 and 2 have a companion each in the append: 0, 0', 2, 2'.
    let mut settled = settled(&[(1, ItemStatus::Rejected, ItemErrorCode::BadMessage)], 3);
    settled.companions = vec![1, 3];
    let batch = settled.complete(|_| None, &[1, 2, 3], &[]);
    let results: Vec<_> = batch.results.iter().map(|result| (result.index, result.status)).collect();
    assert_eq!(results, [(1, ItemStatus::Rejected), (2, ItemStatus::Duplicate)]);
    assert_eq!((batch.accepted, batch.duplicates), (1, 1));
}

#[test]
fn receipts_keep_what_was_settled_before_the_append() {
    let settled = settled(&[(0, ItemStatus::Rejected, ItemErrorCode::BadId)], 1);
    let stored = serde_json::to_string(&Outcome::BatchProcessed(settled.clone())).unwrap();
    let expected = r#"{"batch_processed":{"total":1,"results":[{"index":0,"status":"rejected","reason":"bad_id"}],"retracted":0}}"#;
    assert_eq!(stored, expected);
    assert_eq!(serde_json::from_str::<Outcome>(&stored).unwrap(), Outcome::BatchProcessed(settled));
}

#[test]
fn results_of_several_events_are_numbered_by_the_batch() {
    // Items 0, 2 and 3 are appended: 2 in a first event, 0 and 3 in a second one.
    let rejected = ItemResult::rejected(1, None, ItemError::whole(ItemErrorCode::Malformed, "is no item"));
    let settled =
        PreAppendResults { total: 4, results: vec![rejected], order: vec![1, 0, 2], ..PreAppendResults::default() };
    let batch = settled.complete(|index| Some(index.to_string()), &[0], &[2]);
    let results: Vec<_> = batch.results.iter().map(|result| (result.index, result.status)).collect();
    assert_eq!(results, [(1, ItemStatus::Rejected), (2, ItemStatus::Duplicate), (3, ItemStatus::Conflict)]);
    assert_eq!((batch.accepted, batch.duplicates, batch.conflicts, batch.rejected), (1, 1, 1, 1));
}

#[test]
fn companions_are_told_apart_in_several_events() {
    // Items 0 and 2 have a companion each: 0, 0', 2, 2'. The first event holds 2 and 2', the second one 0 and 0'.
    let mut settled = settled(&[(1, ItemStatus::Rejected, ItemErrorCode::BadMessage)], 3);
    (settled.companions, settled.order) = (vec![1, 3], vec![2, 3, 0, 1]);
    let batch = settled.complete(|_| None, &[0, 3], &[]);
    let results: Vec<_> = batch.results.iter().map(|result| (result.index, result.status)).collect();
    assert_eq!(results, [(1, ItemStatus::Rejected), (2, ItemStatus::Duplicate)]);
}
