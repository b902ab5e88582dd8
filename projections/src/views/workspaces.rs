//! `read.workspaces`: the defaults that a workspace was opened with, its calendar, and its money limit.
//!
//! One event opens a workspace, and of its calendars and limits the last one counts: all are of one stream. The
//! position of the last calendar stands beside the checkpoint, too, where readers find it together with the head.

use std::collections::BTreeMap;

use domain::bucket::FiscalCalendar;
use domain::event::Event;
use domain::workspace::{WorkspaceEvent, WorkspaceOpened};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Workspaces {
    opened: BTreeMap<i32, WorkspaceOpened>,
    /// The last calendar of each, with the position of its event.
    calendars: BTreeMap<i32, (FiscalCalendar, i64)>,
    /// The last money limit of each, in micros, with the position of its event.
    limits: BTreeMap<i32, (Option<i64>, i64)>,
}

impl View for Workspaces {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Workspace(WorkspaceEvent::Opened(opened)) => {
                self.opened.insert(recorded.workspace, opened.clone());
            }
            Event::Workspace(WorkspaceEvent::CalendarSet(set)) => {
                self.calendars.insert(recorded.workspace, (set.calendar, recorded.position));
            }
            Event::Workspace(WorkspaceEvent::MoneyLimitSet(set)) => {
                self.limits.insert(recorded.workspace, (set.limit_micros, recorded.position));
            }
            Event::Campaign(_) | Event::Source(_) | Event::Observations(_) | Event::Statements(_) | Event::Sync(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        let Self { opened, calendars, limits } = downcast::<Self>(later);
        self.opened.extend(opened);
        self.calendars.extend(calendars);
        self.limits.extend(limits);
    }

    fn pending_rows(&self) -> usize {
        self.opened.len() + self.calendars.len() + self.limits.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            self.insert(epoch, conn).await?;
            self.set_calendars(epoch, conn).await?;
            self.set_limits(epoch, conn).await
        })
    }
}

impl Workspaces {
    async fn insert(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), WriteError> {
        if self.opened.is_empty() {
            return Ok(());
        }
        let workspaces: Vec<i32> = self.opened.keys().copied().collect();
        let names: Vec<String> = self.opened.values().map(|opened| opened.name.clone()).collect();
        let zones: Vec<String> = self.opened.values().map(|opened| opened.time_zone.to_string()).collect();
        let currencies: Vec<String> = self.opened.values().map(|opened| opened.currency.to_string()).collect();
        sqlx::query!(
            "INSERT INTO read.workspaces (epoch, workspace, name, time_zone, currency)
             SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::text[], $5::text[])
             ON CONFLICT (epoch, workspace) DO UPDATE
             SET name = excluded.name, time_zone = excluded.time_zone, currency = excluded.currency",
            epoch,
            &workspaces,
            &names,
            &zones,
            &currencies
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    /// Sets the calendars. The caller holds the checkpoints.
    async fn set_calendars(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), WriteError> {
        for (workspace, (calendar, position)) in &self.calendars {
            sqlx::query!(
                "UPDATE read.workspaces SET calendar = $3, calendar_position = $4 WHERE epoch = $1 AND workspace = $2",
                epoch,
                workspace,
                Json(calendar) as _,
                position
            )
            .execute(&mut *conn)
            .await?;
            sqlx::query!(
                "UPDATE read.checkpoints SET calendar_position = $4
                 WHERE projection = $1 AND epoch = $2 AND workspace = $3",
                super::CAMPAIGN_MODEL.name,
                epoch,
                workspace,
                position
            )
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }

    async fn set_limits(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), WriteError> {
        for (workspace, (limit, position)) in &self.limits {
            sqlx::query!(
                "UPDATE read.workspaces SET money_limit = $3, money_limit_position = $4
                 WHERE epoch = $1 AND workspace = $2",
                epoch,
                workspace,
                *limit,
                position
            )
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }
}
