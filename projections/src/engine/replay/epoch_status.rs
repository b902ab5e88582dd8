//! What epochs there are, for operators.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::super::{Projection, Registry};

/// One built instance of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochStatus {
    /// The projection.
    pub projection: String,
    /// The number of the epoch.
    pub epoch: i32,
    /// The state of the epoch.
    pub state: EpochState,
    /// The projection's version that built it.
    pub version: i32,
    /// The number of workspaces that read it.
    pub workspaces: i64,
    /// Events that it has applied, of the logs that it covers.
    pub applied: i64,
    /// Events of these logs.
    pub events: i64,
    /// When it is dropped.
    pub drop_at: Option<DateTime<Utc>>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// The state of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochState {
    /// It is being filled. Workspaces that are filled may read it already.
    Building,
    /// Workspaces read it, or will when they are opened.
    Live,
    /// It is kept applied, for a rollback.
    Kept,
    /// It is a shadow epoch, filled to be compared.
    Verifying,
    /// It is being dropped.
    Dropping,
}

impl EpochState {
    /// The name that operators and readers see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Live => "live",
            Self::Kept => "kept",
            Self::Verifying => "verifying",
            Self::Dropping => "dropping",
        }
    }
}

/// Every epoch of every projection, by projection and number.
pub(crate) async fn epochs(pool: &PgPool, registry: Registry) -> Result<Vec<EpochStatus>, sqlx::Error> {
    let mut all = Vec::new();
    for &projection in registry {
        all.extend(epochs_of(pool, projection).await?);
    }
    Ok(all)
}

async fn epochs_of(pool: &PgPool, projection: &Projection) -> Result<Vec<EpochStatus>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT e.epoch, e.state, e.version, e.drop_at, e.created_at,
                  (SELECT count(*) FROM read.live_epochs l
                   WHERE l.projection = $1 AND l.epoch = e.epoch) AS "workspaces!",
                  coalesce(sum(least(c.position, h.position)), 0)::bigint AS "applied!",
                  coalesce(sum(h.position), 0)::bigint AS "events!"
           FROM read.epochs e
           LEFT JOIN read.checkpoints c ON c.projection = $1 AND c.epoch = e.epoch
           LEFT JOIN log.heads h ON h.workspace = c.workspace
           WHERE e.projection = $1
           GROUP BY e.projection, e.epoch ORDER BY e.epoch"#,
        projection.name
    )
    .fetch_all(pool)
    .await?;
    let newest_applied = rows.iter().filter(|row| row.state == "applied").map(|row| row.epoch).max();
    let epochs = rows.into_iter().map(|row| EpochStatus {
        projection: projection.name.to_owned(),
        state: match row.state.as_str() {
            "building" => EpochState::Building,
            "verifying" => EpochState::Verifying,
            "dropping" => EpochState::Dropping,
            _ if row.workspaces > 0 || row.drop_at.is_none() && newest_applied == Some(row.epoch) => EpochState::Live,
            _ => EpochState::Kept,
        },
        epoch: row.epoch,
        version: row.version,
        workspaces: row.workspaces,
        applied: row.applied,
        events: row.events,
        drop_at: row.drop_at,
        created_at: row.created_at,
    });
    Ok(epochs.collect())
}
