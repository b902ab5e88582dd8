//! The projector processes of a database, which share the logs of each projection.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use event_store::follow::{self, LeaseStatus, Leases, owner};
use sqlx::PgPool;
use uuid::Uuid;

use super::{PROJECTION_CONSUMER, Projection, Registry};

/// A projector process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectorStatus {
    /// Its id, new at each start.
    pub projector: Uuid,
    /// The process and host name, for operators.
    pub name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last renewed its leases, by the database's clock.
    pub renewed_at: DateTime<Utc>,
    /// How long ago that is.
    pub silent_for: Duration,
    /// Whether it has a share of the logs. A projector without one was killed, is frozen, is cut off, or hangs.
    pub is_living: bool,
    /// The projections that it follows, with their versions.
    pub follows: Vec<String>,
    /// The number of its logs, by projection.
    pub logs: Vec<(&'static str, usize)>,
}

/// Every projector that renewed its leases within the last hour, the oldest first.
pub(crate) async fn projectors(pool: &PgPool, registry: Registry) -> Result<Vec<ProjectorStatus>, sqlx::Error> {
    let mut leases = follow::leases(pool).await?;
    leases.retain(|lease| followed(&lease.consumer).is_some());
    let heads = event_store::heads(&mut *pool.acquire().await?).await?;
    let mut projectors: Vec<ProjectorStatus> = Vec::new();
    for lease in &leases {
        let follows = followed(&lease.consumer).unwrap_or_default().to_owned();
        match projectors.last_mut() {
            Some(last) if last.projector == lease.holder => last.follows.push(follows),
            _ => projectors.push(ProjectorStatus {
                projector: lease.holder,
                name: lease.name.clone(),
                started_at: lease.started_at,
                renewed_at: lease.renewed_at,
                silent_for: lease.silent_for,
                is_living: lease.is_living,
                follows: vec![follows],
                logs: Vec::new(),
            }),
        }
    }
    for projection in registry {
        let living = living(&leases, projection);
        let mut owned = BTreeMap::<Uuid, usize>::new();
        for owner in heads.iter().filter_map(|&(workspace, _)| owner(workspace, &living)) {
            *owned.entry(owner).or_default() += 1;
        }
        for projector in &mut projectors {
            projector.logs.push((projection.name, owned.get(&projector.projector).copied().unwrap_or_default()));
        }
    }
    Ok(projectors)
}

/// Sets the gauges of this process, for a scrape.
pub fn set_lease_gauges(leases: &Leases) {
    metrics::describe_gauge!("highwater_projector_silence_seconds", "For how long this projector has not got on.");
    metrics::describe_gauge!("highwater_projector_lease", "1 while this projector has a share of the logs.");
    metrics::gauge!("highwater_projector_silence_seconds").set(leases.stalled_for().as_secs_f64());
    metrics::gauge!("highwater_projector_lease").set(f64::from(u8::from(leases.holds())));
}

/// The number of living projectors that share the logs of a projection.
pub(crate) async fn count_living(pool: &PgPool, projection: &Projection) -> Result<usize, sqlx::Error> {
    Ok(living(&follow::leases(pool).await?, projection).len())
}

fn living(leases: &[LeaseStatus], projection: &Projection) -> Vec<Uuid> {
    let consumer = projection.consumer();
    leases.iter().filter(|lease| lease.is_living && lease.consumer == consumer).map(|lease| lease.holder).collect()
}

/// The projection, with its version, that a consumer name stands for.
fn followed(consumer: &str) -> Option<&str> {
    consumer.strip_prefix(PROJECTION_CONSUMER)?.strip_prefix(' ')
}
