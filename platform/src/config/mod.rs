//! The sections of a process's configuration, one per concern, each with its defaults and its own check.
//!
//! A section is deserialised once, at the start, by whoever owns the process; an unknown field is an error. `validate` then
//! refuses what would only fail later, and names the field.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::HeaderValue;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

pub use crate::database::DatabaseConfig;
pub use crate::http::HttpConfig;
pub use crate::http::limit::LimitConfig;
pub use crate::telemetry::{LogFormat, TelemetryConfig};

/// A value that a section cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("`{field}` must not be empty")]
    Empty { field: &'static str },
    #[error("`{field}` must be from {least} to {most}")]
    OutOfRange { field: &'static str, least: u64, most: u64 },
    #[error("`database.url` is not a PostgreSQL address such as `postgres://user@host:5432/highwater`")]
    DatabaseUrl,
    #[error("`http.cors_origins` holds `{origin}`, which is not an origin such as `https://dash.example.com`, nor `*`")]
    Origin { origin: String },
    #[error("`http.tls_cert` and `http.tls_key` belong together: `{missing}` is not set")]
    HalfOfTls { missing: &'static str },
    #[error("`telemetry.filter` is not a filter such as `info,sqlx=warn`: {reason}")]
    Filter { reason: String },
}

pub(crate) fn within(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(ConfigError::OutOfRange { field, least, most }) }
}

/// Reads a string straight into a secret, so that it is never printed with the rest of its section.
pub(crate) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

impl HttpConfig {
    pub fn validate(&self) -> Result<(), ConfigError> {
        within("http.max_body_bytes", self.max_body_bytes as u64, 1_024, 1 << 30)?;
        within("http.request_timeout_s", self.request_timeout_s, 1, 3_600)?;
        self.limits.validate(self.max_body_bytes)?;
        for origin in &self.cors_origins {
            if !is_origin(origin) {
                return Err(ConfigError::Origin { origin: origin.clone() });
            }
        }
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => Err(ConfigError::HalfOfTls { missing: "http.tls_key" }),
            (None, Some(_)) => Err(ConfigError::HalfOfTls { missing: "http.tls_cert" }),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }

    /// The certificate and key files, when this API speaks TLS itself.
    pub fn tls_files(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.tls_cert.as_ref().zip(self.tls_key.as_ref())
    }

    pub fn at(addr: SocketAddr) -> Self {
        Self { addr, ..Self::default() }
    }
}

/// An origin is a scheme and an authority, with nothing behind them: a browser sends it so and compares it as text.
fn is_origin(text: &str) -> bool {
    if text == "*" {
        return true;
    }
    let Some(authority) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    authority.parse::<http::uri::Authority>().is_ok_and(|parsed| !parsed.as_str().contains('@'))
        && HeaderValue::from_str(text).is_ok()
}

#[cfg(test)]
mod tests;
