//! `read.workspaces`: the defaults that a workspace was opened with.
//!
//! One event opens a workspace, so nothing is combined.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::workspace::WorkspaceOpened;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Workspaces(BTreeMap<i32, WorkspaceOpened>);

impl View for Workspaces {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Workspace(opened) => {
                self.0.insert(recorded.workspace, opened.clone());
            }
            Event::Campaign(_) | Event::Source(_) | Event::Observations(_) | Event::Statements(_) | Event::Sync(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        self.0.extend(downcast::<Self>(later).0);
    }

    fn pending_rows(&self) -> usize {
        self.0.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let workspaces: Vec<i32> = self.0.keys().copied().collect();
            let names: Vec<String> = self.0.values().map(|opened| opened.name.clone()).collect();
            let zones: Vec<String> = self.0.values().map(|opened| opened.time_zone.to_string()).collect();
            let currencies: Vec<String> = self.0.values().map(|opened| opened.currency.to_string()).collect();
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
        })
    }
}
