//! One observation: from the caller's JSON to what would be recorded. Pure: the instant of judging is passed in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::money::Currency;
use domain::observation::ObservationType;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::item_error::{ItemError, ItemErrorCode, truncate};
use crate::raw_number::{RawAmount, StrictStr, UniqueKeyMap};
use crate::routes::campaign_ref::{self, CampaignRef};
use crate::routes::time;

const LONGEST_ID: usize = 128;
const MOST_DIMENSIONS: usize = 16;
const LONGEST_DIMENSION_VALUE: usize = 200;

/// An observation as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ObservationInput<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, default)]
    external_campaign_id: Option<StrictStr<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    occurred_at: Cow<'a, str>,
    #[serde(borrow, default)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dimensions: Option<UniqueKeyMap<'a, StrictStr<'a>>>,
    #[serde(borrow, default)]
    adjusts: Option<&'a RawValue>,
}

/// An observation that is sound in itself. Whether its campaign and source take it is still open.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ValidObservation<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) kind: ObservationType,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) value: Option<RawAmount<'a>>,
    pub(super) said: ObservationBody<'a>,
}

/// What an observation is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ObservationBody<'a> {
    /// Something happened.
    New { campaign: CampaignRef<'a>, count: i64, dimensions: BTreeMap<String, String> },
    /// Something that happened comes to another count or value than was said; what is not given stays.
    Correction { adjusts: CorrectionTarget<'a>, campaign: Option<CampaignRef<'a>>, count: Option<i64> },
}

/// The observation that a correction is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CorrectionTarget<'a> {
    pub(super) id: Cow<'a, str>,
    /// The UTC day on which it occurred.
    pub(super) day: Option<NaiveDate>,
}

/// Reads one item. The id is given apart, because a refused item is named by it too.
pub(super) fn read(raw: &RawValue, now: DateTime<Utc>) -> (Option<String>, Result<ValidObservation<'_>, ItemError>) {
    match serde_json::from_str::<ObservationInput<'_>>(raw.get()) {
        Ok(sent) => (Some(truncate(&sent.id)), check(sent, now)),
        Err(_) => (id_of(raw), Err(ItemError::malformed::<ObservationInput<'_>>(raw.get()))),
    }
}

/// The id of an item that is not sound otherwise.
fn id_of(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_str::<Named<'_>>(raw.get()).ok().map(|named| truncate(&named.id))
}

fn check(sent: ObservationInput<'_>, now: DateTime<Utc>) -> Result<ValidObservation<'_>, ItemError> {
    if !is_id(&sent.id) {
        let detail = format!("must be 1 to {LONGEST_ID} characters, none of them a control character");
        return Err(ItemError::at(ItemErrorCode::BadId, "id", detail));
    }
    let kind: ObservationType = sent.kind.parse().map_err(|error| {
        ItemError::at(ItemErrorCode::UnknownType, "type", format!("\"{}\" {error}", truncate(&sent.kind)))
    })?;
    let occurred_at = time::instant("occurred_at", &sent.occurred_at)?;
    time::not_ahead("occurred_at", occurred_at, now)?;
    let value = value(kind, sent.value)?;
    let said = match sent.adjusts {
        None => {
            if kind.count_measure().is_none() && value.is_none() {
                return Err(ItemError::at(
                    ItemErrorCode::BadValue,
                    "value",
                    format!("is needed by type {}", kind.name()),
                ));
            }
            let count = count(kind, sent.count)?.unwrap_or(kind.unit_count());
            if count == 0 {
                return Err(ItemError::at(ItemErrorCode::BadCount, "count", "must be greater than 0"));
            }
            ObservationBody::New {
                campaign: campaign_ref::read(sent.campaign_id, sent.external_campaign_id)?,
                count,
                dimensions: dimensions(sent.dimensions.unwrap_or_default())?,
            }
        }
        Some(raw) => {
            if sent.dimensions.is_some() {
                let detail = "are not taken by a correction, which has those of its original";
                return Err(ItemError::at(ItemErrorCode::DimensionsNotTaken, "dimensions", detail));
            }
            ObservationBody::Correction {
                adjusts: adjusts(raw)?,
                campaign: campaign_ref::read_if_given(sent.campaign_id, sent.external_campaign_id)?,
                count: count(kind, sent.count)?,
            }
        }
    };
    Ok(ValidObservation { id: sent.id, kind, occurred_at, value, said })
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= LONGEST_ID && !id.chars().any(char::is_control)
}

/// Reads `"<id>"` or `{"id": "<id>", "day": "2026-11-20"}`.
fn adjusts(raw: &RawValue) -> Result<CorrectionTarget<'_>, ItemError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Dated<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        day: NaiveDate,
    }
    let adjusts = if raw.get().starts_with('{') {
        serde_json::from_str::<Dated<'_>>(raw.get()).map(|Dated { id, day }| CorrectionTarget { id, day: Some(day) })
    } else {
        serde_json::from_str::<StrictStr<'_>>(raw.get()).map(|StrictStr(id)| CorrectionTarget { id, day: None })
    };
    adjusts.ok().filter(|adjusts| is_id(&adjusts.id)).ok_or_else(|| {
        let detail = "must be the id of an observation, or {\"id\", \"day\"} with the UTC day on which it occurred";
        ItemError::at(ItemErrorCode::BadAdjusts, "adjusts", detail)
    })
}

