//! Measures (additive, counted) and derived measures (computed last from sums).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::VariantArray;
use thiserror::Error;

use crate::decimal::{self, MILLION, PowerOfTen, Rounded};

mod net; // signed sums of others

#[cfg(test)]
mod tests;

pub use net::{NET, NetMeasure};

/// The unit of a measure's integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
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

    /// Reads a value as this measure's integer: counts whole, credits and money rounded to six places.
    pub fn parse_value(self, text: &str) -> Result<Rounded, MeasureError> {
        self.parse_scaled(text, PowerOfTen::default())
    }

    /// Reads a value that is written in other units, such as micros.
    pub fn parse_scaled(self, text: &str, scale: PowerOfTen) -> Result<Rounded, MeasureError> {
        let parsed = match self.unit() {
            Unit::Count => decimal::round_whole(text, scale).map(|whole| whole.ok_or(MeasureError::NotWhole)),
            Unit::Credit | Unit::Money | Unit::Ratio => decimal::round_millionths(text, scale).map(Ok),
        };
        let is_signed = self.may_be_negative();
        let rounded = parsed.map_err(|error| match (error, is_signed) {
            (decimal::DecimalError::TooLarge { most }, false) => MeasureError::TooLarge { most },
            (error, _) => MeasureError::Decimal(error),
        })??;
        if rounded.value < 0 && !is_signed { Err(MeasureError::Negative) } else { Ok(rounded) }
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

/// A quotient of two measures, computed last.
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
    /// What its sides are summed over.
    pub family: RatioFamily,
    /// The names on the wire of what is divided, numerator first.
    operands: [&'static str; 2],
}

/// What both sides of a ratio are summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatioFamily {
    /// All that is asked for: spend that won nothing counts.
    Efficiency,
    /// The places that have both sides.
    Rate(MeetingPlace),
}

/// Where both sides of a ratio meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeetingPlace {
    /// One source, which states both sides.
    Source,
    /// One cell: a campaign, a channel and a currency, of which primary sources state both sides.
    Cell,
}

/// A side of a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The dividend.
    Numerator,
    /// The divisor.
    Denominator,
}

macro_rules! ratios {
    ($($name:literal = $($factor:literal *)? $numerator:ident $numerator_name:literal
       / $denominator:ident $denominator_name:literal: $unit:ident, $family:expr;)+) => {
        /// The catalogue of derived measures.
        pub const DERIVED: &[DerivedMeasure] = &[$(DerivedMeasure {
            name: $name,
            numerator: Measure::$numerator,
            denominator: Measure::$denominator,
            factor: 1 $(* $factor)?,
            unit: Unit::$unit,
            formula: concat!($($factor, " * ",)? $numerator_name, " / ", $denominator_name),
            family: $family,
            operands: [concat!($name, ".", $numerator_name), concat!($name, ".", $denominator_name)],
        }),+];
    };
}

const EFFICIENCY: RatioFamily = RatioFamily::Efficiency;
const RATE_OF_SOURCE: RatioFamily = RatioFamily::Rate(MeetingPlace::Source);
const RATE_OF_CELL: RatioFamily = RatioFamily::Rate(MeetingPlace::Cell);

ratios! {
    "ctr" = Clicks "clicks" / Impressions "impressions": Ratio, RATE_OF_SOURCE;
    "cvr" = Conversions "conversions" / Clicks "clicks": Ratio, RATE_OF_CELL;
    "cpc" = Spend "spend" / Clicks "clicks": Money, RATE_OF_CELL;
    "cpm" = 1000 * Spend "spend" / Impressions "impressions": Money, RATE_OF_CELL;
    "cpa" = Spend "spend" / Conversions "conversions": Money, EFFICIENCY;
    "cost_per_lead" = Spend "spend" / Leads "leads": Money, EFFICIENCY;
    "roas" = Revenue "revenue" / Spend "spend": Ratio, EFFICIENCY;
    "aov" = Revenue "revenue" / Conversions "conversions": Money, RATE_OF_CELL;
    "delivery_rate" = Deliveries "deliveries" / Sends "sends": Ratio, RATE_OF_SOURCE;
    "open_rate" = Opens "opens" / Deliveries "deliveries": Ratio, RATE_OF_SOURCE;
    "click_to_open" = Clicks "clicks" / Opens "opens": Ratio, RATE_OF_SOURCE;
}

impl RatioFamily {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Efficiency => "efficiency",
            Self::Rate(_) => "rate",
        }
    }

    /// Where both sides meet, if only what they cover counts.
    pub fn place(self) -> MeetingPlace {
        match self {
            Self::Efficiency => MeetingPlace::Cell,
            Self::Rate(place) => place,
        }
    }
}

impl MeetingPlace {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Cell => "cell",
        }
    }
}

impl Side {
    /// Both sides.
    pub const ALL: [Self; 2] = [Self::Numerator, Self::Denominator];
}

impl DerivedMeasure {
    /// The derived measure of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        DERIVED.iter().find(|derived| derived.name == name)
    }

    /// The measure of a side.
    pub fn side(&self, side: Side) -> Measure {
        match side {
            Side::Numerator => self.numerator,
            Side::Denominator => self.denominator,
        }
    }

    /// The name of what is divided of a side: `cpc.spend`.
    pub fn operand(&self, side: Side) -> &'static str {
        let [numerator, denominator] = self.operands;
        match side {
            Side::Numerator => numerator,
            Side::Denominator => denominator,
        }
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
