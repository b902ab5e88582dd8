use super::*;

fn settled(results: &[(usize, ItemStatus, ItemErrorCode)], total: usize) -> PreAppendResults {
    let results = results.iter().map(|(index, status, reason)| ItemResult::with_reason(*index, None, *status, *reason));
    PreAppendResults { total, results: results.collect() }
}

#[test]
fn twins_are_numbered_among_the_items_of_the_append() {
    // Items 1 and 4 were settled before, so the append was given 0, 2, 3, 5 and calls them 0, 1, 2, 3.
    let settled = settled(
        &[
            (4, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            (1, ItemStatus::Rejected, ItemErrorCode::UnknownType),
        ],
        6,
    );
    let id_of = |index: usize| Some(format!("id-{index}"));
    let answer = settled.clone().answer(id_of, &[3], &[1], 7, ResultsFilter::Problems);
    let outcomes: Vec<_> = answer.results.iter().map(|result| (result.index, result.status, result.reason)).collect();
    assert_eq!(
        outcomes,
        [
            (1, ItemStatus::Rejected, Some(ItemErrorCode::UnknownType)),
            (2, ItemStatus::Conflict, Some(ItemErrorCode::OtherContent)),
            (4, ItemStatus::Duplicate, Some(ItemErrorCode::AlreadyRecorded)),
            (5, ItemStatus::Duplicate, Some(ItemErrorCode::AlreadyRecorded)),
        ]
    );
    assert_eq!(answer.results[1].id.as_deref(), Some("id-2"));
    assert_eq!((answer.accepted, answer.duplicates, answer.conflicts, answer.rejected), (2, 2, 1, 1));
    assert_eq!(answer.position, 7);

    let all = settled.answer(id_of, &[3], &[1], 7, ResultsFilter::All);
    assert_eq!(all.results.iter().map(|result| result.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    assert_eq!(all.results[3].status, ItemStatus::Accepted);
    assert_eq!(all.accepted, 2);
}

#[test]
fn a_receipt_keeps_what_was_settled() {
    let settled = settled(&[(0, ItemStatus::Rejected, ItemErrorCode::BadId)], 1);
    let stored = serde_json::to_string(&Outcome::BatchProcessed(settled.clone())).unwrap();
    assert_eq!(
        stored,
        r#"{"batch_processed":{"total":1,"results":[{"index":0,"status":"rejected","reason":"bad_id"}]}}"#
    );
    assert_eq!(serde_json::from_str::<Outcome>(&stored).unwrap(), Outcome::BatchProcessed(settled));
}

#[test]
fn a_batch_has_one_item_at_least() {
    assert!(check_size("observations", 1, 5_000).is_ok());
    assert!(check_size("observations", 5_000, 5_000).is_ok());
    assert!(check_size("observations", 0, 5_000).is_err());
    assert!(check_size("observations", 5_001, 5_000).is_err());
}
