//! `read.source_measures`: one row for each measure of which a source ever stated totals, of any campaign, with the
//! position of the first event that did.
//!
//! A minimum does not depend on batches, nor on the order between streams.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::SourceId;
use domain::measure::Measure;
use domain::observation::{ObservationType, ObservationsRecorded};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// By workspace, source and measure: the first position.
#[derive(Debug, Default)]
pub(super) struct SourceMeasures(BTreeMap<(i32, SourceId, Measure), i64>);

impl SourceMeasures {
    fn state(&mut self, key: (i32, SourceId, Measure), position: i64) {
        self.0.entry(key).and_modify(|first| *first = position.min(*first)).or_insert(position);
    }
}

/// The measures that a batch of observations states. An observation costs two bits: a replay reads a million a second.
fn measures_of(batch: &ObservationsRecorded) -> impl Iterator<Item = Measure> {
    let mask = |kind: ObservationType| 1_u64 << (kind as u32);
    let (mut counted, mut valued) = (0, 0);
    for observation in &batch.observations {
        counted |= mask(observation.kind);
        if observation.value_micros.is_some() {
            valued |= mask(observation.kind);
        }
    }
    ObservationType::ALL.iter().flat_map(move |kind| {
        let count = kind.count_measure().filter(|_| counted & mask(*kind) != 0);
        let value = kind.value_measure().filter(|_| valued & mask(*kind) != 0);
        [count, value].into_iter().flatten()
    })
}

impl View for SourceMeasures {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let (workspace, position) = (recorded.workspace, recorded.position);
        match &recorded.event {
            Event::Observations(batch) => {
                measures_of(batch).for_each(|measure| self.state((workspace, batch.source, measure), position));
            }
            // What is no part of totals is not expected of them either.
            Event::Statements(batch) if batch.makes_totals() => {
                let measures = batch.statements.iter().flat_map(|statement| statement.measures.keys());
                measures.for_each(|measure| self.state((workspace, batch.source, *measure), position));
            }
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (key, position) in downcast::<Self>(later).0 {
            self.state(key, position);
        }
    }

    fn pending_rows(&self) -> usize {
        self.0.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let workspaces: Vec<i32> = self.0.keys().map(|(workspace, ..)| *workspace).collect();
            let sources: Vec<Uuid> = self.0.keys().map(|(_, source, _)| source.0).collect();
            let measures: Vec<String> = self.0.keys().map(|(.., measure)| measure.name().to_owned()).collect();
            let positions: Vec<i64> = self.0.values().copied().collect();
            sqlx::query!(
                "INSERT INTO read.source_measures AS m (epoch, workspace, source_id, measure, position)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::text[], $5::bigint[])
                 ON CONFLICT (epoch, workspace, source_id, measure) DO UPDATE
                 SET position = excluded.position WHERE excluded.position < m.position",
                epoch,
                &workspaces,
                &sources,
                &measures,
                &positions
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
