//! The time zone and the currency of workspaces. They never change after a workspace's first event, so each process
//! reads them once in an epoch.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, Utc};
use domain::money::Currency;
use domain::zone::Zone;
use sqlx::PgExecutor;

use crate::error::ReadError;

/// The time zone and the currency of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkspaceDefaults {
    pub time_zone: Zone,
    /// Known once its first event is applied.
    pub currency: Option<Currency>,
}

/// The defaults of a query: the time zone of its days, and the present instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryDefaults {
    pub time_zone: Zone,
    pub now: DateTime<Utc>,
}

/// The defaults that were read, each with its epoch.
#[derive(Debug, Default)]
pub(crate) struct WorkspaceDefaultsCache(RwLock<HashMap<i32, (i32, WorkspaceDefaults)>>);

impl WorkspaceDefaultsCache {
    /// The defaults of a workspace in its live epoch, which is 0 if nothing of it was ever projected.
    pub(crate) async fn of<'c>(
        &self,
        db: impl PgExecutor<'c>,
        workspace: i32,
        epoch: i32,
    ) -> Result<WorkspaceDefaults, ReadError> {
        if let Some(known) = self.known(workspace, epoch) {
            return Ok(known);
        }
        let row = sqlx::query!(
            "SELECT time_zone, currency FROM read.workspaces WHERE epoch = $1 AND workspace = $2",
            epoch,
            workspace
        )
        .fetch_optional(db)
        .await?;
        let Some(row) = row else { return Ok(WorkspaceDefaults { time_zone: Zone::UTC, currency: None }) };
        let defaults = WorkspaceDefaults {
            time_zone: row.time_zone.parse().map_err(ReadError::corrupt)?,
            currency: Some(row.currency.parse().map_err(ReadError::corrupt)?),
        };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(workspace, (epoch, defaults));
        Ok(defaults)
    }

    fn known(&self, workspace: i32, epoch: i32) -> Option<WorkspaceDefaults> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&workspace).filter(|(of, _)| *of == epoch).map(|(_, defaults)| *defaults)
    }
}
