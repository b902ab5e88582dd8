//! The one database snapshot of a read, so that a result, its position and its epoch belong together.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::Executor;

use crate::database::Database;
use crate::database::connection::{Connection, Statement};
use crate::database::defaults::QueryDefaults;
use crate::database::defaults::WorkspaceDefaults;
use crate::database::model_head::ModelHead;
use crate::error::ReadError;
use crate::parked::{self, Parked};
use crate::status::ReadStatus;
use crate::version::{RecordedEvent, Revision, Version, recorded_at};

/// A workspace at one instant, in a transaction of its own.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
    /// It was not taken before this instant.
    pub taken_after: Instant,
    pub now: DateTime<Utc>,
    pub workspace: i32,
    /// The live epoch; 0 while nothing of the workspace was ever projected.
    pub epoch: i32,
    /// The position up to which the log is applied in it.
    pub applied: i64,
    /// The log's last position.
    pub head: i64,
    /// The changes of its rows without a new event.
    pub revision: Revision,
    /// When retention last dropped rows from it.
    pub retained_at: Option<DateTime<Utc>>,
    /// The parked parts of the log.
    pub parked: Parked,
    /// When the last applied event was recorded.
    pub applied_at: Option<DateTime<Utc>>,
    oldest_unapplied: Option<DateTime<Utc>>,
    /// The events that versions were made of so far.
    recorded: BTreeMap<i64, DateTime<Utc>>,
    plans_for_values: bool,
    /// Whether not even the workspace's first event is applied, so that its time zone is not known yet.
    pub is_building: bool,
    /// The position of the event that set the workspace's calendar; 0 while none has.
    pub calendar_position: i64,
    /// The workspace's defaults, once its first event is applied.
    pub(crate) defaults: WorkspaceDefaults,
}

/// Begins a transaction whose statements all see what its first one saw, and which cannot write.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Snapshot {
    pub async fn take(database: &Database, workspace: i32) -> Result<Self, ReadError> {
        let taken_after = Instant::now();
        let mut connection = Connection::acquire(&database.pool).await?;
        connection.begin(BEGIN).await?;
        let mut heads = ModelHead::read(connection.statement(), &[workspace]).await?;
        let head = heads.remove(&workspace).ok_or_else(|| ReadError::corrupt("a workspace has no head"))?;
        let defaults = database.defaults.of(connection.statement(), workspace, head.defaults_version()).await?;
        // Nothing was ever parked if this is 0.
        let parked = if head.revision.count > 0 {
            parked::load(connection.statement(), workspace, head.epoch).await?
        } else {
            Parked::default()
        };
        Ok(Self {
            connection,
            taken_after,
            now: database.clock.now(),
            workspace,
            epoch: head.epoch,
            applied: head.applied,
            head: head.head,
            revision: head.revision,
            retained_at: head.retained_at,
            parked,
            applied_at: head.applied_at,
            oldest_unapplied: head.oldest_unapplied,
            recorded: head.applied_at.map(|recorded_at| (head.applied, recorded_at)).into_iter().collect(),
            plans_for_values: false,
            is_building: head.is_building(),
            calendar_position: head.calendar_position,
            defaults,
        })
    }

    /// Has all later statements planned for their values. A generic plan is made once, but it cannot distinguish one
    /// campaign from all of them, nor a day from a year.
    pub async fn plan_for_values(&mut self) -> Result<(), ReadError> {
        if !self.plans_for_values {
            self.db().execute("SET LOCAL plan_cache_mode = force_custom_plan").await?;
            self.plans_for_values = true;
        }
        Ok(())
    }

    /// The defaults of queries in it.
    pub(crate) fn query_defaults(&self) -> QueryDefaults {
        self.defaults.at(self.now)
    }

    /// The status of what is read from it, if nothing was required and so many parked parts belong to the result.
    pub(crate) fn status(&self, parked: usize) -> ReadStatus {
        let Self { workspace, epoch, applied, applied_at, head, .. } = *self;
        let (satisfied, waited_s, numbers) = (None, None, None);
        ReadStatus {
            workspace,
            epoch,
            applied,
            applied_at,
            head,
            lag: self.lag(),
            satisfied,
            parked,
            waited_s,
            numbers,
        }
    }

    /// The executor of a statement within the snapshot.
    pub fn db(&mut self) -> Statement<'_> {
        self.connection.statement()
    }

    /// The version of a result that last changed at this position, or with the last revision, and at this boundary.
    pub(crate) async fn version(
        &mut self,
        position: i64,
        boundary: Option<DateTime<Utc>>,
    ) -> Result<Version, ReadError> {
        self.version_of(self.revision, position, boundary).await
    }

    /// The same with another revision.
    pub(crate) async fn version_of(
        &mut self,
        revision: Revision,
        position: i64,
        boundary: Option<DateTime<Utc>>,
    ) -> Result<Version, ReadError> {
        let position = position.max(revision.position);
        let recorded_at = self.recorded_at(position).await?;
        Ok(Version::new(RecordedEvent { position, recorded_at }, revision.count, boundary))
    }

    /// When the event of a position was recorded. `None` for no event.
    pub(crate) async fn recorded_at(&mut self, position: i64) -> Result<Option<DateTime<Utc>>, ReadError> {
        if let Some(known) = self.recorded.get(&position) {
            return Ok(Some(*known));
        }
        let recorded_at = recorded_at(self.connection.statement(), self.workspace, position).await?;
        self.recorded.extend(recorded_at.map(|recorded_at| (position, recorded_at)));
        Ok(recorded_at)
    }

    /// Reports the position and the lag of an older state of the workspace from here on, which the answer shows.
    pub async fn show_older(&mut self, epoch: i32, position: i64) -> Result<(), ReadError> {
        (self.epoch, self.applied) = (epoch, position);
        self.applied_at = self.recorded_at(position).await?;
        self.oldest_unapplied = if position < self.head { self.recorded_at(position + 1).await? } else { None };
        Ok(())
    }

    /// Everything that was recorded before this instant is applied.
    pub fn applied_until(&self) -> DateTime<Utc> {
        self.oldest_unapplied.map_or(self.now, |recorded_at| recorded_at.min(self.now))
    }

    /// The age of the oldest event that is not applied yet; zero when everything is.
    pub fn lag(&self) -> TimeDelta {
        self.oldest_unapplied.map_or(TimeDelta::zero(), |recorded_at| (self.now - recorded_at).max(TimeDelta::zero()))
    }
}
