//! One statement in JSON.

use std::borrow::Cow;

use commands::ingest::StatementItem;
use domain::bucket::Bucket;
use domain::item::{Amount, ItemError, ItemErrorCode, RejectedItem, parse_instant, truncate};
use domain::json_objects;
use domain::measure::Measure;
use domain::rfc3339::{self, parse_date};
use domain::statement::{StatementInput, measure_field};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json_item::malformed;
use crate::raw_number::{RawAmount, Rounding, StrictStr, UniqueKeyMap};
use crate::routes::campaign_ref;

/// A statement as it is sent.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct SentStatement<'a> {
    #[serde(borrow, default)]
    campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    external_campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow)]
    bucket: Cow<'a, str>,
    #[serde(borrow, default)]
    dimensions: UniqueKeyMap<'a, StrictStr<'a>>,
    #[serde(borrow)]
    measures: UniqueKeyMap<'a, &'a RawValue>,
    #[serde(borrow, default)]
    stated_at: Option<StrictStr<'a>>,
}

json_objects!(read: SentStatement<'a>);

/// Reads one item. Adds its rounded values to `rounding`.
pub(in crate::routes) fn read(raw: &RawValue, rounding: &mut Rounding) -> StatementItem {
    let sent = serde_json::from_str::<SentStatement<'_>>(raw.get());
    let sent = sent.map_err(|_| malformed::<SentStatement<'_>>(raw.get()));
    sent.and_then(|sent| sent.into_input(rounding)).map_err(RejectedItem::from)
}

impl SentStatement<'_> {
    fn into_input(self, rounding: &mut Rounding) -> Result<StatementInput, ItemError> {
        let campaign = campaign_ref::read(self.campaign_id, self.external_campaign_id)?;
        let bucket = bucket(&self.bucket)?;
        let stated_at = self.stated_at.map(|StrictStr(text)| parse_instant("stated_at", &text)).transpose()?;
        let dimensions = self.dimensions.0.into_iter();
        let dimensions = dimensions.map(|(name, StrictStr(value))| (name.into_owned(), value.into_owned())).collect();
        let measures = self.measures.0.iter().map(|(name, raw)| amount(name, raw, rounding));
        let measures = measures.collect::<Result<_, _>>()?;
        Ok(StatementInput { campaign, bucket, dimensions, measures, stated_at })
    }
}

/// An amount, or null for one that is taken back.
fn amount(name: &str, raw: &RawValue, rounding: &mut Rounding) -> Result<(Measure, Option<Amount>), ItemError> {
    let measure: Measure = name.parse().map_err(|error| {
        ItemError::at(ItemErrorCode::UnknownMeasure, "measures", format!("\"{}\" {error}", truncate(name)))
    })?;
    if raw.get() == "null" {
        return Ok((measure, None));
    }
    let field = measure_field(measure);
    let amount = RawAmount::read(raw).map_err(|detail| ItemError::at(ItemErrorCode::BadValue, &field, detail))?;
    Ok((measure, Some(amount.amount(measure, &field, rounding)?)))
}

/// Reads a day or the first instant of a shorter bucket.
pub(super) fn bucket(text: &str) -> Result<Bucket, ItemError> {
    match (parse_date(text), rfc3339::parse_instant(text)) {
        (Ok(date), _) => Ok(Bucket::Day(date)),
        (Err(_), Ok(instant)) => Ok(Bucket::Starts(instant)),
        (Err(_), Err(_)) => {
            let detail = "is neither a date such as 2026-11-21 nor an RFC 3339 instant";
            Err(ItemError::at(ItemErrorCode::BadBucket, "bucket", detail))
        }
    }
}
