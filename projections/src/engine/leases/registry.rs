//! The rows of `read.projectors`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::super::{Projection, Registry};
use super::owner::owner;
use super::{LeaseConfig, follows};

/// Notified when a projector joined or left, so that the others divide the logs anew at once.
pub(super) const PROJECTORS_CHANNEL: &str = "highwater_projectors";

/// A living projector.
#[derive(Debug, Clone)]
pub(super) struct LiveProjectors {
    pub(super) projector: Uuid,
    pub(super) follows: Vec<String>,
}

/// Makes a row last as long as a lease from now, and gives all that live. The row is made if it is not there.
pub(super) async fn renew(
    session: &mut PgConnection,
    registry: Registry,
    projector: Uuid,
    name: &str,
    lease: &LeaseConfig,
) -> Result<Vec<LiveProjectors>, sqlx::Error> {
    let follows: Vec<String> = registry.iter().map(|projection| follows(projection)).collect();
    let joined = sqlx::query_scalar!(
        r#"INSERT INTO read.projectors (projector, name, follows, session, lease)
           VALUES ($1, $2, $3, pg_backend_pid(), make_interval(secs => $4))
           ON CONFLICT (projector) DO UPDATE SET session = excluded.session, renewed_at = clock_timestamp()
           RETURNING xmax = 0 AS "joined!""#,
        projector,
        name,
        &follows,
        lease.lasts.as_secs_f64()
    )
    .fetch_one(&mut *session)
    .await?;
    if joined {
        // Those of whom nothing was heard for so long are of no interest to anybody any more.
        sqlx::query!("DELETE FROM read.projectors WHERE renewed_at < clock_timestamp() - interval '1 hour'")
            .execute(&mut *session)
            .await?;
        announce(session).await?;
    }
    sqlx::query_as!(
        LiveProjectors,
        r#"SELECT projector AS "projector!", follows AS "follows!" FROM read.projectors_now WHERE is_living"#
    )
    .fetch_all(session)
    .await
}

/// Removes a row, so that the others have its logs at once.
pub(super) async fn leave(session: &mut PgConnection, projector: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM read.projectors WHERE projector = $1", projector).execute(&mut *session).await?;
    announce(session).await
}

async fn announce(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT FROM pg_notify($1, '')", PROJECTORS_CHANNEL).execute(session).await?;
    Ok(())
}

/// How many living projectors share the logs of a projection.
pub(crate) async fn living(pool: &PgPool, projection: &Projection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "living!" FROM read.projectors_now WHERE is_living AND $1 = ANY(follows)"#,
        follows(projection)
    )
    .fetch_one(pool)
    .await
}

/// A projector process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectorStatus {
    /// Its id, new at each start.
    pub projector: Uuid,
    /// Where it runs, for people.
    pub name: String,
    /// Since when it takes part.
    pub started_at: DateTime<Utc>,
    /// When it last said that it lives, by the database's clock.
    pub renewed_at: DateTime<Utc>,
    /// How long ago that is.
    pub silent_for: Duration,
    /// Whether it has a share of the logs. One that does not was killed, is frozen or cut off, or stands still.
    pub is_living: bool,
    /// What it follows: each projection with its version.
    pub follows: Vec<String>,
    /// How many logs belong to it, by projection.
    pub logs: Vec<(&'static str, usize)>,
}

/// Every projector that takes part or did so within the last hour, the oldest first.
pub async fn projectors(pool: &PgPool, registry: Registry) -> Result<Vec<ProjectorStatus>, sqlx::Error> {
    let known = sqlx::query!(
        r#"SELECT projector AS "projector!", name AS "name!", started_at AS "started_at!", renewed_at AS "renewed_at!",
                  extract(epoch FROM clock_timestamp() - renewed_at)::float8 AS "silent_s!", is_living AS "is_living!",
                  follows AS "follows!"
           FROM read.projectors_now ORDER BY started_at, projector"#
    )
    .fetch_all(pool)
    .await?;
    let workspaces = sqlx::query_scalar!("SELECT workspace FROM log.heads").fetch_all(pool).await?;
    let shares = registry.iter().map(|projection| {
        let follows = follows(projection);
        let living: Vec<Uuid> = known
            .iter()
            .filter(|row| row.is_living && row.follows.contains(&follows))
            .map(|row| row.projector)
            .collect();
        let owners: Vec<Uuid> = workspaces.iter().filter_map(|&workspace| owner(workspace, &living)).collect();
        (projection.name, owners)
    });
    let shares: Vec<_> = shares.collect();
    let status = known.into_iter().map(|row| ProjectorStatus {
        logs: shares
            .iter()
            .map(|(projection, owners)| (*projection, owners.iter().filter(|&&owner| owner == row.projector).count()))
            .collect(),
        projector: row.projector,
        name: row.name,
        started_at: row.started_at,
        renewed_at: row.renewed_at,
        silent_for: Duration::try_from_secs_f64(row.silent_s).unwrap_or_default(),
        is_living: row.is_living,
        follows: row.follows,
    });
    Ok(status.collect())
}
