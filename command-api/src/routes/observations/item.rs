//! One observation: from the caller's JSON to what would be recorded. Pure: the instant of judging is passed in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::money::Currency;
use domain::observation::ObservationType;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::quantity::{Members, Quantity, Text};
use crate::refusal::{Reason, Refusal, clip};
use crate::routes::reference::{self, CampaignRef};
use crate::routes::time;

const LONGEST_ID: usize = 128;
const MOST_DIMENSIONS: usize = 16;
const LONGEST_DIMENSION_VALUE: usize = 200;

/// An observation as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    campaign_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    external_campaign_id: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    occurred_at: Cow<'a, str>,
    #[serde(borrow, default)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dimensions: Option<Members<'a, Text<'a>>>,
    #[serde(borrow, default)]
    adjusts: Option<&'a RawValue>,
}

/// An observation that is sound in itself. Whether its campaign and source take it is still open.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sound<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) kind: ObservationType,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) value: Option<Quantity<'a>>,
    pub(super) said: Said<'a>,
}

/// What an observation is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Something happened.
    New { campaign: CampaignRef<'a>, count: i64, dimensions: BTreeMap<String, String> },
    /// Something that happened comes to another count or value than was said; what is not given stays.
    Correction { adjusts: Adjusts<'a>, campaign: Option<CampaignRef<'a>>, count: Option<i64> },
}

/// The observation that a correction is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Adjusts<'a> {
    pub(super) id: Cow<'a, str>,
    /// The UTC day on which it occurred.
    pub(super) day: Option<NaiveDate>,
}

/// Reads one item. The id is given apart, because a refused item is named by it too.
pub(super) fn read(raw: &RawValue, now: DateTime<Utc>) -> (Option<String>, Result<Sound<'_>, Refusal>) {
    match serde_json::from_str::<Sent<'_>>(raw.get()) {
        Ok(sent) => (Some(clip(&sent.id)), check(sent, now)),
        Err(_) => (id_of(raw), Err(Refusal::malformed::<Sent<'_>>(raw.get()))),
    }
}

/// The id of an item that is not sound otherwise.
fn id_of(raw: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_str::<Named<'_>>(raw.get()).ok().map(|named| clip(&named.id))
}

fn check(sent: Sent<'_>, now: DateTime<Utc>) -> Result<Sound<'_>, Refusal> {
    if !is_id(&sent.id) {
        let detail = format!("must be 1 to {LONGEST_ID} characters, none of them a control character");
        return Err(Refusal::at(Reason::BadId, "id", detail));
    }
    let kind: ObservationType = sent
        .kind
        .parse()
        .map_err(|error| Refusal::at(Reason::UnknownType, "type", format!("\"{}\" {error}", clip(&sent.kind))))?;
    let occurred_at = time::instant("occurred_at", &sent.occurred_at)?;
    time::not_ahead("occurred_at", occurred_at, now)?;
    let value = value(kind, sent.value)?;
    let said = match sent.adjusts {
        None => {
            if kind.count_measure().is_none() && value.is_none() {
                return Err(Refusal::at(Reason::BadValue, "value", format!("is needed by type {}", kind.name())));
            }
            let count = count(kind, sent.count)?.unwrap_or(kind.one());
            if count == 0 {
                return Err(Refusal::at(Reason::BadCount, "count", "must be greater than 0"));
            }
            Said::New {
                campaign: reference::read(sent.campaign_id, sent.external_campaign_id)?,
                count,
                dimensions: dimensions(sent.dimensions.unwrap_or_default())?,
            }
        }
        Some(raw) => {
            if sent.dimensions.is_some() {
                let detail = "are not taken by a correction, which has those of its original";
                return Err(Refusal::at(Reason::DimensionsNotTaken, "dimensions", detail));
            }
            Said::Correction {
                adjusts: adjusts(raw)?,
                campaign: reference::read_if_given(sent.campaign_id, sent.external_campaign_id)?,
                count: count(kind, sent.count)?,
            }
        }
    };
    Ok(Sound { id: sent.id, kind, occurred_at, value, said })
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= LONGEST_ID && !id.chars().any(char::is_control)
}

/// Reads `"<id>"` or `{"id": "<id>", "day": "2026-11-20"}`.
fn adjusts(raw: &RawValue) -> Result<Adjusts<'_>, Refusal> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Dated<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        day: NaiveDate,
    }
    let adjusts = if raw.get().starts_with('{') {
        serde_json::from_str::<Dated<'_>>(raw.get()).map(|Dated { id, day }| Adjusts { id, day: Some(day) })
    } else {
        serde_json::from_str::<Text<'_>>(raw.get()).map(|Text(id)| Adjusts { id, day: None })
    };
    adjusts.ok().filter(|adjusts| is_id(&adjusts.id)).ok_or_else(|| {
        let detail = "must be the id of an observation, or {\"id\", \"day\"} with the UTC day on which it occurred";
        Refusal::at(Reason::BadAdjusts, "adjusts", detail)
    })
}

