//! Backfills: history of any age, loaded once in numbered chunks.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name.
const MAX_NAME: usize = 100;

/// The backfill that a batch of observations is a chunk of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// The name, unique for its source.
    pub name: BackfillName,
    /// Its edge: everything in it lies before this instant.
    pub before: DateTime<Utc>,
}

/// The name of a backfill: 1 to 100 ASCII letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BackfillName(String);

/// The error of a text that is not a [`BackfillName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`")]
pub struct BackfillNameError;

impl FromStr for BackfillName {
    type Err = BackfillNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BackfillNameError)
        }
    }
}

impl fmt::Display for BackfillName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let is_name = |text: &str| text.parse::<BackfillName>().is_ok();
        assert!(is_name("old-tracker_2024.1") && is_name(&"x".repeat(100)));
        assert!(!is_name("") && !is_name(&"x".repeat(101)) && !is_name("a b") && !is_name("ä") && !is_name("a/b"));
    }
}
