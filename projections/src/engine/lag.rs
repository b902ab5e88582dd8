//! The lag of the rows behind the true heads. Every process measures it, independent of the projectors, so the lag is
//! reported correctly while they stand still. Ages are computed when they are read. So they grow while the measuring
//! fails, and the age of the measurement is reported beside them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use event_store::follow::Leases;
use platform::clock::SharedClock;
use sqlx::PgPool;
use thiserror::Error;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::status::{LogStatus, behind};
use super::verify::{LastVerified, last_verified};
use super::{Projection, Registry, projectors};

/// The number of logs with gauges of their own, by projection: those that are furthest behind. The others are in the
/// sums.
const SHOWN: usize = 10;
/// A measurement that takes longer has failed.
const MEASURED_WITHIN: Duration = Duration::from_secs(10);

/// The last measurement of this process. Clones share it.
#[derive(Debug, Clone)]
pub struct LagMonitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    clock: SharedClock,
    made_at: Instant,
    last: Mutex<Option<(Instant, Arc<Vec<ProjectionLag>>)>>,
    verified: Mutex<Vec<LastVerified>>,
}

/// The lag of one projection over all logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionLag {
    /// Its name.
    pub projection: &'static str,
    /// The number of logs.
    pub logs: i64,
    /// The number of living projectors that follow it.
    pub projectors: usize,
    /// The number of parked parts of logs.
    pub parked: i64,
    /// The logs that are behind or stopped.
    pub behind: Vec<LogStatus>,
    consumer: String,
}

/// Why the lag was not measured.
#[derive(Debug, Error)]
pub enum MeterError {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The timeout passed.
    #[error("the database did not answer in time")]
    TooSlow,
}

impl LagMonitor {
    /// A monitor without a measurement. `clock` gives the age of events that are not applied.
    pub fn new(registry: Registry, clock: SharedClock) -> Self {
        Self(Arc::new(Shared {
            registry,
            clock,
            made_at: Instant::now(),
            last: Mutex::default(),
            verified: Mutex::default(),
        }))
    }

    /// Measures until shutdown.
    pub async fn run(self, pool: PgPool, every: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let Some(measured) = shutdown.run_until_cancelled(self.measure(&pool)).await else { return };
            if let Err(error) = measured {
                tracing::warn!(error = &error as &dyn std::error::Error, "the projections' lag could not be measured");
            }
        }
    }

    /// Measures now.
    pub async fn measure(&self, pool: &PgPool) -> Result<(), MeterError> {
        let measured = async {
            let mut all = Vec::new();
            for &projection in self.0.registry {
                all.push(lag_of(pool, projection).await?);
            }
            Ok::<_, sqlx::Error>((all, last_verified(pool).await?))
        };
        let (all, verified) =
            tokio::time::timeout(MEASURED_WITHIN, measured).await.map_err(|_elapsed| MeterError::TooSlow)??;
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::new(all)));
        *self.0.verified.lock().unwrap_or_else(PoisonError::into_inner) = verified;
        Ok(())
    }

    /// The last measurement; `None` before the first success.
    pub fn last(&self) -> Option<Arc<Vec<ProjectionLag>>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, all)| Arc::clone(all))
    }

    /// The age of the last measurement; before the first, the time since the start.
    pub fn age(&self) -> Duration {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map_or(self.0.made_at, |(measured_at, _)| *measured_at).elapsed()
    }

    /// The time of the monitor's clock, which the ages refer to.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// Sets the gauges of the lag and of verification, for a scrape. Their labels come and go.
    pub fn set_gauges(&self) {
        metrics::describe_gauge!(
            "highwater_projection_measured_age_seconds",
            "Age of this process's last measurement of the lag."
        );
        metrics::gauge!("highwater_projection_measured_age_seconds").set(self.age().as_secs_f64());
        let Some(all) = self.last() else { return };
        describe();
        let now = self.now();
        for lag in all.iter() {
            lag.set_sums(now);
            lag.set_worst(now);
        }
        for last in self.0.verified.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            last.set_gauges();
        }
    }
}

