//! One sum of a report, and what it is of.

use chrono::{DateTime, Utc};
use domain::measure::Measure;
use uuid::Uuid;

use crate::error::ReadError;

/// One number that one source says of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Index of the cell.
    pub cell: usize,
    /// The campaign, when campaigns are told apart.
    pub campaign: Option<Uuid>,
    /// Where in the dimension, when one is told apart.
    pub slice: Option<DimensionValue>,
    pub source: Uuid,
    pub measure: Measure,
    /// In the measure's smallest unit.
    pub value: i128,
    /// When it last changed.
    pub changed_at: DateTime<Utc>,
    /// Whether it may hold values that are not kept by themselves: as many are as may be.
    pub overflows: bool,
}

/// What a sum is of, whatever it names of a dimension.
pub(crate) type SumKey = (usize, Option<Uuid>, Uuid, Measure);

impl Sum {
    pub fn whole(&self) -> SumKey {
        (self.cell, self.campaign, self.source, self.measure)
    }
}

/// Where in a dimension a number stands. Sorted as rows are when nothing else decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DimensionValue {
    /// Under a value of it, or under `(other)` for values that are not kept by themselves, beside those that say so themselves.
    Value(String),
    /// It names no value: a stated total, or an observation without this dimension.
    None,
}

impl DimensionValue {
    pub fn text(&self) -> Option<&str> {
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
