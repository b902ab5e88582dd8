//! What epochs there are, for operators.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::super::{Projection, Registry};

/// One built instance of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochStatus {
    /// Of which projection.
    pub projection: String,
    /// Its number.
    pub epoch: i32,
    /// What it is for.
    pub state: EpochState,
    /// The projection's version that builds it.
    pub version: i32,
    /// Workspaces whose readers see it.
    pub workspaces: i64,
    /// Events that it has applied, of the logs that it is for.
    pub applied: i64,
    /// Events of these logs.
    pub events: i64,
    /// When it is dropped.
    pub drop_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What an epoch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochState {
    /// It is being filled. Workspaces that are filled may live there already.
    Building,
    /// Workspaces live there, or will when they are opened.
    Live,
    /// It is kept applied, for the way back.
    Kept,
    /// It is filled aside, to be compared.
    Verifying,
    /// It is going.
    Dropping,
}

impl EpochState {
    /// Its name, as operators and readers see it.
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
                  (SELECT count(*) FROM read.live_epochs l WHERE l.projection = $1 AND l.epoch = e.epoch) AS "workspaces!",
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
