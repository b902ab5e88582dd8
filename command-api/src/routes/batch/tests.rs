use super::*;

fn batch(accepted: usize, not_accepted: &[(usize, ItemStatus)]) -> BatchResult {
    let count = |status| not_accepted.iter().filter(|(_, other)| *other == status).count();
    let result = |(index, status): &(usize, ItemStatus)| ItemResult {
        status: *status,
        ..ItemResult::accepted(*index, Some(format!("id-{index}")))
    };
    BatchResult {
        accepted,
        duplicates: count(ItemStatus::Duplicate),
        conflicts: count(ItemStatus::Conflict),
        rejected: count(ItemStatus::Rejected),
        retracted: 0,
        results: not_accepted.iter().map(result).collect(),
    }
}

#[test]
fn lists_only_items_that_were_not_accepted() {
    let batch = batch(2, &[(1, ItemStatus::Rejected), (2, ItemStatus::Conflict)]);
    let response = BatchResponse::new(batch, 1, &Rounding::default(), 7, ResultsFilter::Problems, |_| None);
    assert_eq!(response.results.iter().map(|result| result.index).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((response.accepted, response.conflicts, response.rejected, response.position), (2, 1, 1, 7));
}

#[test]
fn lists_all_items_in_their_order_on_request() {
    let batch = batch(3, &[(1, ItemStatus::Rejected), (4, ItemStatus::Duplicate)]);
    let response =
        BatchResponse::new(batch, 1, &Rounding::default(), 7, ResultsFilter::All, |index| Some(format!("id-{index}")));
    assert_eq!(response.results.iter().map(|result| result.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let accepted: Vec<usize> =
        response.results.iter().filter(|result| result.status == ItemStatus::Accepted).map(|r| r.index).collect();
    assert_eq!(accepted, [0, 2, 3]);
    assert!(response.results.iter().all(|result| result.id == Some(format!("id-{}", result.index))));
}
