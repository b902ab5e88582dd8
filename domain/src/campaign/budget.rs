//! The budget of a campaign.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::money::Money;

/// What a campaign may spend, and in which period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Budget {
    /// The amount: more than 0, in the campaign's currency.
    pub amount: Money,
    /// The period of the amount.
    pub per: BudgetPeriod,
}

/// The period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// From its first day to its last.
    Total,
    /// Each local day of its zone.
    Day,
}

/// The error of a name that is not a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not the period of a budget: total or day")]
pub struct BudgetPeriodError;

impl Budget {
    /// A budget for the whole campaign.
    pub fn total(amount: Money) -> Self {
        Self { amount, per: BudgetPeriod::Total }
    }
}

impl BudgetPeriod {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Total, Self::Day];

    /// The name on the wire and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Day => "day",
        }
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BudgetPeriod {
    type Err = BudgetPeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|period| period.name() == text).ok_or(BudgetPeriodError)
    }
}
