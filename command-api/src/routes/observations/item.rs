//! One observation: from the caller's JSON to what would be recorded. Pure: the instant of judging is passed in.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
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
    pub(super) campaign: CampaignRef<'a>,
    pub(super) kind: ObservationType,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) count: i64,
    pub(super) value: Option<Quantity<'a>>,
    pub(super) dimensions: BTreeMap<String, String>,
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
    if sent.adjusts.is_some() {
        let detail = "retractions and restatements of single observations are not offered";
        return Err(Refusal::at(Reason::Unsupported, "adjusts", detail));
    }
    if sent.id.is_empty() || sent.id.chars().count() > LONGEST_ID || sent.id.chars().any(char::is_control) {
        let detail = format!("must be 1 to {LONGEST_ID} characters, none of them a control character");
        return Err(Refusal::at(Reason::BadId, "id", detail));
    }
    let campaign = reference::read(sent.campaign_id, sent.external_campaign_id)?;
    let kind: ObservationType = sent
        .kind
        .parse()
        .map_err(|error| Refusal::at(Reason::UnknownType, "type", format!("\"{}\" {error}", clip(&sent.kind))))?;
    let occurred_at = time::instant("occurred_at", &sent.occurred_at)?;
    time::not_ahead("occurred_at", occurred_at, now)?;
    let count = count(kind, sent.count)?;
    let value = value(kind, sent.value)?;
    let dimensions = dimensions(sent.dimensions.unwrap_or_default())?;
    Ok(Sound { id: sent.id, campaign, kind, occurred_at, count, value, dimensions })
}

fn count(kind: ObservationType, raw: Option<&RawValue>) -> Result<i64, Refusal> {
    let refuse = |detail: String| Refusal::at(Reason::BadCount, "count", detail);
    match (kind.count_measure(), raw) {
        (_, None) => Ok(kind.one()),
        (None, Some(_)) => Err(refuse(format!("is not taken by type {}", kind.name()))),
        (Some(measure), Some(raw)) => {
            let quantity = Quantity::read(raw).map_err(|_| refuse("must be a number".to_owned()))?;
            if quantity.currency.is_some() {
                return Err(refuse("must be a number".to_owned()));
            }
            match measure.parse_value(&quantity.text).map_err(|error| refuse(error.to_string()))? {
                0 => Err(refuse("must be greater than 0".to_owned())),
                count => Ok(count),
            }
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
        (Some(_), None) if kind.count_measure().is_none() => {
            Err(Refusal::at(Reason::BadValue, "value", format!("is needed by type {}", kind.name())))
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

impl Sound<'_> {
    /// The value in micros, once the source's currency is known.
    pub(super) fn value_micros(&self, currency: Currency) -> Result<Option<i64>, Refusal> {
        match (self.kind.value_measure(), &self.value) {
            (Some(measure), Some(quantity)) => quantity.of(measure, currency, "value").map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    }
}
