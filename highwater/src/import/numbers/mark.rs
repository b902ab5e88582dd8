//! The mark between whole digits and decimals.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// The mark between whole digits and decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecimalMark {
    /// As in 1,234.50.
    Point,
    /// As in 1.234,50.
    Comma,
}

impl DecimalMark {
    /// The character.
    pub fn character(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }

    /// The mark that then groups digits.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Point => Self::Comma,
            Self::Comma => Self::Point,
        }
    }

    /// The mark that a character is: a comma, or the point.
    pub(super) fn of(character: char) -> Self {
        if character == ',' { Self::Comma } else { Self::Point }
    }
}

impl FromStr for DecimalMark {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "point" | "." => Ok(Self::Point),
            "comma" | "," => Ok(Self::Comma),
            _ => Err("must be point or comma"),
        }
    }
}

impl fmt::Display for DecimalMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Point => "point",
            Self::Comma => "comma",
        })
    }
}
