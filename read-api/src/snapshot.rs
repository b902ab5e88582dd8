//! The one database snapshot that a request is answered from, so that a result, its position and its epoch belong together.

use chrono::{DateTime, TimeDelta, Utc};
use domain::money::Currency;
use domain::zone::Zone;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::parked::{self, Parked};
use crate::refusal::Refusal;
use crate::version::Revision;
use crate::{ApiState, MODEL};

/// A workspace as it was at one instant.
#[derive(Debug)]
pub(crate) struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) workspace: i32,
    /// The live epoch; 0 while nothing of the workspace was ever projected.
    pub(crate) epoch: i32,
    /// Up to where the log is applied in it.
    pub(crate) applied: i64,
    /// The log's last position.
    pub(crate) head: i64,
    /// What changed its rows without a new event.
    pub(crate) revision: Revision,
    /// What of the log waits because it cannot be applied.
    pub(crate) parked: Parked,
    oldest_unapplied: Option<DateTime<Utc>>,
    /// The model's first epoch is being built: there is nothing to read yet.
    pub(crate) is_building: bool,
    /// The workspace's defaults, once its first event is applied.
    pub(crate) time_zone: Zone,
    pub(crate) currency: Option<Currency>,
}

/// A statement of the snapshot's isolation level: it sees what its first query saw, and can write nothing.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Snapshot {
    pub(crate) async fn take(state: &ApiState, workspace: i32) -> Result<Self, Refusal> {
        let mut transaction = state.pool.begin_with(BEGIN).await?;
        let row = sqlx::query!(
            r#"SELECT coalesce(l.epoch, 0) AS "epoch!", coalesce(c.position, 0) AS "applied!", coalesce(h.position, 0) AS "head!",
                      coalesce(c.revision, 0) AS "revision!", coalesce(c.revised_at, 0) AS "revised_at!",
                      CASE WHEN h.position > coalesce(c.position, 0)
                           THEN log.recorded_at_of(a.workspace, coalesce(c.position, 0) + 1) END AS oldest_unapplied,
                      l.epoch IS NULL
                      AND EXISTS (SELECT FROM read.epochs e WHERE e.projection = $1 AND e.state = 'building')
                      AND NOT EXISTS (SELECT FROM read.epochs e WHERE e.projection = $1 AND e.state = 'applied') AS "is_building!",
                      w.time_zone AS "time_zone?", w.currency AS "currency?"
               FROM (VALUES ($2::integer)) a (workspace)
               LEFT JOIN log.heads h ON h.workspace = a.workspace
               LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = a.workspace
               LEFT JOIN read.checkpoints c ON c.projection = l.projection AND c.epoch = l.epoch AND c.workspace = l.workspace
               LEFT JOIN read.workspaces w ON w.epoch = l.epoch AND w.workspace = l.workspace"#,
            MODEL,
            workspace,
        )
        .fetch_one(&mut *transaction)
        .await?;
        let revision = Revision { count: row.revision, position: row.revised_at };
        let mut snapshot = Self {
            transaction,
            now: state.clock.now(),
            workspace,
            epoch: row.epoch,
            applied: row.applied,
            head: row.head,
            revision,
            parked: Parked::default(),
            oldest_unapplied: row.oldest_unapplied,
            is_building: row.is_building,
            time_zone: row.time_zone.as_deref().map_or(Ok(Zone::UTC), str::parse).map_err(Refusal::corrupt)?,
            currency: row.currency.as_deref().map(str::parse).transpose().map_err(Refusal::corrupt)?,
        };
        // Nothing was ever parked where this is 0.
        if revision.count > 0 {
            snapshot.parked = parked::load(&mut snapshot).await?;
        }
        Ok(snapshot)
    }

    /// The connection to ask more of, within the snapshot.
    pub(crate) fn db(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Speaks from here on of an older state of the workspace, which is what the answer shows.
    pub(crate) async fn show_older(&mut self, epoch: i32, position: i64) -> Result<(), Refusal> {
        (self.epoch, self.applied) = (epoch, position);
        self.oldest_unapplied = if position < self.head {
            sqlx::query_scalar!("SELECT log.recorded_at_of($1, $2)", self.workspace, position + 1)
                .fetch_one(&mut *self.transaction)
                .await?
        } else {
            None
        };
        Ok(())
    }

    /// The age of the oldest event that is not applied yet; zero when everything is.
    pub(crate) fn lag(&self) -> TimeDelta {
        self.oldest_unapplied.map_or(TimeDelta::zero(), |recorded_at| (self.now - recorded_at).max(TimeDelta::zero()))
    }
}