fn count(kind: ObservationType, raw: Option<&RawValue>) -> Result<Option<i64>, ItemError> {
    let refuse = |detail: String| ItemError::at(ItemErrorCode::BadCount, "count", detail);
    match (kind.count_measure(), raw) {
        (_, None) => Ok(None),
        (None, Some(_)) => Err(refuse(format!("is not taken by type {}", kind.name()))),
        (Some(measure), Some(raw)) => {
            let quantity = RawAmount::read(raw).map_err(|_| refuse("must be a number".to_owned()))?;
            if quantity.currency.is_some() {
                return Err(refuse("must be a number".to_owned()));
            }
            measure.parse_value(&quantity.text).map(Some).map_err(|error| refuse(error.to_string()))
        }
    }
}

fn value(kind: ObservationType, raw: Option<&RawValue>) -> Result<Option<RawAmount<'_>>, ItemError> {
    match (kind.value_measure(), raw) {
        (Some(_), Some(raw)) => {
            let quantity =
                RawAmount::read(raw).map_err(|detail| ItemError::at(ItemErrorCode::BadValue, "value", detail))?;
            Ok(Some(quantity))
        }
        (None, Some(_)) => {
            Err(ItemError::at(ItemErrorCode::ValueNotTaken, "value", format!("is not taken by type {}", kind.name())))
        }
        (_, None) => Ok(None),
    }
}

fn dimensions(sent: UniqueKeyMap<'_, StrictStr<'_>>) -> Result<BTreeMap<String, String>, ItemError> {
    let refuse = |field: &str, detail: String| ItemError::at(ItemErrorCode::BadDimensions, field, detail);
    if sent.0.len() > MOST_DIMENSIONS {
        return Err(refuse("dimensions", format!("must be at most {MOST_DIMENSIONS}")));
    }
    let mut dimensions = BTreeMap::new();
    for (key, StrictStr(value)) in sent.0 {
        if !is_name(&key) {
            let detail = format!("\"{}\" is no key: a to z, 0 to 9 and _, a letter first, at most 40", truncate(&key));
            return Err(refuse("dimensions", detail));
        }
        if value.chars().count() > LONGEST_DIMENSION_VALUE || value.chars().any(char::is_control) {
            let detail = format!("must be at most {LONGEST_DIMENSION_VALUE} characters, none a control character");
            return Err(refuse(&format!("dimensions.{key}"), detail));
        }
        dimensions.insert(key.into_owned(), value.into_owned());
    }
    Ok(dimensions)
}

/// Whether a text is `[a-z][a-z0-9_]{0,39}`.
fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

impl<'a> ValidObservation<'a> {
    /// The UTC day within which its id is unique.
    pub(super) fn day(&self) -> NaiveDate {
        self.occurred_at.date_naive()
    }

    pub(super) fn is_correction(&self) -> bool {
        matches!(self.said, ObservationBody::Correction { .. })
    }

    /// The campaign, if it is named.
    pub(super) fn campaign(&self) -> Option<&CampaignRef<'a>> {
        match &self.said {
            ObservationBody::New { campaign, .. } => Some(campaign),
            ObservationBody::Correction { campaign, .. } => campaign.as_ref(),
        }
    }

    /// The value in micros, once the source's currency is known.
    pub(super) fn value_micros(&self, currency: Currency) -> Result<Option<i64>, ItemError> {
        match (self.kind.value_measure(), &self.value) {
            (Some(measure), Some(quantity)) => quantity.of(measure, currency, "value").map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    }
}
