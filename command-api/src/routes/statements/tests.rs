use chrono::{DateTime, Utc};
use domain::bucket::{Bucket, Grain};
use domain::item::{ItemError, ItemErrorCode};
use domain::measure::Measure::{self, Clicks};
use domain::statement::BucketSpec;
use serde_json::value::RawValue;

use super::item;
use crate::raw_number::Rounding;

fn now() -> DateTime<Utc> {
    "2026-11-21T22:00:00.123456Z".parse().unwrap()
}

const DAYS: BucketSpec = BucketSpec { grain: Grain::Day, zone: domain::zone::Zone::UTC };
const QUARTERS: BucketSpec = BucketSpec { grain: Grain::QuarterHour, zone: domain::zone::Zone::UTC };

/// Why a statement is rejected, and which member is at fault.
fn rejected_by(cut: BucketSpec, body: &str) -> Option<(ItemErrorCode, Option<String>)> {
    let raw: Box<RawValue> = serde_json::from_str(body).unwrap();
    let checked = item::read(&raw, &mut Rounding::default())
        .map_err(|rejected| rejected.error)
        .and_then(|input| input.validate(cut, now()));
    checked.err().map(|ItemError { reason, field, .. }| (reason, field))
}

fn statement(bucket: &str, measures: &str, more: &str) -> String {
    format!(r#"{{"external_campaign_id": "x", "bucket": "{bucket}", "measures": {measures}{more}}}"#)
}

#[test]
fn reads_valid_statements() {
    let body = statement("2026-11-20", r#"{"clicks": 3, "spend": "1.5", "opens": null}"#, "");
    let raw: Box<RawValue> = serde_json::from_str(&body).unwrap();
    let input = item::read(&raw, &mut Rounding::default()).unwrap();
    assert_eq!(input.bucket, Bucket::Day("2026-11-20".parse().unwrap()));
    assert_eq!(input.stated_at(now()), "2026-11-21T22:00:00.123Z".parse::<DateTime<Utc>>().unwrap());
    let values = input.values("EUR".parse().unwrap()).unwrap();
    assert_eq!(
        values.into_iter().collect::<Vec<_>>(),
        [(Clicks, Some(3)), (Measure::Spend, Some(1_500_000)), (Measure::Opens, None)]
    );
}

#[test]
fn accepts_only_buckets_of_the_grain() {
    let clicks = r#"{"clicks": 3}"#;
    let bucket = |cut, bucket: &str| rejected_by(cut, &statement(bucket, clicks, "")).map(|(reason, _)| reason);
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
fn rejects_invalid_statements() {
    let field = |name: &str| Some(name.to_owned());
    let of = |measures: &str, more: &str| rejected_by(DAYS, &statement("2026-11-20", measures, more));
    assert_eq!(of("{}", ""), Some((ItemErrorCode::NoMeasures, field("measures"))));
    assert_eq!(of(r#"{"klicks": 1}"#, ""), Some((ItemErrorCode::UnknownMeasure, field("measures"))));
    assert_eq!(of(r#"{"clicks": true}"#, ""), Some((ItemErrorCode::BadValue, field("measures.clicks"))));
    assert_eq!(of(r#"{"clicks": [null]}"#, ""), Some((ItemErrorCode::BadValue, field("measures.clicks"))));
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
    assert_eq!(rejected_by(DAYS, "7").map(|(reason, _)| reason), Some(ItemErrorCode::Malformed));
    assert_eq!(rejected_by(DAYS, "{}"), Some((ItemErrorCode::Malformed, field("bucket"))));
}
