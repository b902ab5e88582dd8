//! Rejections by a source: one variant for each rule.

use thiserror::Error;

use crate::rule_codes::rule_codes;
use crate::text::TextError;

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Its name is not one line of 1 to 100 characters.
    #[error("the name {0}")]
    Name(TextError),
    /// An expected delay below 0 or above 31 days.
    #[error("the expected delay of {seconds} s lies outside of 0 to 2678400 s, which is 31 days")]
    ExpectedDelay {
        /// The delay.
        seconds: i64,
    },
    /// A restatement horizon below 0 or above 400 days.
    #[error("the restatement horizon of {seconds} s lies outside of 0 to 34560000 s, which is 400 days")]
    RestatementHorizon {
        /// The horizon.
        seconds: i64,
    },
    /// It is registered with another definition.
    #[error("the source is registered already, with another {field}")]
    ConflictingDefinition {
        /// The first part that differs.
        field: &'static str,
    },
}

impl SourceError {
    /// The field of the command that broke the rule, if it was one field.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Name(_) => Some("name"),
            Self::ExpectedDelay { .. } => Some("expected_delay_s"),
            Self::RestatementHorizon { .. } => Some("restatement_horizon_s"),
            Self::ConflictingDefinition { field } => Some(field),
        }
    }
}

rule_codes!(SourceError {
    Self::Name(_) => "invalid-name",
    Self::ExpectedDelay { .. } => "expected-delay-out-of-range",
    Self::RestatementHorizon { .. } => "restatement-horizon-out-of-range",
    Self::ConflictingDefinition { .. } => "source-exists",
});
