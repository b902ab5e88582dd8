use chrono::{DateTime, TimeDelta, Utc};
use domain::bucket::{Bucket, Grain};
use domain::measure::Measure::{self, Clicks, Impressions};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::item::{self, BucketSpec, bucket_key};
use super::merge::{LatestValues, MergeResult, StatementInput, merge};
use crate::item_error::{ItemError, ItemErrorCode};

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00.123456Z".parse().unwrap()
}

fn said(index: usize, minute: i64, measures: &[(Measure, i64)]) -> StatementInput {
    StatementInput { index, stated_at: instant(minute), measures: measures.iter().copied().collect() }
}

fn instant(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
}

fn word(minute: i64, measures: &[(Measure, i64)]) -> LatestValues {
    let stated_at = instant(minute).timestamp_millis();
    measures.iter().map(|(measure, value)| (*measure, (*value, stated_at))).collect()
}

/// What is recorded of an item.
type Change = (usize, Vec<(Measure, i64)>);

/// Which items hold with what, which repeat, and which are superseded.
fn outcome(merged: &MergeResult) -> (Vec<Change>, Vec<usize>, Vec<usize>) {
    let changes = merged.changes.iter();
    (
        changes.map(|(index, measures)| (*index, measures.iter().map(|(m, v)| (*m, *v)).collect())).collect(),
        merged.unchanged.iter().copied().collect(),
        merged.superseded.iter().copied().collect(),
    )
}

#[test]
fn the_first_statement_holds() {
    let merged = merge(&LatestValues::new(), &[said(0, 1, &[(Clicks, 5)])]);
    assert_eq!(outcome(&merged), (vec![(0, vec![(Clicks, 5)])], vec![], vec![]));
    assert_eq!(merged.last_word, word(1, &[(Clicks, 5)]));
}

#[test]
fn only_what_changed_is_recorded() {
    let before = word(1, &[(Clicks, 5), (Impressions, 9)]);
    let merged = merge(&before, &[said(0, 2, &[(Clicks, 5), (Impressions, 10)])]);
    assert_eq!(outcome(&merged), (vec![(0, vec![(Impressions, 10)])], vec![], vec![]));
    assert_eq!(merged.last_word, word(2, &[(Clicks, 5), (Impressions, 10)]));
}

#[test]
fn a_repetition_is_remembered_as_newer() {
    let before = word(1, &[(Clicks, 5)]);
    let repeated = merge(&before, &[said(0, 3, &[(Clicks, 5)])]);
    assert_eq!(outcome(&repeated), (vec![], vec![0], vec![]));
    assert_eq!(repeated.last_word, word(3, &[(Clicks, 5)]));
    let late = merge(&repeated.last_word, &[said(0, 2, &[(Clicks, 4)])]);
    assert_eq!(outcome(&late), (vec![], vec![], vec![0]));
    assert_eq!(late.last_word, repeated.last_word);
}

#[test]
fn among_equals_the_later_arrival_holds() {
    let before = word(1, &[(Clicks, 5)]);
    assert_eq!(outcome(&merge(&before, &[said(0, 1, &[(Clicks, 6)])])), (vec![(0, vec![(Clicks, 6)])], vec![], vec![]));
}

#[test]
fn measures_that_are_not_named_stay() {
    let before = word(1, &[(Clicks, 5)]);
    let merged = merge(&before, &[said(0, 2, &[(Impressions, 1)])]);
    assert_eq!(merged.last_word.get(&Clicks), before.get(&Clicks));
}

#[test]
fn in_one_request_only_the_end_is_recorded() {
    let merged = merge(
        &LatestValues::new(),
        &[said(0, 1, &[(Clicks, 5), (Impressions, 9)]), said(1, 3, &[(Clicks, 7)]), said(2, 2, &[(Clicks, 6)])],
    );
    assert_eq!(outcome(&merged), (vec![(0, vec![(Impressions, 9)]), (1, vec![(Clicks, 7)])], vec![], vec![2]));
}

#[test]
fn there_and_back_in_one_request_records_nothing() {
    let before = word(1, &[(Clicks, 5)]);
    let merged = merge(&before, &[said(0, 2, &[(Clicks, 6)]), said(1, 3, &[(Clicks, 5)])]);
    assert_eq!(outcome(&merged), (vec![], vec![1], vec![0]));
    assert_eq!(merged.last_word, word(3, &[(Clicks, 5)]));
}

proptest! {
    /// However statements are cut into requests, the last word is the same, and replaying what was recorded gives its values.
    #[test]
    fn the_cut_into_requests_does_not_matter(
        minutes_and_values in prop::collection::vec((0..6_i64, 0..3_i64), 1..12),
        cut in 0..12_usize,
    ) {
        let all: Vec<StatementInput> = minutes_and_values
            .iter()
            .enumerate()
            .map(|(index, (minute, value))| said(index, *minute, &[(Clicks, *value)]))
            .collect();
        let whole = merge(&LatestValues::new(), &all);
        let (first, second) = all.split_at(cut.min(all.len()));
        let first = merge(&LatestValues::new(), first);
        let second = merge(&first.last_word, second);
        prop_assert_eq!(&whole.last_word, &second.last_word);

        let recorded = first.changes.values().chain(second.changes.values()).last();
        let held = recorded.and_then(|measures| measures.get(&Clicks)).copied();
        prop_assert_eq!(held, whole.last_word.get(&Clicks).map(|(value, _)| *value));

        let items = whole.changes.len() + whole.unchanged.len() + whole.superseded.len();
        prop_assert_eq!(items, all.len());
    }
}

