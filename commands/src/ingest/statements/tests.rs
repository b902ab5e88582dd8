use chrono::{DateTime, TimeDelta, Utc};
use domain::measure::Measure::{self, Clicks, Impressions};
use proptest::prelude::*;

use super::merge::{IndexedStatement, LatestValues, MergeResult, merge};
use super::replaced::{NamedValues, ReplacedPart};

fn statement(index: usize, minute: i64, measures: &[(Measure, i64)]) -> IndexedStatement {
    IndexedStatement {
        index,
        stated_at: instant(minute),
        measures: measures.iter().map(|(m, v)| (*m, Some(*v))).collect(),
    }
}

fn instant(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn latest(minute: i64, measures: &[(Measure, i64)]) -> LatestValues {
    let stated_at = instant(minute).timestamp_millis();
    measures.iter().map(|(measure, value)| (*measure, (Some(*value), stated_at))).collect()
}

/// What is recorded of an item.
type Change = (usize, Vec<(Measure, i64)>);

/// Which items hold with what, which repeat, and which are superseded.
fn outcome(merged: &MergeResult) -> (Vec<Change>, Vec<usize>, Vec<usize>) {
    let changes = merged.changes.iter();
    (
        changes
            .map(|(index, measures)| (*index, measures.iter().filter_map(|(m, v)| Some((*m, (*v)?))).collect()))
            .collect(),
        merged.unchanged.iter().copied().collect(),
        merged.superseded.iter().copied().collect(),
    )
}

#[test]
fn records_the_first_statement_whole() {
    let merged = merge(&LatestValues::new(), false, &[statement(0, 1, &[(Clicks, 5)])]);
    assert_eq!(outcome(&merged), (vec![(0, vec![(Clicks, 5)])], vec![], vec![]));
    assert_eq!(merged.latest, latest(1, &[(Clicks, 5)]));
}

#[test]
fn records_only_changed_measures() {
    let before = latest(1, &[(Clicks, 5), (Impressions, 9)]);
    let merged = merge(&before, false, &[statement(0, 2, &[(Clicks, 5), (Impressions, 10)])]);
    assert_eq!(outcome(&merged), (vec![(0, vec![(Impressions, 10)])], vec![], vec![]));
    assert_eq!(merged.latest, latest(2, &[(Clicks, 5), (Impressions, 10)]));
}

#[test]
fn repetitions_are_remembered_as_newer() {
    let before = latest(1, &[(Clicks, 5)]);
    let repeated = merge(&before, false, &[statement(0, 3, &[(Clicks, 5)])]);
    assert_eq!(outcome(&repeated), (vec![], vec![0], vec![]));
    assert_eq!(repeated.latest, latest(3, &[(Clicks, 5)]));
    let late = merge(&repeated.latest, false, &[statement(0, 2, &[(Clicks, 4)])]);
    assert_eq!(outcome(&late), (vec![], vec![], vec![0]));
    assert_eq!(late.latest, repeated.latest);
}

#[test]
fn among_equal_instants_the_later_arrival_holds() {
    let before = latest(1, &[(Clicks, 5)]);
    assert_eq!(
        outcome(&merge(&before, false, &[statement(0, 1, &[(Clicks, 6)])])),
        (vec![(0, vec![(Clicks, 6)])], vec![], vec![])
    );
}

#[test]
fn measures_that_are_not_named_keep_their_value() {
    let before = latest(1, &[(Clicks, 5)]);
    let merged = merge(&before, false, &[statement(0, 2, &[(Impressions, 1)])]);
    assert_eq!(merged.latest.get(&Clicks), before.get(&Clicks));
}

#[test]
fn records_only_the_last_values_of_a_batch() {
    let merged = merge(
        &LatestValues::new(),
        false,
        &[
            statement(0, 1, &[(Clicks, 5), (Impressions, 9)]),
            statement(1, 3, &[(Clicks, 7)]),
            statement(2, 2, &[(Clicks, 6)]),
        ],
    );
    assert_eq!(outcome(&merged), (vec![(0, vec![(Impressions, 9)]), (1, vec![(Clicks, 7)])], vec![], vec![2]));
}

#[test]
fn change_reverted_in_the_batch_records_nothing() {
    let before = latest(1, &[(Clicks, 5)]);
    let merged = merge(&before, false, &[statement(0, 2, &[(Clicks, 6)]), statement(1, 3, &[(Clicks, 5)])]);
    assert_eq!(outcome(&merged), (vec![], vec![1], vec![0]));
    assert_eq!(merged.latest, latest(3, &[(Clicks, 5)]));
}

fn taken_back(index: usize, minute: i64, measure: Measure) -> IndexedStatement {
    IndexedStatement { index, stated_at: instant(minute), measures: [(measure, None)].into() }
}

#[test]
fn what_is_taken_back_has_no_value() {
    let merged = merge(&latest(1, &[(Clicks, 0), (Impressions, 9)]), false, &[taken_back(0, 2, Clicks)]);
    assert_eq!(merged.changes, [(0, [(Clicks, None)].into())].into());
    assert_eq!(merged.latest[&Clicks], (None, instant(2).timestamp_millis()));
    assert_eq!(merged.latest[&Impressions].0, Some(9));
    // It is a statement like others: an older one loses, a newer one holds.
    let late = merge(&merged.latest, false, &[statement(0, 1, &[(Clicks, 7)])]);
    assert_eq!(outcome(&late), (vec![], vec![], vec![0]));
    let again = merge(&merged.latest, false, &[statement(0, 3, &[(Clicks, 0)])]);
    assert_eq!(outcome(&again), (vec![(0, vec![(Clicks, 0)])], vec![], vec![]));
}

#[test]
fn taking_back_what_was_never_stated_records_nothing() {
    let merged = merge(&LatestValues::new(), false, &[taken_back(0, 2, Clicks)]);
    assert_eq!(outcome(&merged), (vec![], vec![0], vec![]));
    let late = merge(&merged.latest, false, &[statement(0, 1, &[(Clicks, 7)])]);
    assert_eq!(outcome(&late), (vec![], vec![], vec![0]));
    let twice = merge(&LatestValues::new(), false, &[statement(0, 1, &[(Clicks, 7)]), taken_back(1, 2, Clicks)]);
    assert_eq!(twice.changes, [].into());
}

#[test]
fn what_a_part_holds_and_the_batch_does_not_name_is_missing() {
    let part = ReplacedPart { keys: Vec::new(), measures: [Clicks, Impressions].into(), stated_at: instant(5) };
    let mut named = NamedValues::default();
    named.add("a".to_owned(), Vec::new(), [Clicks].into_iter());
    let stated = latest(5, &[(Clicks, 1), (Impressions, 2), (Measure::Spend, 3)]);
    let missing =
        |key, stated: &LatestValues| -> Vec<Measure> { named.missing(&part, key, &[], stated).into_keys().collect() };
    assert_eq!(missing("a", &stated), [Impressions]);
    assert_eq!(missing("b", &stated), [Impressions, Clicks]);
    assert_eq!(missing("b", &latest(6, &[(Clicks, 1)])), [], "a newer one holds");
    assert_eq!(missing("b", &merge(&stated, false, &[taken_back(0, 5, Clicks)]).latest), [Impressions]);
}

#[test]
fn what_counts_anew_is_recorded_again() {
    let before = latest(1, &[(Clicks, 5), (Impressions, 9)]);
    let restated = merge(&before, true, &[statement(0, 2, &[(Clicks, 5)])]);
    assert_eq!(outcome(&restated), (vec![(0, vec![(Clicks, 5)])], vec![], vec![]));
    let older = merge(&before, true, &[statement(0, 0, &[(Clicks, 5)])]);
    assert_eq!(outcome(&older), (vec![], vec![], vec![0]));
    let back = merge(&before, true, &[statement(0, 2, &[(Clicks, 5)]), taken_back(1, 3, Clicks)]);
    assert_eq!(back.changes, [(1, [(Clicks, None)].into())].into());
    let never = merge(&LatestValues::new(), true, &[taken_back(0, 2, Clicks)]);
    assert_eq!(never.changes, [].into());
}

proptest! {
    /// In whatever order the same statements arrive, the newest of each instant holds, taken back or not.
    #[test]
    fn merging_does_not_depend_on_the_order_of_arrival(
        values in prop::collection::btree_map(0..20_i64, prop::option::of(0..3_i64), 1..10),
        seed in prop::collection::vec(any::<u32>(), 10),
    ) {
        let mut all: Vec<IndexedStatement> = values
            .iter()
            .enumerate()
            .map(|(index, (minute, value))| IndexedStatement {
                index,
                stated_at: instant(*minute),
                measures: [(Clicks, *value)].into(),
            })
            .collect();
        let merge_all = |all: &[IndexedStatement]| {
            let mut latest = LatestValues::new();
            for one in all {
                latest = merge(&latest, false, std::slice::from_ref(one)).latest;
            }
            latest
        };
        let in_order = merge_all(&all);
        all.sort_by_key(|one| seed[one.index % seed.len()]);
        let mut latest = LatestValues::new();
        let mut recorded = None;
        for one in &all {
            let merged = merge(&latest, false, std::slice::from_ref(one));
            recorded = merged.changes.values().next().map_or(recorded, |change| change[&Clicks]);
            latest = merged.latest;
        }
        prop_assert_eq!(&latest, &in_order);
        prop_assert_eq!(recorded, latest[&Clicks].0, "what was recorded last is what holds");
    }

    /// However statements are cut into requests, the last word is the same, and replaying what was recorded gives its
    /// values.
    #[test]
    fn merging_does_not_depend_on_the_cut_into_batches(
        minutes_and_values in prop::collection::vec((0..6_i64, 0..3_i64), 1..12),
        cut in 0..12_usize,
    ) {
        let all: Vec<IndexedStatement> = minutes_and_values
            .iter()
            .enumerate()
            .map(|(index, (minute, value))| statement(index, *minute, &[(Clicks, *value)]))
            .collect();
        let whole = merge(&LatestValues::new(), false, &all);
        let (first, second) = all.split_at(cut.min(all.len()));
        let first = merge(&LatestValues::new(), false, first);
        let second = merge(&first.latest, false, second);
        prop_assert_eq!(&whole.latest, &second.latest);

        let recorded = first.changes.values().chain(second.changes.values()).last();
        let held = recorded.and_then(|measures| measures.get(&Clicks)).copied();
        prop_assert_eq!(held, whole.latest.get(&Clicks).map(|(value, _)| *value));

        let items = whole.changes.len() + whole.unchanged.len() + whole.superseded.len();
        prop_assert_eq!(items, all.len());
    }
}
