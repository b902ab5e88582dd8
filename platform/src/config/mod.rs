//! The sections of a process's configuration, one for each concern, with defaults and validation.
//!
//! The process deserialises a section once, at its start; an unknown field is an error. `validate` rejects values that
//! would only fail later, and names the field.

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

/// A configuration value that a section rejects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("`{field}` must not be empty")]
    Empty { field: &'static str },
    #[error("`{field}` must be from {least} to {most}")]
    OutOfRange { field: &'static str, least: u64, most: u64 },
    #[error("`database.url` is not a PostgreSQL address such as `postgres://user@host:5432/highwater`")]
    DatabaseUrl,
    #[error("`telemetry.filter` is not a filter such as `info,sqlx=warn`: {reason}")]
    Filter { reason: String },
}

/// Checks that a value is from `least` to `most`, both included.
pub fn within(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(ConfigError::OutOfRange { field, least, most }) }
}

/// Deserialises a string as a secret, so that its section never prints it.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

#[cfg(test)]
mod tests;