const DAYS: BucketSpec = BucketSpec { grain: Grain::Day, zone: domain::zone::Zone::UTC };
const QUARTERS: BucketSpec = BucketSpec { grain: Grain::QuarterHour, zone: domain::zone::Zone::UTC };

/// The reason and field of a refusal.
fn refused(cut: BucketSpec, body: &str) -> Option<(ItemErrorCode, Option<String>)> {
    let raw: Box<RawValue> = serde_json::from_str(body).unwrap();
    item::read(&raw, cut, now()).err().map(|ItemError { reason, field, .. }| (reason, field))
}

fn statement(bucket: &str, measures: &str, more: &str) -> String {
    format!(r#"{{"external_campaign_id": "x", "bucket": "{bucket}", "measures": {measures}{more}}}"#)
}

#[test]
fn a_sound_statement_is_read() {
    let body = statement("2026-11-20", r#"{"clicks": 3, "spend": "1.5"}"#, "");
    let raw: Box<RawValue> = serde_json::from_str(&body).unwrap();
    let sound = item::read(&raw, DAYS, now()).unwrap();
    assert_eq!(sound.bucket, Bucket::Day("2026-11-20".parse().unwrap()));
    assert_eq!(sound.stated_at, "2026-11-21T22:00:00.123Z".parse::<DateTime<Utc>>().unwrap());
    let values = sound.values("EUR".parse().unwrap()).unwrap();
    assert_eq!(values.into_iter().collect::<Vec<_>>(), [(Clicks, 3), (Measure::Spend, 1_500_000)]);
}

#[test]
fn buckets_are_those_of_the_grain() {
    let clicks = r#"{"clicks": 3}"#;
    let bucket = |cut, bucket: &str| refused(cut, &statement(bucket, clicks, "")).map(|(reason, _)| reason);
    assert_eq!(bucket(DAYS, "2026-11-21"), None);
    assert_eq!(bucket(QUARTERS, "2026-11-21T21:45:00Z"), None);
    assert_eq!(bucket(QUARTERS, "2026-11-21T22:45:00+01:00"), None);
    for (cut, text) in [
        (DAYS, "2026-1-1"),
        (DAYS, "2026-02-30"),
        (DAYS, "+2026-02-03"),
        (DAYS, "2026-11-21T00:00:00Z"),
        (DAYS, "1969-12-31"),
        (DAYS, "2200-01-01"),
        (DAYS, ""),
        (QUARTERS, "2026-11-21"),
        (QUARTERS, "2026-11-21T21:50:00Z"),
        (QUARTERS, "2026-11-21T21:45:00.5Z"),
    ] {
        assert_eq!(bucket(cut, text), Some(ItemErrorCode::BadBucket), "{text}");
    }
    assert_eq!(bucket(DAYS, "2026-11-22"), Some(ItemErrorCode::InFuture));
    assert_eq!(bucket(QUARTERS, "2026-11-21T22:15:00Z"), Some(ItemErrorCode::InFuture));
}

#[test]
fn a_bucket_has_one_key() {
    assert_eq!(bucket_key(Bucket::Day("2026-11-21".parse().unwrap())), "2026-11-21");
    assert_eq!(bucket_key(Bucket::Starts("2026-11-21T22:45:00+01:00".parse().unwrap())), "2026-11-21T21:45:00Z");
}

#[test]
fn what_is_no_statement_is_refused() {
    let field = |name: &str| Some(name.to_owned());
    let of = |measures: &str, more: &str| refused(DAYS, &statement("2026-11-20", measures, more));
    assert_eq!(of("{}", ""), Some((ItemErrorCode::NoMeasures, field("measures"))));
    assert_eq!(of(r#"{"klicks": 1}"#, ""), Some((ItemErrorCode::UnknownMeasure, field("measures"))));
    assert_eq!(of(r#"{"clicks": true}"#, ""), Some((ItemErrorCode::BadValue, field("measures.clicks"))));
    assert_eq!(of(r#"{"clicks": null}"#, ""), Some((ItemErrorCode::BadValue, field("measures.clicks"))));
    assert_eq!(of(r#"{"clicks": 1, "clicks": 2}"#, "").map(|(reason, _)| reason), Some(ItemErrorCode::Malformed));
    assert_eq!(
        of(r#"{"clicks": 1}"#, r#", "stated_at": "yesterday""#),
        Some((ItemErrorCode::BadTime, field("stated_at")))
    );
    assert_eq!(
        of(r#"{"clicks": 1}"#, r#", "stated_at": "2026-11-21T22:06:00Z""#),
        Some((ItemErrorCode::InFuture, field("stated_at")))
    );
    assert_eq!(of(r#"{"clicks": 1}"#, r#", "note": 1"#).map(|(reason, _)| reason), Some(ItemErrorCode::Malformed));
    assert_eq!(refused(DAYS, "7").map(|(reason, _)| reason), Some(ItemErrorCode::Malformed));
    assert_eq!(refused(DAYS, "{}"), Some((ItemErrorCode::Malformed, None)));
}
