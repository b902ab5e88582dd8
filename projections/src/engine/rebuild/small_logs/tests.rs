use super::*;

fn log(workspace: i32, events: i64) -> PendingWorkspace {
    PendingWorkspace { workspace, filled: 0, live: events }
}

#[test]
fn groups_neighbours_until_transaction_is_full() {
    let sizes = |logs: &[PendingWorkspace]| group(logs).iter().map(|group| group.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&[]), Vec::<usize>::new());
    assert_eq!(sizes(&[log(1, EVENTS_TOGETHER - 1), log(2, 1), log(3, 1)]), [2, 1]);
    assert_eq!(sizes(&[log(1, 1), log(2, EVENTS_TOGETHER + 1), log(3, 1)]), [1, 1, 1]);
    let many: Vec<PendingWorkspace> = (0..450).map(|workspace| log(workspace, 3)).collect();
    assert_eq!(sizes(&many), [TOGETHER, TOGETHER, 50]);
}
