//! Logs and metrics of the process.
//!
//! Logs go to stderr, one line each, as text or JSON. Every line of a request carries the span `request` with
//! `trace_id`, and, once the caller is known, `workspace` and `actor`. The line that ends a request has the target
//! `highwater::request`. Never logged: keys, bodies, query strings, headers.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::config::ConfigError;

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    pub format: LogFormat,
    /// Which lines are kept, as `tracing-subscriber` reads it: `info,sqlx=warn`.
    pub filter: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
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

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("another metrics recorder is installed in this process")]
    Metrics(#[source] Box<BuildError>),
    #[error("cannot start the thread that keeps the metrics tidy")]
    Upkeep(#[source] io::Error),
}

/// Starts logging and metrics. A second call in the same process keeps what the first set up.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(config.filter()?)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let set = match config.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if set.is_ok() {
        log_panics();
    }
    metrics_handle().map(drop)
}

/// A panic leaves as a line of the log, in the log's format, with the request's span.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, %backtrace, "panic: {message}");
    }));
}

/// From half a millisecond to ten seconds: what a person would call fast, and what they would give up on.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Samples pile up until they are folded into their histograms; a scrape folds them, and so does this, for a process
/// that nobody scrapes.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// The process's one Prometheus recorder, installed by the first call.
pub fn metrics_handle() -> Result<PrometheusHandle, TelemetryError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static INSTALLING: Mutex<()> = Mutex::new(());

    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| TelemetryError::Metrics(Box::new(error)))?;
    let folded = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(FOLD_EVERY);
                folded.run_upkeep();
            }
        })
        .map_err(TelemetryError::Upkeep)?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// What `set` sets, as text, forgotten at once. For gauges whose labels come and go: a recorder that lives on shows the
/// last value of each for ever.
pub fn render_once(set: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, set);
    recorder.handle().render()
}

#[cfg(test)]
mod tests;
