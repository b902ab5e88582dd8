use futures_util::FutureExt;
use proptest::prelude::*;

use super::*;

fn holders(count: usize) -> impl Strategy<Value = Vec<Uuid>> {
    prop::collection::hash_set(any::<u128>().prop_map(Uuid::from_u128), count).prop_map(|ids| ids.into_iter().collect())
}

const LOGS: i32 = 2_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn logs_are_shared_evenly(living in (1..=8_usize).prop_flat_map(holders), first in 0..1_000_000_i32) {
        for holder in &living {
            let owned = (first..first + LOGS).filter(|&log| owner(log, &living) == Some(*holder)).count();
            // Five standard deviations of 2,000 draws.
            let fair = 2_000 / living.len();
            prop_assert!(owned.abs_diff(fair) <= 5 * fair.isqrt() + 5, "{owned} of {LOGS} among {}", living.len());
        }
    }

    #[test]
    fn only_logs_of_a_leaving_holder_move(living in (1..=8_usize).prop_flat_map(holders), logs in prop::collection::vec(any::<i32>(), 200)) {
        let (leaver, stay) = living.split_first().unwrap();
        for log in logs {
            let (before, after) = (owner(log, &living), owner(log, stay));
            prop_assert!(before == after || before == Some(*leaver));
            prop_assert!(after != Some(*leaver));
        }
    }

    #[test]
    fn everybody_says_the_same_in_whatever_order(living in (1..=8_usize).prop_flat_map(holders), log in any::<i32>()) {
        let reversed: Vec<Uuid> = living.iter().rev().copied().collect();
        prop_assert_eq!(owner(log, &living), owner(log, &reversed));
        prop_assert!(owner(log, &living).is_some());
    }
}

#[test]
fn log_has_no_owner_without_holders() {
    assert_eq!(owner(1, &[]), None);
}

#[test]
fn programs_of_different_builds_agree() {
    let living = [1_u128, 2, 3].map(Uuid::from_u128);
    let owners: Vec<u128> = (1..=12).map(|log| owner(log, &living).unwrap().as_u128()).collect();
    assert_eq!(owners, [2, 1, 2, 1, 1, 2, 3, 3, 1, 1, 3, 3]);
}

const CONSUMER: &str = "counter 1";

fn leases(me: Uuid) -> Leases {
    Leases::new(me, vec![CONSUMER.to_owned()], LeaseConfig::default())
}

fn state(until: Instant, living: &[Uuid]) -> LeaseState {
    LeaseState { until: Some(until), living: BTreeMap::from([(CONSUMER.to_owned(), living.to_vec())]) }
}

#[test]
fn lease_ends_by_the_holders_own_clock() {
    let me = Uuid::from_u128(7);
    let leases = leases(me);
    let share = leases.assignment(CONSUMER);
    assert!(!share.has(1), "nothing is ours before the first renewal");
    leases.renewed(state(later(), &[me]));
    assert!(share.has(1) && !leases.assignment("another").has(1));
    leases.renewed(state(Instant::now(), &[me]));
    assert!(!share.has(1), "it has lapsed");
    leases.renewed(state(later(), &[me]));
    assert!(share.has(1));
    leases.give_up();
    assert!(!share.has(1));
}

#[test]
fn consumers_are_woken_when_their_share_changes_and_only_then() {
    let (me, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let leases = leases(me);
    let mut changes = leases.assignment(CONSUMER).changes();
    let mut woken = || changes.next().now_or_never().is_some();
    leases.renewed(state(later(), &[me]));
    assert!(woken(), "the first renewal");
    leases.renewed(state(later(), &[me]));
    assert!(!woken(), "the same again");
    leases.renewed(state(later(), &[me, other]));
    assert!(woken(), "somebody joined");
    leases.renewed(state(Instant::now(), &[me, other]));
    assert!(!woken(), "the same again, if late");
    leases.renewed(state(later(), &[me, other]));
    assert!(woken(), "it had lapsed");
}

#[test]
fn work_goes_on_while_the_lease_holds() {
    let leases = leases(Uuid::from_u128(7));
    let share = leases.assignment(CONSUMER);
    assert!(!share.heartbeat(), "there is none yet");
    leases.renewed(state(later(), &[]));
    let before = leases.stalled_for();
    assert!(share.heartbeat());
    assert!(leases.stalled_for() <= before, "it was heard");
    assert!(LogAssignment::Everything.heartbeat() && LogAssignment::Everything.has(1));
}

fn later() -> Instant {
    Instant::now() + Duration::from_mins(1)
}
