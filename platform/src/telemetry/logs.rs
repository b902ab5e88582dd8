//! Log lines on stderr, as text or JSON.
//!
//! Every line of a request carries the span `request` with `trace_id`, and, once the caller is known, `workspace` and
//! `actor`. The line that ends a request has the target `highwater::request`. Keys, bodies, query strings and headers
//! are never logged.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use serde::Deserialize;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::ConfigError;

/// The configuration of log lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    pub format: LogFormat,
    /// The filter of lines and spans, in the syntax of `tracing-subscriber`: `info,sqlx=warn`.
    pub filter: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, for people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = UnknownLogFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownLogFormat),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a log format is `text` or `json`")]
pub struct UnknownLogFormat;

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

impl TelemetryConfig {
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.filter).map_err(|error| ConfigError::Filter { reason: error.to_string() })
    }
}

/// The layer that writes log lines. It has its own filter, so that other layers can have another level.
pub(super) fn layer<S>(config: &TelemetryConfig) -> Result<Box<dyn Layer<S> + Send + Sync>, ConfigError>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let lines = tracing_subscriber::fmt::layer().with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    let filter = config.filter()?;
    Ok(match config.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    })
}

/// Logs panics in the format of other lines, with the span of the request.
pub(super) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, %backtrace, "panic: {message}");
    }));
}
