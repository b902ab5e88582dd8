//! Metrics of the lag, measured beside the work so that they tell the truth when the work stands still.

use sqlx::PgPool;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::follow::ProjectorConfig;
use super::status::{LogStatus, status};

/// Measures until shutdown.
pub(crate) async fn run(pool: PgPool, config: ProjectorConfig, shutdown: CancellationToken) {
    describe();
    let mut ticks = tokio::time::interval(config.measure_every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match status(&pool).await {
            Ok(logs) => logs.iter().for_each(|log| measure(log, &config)),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the projections' lag could not be measured");
            }
        }
    }
}

fn measure(log: &LogStatus, config: &ProjectorConfig) {
    let labels = [("projection", log.projection.clone()), ("workspace", log.workspace.to_string())];
    let age = log.oldest_unapplied.map(|recorded_at| config.clock.now() - recorded_at);
    let seconds = age.and_then(|age| age.to_std().ok()).map_or(0.0, |age| age.as_secs_f64());
    metrics::gauge!("highwater_projection_lag_events", &labels).set(count(log.lag_events));
    metrics::gauge!("highwater_projection_lag_seconds", &labels).set(seconds);
    metrics::gauge!("highwater_projection_stopped", &labels).set(if log.stopped.is_some() { 1.0 } else { 0.0 });
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; a lag beyond 2^53 events is not a matter of one")]
fn count(events: i64) -> f64 {
    events as f64
}

fn describe() {
    metrics::describe_gauge!("highwater_projection_lag_events", "Events of a log that its live rows lack.");
    metrics::describe_gauge!("highwater_projection_lag_seconds", "Age of the oldest event that the live rows lack.");
    metrics::describe_gauge!("highwater_projection_stopped", "1 while a log's projection cannot go on.");
    metrics::describe_counter!("highwater_projection_batches_total", "Transactions that moved checkpoints.");
    metrics::describe_counter!("highwater_projection_events_total", "Events applied.");
}