fn count(kind: ObservationType, raw: Option<&RawValue>) -> Result<Option<i64>, Refusal> {
    let refuse = |detail: String| Refusal::at(Reason::BadCount, "count", detail);
    match (kind.count_measure(), raw) {
        (_, None) => Ok(None),
        (None, Some(_)) => Err(refuse(format!("is not taken by type {}", kind.name()))),
        (Some(measure), Some(raw)) => {
            let quantity = Quantity::read(raw).map_err(|_| refuse("must be a number".to_owned()))?;
            if quantity.currency.is_some() {
                return Err(refuse("must be a number".to_owned()));
            }
            measure.parse_value(&quantity.text).map(Some).map_err(|error| refuse(error.to_string()))
        }
    }
}

fn value(kind: ObservationType, raw: Option<&RawValue>) -> Result<Option<Quantity<'_>>, Refusal> {
    match (kind.value_measure(), raw) {
        (Some(_), Some(raw)) => {
            let quantity = Quantity::read(raw).map_err(|detail| Refusal::at(Reason::BadValue, "value", detail))?;
            Ok(Some(quantity))
        }
        (None, Some(_)) => {
            Err(Refusal::at(Reason::ValueNotTaken, "value", format!("is not taken by type {}", kind.name())))
        }
        (_, None) => Ok(None),
    }
}

fn dimensions(sent: Members<'_, Text<'_>>) -> Result<BTreeMap<String, String>, Refusal> {
    let refuse = |field: &str, detail: String| Refusal::at(Reason::BadDimensions, field, detail);
    if sent.0.len() > MOST_DIMENSIONS {
        return Err(refuse("dimensions", format!("must be at most {MOST_DIMENSIONS}")));
    }
    let mut dimensions = BTreeMap::new();
    for (key, Text(value)) in sent.0 {
        if !is_name(&key) {
            let detail = format!("\"{}\" is no key: a to z, 0 to 9 and _, a letter first, at most 40", clip(&key));
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

impl<'a> Sound<'a> {
    /// The UTC day within which its id is unique.
    pub(super) fn day(&self) -> NaiveDate {
        self.occurred_at.date_naive()
    }

    pub(super) fn is_correction(&self) -> bool {
        matches!(self.said, Said::Correction { .. })
    }

    /// The campaign, if it is named.
    pub(super) fn campaign(&self) -> Option<&CampaignRef<'a>> {
        match &self.said {
            Said::New { campaign, .. } => Some(campaign),
            Said::Correction { campaign, .. } => campaign.as_ref(),
        }
    }

    /// The value in micros, once the source's currency is known.
    pub(super) fn value_micros(&self, currency: Currency) -> Result<Option<i64>, Refusal> {
        match (self.kind.value_measure(), &self.value) {
            (Some(measure), Some(quantity)) => quantity.of(measure, currency, "value").map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    }
}
