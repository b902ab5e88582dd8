//! Model heads: how far the live rows of workspaces are applied.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::PgExecutor;
use sqlx::postgres::types::Oid;

use crate::CAMPAIGN_MODEL;
use crate::database::connection::Connection;
use crate::database::defaults::{DefaultsVersion, WorkspaceDefaults};
use crate::error::ReadError;
use crate::status::ReadStatus;
use crate::version::Revision;

/// How far the live rows of one workspace are applied. Two that differ in the log's head alone have the same rows.
#[derive(Debug, Clone, Copy)]
pub struct ModelHead {
    /// The live epoch; 0 while nothing of the workspace was ever projected.
    pub epoch: i32,
    /// The position up to which the log is applied in it.
    pub applied: i64,
    /// The log's last position.
    pub head: i64,
    /// What changed its rows without a new event.
    pub revision: Revision,
    /// When retention last dropped rows from it.
    pub retained_at: Option<DateTime<Utc>>,
    /// The position of the event that set the workspace's calendar; 0 while none has.
    pub calendar_position: i64,
    /// When the database server started. What was read from it before holds only while it runs.
    pub server_started_at: DateTime<Utc>,
    /// The number of the database on the server: another one may get its name.
    pub database: Oid,
    /// When the last applied event was recorded.
    pub applied_at: Option<DateTime<Utc>>,
    /// When the first event that is not applied was recorded.
    pub oldest_unapplied: Option<DateTime<Utc>>,
}

impl ModelHead {
    /// Reads the heads of these workspaces, at one instant.
    ///
    /// The prepared plan of the statement is made once, because planning takes longer than execution. So the number of
    /// workspaces is hidden from the planner, and each workspace is looked up by itself.
    ///
    /// It reads no partitioned table. PostgreSQL plans a statement before it takes its snapshot. A partition that was
    /// attached in between, and that the live epoch has moved to, would seem empty. Later statements of the transaction
    /// are planned after its snapshot.
    pub async fn read(db: impl PgExecutor<'_>, workspaces: &[i32]) -> Result<HashMap<i32, Self>, ReadError> {
        let rows = sqlx::query!(
            r#"SELECT a.workspace AS "workspace!", coalesce(l.epoch, 0) AS "epoch!",
                      coalesce(c.position, 0) AS "applied!",
                      coalesce(h.position, 0) AS "head!",
                      coalesce(c.revision, 0) AS "revision!", coalesce(c.revised_at, 0) AS "revised_at!",
                      coalesce(c.calendar_position, 0) AS "calendar_position!",
                      l.retained_at AS "retained_at?",
                      pg_postmaster_start_time() AS "server_started_at!",
                      (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()) AS "database!",
                      log.recorded_at_of(a.workspace, c.position) AS applied_at,
                      CASE WHEN h.position > coalesce(c.position, 0)
                           THEN log.recorded_at_of(a.workspace, coalesce(c.position, 0) + 1) END AS oldest_unapplied
               FROM unnest((SELECT $2::integer[])) a (workspace)
               LEFT JOIN LATERAL (SELECT position FROM log.heads WHERE workspace = a.workspace LIMIT 1) h ON true
               LEFT JOIN LATERAL (SELECT epoch,
                                         (SELECT max(r.changed_at) FROM read.epoch_retention r
                                          WHERE r.projection = $1 AND r.epoch = e.epoch) AS retained_at
                                  FROM read.live_epochs e
                                  WHERE e.projection = $1 AND e.workspace = a.workspace LIMIT 1) l ON true
               LEFT JOIN LATERAL (SELECT position, revision, revised_at, calendar_position
                                  FROM read.checkpoints
                                  WHERE projection = $1 AND epoch = l.epoch AND workspace = a.workspace
                                  LIMIT 1) c ON true"#,
            CAMPAIGN_MODEL,
            workspaces,
        )
        .fetch_all(db)
        .await?;
        let each = rows.into_iter().map(|row| {
            let head = Self {
                epoch: row.epoch,
                applied: row.applied,
                head: row.head,
                revision: Revision { count: row.revision, position: row.revised_at },
                retained_at: row.retained_at,
                calendar_position: row.calendar_position,
                server_started_at: row.server_started_at,
                database: row.database,
                applied_at: row.applied_at,
                oldest_unapplied: row.oldest_unapplied,
            };
            (row.workspace, head)
        });
        Ok(each.collect())
    }

    /// The version of the workspace's defaults at this head.
    pub(crate) fn defaults_version(&self) -> DefaultsVersion {
        DefaultsVersion {
            server_started_at: self.server_started_at,
            database: self.database,
            epoch: self.epoch,
            calendar_position: self.calendar_position,
        }
    }

    /// Whether not even the workspace's first event is applied.
    pub(crate) fn is_building(&self) -> bool {
        self.applied == 0
    }

    /// The status of a read at this head, if nothing of the workspace was ever parked.
    pub(crate) fn status(&self, workspace: i32, now: DateTime<Utc>) -> ReadStatus {
        let Self { epoch, applied, applied_at, head, .. } = *self;
        let (satisfied, parked, waited_s, numbers) = (None, 0, None, None);
        ReadStatus {
            workspace,
            epoch,
            applied,
            applied_at,
            head,
            lag: self.lag(now),
            satisfied,
            parked,
            waited_s,
            numbers,
        }
    }

    /// The age of the oldest event that is not applied yet; zero when everything is.
    pub fn lag(&self, now: DateTime<Utc>) -> TimeDelta {
        self.oldest_unapplied.map_or(TimeDelta::zero(), |recorded_at| (now - recorded_at).max(TimeDelta::zero()))
    }
}

/// A workspace at its head, for statements that are their own snapshots. Nothing of it was ever parked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadContext<'a> {
    pub(crate) workspace: i32,
    pub(crate) head: &'a ModelHead,
    pub(crate) defaults: WorkspaceDefaults,
    pub(crate) now: DateTime<Utc>,
}

/// Reads the heads of many workspaces at once, except those of which nothing is projected. These may be waiting for
/// their first epoch, which each request finds out by itself.
pub(crate) fn read<'a>(
    db: &'a mut Connection,
    workspaces: &'a [i32],
) -> BoxFuture<'a, Result<HashMap<i32, ModelHead>, ReadError>> {
    async {
        let mut heads = ModelHead::read(db.statement(), workspaces).await?;
        heads.retain(|_, head| !head.is_building());
        Ok(heads)
    }
    .boxed()
}
