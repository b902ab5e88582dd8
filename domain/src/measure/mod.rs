//! Measures (additive, counted) and derived measures (computed last from sums).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::decimal::{self, MILLION};

#[cfg(test)]
mod tests;

/// The unit of a measure's integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Whole things.
    Count,
    /// Millionths of a thing, because credit can be shared.
    Credit,
    /// Micros of the source's currency.
    Money,
    /// A quotient without a unit; derived measures only.
    Ratio,
}

impl Unit {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Credit => "credit",
            Self::Money => "money",
            Self::Ratio => "ratio",
        }
    }
}

/// The error of a measure's name or value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MeasureError {
    /// No measure has this name.
    #[error("is not a measure; GET /v1/measures of the read API lists them")]
    Unknown,
    /// A count has a fraction.
    #[error("must be a whole number")]
    NotWhole,
    /// The value is negative.
    #[error("must not be negative")]
    Negative,
    /// It is beyond the bound of a measure that is never negative.
    #[error("must not be larger than {most}")]
    TooLarge {
        /// The bound.
        most: i64,
    },
    /// The text is not a valid decimal.
    #[error("{0}")]
    Decimal(#[from] decimal::DecimalError),
}

macro_rules! measures {
    ($($variant:ident $name:literal $unit:ident $doc:literal),+ $(,)?) => {
        /// An additive measure. Stored under its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Measure {
            $(#[doc = $doc] $variant),+
        }

        impl Measure {
            /// All of them, in catalogue order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire and in the tables.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The unit of its integer.
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit),+ }
            }

            /// What it counts, in one sentence.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc),+ }
            }
        }
    };
}

measures! {
    Impressions "impressions" Count "Times an ad or message was shown.",
    Clicks "clicks" Count "Clicks on an ad, message or link.",
    Visits "visits" Count "Sessions on a site or app.",
    Conversions "conversions" Credit "Goals reached; fractional where credit is shared.",
    Revenue "revenue" Money "Value of conversions.",
    Spend "spend" Money "Cost of media and fees.",
    Sends "sends" Count "Messages handed to a mail or text provider.",
    Deliveries "deliveries" Count "Messages that arrived.",
    Opens "opens" Count "Messages opened.",
    Bounces "bounces" Count "Messages that came back.",
    Unsubscribes "unsubscribes" Count "People who opted out.",
    VideoViews "video_views" Count "Video views as the platform counts them.",
    Leads "leads" Count "Contacts won.",
    Responses "responses" Count "Survey responses.",
    Refunds "refunds" Money "Money that was paid back, on the day that it was.",
    Discounts "discounts" Money "Money that was taken off prices, on the day of the sale.",
    OpensTotal "opens_total" Count "Every time a message was opened.",
    ClicksTotal "clicks_total" Count "Every click on a link of a message.",
    MachineOpens "machine_opens" Count "Messages that a machine opened, as the provider marks them.",
}

/// The clock by which the numbers of a measure settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeasureGroup {
    /// What was shown, sent and spent: it settles within days.
    Delivery,
    /// What came of it: it settles when the attribution window has passed.
    Conversions,
}

impl MeasureGroup {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivery => "delivery",
            Self::Conversions => "conversions",
        }
    }
}

impl Measure {
    /// The clock by which its numbers settle.
    pub fn group(self) -> MeasureGroup {
        match self {
            Self::Impressions | Self::Clicks | Self::Spend | Self::VideoViews | Self::Sends => MeasureGroup::Delivery,
            Self::Visits
            | Self::Conversions
            | Self::Revenue
            | Self::Refunds
            | Self::Discounts
            | Self::Deliveries
            | Self::Opens
            | Self::OpensTotal
            | Self::ClicksTotal
            | Self::MachineOpens
            | Self::Bounces
            | Self::Unsubscribes
            | Self::Leads
            | Self::Responses => MeasureGroup::Conversions,
        }
    }

