//! Observations as a source sends them, before any lookup.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Delivered, ObservationType, bad_message};
use crate::item::{Amount, CampaignRef, ItemError, ItemErrorCode, check_money_limit, check_not_ahead, truncate};
use crate::measure::{Measure, MeasureError};
use crate::money::{Currency, MoneyLimit};

const MAX_ID: usize = 128;
const MAX_DIMENSIONS: usize = 16;
/// The most characters of a dimension's value.
pub const MAX_DIMENSION_VALUE: usize = 200;

/// An observation as it is sent. [`validate`](Self::validate) checks it without any lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservationInput {
    /// Unique per source and type, within the UTC day of `occurred_at` or within the source's window.
    pub id: String,
    /// Its type.
    pub kind: ObservationType,
    /// When it happened, to the millisecond.
    pub occurred_at: DateTime<Utc>,
    /// Its value or cost. In a correction: the new total.
    pub value: Option<Amount>,
    /// Whether it is new, or corrects an earlier one.
    pub body: ObservationBody,
}

/// The parts that differ between a new observation and a correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservationBody {
    /// A new observation.
    New {
        /// The campaign.
        campaign: CampaignRef,
        /// Its count, in the unit of the type's count measure; one if left out.
        count: Option<i64>,
        /// Its dimensions.
        dimensions: BTreeMap<String, String>,
        /// The message and its recipient, of an open or a click that counts the first time only.
        delivered: Option<Delivered>,
    },
    /// A correction of an earlier observation's count or value. A total that is left out stays; without both, the
    /// earlier observation is retracted.
    Correction {
        /// The earlier observation.
        adjusts: CorrectionTarget,
        /// Its campaign, if the sender wants it checked.
        campaign: Option<CampaignRef>,
        /// The new count.
        count: Option<i64>,
    },
}

/// The observation to correct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionTarget {
    /// Its id.
    pub id: String,
    /// The UTC day on which it occurred. Required if the id was used on several days.
    pub day: Option<NaiveDate>,
    /// The observation itself, which only a backfill states: no id of it is kept.
    pub original: Option<StatedOriginal>,
}

/// What a correction states of its original. Its campaign is the correction's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedOriginal {
    /// When it happened, to the millisecond.
    pub occurred_at: DateTime<Utc>,
    /// The count that it came to before the correction; one if left out.
    pub count: Option<i64>,
    /// The value that it came to before the correction.
    pub value: Option<Amount>,
    /// Its dimensions.
    pub dimensions: BTreeMap<String, String>,
}

impl ObservationInput {
    /// Rejects an observation that is invalid for every source and campaign.
    pub fn validate(&self, now: DateTime<Utc>) -> Result<(), ItemError> {
        if !is_observation_id(&self.id) {
            let detail = format!("must be 1 to {MAX_ID} characters, none of them a control character");
            return Err(ItemError::at(ItemErrorCode::BadId, "id", detail));
        }
        check_not_ahead("occurred_at", self.occurred_at, now)?;
        self.check_amounts(self.count(), self.value)?;
        match &self.body {
            ObservationBody::New { campaign, count, dimensions, delivered } => {
                if self.kind.count_measure().is_none() && self.value.is_none() {
                    let detail = format!("is needed by type {}", self.kind.name());
                    return Err(ItemError::at(ItemErrorCode::BadValue, "value", detail));
                }
                if *count == Some(0) {
                    let is_signed = self.kind.count_measure().is_some_and(Measure::may_be_negative);
                    return Err(bad_count(if is_signed { "must not be 0" } else { "must be greater than 0" }));
                }
                if let Some(delivered) = delivered {
                    self.check_delivered(delivered, *count)?;
                }
                campaign.validate()?;
                check_dimensions(dimensions)
            }
            ObservationBody::Correction { adjusts, campaign, .. } => {
                if !is_observation_id(&adjusts.id) {
                    return Err(bad_adjusts());
                }
                campaign.as_ref().map_or(Ok(()), CampaignRef::validate)?;
                let Some(original) = &adjusts.original else { return Ok(()) };
                if campaign.is_none() {
                    let detail = "this or external_campaign_id must be given, as adjusts states an original";
                    return Err(ItemError::at(ItemErrorCode::BadCampaign, "campaign_id", detail));
                }
                check_not_ahead("adjusts", original.occurred_at, now)?;
                self.check_amounts(original.count, original.value).map_err(|error| ItemError {
                    field: Some("adjusts".to_owned()),
                    detail: format!("states an original whose {} {}", error.field.unwrap_or_default(), error.detail),
                    ..error
                })?;
                check_dimensions(&original.dimensions)
            }
        }
    }

    /// Rejects amounts that its type cannot have.
    fn check_amounts(&self, count: Option<i64>, value: Option<Amount>) -> Result<(), ItemError> {
        if let Some(value) = value {
            value.validate(value_measure(self.kind)?, "value")?;
        }
        if let Some(count) = count {
            let measure = count_measure(self.kind)?;
            if count < 0 && !measure.may_be_negative() {
                return Err(bad_count(MeasureError::Negative.to_string()));
            }
        }
        Ok(())
    }

    /// The UTC day within which its id is unique, if it is by day.
    pub fn day(&self) -> NaiveDate {
        self.occurred_at.date_naive()
    }

