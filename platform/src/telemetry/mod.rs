//! Telemetry of the process: log lines and metrics, with room for traces.
//!
//! Lines are a layer of one `Registry`, with a filter of its own. An exporter of traces is one more layer of it. Metrics
//! go to one recorder, because `metrics` has nothing to do with spans.

mod logs;
mod metrics;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::config::ConfigError;

pub use logs::{LogFormat, TelemetryConfig, UnknownLogFormat};
pub use metrics::{MetricsError, metrics_handle, render_once};

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Starts logging and metrics. A second call in the same process keeps what the first set up.
pub fn init(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    if tracing_subscriber::registry().with(layers(config)?).try_init().is_ok() {
        logs::log_panics();
    }
    metrics_handle()?;
    Ok(())
}

/// The layers of the process's subscriber.
fn layers(config: &TelemetryConfig) -> Result<Vec<Box<dyn Layer<Registry> + Send + Sync>>, ConfigError> {
    Ok(vec![logs::layer(config)?])
}

#[cfg(test)]
mod tests;
