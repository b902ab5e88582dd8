//! The time zone, the calendar and the currency of workspaces. Each process reads them once in an epoch, and again
//! after a calendar was set; the others never change.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, Utc};
use domain::bucket::FiscalCalendar;
use domain::money::Currency;
use domain::zone::Zone;
use sqlx::PgExecutor;
use sqlx::postgres::types::Oid;
use sqlx::types::Json;

use crate::error::ReadError;

/// The time zone, the calendar and the currency of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkspaceDefaults {
    pub time_zone: Zone,
    pub calendar: FiscalCalendar,
    /// Known once its first event is applied.
    pub currency: Option<Currency>,
}

/// The defaults of a query: the time zone of its days, its calendar, and the present instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueryDefaults {
    pub time_zone: Zone,
    pub calendar: FiscalCalendar,
    pub now: DateTime<Utc>,
}

/// The rows that defaults follow from: those of an epoch, after the event that last set the calendar, on a server that
/// has not started anew since. A backup may be restored while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DefaultsVersion {
    pub server_started_at: DateTime<Utc>,
    pub database: Oid,
    /// The live epoch, which is 0 if nothing of the workspace was ever projected.
    pub epoch: i32,
    /// The position of that event; 0 if there was none.
    pub calendar_position: i64,
}

/// The defaults that were read, each with its version.
#[derive(Debug, Default)]
pub(crate) struct WorkspaceDefaultsCache(RwLock<HashMap<i32, (DefaultsVersion, WorkspaceDefaults)>>);

impl WorkspaceDefaultsCache {
    /// The defaults of a workspace.
    pub(crate) async fn of<'c>(
        &self,
        db: impl PgExecutor<'c>,
        workspace: i32,
        version: DefaultsVersion,
    ) -> Result<WorkspaceDefaults, ReadError> {
        if let Some(known) = self.known(workspace, version) {
            return Ok(known);
        }
        let row = sqlx::query!(
            r#"SELECT time_zone, currency, calendar AS "calendar: Json<FiscalCalendar>", calendar_position
               FROM read.workspaces WHERE epoch = $1 AND workspace = $2"#,
            version.epoch,
            workspace
        )
        .fetch_optional(db)
        .await?;
        let Some(row) = row else { return Ok(WorkspaceDefaults::default()) };
        let defaults = WorkspaceDefaults {
            time_zone: row.time_zone.parse().map_err(ReadError::corrupt)?,
            calendar: row.calendar.0,
            currency: Some(row.currency.parse().map_err(ReadError::corrupt)?),
        };
        // A calendar may have been set since the head was read.
        let version = DefaultsVersion { calendar_position: row.calendar_position, ..version };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(workspace, (version, defaults));
        Ok(defaults)
    }

    fn known(&self, workspace: i32, version: DefaultsVersion) -> Option<WorkspaceDefaults> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&workspace).filter(|(of, _)| *of == version).map(|(_, defaults)| *defaults)
    }
}

impl Default for WorkspaceDefaults {
    fn default() -> Self {
        Self { time_zone: Zone::UTC, calendar: FiscalCalendar::ISO, currency: None }
    }
}

impl WorkspaceDefaults {
    /// The defaults of a query at this instant.
    pub(crate) fn at(self, now: DateTime<Utc>) -> QueryDefaults {
        QueryDefaults { time_zone: self.time_zone, calendar: self.calendar, now }
    }
}
