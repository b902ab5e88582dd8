//! Sums: the numbers that the tables hold for a report.

use chrono::{DateTime, Utc};
use domain::measure::Measure;
use uuid::Uuid;

use super::coverage::RatioSet;
use crate::error::ReadError;
use crate::sources::PeriodId;

/// The number of one period of a source for one cell, measure and set of covered ratios.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// Index of the cell.
    pub cell: usize,
    /// The campaign, if the report groups by campaign.
    pub campaign: Option<Uuid>,
    /// The value of the dimension, if the report groups by one.
    pub dimension_value: Option<DimensionValue>,
    pub source: PeriodId,
    pub measure: Measure,
    /// The ratios that its campaign and source are covered for, where that depends on the campaign.
    pub covered: RatioSet,
    /// In the measure's smallest unit.
    pub value: i128,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
    /// Whether it may hold values that are not kept by themselves, because the limit of values is reached.
    pub overflows: bool,
}

/// The key of a sum without its dimension value: cell, campaign, source, measure, and what it is covered for.
pub(crate) type SumKey = (usize, Option<Uuid>, PeriodId, Measure, RatioSet);

impl Sum {
    pub(crate) fn key(&self) -> SumKey {
        (self.cell, self.campaign, self.source, self.measure, self.covered)
    }
}

/// The value of a dimension that a number belongs to. It sorts as rows do if nothing else decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DimensionValue {
    /// A value; `(other)` for the values that are not kept by themselves; `(not broken down)` for the rest of what pull
    /// sources state. A source may also name a value `(other)` itself.
    Value(String),
    /// No value: a total that is stated without this dimension, or an observation without it.
    None,
}

impl DimensionValue {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value),
            Self::None => None,
        }
    }
}

/// The error of a sum that does not fit.
pub(super) fn overflow() -> ReadError {
    ReadError::corrupt("a sum does not fit 128 bits")
}
