//! Telemetry of the process: log lines and metrics, with room for traces.
//!
//! Log lines are a layer of one `Registry`, with a filter of its own. An exporter of traces would be one more layer.
//! Metrics use one recorder, because the crate `metrics` does not use spans.

mod logs;
mod metrics;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::config::ConfigError;

pub use logs::{LogFormat, TelemetryConfig, UnknownLogFormat};
pub use metrics::{MetricsError, metrics_handle, render_once};

/// The error of starting telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

/// Starts logs and metrics. A second call in the same process changes nothing.
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
