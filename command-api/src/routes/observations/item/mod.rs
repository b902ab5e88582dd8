//! One observation in JSON.

use std::borrow::Cow;

use chrono::NaiveDate;
use commands::ingest::ObservationItem;
use domain::item::{Amount, ItemError, ItemErrorCode, RejectedItem, parse_instant, truncate};
use domain::observation::{
    CorrectionTarget, ObservationBody, ObservationInput, ObservationType, bad_adjusts, bad_count, count_measure,
    value_measure,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json_item::malformed;
use crate::raw_number::{RawAmount, Rounding, StrictStr, UniqueKeyMap};
use crate::routes::campaign_ref;

/// An observation as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
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
    pub(super) adjusts: Option<&'a RawValue>,
}

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
        let body = match self.adjusts {
            None => {
                let dimensions = self.dimensions.unwrap_or_default().0;
                ObservationBody::New {
                    campaign: campaign_ref::read(self.campaign_id, self.external_campaign_id)?,
                    count,
                    dimensions: dimensions
                        .into_iter()
                        .map(|(key, StrictStr(value))| (key.into_owned(), value.into_owned()))
                        .collect(),
                }
            }
            Some(_) if self.dimensions.is_some() => {
                let detail = "are not taken by a correction, which has those of its original";
                return Err(ItemError::at(ItemErrorCode::DimensionsNotTaken, "dimensions", detail));
            }
            Some(raw) => ObservationBody::Correction {
                adjusts: adjusts(raw)?,
                campaign: campaign_ref::read_optional(self.campaign_id, self.external_campaign_id)?,
                count,
            },
        };
        Ok(ObservationInput { id: self.id.into_owned(), kind, occurred_at, value, body })
    }
}

/// Reads `"<id>"` or `{"id": "<id>", "day": "2026-11-20"}`.
fn adjusts(raw: &RawValue) -> Result<CorrectionTarget, ItemError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Dated {
        id: String,
        day: NaiveDate,
    }
    let adjusts = if raw.get().starts_with('{') {
        serde_json::from_str::<Dated>(raw.get()).map(|Dated { id, day }| CorrectionTarget { id, day: Some(day) })
    } else {
        serde_json::from_str::<String>(raw.get()).map(|id| CorrectionTarget { id, day: None })
    };
    adjusts.map_err(|_| bad_adjusts())
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
