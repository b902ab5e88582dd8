//! Observations: increments that a push source sends. A batch from one source is one event.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::de::{Error as _, SeqAccess, Unexpected, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::ids::{CampaignId, SourceId};
use crate::measure::{Measure, Unit};
use crate::money::Currency;

mod backfill; // history of any age
mod correction; // retracts or restates an earlier one
mod dimension; // dimensions with totals
mod fast_decode; // fast decoding of batches
mod input; // as a source sends them
mod mail; // what happened to one message to one recipient

#[cfg(test)]
mod tests;

pub use backfill::{Backfill, BackfillName, BackfillNameError};
pub use correction::{Correction, CorrectionInput, NetAmounts};
pub use dimension::{Dimension, DimensionError, OTHER};
pub use input::{
    CorrectionTarget, MAX_DIMENSION_VALUE, ObservationBody, ObservationInput, StatedOriginal, bad_adjusts, bad_count,
    count_measure, value_measure,
};
pub use mail::{Delivered, bad_message};

pub use crate::catalogue::OBSERVATION_STREAM as STREAM_TYPE;

/// A batch of one source's observations.
///
/// Each observation is a compact array (about 60 bytes), so that a batch can be assembled without parsing it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ObservationsRecorded {
    /// The source that sent it.
    pub source: SourceId,
    /// The series of the source that it belongs to; left out of the first one, whose id is the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SourceId>,
    /// The currency of every value in it.
    pub currency: Currency,
    /// The breakdowns by which the workspace declared that sums are kept, beside the usual dimensions: each one key, or
    /// a pair of keys. Left out if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakdowns: Vec<Vec<String>>,
    /// The id of the key that opens the sealed parts of the observations; left out if nothing is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_with: Option<String>,
    /// The backfill that it is a chunk of; left out of what is sent as it happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Backfill>,
    /// The campaigns that the observations name by their index, from 0.
    pub campaigns: Vec<CampaignId>,
    /// The observations.
    pub observations: Vec<Observation>,
}

/// One observation: `[id, campaign, type, occurred_at, count, value, dimensions, correction, sealed]`, trailing parts
/// left out when they say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The sender's id of it.
    pub id: String,
    /// Index into [`ObservationsRecorded::campaigns`].
    pub campaign: usize,
    /// What kind of thing happened.
    pub kind: ObservationType,
    /// When it happened, to the millisecond.
    pub occurred_at: DateTime<Utc>,
    /// How many, in the unit of the type's count measure.
    pub count: i64,
    /// What it was worth or cost, in micros of the batch's currency.
    pub value_micros: Option<i64>,
    /// What else is known of it: ad, placement, country, …
    pub dimensions: BTreeMap<String, String>,
    /// If it corrects an earlier one: which, and to what. Boxed, because few have it.
    pub correction: Option<Box<Correction>>,
    /// What of it only [`ObservationsRecorded::sealed_with`] opens, in base64.
    pub sealed: Option<Box<str>>,
}

impl ObservationsRecorded {
    /// A batch of a source's first series, in which nothing is sealed.
    pub fn new(
        source: SourceId,
        currency: Currency,
        campaigns: Vec<CampaignId>,
        observations: Vec<Observation>,
    ) -> Self {
        Self {
            source,
            series: None,
            currency,
            breakdowns: Vec::new(),
            sealed_with: None,
            backfill: None,
            campaigns,
            observations,
        }
    }

    /// The series that the observations count in.
    pub fn series(&self) -> SourceId {
        self.series.unwrap_or(self.source)
    }

    /// When the sums that it adds to changed, if it was recorded then. History that a backfill loads counts as there
    /// since the backfill's edge, so it restates only what was final by then.
    pub fn changed_at(&self, recorded_at: DateTime<Utc>) -> DateTime<Utc> {
        self.backfill.as_ref().map_or(recorded_at, |backfill| backfill.before)
    }
}

impl Observation {
    /// The UTC day within which its id is unique, if it is by day. For a correction, it is the day of the correction,
    /// not its original's.
    pub fn day(&self) -> NaiveDate {
        self.correction.as_ref().map_or(self.occurred_at, |correction| correction.at).date_naive()
    }

    /// The amounts that it adds, by measure. A correction adds nothing to an unchanged count.
    pub fn increments(&self) -> impl Iterator<Item = (Measure, i64)> {
        let counts = self.correction.is_none() || self.count != 0;
        let count = self.kind.count_measure().filter(|_| counts).map(|measure| (measure, self.count));
        let value = self.kind.value_measure().zip(self.value_micros);
        count.into_iter().chain(value)
    }
}

