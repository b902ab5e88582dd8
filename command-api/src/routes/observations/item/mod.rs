//! One observation in JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use commands::ingest::ObservationItem;
use domain::item::{Amount, ItemError, ItemErrorCode, RejectedItem, parse_instant, truncate};
use domain::json_objects;
use domain::observation::{
    CorrectionTarget, Delivered, ObservationBody, ObservationInput, ObservationType, StatedOriginal, bad_adjusts,
    bad_count, bad_message, count_measure, value_measure,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json_item::malformed;
use crate::moment;
use crate::raw_number::{RawAmount, Rounding, StrictStr, UniqueKeyMap};
use crate::routes::campaign_ref;

/// An observation as it is sent.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(super) struct SentObservation<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    pub(super) external_campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) occurred_at: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) dimensions: Option<UniqueKeyMap<'a, StrictStr<'a>>>,
    #[serde(borrow, default)]
    pub(super) message: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    pub(super) recipient: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    pub(super) adjusts: Option<&'a RawValue>,
}

json_objects!(read: SentObservation<'a>);

/// Reads one item and adds its rounded values to `rounding`. The error of an unreadable item includes its id, if it has
/// one.
pub(super) fn read(raw: &RawValue, rounding: &mut Rounding) -> ObservationItem {
    match serde_json::from_str::<SentObservation<'_>>(raw.get()) {
        Ok(sent) => {
            let id = sent.id.clone();
            sent.into_input(rounding).map_err(|error| RejectedItem { id: Some(truncate(&id)), error })
        }
        Err(_) => Err(RejectedItem { id: id_of(raw), error: malformed::<SentObservation<'_>>(raw.get()) }),
    }
}

/// The id of an item that is otherwise unreadable.
fn id_of(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_str::<Named<'_>>(raw.get()).ok().map(|named| truncate(&named.id))
}

impl SentObservation<'_> {
    pub(super) fn into_input(self, rounding: &mut Rounding) -> Result<ObservationInput, ItemError> {
        let kind: ObservationType = self.kind.parse().map_err(|error| {
            ItemError::at(ItemErrorCode::UnknownType, "type", format!("\"{}\" {error}", truncate(&self.kind)))
        })?;
        let occurred_at = parse_instant("occurred_at", &self.occurred_at)?;
        let value = self.value.map(|raw| value(kind, raw, rounding)).transpose()?;
        let count = self.count.map(|raw| count(kind, raw, rounding)).transpose()?;
        let dimensions = self.dimensions.map(|UniqueKeyMap(dimensions)| {
            dimensions.into_iter().map(|(key, StrictStr(value))| (key.into_owned(), value.into_owned())).collect()
        });
        let delivered = Delivered::of(owned(self.message), owned(self.recipient))?;
        let body = match self.adjusts {
            Some(_) if delivered.is_some() => return Err(bad_message("message", "is not taken by a correction")),
            None => ObservationBody::New {
                campaign: campaign_ref::read(self.campaign_id, self.external_campaign_id)?,
                count,
                dimensions: dimensions.unwrap_or_default(),
                delivered,
            },
            Some(raw) => ObservationBody::Correction {
                adjusts: adjusts(kind, raw, dimensions, rounding)?,
                campaign: campaign_ref::read_optional(self.campaign_id, self.external_campaign_id)?,
                count,
            },
        };
        Ok(ObservationInput { id: self.id.into_owned(), kind, occurred_at, value, body })
    }
}

fn owned(text: Option<StrictStr<'_>>) -> Option<String> {
    text.map(|StrictStr(text)| text.into_owned())
}

/// Reads `"<id>"`, `{"id": "<id>", "day": "2026-11-20"}`, or a stated original.
fn adjusts(
    kind: ObservationType,
    raw: &RawValue,
    dimensions: Option<BTreeMap<String, String>>,
    rounding: &mut Rounding,
) -> Result<CorrectionTarget, ItemError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Named<'a> {
        id: String,
        #[serde(default, deserialize_with = "moment::date_or_null")]
        day: Option<NaiveDate>,
        #[serde(borrow, default)]
        occurred_at: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        count: Option<&'a RawValue>,
        #[serde(borrow, default)]
        value: Option<&'a RawValue>,
    }
    let alone = |id: String| Named { id, day: None, occurred_at: None, count: None, value: None };
    let is_object = raw.get().starts_with('{');
    let named = if is_object { serde_json::from_str(raw.get()) } else { serde_json::from_str(raw.get()).map(alone) };
    match named.map_err(|_| bad_adjusts())? {
        Named { id, day: None, occurred_at: Some(at), count: counted, value: valued } => {
            let original = StatedOriginal {
                occurred_at: parse_instant("adjusts", &at)?,
                count: counted.map(|raw| count(kind, raw, rounding)).transpose()?,
                value: valued.map(|raw| value(kind, raw, rounding)).transpose()?,
                dimensions: dimensions.unwrap_or_default(),
            };
            Ok(CorrectionTarget { id, day: None, original: Some(original) })
        }
        Named { id, day, occurred_at: None, count: None, value: None } if day.is_some() || !is_object => {
            if dimensions.is_some() {
                let detail = "are not taken by a correction, which has those of its original";
                return Err(ItemError::at(ItemErrorCode::DimensionsNotTaken, "dimensions", detail));
            }
            Ok(CorrectionTarget { id, day, original: None })
        }
        Named { .. } => Err(bad_adjusts()),
    }
}

fn count(kind: ObservationType, raw: &RawValue, rounding: &mut Rounding) -> Result<i64, ItemError> {
    let measure = count_measure(kind)?;
    match RawAmount::read(raw) {
        Ok(amount) if amount.currency.is_none() => {
            amount.value(measure, rounding).map_err(|error| bad_count(error.to_string()))
        }
        Ok(_) | Err(_) => Err(bad_count("must be a number")),
    }
}

fn value(kind: ObservationType, raw: &RawValue, rounding: &mut Rounding) -> Result<Amount, ItemError> {
    let measure = value_measure(kind)?;
    let amount = RawAmount::read(raw).map_err(|detail| ItemError::at(ItemErrorCode::BadValue, "value", detail))?;
    amount.amount(measure, "value", rounding)
}

#[cfg(test)]
mod tests;
