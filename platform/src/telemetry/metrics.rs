//! The metrics of the process, in Prometheus format.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// The error of installing the metrics recorder.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("another metrics recorder is installed in this process")]
    Recorder(#[source] Box<BuildError>),
    #[error("cannot start the thread that folds the metrics")]
    Upkeep(#[source] io::Error),
}

/// The bounds of the buckets of durations: from half a millisecond to half a minute.
const SECONDS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How often samples are folded into their histograms. A scrape folds them too, but a process may not be scraped.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// The process's one Prometheus recorder, installed by the first call.
pub fn metrics_handle() -> Result<PrometheusHandle, MetricsError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    static INSTALLING: Mutex<()> = Mutex::new(());

    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| MetricsError::Recorder(Box::new(error)))?;
    let folded = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(FOLD_EVERY);
                folded.run_upkeep();
            }
        })
        .map_err(MetricsError::Upkeep)?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Renders the metrics that `set` sets, and forgets them. It is for gauges whose labels come and go: a permanent
/// recorder would keep showing the last value of each.
pub fn render_once(set: impl FnOnce()) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, set);
    recorder.handle().render()
}