macro_rules! observation_types {
    ($($variant:ident $name:literal count $count:expr, value $value:expr;)+) => {
        /// The type of an observation. Each type adds its count to one measure and its value to another.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ObservationType {
            $(#[doc = concat!("`", $name, "`")] $variant),+
        }

        impl ObservationType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The measure that its count adds to.
            pub fn count_measure(self) -> Option<Measure> {
                match self { $(Self::$variant => $count),+ }
            }

            /// The measure that its value adds to.
            pub fn value_measure(self) -> Option<Measure> {
                match self { $(Self::$variant => $value),+ }
            }
        }
    };
}

observation_types! {
    Impression "impression" count Some(Measure::Impressions), value Some(Measure::Spend);
    Click "click" count Some(Measure::Clicks), value Some(Measure::Spend);
    Visit "visit" count Some(Measure::Visits), value None;
    Conversion "conversion" count Some(Measure::Conversions), value Some(Measure::Revenue);
    Spend "spend" count None, value Some(Measure::Spend);
    Send "send" count Some(Measure::Sends), value Some(Measure::Spend);
    Delivery "delivery" count Some(Measure::Deliveries), value None;
    Open "open" count Some(Measure::Opens), value None;
    Bounce "bounce" count Some(Measure::Bounces), value None;
    Unsubscribe "unsubscribe" count Some(Measure::Unsubscribes), value None;
    VideoView "video_view" count Some(Measure::VideoViews), value Some(Measure::Spend);
    Lead "lead" count Some(Measure::Leads), value Some(Measure::Revenue);
    Response "response" count Some(Measure::Responses), value None;
    Refund "refund" count None, value Some(Measure::Refunds);
    Discount "discount" count None, value Some(Measure::Discounts);
    OpenTotal "open_total" count Some(Measure::OpensTotal), value None;
    ClickTotal "click_total" count Some(Measure::ClicksTotal), value None;
    MachineOpen "machine_open" count Some(Measure::MachineOpens), value None;
}

/// The error of a name that is not an observation type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not an observation type")]
pub struct ObservationTypeError;

impl FromStr for ObservationType {
    type Err = ObservationTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|kind| kind.name() == text).ok_or(ObservationTypeError)
    }
}

impl ObservationType {
    /// The count of one occurrence, in its measure's unit: 1, or a million millionths of a conversion.
    pub fn unit_count(self) -> i64 {
        match self.count_measure().map(Measure::unit) {
            Some(Unit::Credit) => crate::decimal::MILLION,
            Some(Unit::Count | Unit::Money | Unit::Ratio) | None => 1,
        }
    }
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = match self {
            Self { sealed: Some(_), .. } => 9,
            Self { correction: Some(_), .. } => 8,
            Self { dimensions, .. } if !dimensions.is_empty() => 7,
            Self { value_micros: Some(_), .. } => 6,
            Self { kind, count, .. } if *count != kind.unit_count() => 5,
            Self { .. } => 4,
        };
        let mut row = serializer.serialize_seq(Some(parts))?;
        row.serialize_element(&self.id)?;
        row.serialize_element(&self.campaign)?;
        row.serialize_element(&self.kind)?;
        row.serialize_element(&self.occurred_at.timestamp_millis())?;
        if parts > 4 {
            row.serialize_element(&self.count)?;
        }
        if parts > 5 {
            row.serialize_element(&self.value_micros)?;
        }
        if parts > 6 {
            row.serialize_element(&self.dimensions)?;
        }
        if parts > 7 {
            row.serialize_element(&self.correction)?;
        }
        if let Some(sealed) = &self.sealed {
            row.serialize_element(sealed)?;
        }
        row.end()
    }
}

impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RowVisitor)
    }
}

/// The visitor of an [`Observation`]'s stored row.
struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Observation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[id, campaign, type, occurred_at in ms, count?, value?, dimensions?, correction?, sealed?]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<Observation, A::Error> {
        let missing = |part| A::Error::invalid_length(part, &self);
        let id = row.next_element()?.ok_or_else(|| missing(0))?;
        let campaign = row.next_element()?.ok_or_else(|| missing(1))?;
        let kind: ObservationType = row.next_element()?.ok_or_else(|| missing(2))?;
        let millis = row.next_element()?.ok_or_else(|| missing(3))?;
        let occurred_at = DateTime::from_timestamp_millis(millis)
            .ok_or_else(|| A::Error::invalid_value(Unexpected::Signed(millis), &"an instant in milliseconds"))?;
        let count = row.next_element()?.unwrap_or_else(|| kind.unit_count());
        let value_micros = row.next_element::<Option<i64>>()?.flatten();
        let dimensions = row.next_element()?.unwrap_or_default();
        let correction = row.next_element::<Option<Box<Correction>>>()?.flatten();
        let sealed = row.next_element()?;
        Ok(Observation { id, campaign, kind, occurred_at, count, value_micros, dimensions, correction, sealed })
    }
}
