//! The registry: the projections of this program, and the engine's operations on all of them or on one by its name.
//!
//! The engine and the views do not know this list. A caller that runs the engine with other projections passes another
//! one.

use chrono::{DateTime, Utc};
use platform::clock::SharedClock;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::engine::error::ReplayError;
use crate::engine::follow::{self, ProjectorError};
use crate::engine::projectors::{self, ProjectorStatus};
use crate::engine::rebuild::ReplayProgress;
use crate::engine::replay::{self, EpochStatus, ReplayOptions, ReplayOutcome, RolledBack};
use crate::engine::status::{self, LogStatus};
use crate::engine::verify::{self, Verified, VerifyError, VerifyObserver, VerifyRequest};
use crate::engine::{Projection, Registry};
use crate::views::CAMPAIGN_MODEL;

/// All projections of this program.
pub static PROJECTIONS: Registry = &[&CAMPAIGN_MODEL];

fn named(name: &str) -> Option<&'static Projection> {
    PROJECTIONS.iter().copied().find(|projection| projection.name == name)
}

fn replayed(name: &str) -> Result<&'static Projection, ReplayError> {
    named(name).ok_or_else(|| ReplayError::UnknownProjection(name.to_owned()))
}

/// Applies everything that is committed now, then returns. If a log cannot be followed to its end, the result is an
/// error, and the other logs are applied all the same.
pub async fn catch_up(pool: &PgPool) -> Result<(), ProjectorError> {
    follow::catch_up(pool, PROJECTIONS).await
}

/// Every log under every projection.
pub async fn status(pool: &PgPool) -> Result<Vec<LogStatus>, sqlx::Error> {
    status::status(pool, PROJECTIONS).await
}

/// Every epoch of every projection, by projection and number.
pub async fn epochs(pool: &PgPool) -> Result<Vec<EpochStatus>, sqlx::Error> {
    replay::epochs(pool, PROJECTIONS).await
}

/// Every projector that takes part or did so within the last hour, the oldest first.
pub async fn projectors(pool: &PgPool) -> Result<Vec<ProjectorStatus>, sqlx::Error> {
    projectors::projectors(pool, PROJECTIONS).await
}

/// Fills a new epoch of a projection and switches workspaces to it. `progress` is called after each step.
pub async fn replay(
    pool: &PgPool,
    projection: &str,
    options: &ReplayOptions,
    progress: &(dyn Fn(ReplayProgress) + Send + Sync),
    shutdown: CancellationToken,
) -> Result<ReplayOutcome, ReplayError> {
    replay::replay(pool, replayed(projection)?, options, progress, shutdown).await
}

/// Switches workspaces back to the epoch before their live one.
pub async fn rollback(
    pool: &PgPool,
    projection: &str,
    options: &ReplayOptions,
    shutdown: CancellationToken,
) -> Result<Vec<RolledBack>, ReplayError> {
    replay::rollback(pool, replayed(projection)?, options, shutdown).await
}

/// Drops every epoch of a projection that no workspace reads, whatever its drop date, and what an interrupted replay
/// left. Returns the dropped epochs.
pub async fn drop_old(pool: &PgPool, projection: &str) -> Result<Vec<i32>, ReplayError> {
    replay::drop_old(pool, replayed(projection)?).await
}

/// Compares the live rows of a projection with a rebuild, and stores the result.
pub async fn verify(
    pool: &PgPool,
    projection: &str,
    request: &VerifyRequest,
    clock: &SharedClock,
    watch: VerifyObserver<'_>,
    shutdown: CancellationToken,
) -> Result<Verified, VerifyError> {
    let projection = named(projection).ok_or_else(|| VerifyError::UnknownProjection(projection.to_owned()))?;
    verify::verify(pool, projection, request, clock, watch, shutdown).await
}

/// Parts of logs that are parked because an event cannot be applied.
pub mod parked {
    use super::{PROJECTIONS, PgPool};
    use crate::engine::parked;
    pub use crate::engine::parked::{ParkedPart, RetryOutcome, SkipError, Skipped, count, list};

    /// Retries the parked parts that `wanted` selects.
    pub async fn retry_all(
        pool: &PgPool,
        wanted: impl Fn(&ParkedPart) -> bool,
    ) -> Result<Vec<(ParkedPart, RetryOutcome)>, sqlx::Error> {
        parked::retry_all(pool, PROJECTIONS, wanted).await
    }

    /// Skips an event for good, or the share of the campaigns for which it is refused. Then applies the events that
    /// waited behind it. Every epoch skips it from now on, so that rebuilds give the same rows.
    pub async fn skip(
        pool: &PgPool,
        projection: &str,
        workspace: i32,
        position: i64,
        reason: &str,
    ) -> Result<Skipped, SkipError> {
        parked::skip(pool, PROJECTIONS, projection, workspace, position, reason).await
    }
}

/// Retention of the tables whose rows belong to a time.
pub mod retention {
    use super::{DateTime, PROJECTIONS, PgPool, Utc};
    use crate::engine::retention;
    pub use crate::engine::retention::{Retention, RetentionError, list};

    /// Keeps `keep_months` whole months before the current one, of one table or of all tables with a retention. `None`
    /// keeps all months, from the next rebuild on. [`maintain`] drops the earlier ones.
    pub async fn set(
        pool: &PgPool,
        table: Option<&str>,
        keep_months: Option<u32>,
        now: DateTime<Utc>,
    ) -> Result<(), RetentionError> {
        retention::set(pool, PROJECTIONS, table, keep_months, now).await
    }

    /// Limits how many values of a dimension an epoch keeps, from the next rebuild on.
    pub async fn limit_dimensions(pool: &PgPool, values: u32) -> Result<(), sqlx::Error> {
        retention::limit_dimensions(pool, PROJECTIONS, values).await
    }

    /// Advances the bounds month by month, drops what lies before them, and creates the coming months. Returns the
    /// dropped partitions, and those of which rows were deleted. What readers still use is left for the next call.
    pub async fn maintain(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
        retention::maintain(pool, PROJECTIONS, now).await
    }
}
