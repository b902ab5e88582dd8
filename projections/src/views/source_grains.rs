//! `read.source_grains`: one row for each grain and zone in which a series of a source ever stated a total. `source_id`
//! is the series that the event names: the source itself, unless it moved on to another.
//!
//! A set does not depend on batches, nor on any order.

use std::collections::BTreeSet;

use domain::bucket::Grain;
use domain::event::Event;
use domain::ids::SourceId;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// Workspace, series, grain, zone.
type Row = (i32, SourceId, Grain, &'static str);

#[derive(Debug, Default)]
pub(super) struct SourceGrains(BTreeSet<Row>);

impl View for SourceGrains {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Statements(batch) => {
                if batch.makes_totals() && !batch.statements.is_empty() {
                    self.0.insert((recorded.workspace, batch.series(), batch.grain, batch.time_zone.name()));
                }
            }
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Observations(_) | Event::Sync(_) => {}
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
            let workspaces: Vec<i32> = self.0.iter().map(|(workspace, ..)| *workspace).collect();
            let sources: Vec<Uuid> = self.0.iter().map(|(_, series, ..)| series.0).collect();
            let grains: Vec<String> = self.0.iter().map(|(.., grain, _)| grain.name().to_owned()).collect();
            let zones: Vec<String> = self.0.iter().map(|(.., zone)| (*zone).to_owned()).collect();
            sqlx::query!(
                "INSERT INTO read.source_grains (epoch, workspace, source_id, grain, time_zone)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::text[], $5::text[])
                 ON CONFLICT DO NOTHING",
                epoch,
                &workspaces,
                &sources,
                &grains,
                &zones
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
