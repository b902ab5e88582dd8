//! Money: whole micros of one currency, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::decimal::MAX_MILLIONTHS;

/// An ISO 4217 code: three capital letters. Only the form is checked, not the list of codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The error of a text that is not a currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not an ISO 4217 currency code such as EUR")]
pub struct CurrencyError;

impl Currency {
    /// The code, such as `EUR`.
    pub fn code(&self) -> &str {
        // The constructor accepts only capital ASCII letters.
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| CurrencyError)?;
        if code.iter().all(u8::is_ascii_uppercase) { Ok(Self(code)) } else { Err(CurrencyError) }
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({})", self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The most that one amount of a workspace may be, in units of whatever currency it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MoneyLimit(i64);

/// The error of a limit that is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be from 1000 to 1000000000000 units of a currency")]
pub struct MoneyLimitError;

impl MoneyLimit {
    /// The lowest limit. What it holds is within every limit, so that it needs no lookup of the workspace's.
    pub const LEAST: Self = Self(1_000_000_000);

    /// A limit of so many micros.
    pub fn from_micros(micros: i64) -> Result<Self, MoneyLimitError> {
        if (Self::LEAST.0..=MAX_MILLIONTHS).contains(&micros) { Ok(Self(micros)) } else { Err(MoneyLimitError) }
    }

    /// The limit in micros.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whether an amount of so many micros is within the limit, above zero or below it.
    pub fn holds(self, micros: i64) -> bool {
        micros.unsigned_abs() <= self.0.unsigned_abs()
    }
}

/// An amount in whole micros (millionths of the currency's unit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Money {
    /// Millionths of the currency's unit.
    pub micros: i64,
    /// The currency.
    pub currency: Currency,
}