async fn lag_of(pool: &PgPool, projection: &Projection) -> Result<ProjectionLag, sqlx::Error> {
    let behind = behind(pool, projection).await?;
    let logs = sqlx::query_scalar!(r#"SELECT count(*) AS "logs!" FROM log.heads"#).fetch_one(pool).await?;
    let projectors = projectors::count_living(pool, projection).await?;
    let parked = sqlx::query_scalar!(
        r#"SELECT count(*) AS "parts!" FROM read.parked p JOIN read.live_epochs l USING (projection, epoch, workspace)
           WHERE p.projection = $1"#,
        projection.name
    )
    .fetch_one(pool)
    .await?;
    Ok(ProjectionLag { projection: projection.name, logs, projectors, parked, behind, consumer: projection.consumer() })
}

impl ProjectionLag {
    /// The logs behind that are assigned to the process with these leases.
    pub fn owned_by<'a>(&'a self, leases: &Leases) -> impl Iterator<Item = &'a LogStatus> {
        let share = leases.assignment(&self.consumer);
        self.behind.iter().filter(move |log| share.has(log.workspace))
    }

    /// The number of stopped logs.
    pub fn stopped(&self) -> usize {
        self.behind.iter().filter(|log| log.stopped.is_some()).count()
    }

    fn set_sums(&self, now: DateTime<Utc>) {
        let events = || self.behind.iter().map(|log| log.lag_events);
        let oldest = self.behind.iter().map(|log| log.lag(now)).max().unwrap_or_default();
        let gauge = |name| metrics::gauge!(name, "projection" => self.projection);
        gauge("highwater_projection_logs").set(float(self.logs));
        gauge("highwater_projection_logs_behind")
            .set(count(self.behind.iter().filter(|log| log.lag_events > 0).count()));
        gauge("highwater_projection_logs_stopped").set(count(self.stopped()));
        gauge("highwater_projection_lag_events_sum").set(float(events().sum()));
        gauge("highwater_projection_lag_events_max").set(float(events().max().unwrap_or_default()));
        gauge("highwater_projection_lag_seconds_max").set(oldest.as_secs_f64());
        gauge("highwater_projection_parked").set(float(self.parked));
        gauge("highwater_projectors").set(count(self.projectors));
    }

    fn set_worst(&self, now: DateTime<Utc>) {
        let mut worst: Vec<&LogStatus> = self.behind.iter().collect();
        worst.sort_by_key(|log| std::cmp::Reverse((log.stopped.is_some(), log.lag(now), log.lag_events)));
        for log in worst.into_iter().take(SHOWN) {
            let labels = [("projection", self.projection.to_owned()), ("workspace", log.workspace.to_string())];
            metrics::gauge!("highwater_projection_lag_events", &labels).set(float(log.lag_events));
            metrics::gauge!("highwater_projection_lag_seconds", &labels).set(log.lag(now).as_secs_f64());
            metrics::gauge!("highwater_projection_stopped", &labels).set(f64::from(u8::from(log.stopped.is_some())));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; beyond 2^53 it is not a matter of one")]
fn float(number: i64) -> f64 {
    number as f64
}

fn count(number: usize) -> f64 {
    float(i64::try_from(number).unwrap_or(i64::MAX))
}

fn describe() {
    let described = [
        ("highwater_projection_logs", "Logs."),
        ("highwater_projection_logs_behind", "Logs whose live rows lack events."),
        ("highwater_projection_logs_stopped", "Logs whose projection cannot go on."),
        ("highwater_projection_lag_events_sum", "Events that the live rows lack, of all logs."),
        ("highwater_projection_lag_events_max", "Events that the live rows lack, of the log that lacks most."),
        ("highwater_projection_lag_seconds_max", "Age of the oldest event that the live rows lack, of all logs."),
        ("highwater_projection_lag_events", "Events of a log that its live rows lack: the logs furthest behind."),
        (
            "highwater_projection_lag_seconds",
            "Age of the oldest event that a log's live rows lack: the logs furthest behind.",
        ),
        ("highwater_projection_stopped", "1 while a log's projection cannot go on: among the logs furthest behind."),
        ("highwater_projection_parked", "Parts of logs that wait because an event is refused, while the rest goes on."),
        ("highwater_projectors", "Living projectors that share the logs."),
    ];
    for (name, text) in described {
        metrics::describe_gauge!(name, text);
    }
}