    /// Whether a value may be below zero: platforms credit spend, and take conversions and revenue back on a later day.
    pub fn may_be_negative(self) -> bool {
        matches!(self, Self::Spend | Self::Revenue | Self::Conversions)
    }

    /// Reads a value as this measure's integer: counts whole, credits and money with up to six places.
    pub fn parse_value(self, text: &str) -> Result<i64, MeasureError> {
        let parsed = match self.unit() {
            Unit::Count => decimal::parse_whole(text).map(|whole| whole.ok_or(MeasureError::NotWhole)),
            Unit::Credit | Unit::Money | Unit::Ratio => decimal::parse_millionths(text).map(Ok),
        };
        let is_signed = self.may_be_negative();
        let value = parsed.map_err(|error| match (error, is_signed) {
            (decimal::DecimalError::TooLarge { most }, false) => MeasureError::TooLarge { most },
            (error, _) => MeasureError::Decimal(error),
        })??;
        if value < 0 && !is_signed { Err(MeasureError::Negative) } else { Ok(value) }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Measure {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|measure| measure.name() == text).ok_or(MeasureError::Unknown)
    }
}

/// A quotient of two measures, computed last, from sums over the sources that state both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DerivedMeasure {
    /// The name on the wire.
    pub name: &'static str,
    /// The dividend.
    pub numerator: Measure,
    /// The divisor.
    pub denominator: Measure,
    /// The factor of the numerator (CPM: 1000).
    pub factor: i128,
    /// `Money` or `Ratio`.
    pub unit: Unit,
    /// The formula, for people.
    pub formula: &'static str,
}

/// The catalogue of derived measures.
pub const DERIVED: &[DerivedMeasure] = &[
    derived("ctr", Measure::Clicks, Measure::Impressions, 1, Unit::Ratio, "clicks / impressions"),
    derived("cvr", Measure::Conversions, Measure::Clicks, 1, Unit::Ratio, "conversions / clicks"),
    derived("cpc", Measure::Spend, Measure::Clicks, 1, Unit::Money, "spend / clicks"),
    derived("cpm", Measure::Spend, Measure::Impressions, 1000, Unit::Money, "1000 * spend / impressions"),
    derived("cpa", Measure::Spend, Measure::Conversions, 1, Unit::Money, "spend / conversions"),
    derived("roas", Measure::Revenue, Measure::Spend, 1, Unit::Ratio, "revenue / spend"),
    derived("aov", Measure::Revenue, Measure::Conversions, 1, Unit::Money, "revenue / conversions"),
    derived("delivery_rate", Measure::Deliveries, Measure::Sends, 1, Unit::Ratio, "deliveries / sends"),
    derived("open_rate", Measure::Opens, Measure::Deliveries, 1, Unit::Ratio, "opens / deliveries"),
    derived("click_to_open", Measure::Clicks, Measure::Opens, 1, Unit::Ratio, "clicks / opens"),
];

const fn derived(
    name: &'static str,
    numerator: Measure,
    denominator: Measure,
    factor: i128,
    unit: Unit,
    formula: &'static str,
) -> DerivedMeasure {
    DerivedMeasure { name, numerator, denominator, factor, unit, formula }
}

impl DerivedMeasure {
    /// The derived measure of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        DERIVED.iter().find(|derived| derived.name == name)
    }

    /// The factors of the stored integers of both sides that make their quotient millionths.
    pub fn times(&self) -> (i128, i128) {
        let whole = |measure: Measure| if measure.unit() == Unit::Count { i128::from(MILLION) } else { 1 };
        (whole(self.numerator) * self.factor * i128::from(MILLION), whole(self.denominator))
    }

    /// The quotient in millionths (micros for money), rounded half to even; `None` when the denominator is 0.
    /// Both sides are the stored integers of their measures.
    pub fn millionths(&self, numerator: i128, denominator: i128) -> Option<i128> {
        let (numerator_times, denominator_times) = self.times();
        decimal::divide_half_even(numerator.checked_mul(numerator_times)?, denominator.checked_mul(denominator_times)?)
    }
}
