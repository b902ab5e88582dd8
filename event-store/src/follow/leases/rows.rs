//! The rows of `log.leases`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::LeaseConfig;

/// The channel that is notified when a holder joins or leaves, so that the others divide the logs anew at once.
pub const LEASES_CHANNEL: &str = "highwater_leases";

/// A valid lease.
#[derive(Debug, Clone)]
pub(super) struct LiveLease {
    pub(super) consumer: String,
    pub(super) holder: Uuid,
}

/// Renews a process's rows and returns all valid ones. Missing rows are created.
pub(super) async fn renew(
    session: &mut PgConnection,
    holder: Uuid,
    name: &str,
    consumers: &[String],
    lease: &LeaseConfig,
) -> Result<Vec<LiveLease>, sqlx::Error> {
    let joined = sqlx::query_scalar!(
        r#"INSERT INTO log.leases (consumer, holder, name, session, lease)
           SELECT consumer, $2, $3, pg_backend_pid(), make_interval(secs => $4) FROM unnest($1::text[]) AS c (consumer)
           ON CONFLICT (consumer, holder) DO UPDATE SET session = excluded.session, renewed_at = clock_timestamp()
           RETURNING xmax = 0 AS "joined!""#,
        consumers,
        holder,
        name,
        lease.lasts.as_secs_f64()
    )
    .fetch_all(&mut *session)
    .await?;
    if joined.contains(&true) {
        // Rows that were not renewed for this long are removed.
        sqlx::query!("DELETE FROM log.leases WHERE renewed_at < clock_timestamp() - interval '1 hour'")
            .execute(&mut *session)
            .await?;
        announce(session).await?;
    }
    sqlx::query_as!(
        LiveLease,
        r#"SELECT consumer AS "consumer!", holder AS "holder!" FROM log.leases_now
           WHERE is_living AND consumer = ANY($1)"#,
        consumers
    )
    .fetch_all(session)
    .await
}

/// Removes a process's rows, so that the others get its logs at once.
pub(super) async fn leave(session: &mut PgConnection, holder: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM log.leases WHERE holder = $1", holder).execute(&mut *session).await?;
    announce(session).await
}

async fn announce(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT FROM pg_notify($1, '')", LEASES_CHANNEL).execute(session).await?;
    Ok(())
}

/// The lease of one process for one kind of consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The kind of consumer. Only processes of the same kind share its logs.
    pub consumer: String,
    /// The process's id, new at each start.
    pub holder: Uuid,
    /// The description of the process, for operators.
    pub name: String,
    /// The start of its participation.
    pub started_at: DateTime<Utc>,
    /// The last renewal, by the database's clock.
    pub renewed_at: DateTime<Utc>,
    /// The time since the last renewal.
    pub silent_for: Duration,
    /// Whether it has a share of the logs. If not, the process was killed, is frozen or disconnected, or makes no
    /// progress.
    pub is_living: bool,
}

/// Every lease that was renewed within about the last hour, the oldest process first.
pub async fn leases(pool: &PgPool) -> Result<Vec<LeaseStatus>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT consumer AS "consumer!", holder AS "holder!", name AS "name!", started_at AS "started_at!",
                  renewed_at AS "renewed_at!",
                  extract(epoch FROM clock_timestamp() - renewed_at)::float8 AS "silent_s!", is_living AS "is_living!"
           FROM log.leases_now ORDER BY started_at, holder, consumer"#
    )
    .fetch_all(pool)
    .await?;
    let leases = rows.into_iter().map(|row| LeaseStatus {
        consumer: row.consumer,
        holder: row.holder,
        name: row.name,
        started_at: row.started_at,
        renewed_at: row.renewed_at,
        silent_for: Duration::try_from_secs_f64(row.silent_s).unwrap_or_default(),
        is_living: row.is_living,
    });
    Ok(leases.collect())
}
