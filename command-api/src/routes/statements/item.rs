//! One statement: from the caller's JSON to what it says. Pure: the instant of judging is passed in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::bucket::{Bucket, Grain};
use domain::measure::Measure;
use domain::money::Currency;
use domain::zone::Zone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::item_error::{ItemError, ItemErrorCode, truncate};
use crate::raw_number::{RawAmount, StrictStr, UniqueKeyMap};
use crate::routes::campaign_ref::{self, CampaignRef};
use crate::routes::time;

/// A statement as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow, default)]
    campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    external_campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow)]
    bucket: Cow<'a, str>,
    #[serde(borrow)]
    measures: UniqueKeyMap<'a, &'a RawValue>,
    #[serde(borrow, default)]
    stated_at: Option<StrictStr<'a>>,
}

/// In what a request's buckets are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketSpec {
    pub(super) grain: Grain,
    pub(super) zone: Zone,
}

/// A statement that is sound in itself. Whether its campaign and source take it is still open.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValidStatement<'a> {
    pub(super) campaign: CampaignRef<'a>,
    pub(super) bucket: Bucket,
    /// The bucket's first instant.
    pub(super) start: DateTime<Utc>,
    pub(super) stated_at: DateTime<Utc>,
    measures: Vec<(Measure, RawAmount<'a>)>,
}

/// Reads one item.
pub(super) fn read(raw: &RawValue, cut: BucketSpec, now: DateTime<Utc>) -> Result<ValidStatement<'_>, ItemError> {
    let sent: Sent<'_> = serde_json::from_str(raw.get()).map_err(|_| ItemError::malformed::<Sent<'_>>(raw.get()))?;
    let campaign = campaign_ref::read(sent.campaign_id, sent.external_campaign_id)?;
    let (bucket, start) = bucket(&sent.bucket, cut, now)?;
    let stated_at = match sent.stated_at {
        Some(StrictStr(text)) => {
            let stated_at = time::instant("stated_at", &text)?;
            time::not_ahead("stated_at", stated_at, now)?;
            stated_at
        }
        None => time::to_millis(now),
    };
    if sent.measures.0.is_empty() {
        return Err(ItemError::at(ItemErrorCode::NoMeasures, "measures", "must name at least one measure"));
    }
    let mut measures = Vec::with_capacity(sent.measures.0.len());
    for (name, raw) in sent.measures.0 {
        let measure: Measure = name.parse().map_err(|error| {
            ItemError::at(ItemErrorCode::UnknownMeasure, "measures", format!("\"{}\" {error}", truncate(&name)))
        })?;
        let quantity =
            RawAmount::read(raw).map_err(|detail| ItemError::at(ItemErrorCode::BadValue, &field(measure), detail))?;
        measures.push((measure, quantity));
    }
    Ok(ValidStatement { campaign, bucket, start, stated_at, measures })
}

fn bucket(text: &str, cut: BucketSpec, now: DateTime<Utc>) -> Result<(Bucket, DateTime<Utc>), ItemError> {
    let refuse = |detail: String| ItemError::at(ItemErrorCode::BadBucket, "bucket", detail);
    let bucket = match (text.parse::<NaiveDate>(), DateTime::parse_from_rfc3339(text)) {
        // chrono reads `2019-1-1` as well; a key has one spelling.
        (Ok(date), _) if date.to_string() == text => Bucket::Day(date),
        (_, Ok(instant)) => Bucket::Starts(instant.to_utc()),
        (Ok(_) | Err(_), Err(_)) => {
            return Err(refuse("is neither a date such as 2026-11-21 nor an RFC 3339 instant".to_owned()));
        }
    };
    let span = bucket.resolve(cut.grain, cut.zone).map_err(|error| refuse(error.to_string()))?;
    if span.start > now {
        return Err(ItemError::at(ItemErrorCode::InFuture, "bucket", "has not begun yet"));
    }
    Ok((bucket, span.start))
}

/// How a claim's key writes a bucket.
pub(super) fn bucket_key(bucket: Bucket) -> String {
    match bucket {
        Bucket::Day(date) => date.to_string(),
        Bucket::Starts(start) => start.to_rfc3339_opts(SecondsFormat::Secs, true),
    }
}

fn field(measure: Measure) -> String {
    format!("measures.{measure}")
}

impl ValidStatement<'_> {
    /// What it says, once the source's currency is known.
    pub(super) fn values(&self, currency: Currency) -> Result<BTreeMap<Measure, i64>, ItemError> {
        self.measures
            .iter()
            .map(|(measure, quantity)| Ok((*measure, quantity.of(*measure, currency, &field(*measure))?)))
            .collect()
    }
}
