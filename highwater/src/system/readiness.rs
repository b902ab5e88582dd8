//! Whether this process can do its work: what `/readyz` asks.
//!
//! One log that cannot be applied past an event is no reason to take a process away from every other workspace: it
//! shows in `/v1/freshness`, in the metrics and in `highwater status`. Nor are rows that are behind: readers are told
//! so in each answer. A projector is not ready when its work stands still.

use std::time::Duration;

use event_store::follow::Leases;
use http_edge::health::{NotReady, Readiness};
use projections::{LagMonitor, ProjectionLag};
use sqlx::PgPool;

use super::schema::{self, SchemaError};

/// An older measurement does not tell how far the tables are behind.
const MEASURED_WITHIN: Duration = Duration::from_secs(15);

/// How long a projector may go on doing badly before it says that it is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectorLimits {
    /// Without completing a round over the logs.
    pub silence: Duration,
    /// The age of an event that it has not applied, of a log that is its own and could go on.
    pub lag: Duration,
}

impl Default for ProjectorLimits {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), lag: Duration::from_mins(15) }
    }
}

/// The database is reachable and fits.
pub(super) fn of_commands(admin: PgPool) -> Readiness {
    Readiness::new(move || {
        let admin = admin.clone();
        async move { database(&admin).await }
    })
}

/// And it is known how far the read tables are behind the true heads.
pub(super) fn of_reads(admin: PgPool, meter: LagMonitor) -> Readiness {
    Readiness::new(move || {
        let (admin, meter) = (admin.clone(), meter.clone());
        async move {
            database(&admin).await?;
            measured(&meter)
        }
    })
}

/// And this process applies its share of the logs.
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
