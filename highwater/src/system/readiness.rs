//! Whether this process can do its work, for `/readyz`.
//!
//! A log that cannot be applied past an event affects one workspace only, so the process stays ready. It shows in
//! `/v1/freshness`, in the metrics and in `highwater status`. Rows that are behind leave it ready too, because each
//! answer says so. A projector is not ready if its work stands still.

use std::time::Duration;

use event_store::follow::Leases;
use http_edge::health::{NotReady, Readiness};
use projections::{LagMonitor, ProjectionLag};
use sqlx::PgPool;

use super::schema::{self, SchemaError};

/// The greatest age of a measurement of the lag.
const MEASURED_WITHIN: Duration = Duration::from_secs(15);

/// The limits of a projector's readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectorLimits {
    /// The longest time without a complete round over the logs.
    pub silence: Duration,
    /// The greatest age of an unapplied event of its own logs that can progress.
    pub lag: Duration,
}

impl Default for ProjectorLimits {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), lag: Duration::from_mins(15) }
    }
}

/// Readiness of the command role: the database is reachable and its schema fits.
pub(super) fn of_commands(admin: PgPool) -> Readiness {
    Readiness::new(move || {
        let admin = admin.clone();
        async move { database(&admin).await }
    })
}

/// Readiness of the read role: also, the lag of the read tables is known.
pub(super) fn of_reads(admin: PgPool, meter: LagMonitor) -> Readiness {
    Readiness::new(move || {
        let (admin, meter) = (admin.clone(), meter.clone());
        async move {
            database(&admin).await?;
            measured(&meter)
        }
    })
}

/// Readiness of the projector: also, this process applies its share of the logs.
pub(super) fn of_projector(admin: PgPool, meter: LagMonitor, leases: Leases, limits: ProjectorLimits) -> Readiness {
    Readiness::new(move || {
        let (admin, meter, leases) = (admin.clone(), meter.clone(), leases.clone());
        async move {
            database(&admin).await?;
            measured(&meter)?;
            if leases.stalled_for() > limits.silence {
                return Err(NotReady(vec!["projector"]));
            }
            let all = meter.last().unwrap_or_default();
            if all.iter().any(goes_nowhere) {
                return Err(NotReady(vec!["projector"]));
            }
            let now = meter.now();
            let own = all.iter().flat_map(|lag| lag.owned_by(&leases));
            let is_late = own.filter(|log| log.stopped.is_none()).any(|log| log.lag(now) > limits.lag);
            if is_late { Err(NotReady(vec!["lag"])) } else { Ok(()) }
        }
    })
}

/// Whether there are logs, and none of them can be followed.
fn goes_nowhere(lag: &ProjectionLag) -> bool {
    let stopped = i64::try_from(lag.stopped()).unwrap_or(i64::MAX);
    stopped > 0 && stopped >= lag.logs
}

fn measured(meter: &LagMonitor) -> Result<(), NotReady> {
    let is_known = meter.last().is_some() && meter.age() <= MEASURED_WITHIN;
    if is_known { Ok(()) } else { Err(NotReady(vec!["lag"])) }
}

async fn database(admin: &PgPool) -> Result<(), NotReady> {
    schema::check(admin).await.map_err(|error| match error {
        SchemaError::Database(_) => NotReady(vec!["database"]),
        SchemaError::NotMigrated { .. } | SchemaError::HalfMigrated { .. } | SchemaError::Foreign { .. } => {
            NotReady(vec!["schema"])
        }
    })
}
