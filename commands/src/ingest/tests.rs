use super::*;

#[test]
fn batches_have_at_least_one_item_and_at_most_the_limit() {
    assert!(check_batch_size("observations", 1, 5_000).is_ok());
    assert!(check_batch_size("observations", 5_000, 5_000).is_ok());
    assert!(check_batch_size("observations", 0, 5_000).is_err());
    assert!(check_batch_size("observations", 5_001, 5_000).is_err());
}