    /// When what it adds counts, as far as it says itself: a correction that states its original counts then.
    pub fn counts_at(&self) -> DateTime<Utc> {
        match &self.body {
            ObservationBody::Correction { adjusts: CorrectionTarget { original: Some(original), .. }, .. } => {
                original.occurred_at
            }
            ObservationBody::New { .. } | ObservationBody::Correction { .. } => self.occurred_at,
        }
    }

    /// The message and its recipient, if it names them.
    pub fn delivered(&self) -> Option<&Delivered> {
        match &self.body {
            ObservationBody::New { delivered, .. } => delivered.as_ref(),
            ObservationBody::Correction { .. } => None,
        }
    }

    /// The type under which it is recorded, beside the first time of a message and its recipient.
    pub fn recorded_kind(&self) -> ObservationType {
        self.delivered().and_then(|_| self.kind.every_time()).unwrap_or(self.kind)
    }

    /// Rejects what is not one open or click of one person.
    fn check_delivered(&self, delivered: &Delivered, count: Option<i64>) -> Result<(), ItemError> {
        if self.kind.every_time().is_none() {
            let detail = format!("is taken by the types open and click, not by {}", self.kind.name());
            return Err(bad_message("message", detail));
        }
        if count.is_some_and(|count| count != 1) {
            return Err(bad_count("must be 1 or left out beside a recipient, who opens or clicks once at a time"));
        }
        if self.value.is_some() {
            let detail = "is not taken beside a recipient: send costs as type spend";
            return Err(ItemError::at(ItemErrorCode::ValueNotTaken, "value", detail));
        }
        delivered.validate()
    }

    /// Whether it corrects an earlier observation.
    pub fn is_correction(&self) -> bool {
        matches!(self.body, ObservationBody::Correction { .. })
    }

    /// The campaign, if it names one.
    pub fn campaign(&self) -> Option<&CampaignRef> {
        match &self.body {
            ObservationBody::New { campaign, .. } => Some(campaign),
            ObservationBody::Correction { campaign, .. } => campaign.as_ref(),
        }
    }

    /// The value in micros, once the source's currency is known.
    pub fn value_micros(&self, currency: Currency) -> Result<Option<i64>, ItemError> {
        self.value.map(|value| value.in_currency(currency, "value")).transpose()
    }

    /// The money in it, in micros.
    pub fn money(&self) -> Option<i64> {
        self.value.map(|value| value.value)
    }

    /// Rejects a value above the limit of the workspace.
    pub fn check_limit(&self, limit: MoneyLimit) -> Result<(), ItemError> {
        self.money().map_or(Ok(()), |micros| check_money_limit(limit, micros, "value"))
    }

    /// The count, if it gives one.
    pub fn count(&self) -> Option<i64> {
        match &self.body {
            ObservationBody::New { count, .. } | ObservationBody::Correction { count, .. } => *count,
        }
    }
}

/// The measure that the counts of a type add to, or the error if it has none.
pub fn count_measure(kind: ObservationType) -> Result<Measure, ItemError> {
    kind.count_measure().ok_or_else(|| bad_count(format!("is not taken by type {}", kind.name())))
}

/// The measure that the values of a type add to, or the error if it has none.
pub fn value_measure(kind: ObservationType) -> Result<Measure, ItemError> {
    kind.value_measure().ok_or_else(|| {
        ItemError::at(ItemErrorCode::ValueNotTaken, "value", format!("is not taken by type {}", kind.name()))
    })
}

/// The error of a count.
pub fn bad_count(detail: impl Into<String>) -> ItemError {
    ItemError::at(ItemErrorCode::BadCount, "count", detail)
}

/// The error of a correction that names no observation.
pub fn bad_adjusts() -> ItemError {
    let detail = "must be the id of an observation, or {\"id\", \"day\"} with the UTC day on which it occurred; in a \
                  backfill also {\"id\", \"occurred_at\", \"count\", \"value\"} with what it came to before";
    ItemError::at(ItemErrorCode::BadAdjusts, "adjusts", detail)
}

fn is_observation_id(id: &str) -> bool {
    !id.is_empty() && id.chars().count() <= MAX_ID && !id.chars().any(char::is_control)
}

fn check_dimensions(dimensions: &BTreeMap<String, String>) -> Result<(), ItemError> {
    let reject = |field: &str, detail: String| Err(ItemError::at(ItemErrorCode::BadDimensions, field, detail));
    if dimensions.len() > MAX_DIMENSIONS {
        return reject("dimensions", format!("must be at most {MAX_DIMENSIONS}"));
    }
    for (key, value) in dimensions {
        if !is_dimension_key(key) {
            let detail =
                format!("\"{}\" is not a key: a to z, 0 to 9 and _, a letter first, at most 40", truncate(key));
            return reject("dimensions", detail);
        }
        if value.chars().count() > MAX_DIMENSION_VALUE || value.chars().any(char::is_control) {
            let detail = format!("must be at most {MAX_DIMENSION_VALUE} characters, none a control character");
            return reject(&format!("dimensions.{key}"), detail);
        }
    }
    Ok(())
}

/// Whether a text is `[a-z][a-z0-9_]{0,39}`.
fn is_dimension_key(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
