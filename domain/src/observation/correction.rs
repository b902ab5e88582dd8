//! Corrections: the net amounts of an observation after it was retracted or restated, and the difference that this
//! makes.

use chrono::serde::ts_milliseconds;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Observation, ObservationType};

/// The part of an observation that makes it a correction of an earlier one. The observation's row has the campaign, the
/// time and the dimensions of the original, and the difference as count and value. A reader that only sums ignores this
/// part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The original's id.
    pub of: String,
    /// When the correction happened: milliseconds since 1970 in UTC.
    #[serde(with = "ts_milliseconds")]
    #[cfg_attr(test, schemars(with = "i64"))]
    pub at: DateTime<Utc>,
    /// The original's net count after this correction.
    pub count: i64,
    /// The original's net value after this correction, in micros; null: it never had one.
    #[serde(rename = "value")]
    pub value_micros: Option<i64>,
}

/// The net amounts of an observation after all its corrections: count and value. Stored as `[count, value]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, Option<i64>)", into = "(i64, Option<i64>)")]
pub struct NetAmounts {
    /// The count, in the unit of the type's count measure.
    pub count: i64,
    /// Worth or cost, in micros; `None` if it never had one.
    pub value_micros: Option<i64>,
}

/// The new totals that a correction states. A total that is left out stays as it is; without any, the observation is
/// retracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CorrectionInput {
    /// The new count.
    pub count: Option<i64>,
    /// The new value.
    pub value_micros: Option<i64>,
}

impl NetAmounts {
    /// The amounts of the observation as it was sent.
    pub fn of(observation: &Observation) -> Self {
        Self { count: observation.count, value_micros: observation.value_micros }
    }

    /// The net amounts after a correction with these totals. A type without a count measure keeps its count, which has
    /// no meaning.
    #[must_use]
    pub fn apply_correction(self, kind: ObservationType, totals: CorrectionInput) -> Self {
        match (totals.count, totals.value_micros) {
            (None, None) => Self {
                count: if kind.count_measure().is_some() { 0 } else { self.count },
                value_micros: self.value_micros.map(|_| 0),
            },
            (count, value_micros) => {
                Self { count: count.unwrap_or(self.count), value_micros: value_micros.or(self.value_micros) }
            }
        }
    }

    /// The difference from `before`; an unchanged value is `None`. `None` if an integer cannot hold it.
    pub fn delta_from(self, before: Self) -> Option<Self> {
        let value_micros = if self.value_micros == before.value_micros {
            None
        } else {
            Some(self.value_micros.unwrap_or(0).checked_sub(before.value_micros.unwrap_or(0))?)
        };
        Some(Self { count: self.count.checked_sub(before.count)?, value_micros })
    }
}

impl From<(i64, Option<i64>)> for NetAmounts {
    fn from((count, value_micros): (i64, Option<i64>)) -> Self {
        Self { count, value_micros }
    }
}

impl From<NetAmounts> for (i64, Option<i64>) {
    fn from(total: NetAmounts) -> Self {
        (total.count, total.value_micros)
    }
}
