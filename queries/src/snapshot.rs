//! The one database snapshot that a request is answered from, so that a result, its position and its epoch belong together.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use domain::money::Currency;
use domain::zone::Zone;
use sqlx::{Executor, PgExecutor};

use crate::connection::{Connection, Statement};
use crate::defaults::WorkspaceDefaults;
use crate::error::ReadError;
use crate::model_head::ModelHead;
use crate::parked::{self, Parked};
use crate::query::QueryDefaults;
use crate::result::ResultMeta;
use crate::version::{Revision, Version};
use crate::warning::Warning;
use crate::{MODEL, ReadModel};

/// A workspace as it was at one instant.
#[derive(Debug)]
pub struct Snapshot {
    connection: Connection,
    /// Not before this was it taken.
    pub taken_after: Instant,
    pub now: DateTime<Utc>,
    pub workspace: i32,
    /// The live epoch; 0 while nothing of the workspace was ever projected.
    pub epoch: i32,
    /// Up to where the log is applied in it.
    pub applied: i64,
    /// The log's last position.
    pub head: i64,
    /// What changed its rows without a new event.
    pub revision: Revision,
    /// When rows that are no longer kept were last dropped from it.
    pub retained_at: Option<DateTime<Utc>>,
    /// What of the log waits because it cannot be applied.
    pub parked: Parked,
    oldest_unapplied: Option<DateTime<Utc>>,
    plans_for_values: bool,
    /// The model's first epoch is being built: there is nothing to read yet.
    pub is_building: bool,
    /// The workspace's defaults, once its first event is applied.
    pub time_zone: Zone,
    pub currency: Option<Currency>,
}

/// A statement of the snapshot's isolation level: it sees what its first query saw, and can write nothing.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Snapshot {
    pub async fn take(model: &ReadModel, workspace: i32) -> Result<Self, ReadError> {
        let taken_after = Instant::now();
        let mut connection = Connection::acquire(&model.pool).await?;
        connection.begin(BEGIN).await?;
        let mut tips = ModelHead::read(connection.ask(), &[workspace]).await?;
        let tip = tips.remove(&workspace).ok_or_else(|| ReadError::corrupt("a workspace has no tip"))?;
        let is_building = tip.epoch == 0 && is_building(connection.ask()).await?;
        let WorkspaceDefaults { time_zone, currency } =
            model.defaults.of(connection.ask(), workspace, tip.epoch).await?;
        let mut snapshot = Self {
            connection,
            taken_after,
            now: model.clock.now(),
            workspace,
            epoch: tip.epoch,
            applied: tip.applied,
            head: tip.head,
            revision: tip.revision,
            retained_at: tip.retained_at,
            parked: Parked::default(),
            oldest_unapplied: tip.oldest_unapplied,
            plans_for_values: false,
            is_building,
            time_zone,
            currency,
        };
        // Nothing was ever parked where this is 0.
        if snapshot.revision.count > 0 {
            snapshot.parked = parked::load(&mut snapshot).await?;
        }
        Ok(snapshot)
    }

    /// Has what is asked from here on planned for the values that it is asked with, each time. A plan that serves any values is
    /// made once, but it cannot tell one campaign from all of them, nor a day from a year.
    pub async fn plan_for_values(&mut self) -> Result<(), ReadError> {
        if !self.plans_for_values {
            self.db().execute("SET LOCAL plan_cache_mode = force_custom_plan").await?;
            self.plans_for_values = true;
        }
        Ok(())
    }

    /// What decides where a query says nothing.
    pub(crate) fn query_defaults(&self) -> QueryDefaults {
        QueryDefaults { time_zone: self.time_zone, now: self.now }
    }

    /// What a result without numbers is of, where it shows this snapshot.
    pub(crate) fn result_meta(&self, model: &'static str, version: Version, warnings: Vec<Warning>) -> ResultMeta {
        let Self { epoch, time_zone, currency, .. } = *self;
        ResultMeta { model, epoch, version, time_zone, currency, freshness: None, warnings }
    }

    /// To ask more, within the snapshot.
    pub fn db(&mut self) -> Statement<'_> {
        self.connection.ask()
    }

    /// Speaks from here on of an older state of the workspace, which is what the answer shows.
    pub async fn show_older(&mut self, epoch: i32, position: i64) -> Result<(), ReadError> {
        (self.epoch, self.applied) = (epoch, position);
        self.oldest_unapplied = if position < self.head {
            sqlx::query_scalar!("SELECT log.recorded_at_of($1, $2)", self.workspace, position + 1)
                .fetch_one(self.db())
                .await?
        } else {
            None
        };
        Ok(())
    }

    /// The age of the oldest event that is not applied yet; zero when everything is.
    pub fn lag(&self) -> TimeDelta {
        self.oldest_unapplied.map_or(TimeDelta::zero(), |recorded_at| (self.now - recorded_at).max(TimeDelta::zero()))
    }
}

/// Whether the model's first epoch is being built.
async fn is_building(db: impl PgExecutor<'_>) -> Result<bool, ReadError> {
    let is_building = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM read.epochs WHERE projection = $1 AND state = 'building')
                  AND NOT EXISTS (SELECT FROM read.epochs WHERE projection = $1 AND state = 'applied') AS "is_building!""#,
        MODEL
    )
    .fetch_one(db)
    .await?;
    Ok(is_building)
}
