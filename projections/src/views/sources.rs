//! `read.sources`: the definition with which each source was registered.
//!
//! One event registers a source, so nothing is combined.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::SourceId;
use domain::source::{SourceDefinition, SourceEvent, SourceKind, SourceRole};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<(i32, SourceId), SourceDefinition>);

impl View for Sources {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Source(SourceEvent::SourceRegistered { source, definition, at: _ }) => {
                self.0.insert((recorded.workspace, *source), definition.clone());
            }
            Event::Workspace(_)
            | Event::Campaign(_)
            | Event::Observations(_)
            | Event::Statements(_)
            | Event::Sync(_) => {}
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
            let texts = |of: fn(&SourceDefinition) -> String| self.0.values().map(of).collect::<Vec<String>>();
            let (workspaces, ids): (Vec<i32>, Vec<Uuid>) =
                self.0.keys().map(|(workspace, id)| (*workspace, id.0)).unzip();
            let delays: Vec<i64> = self.0.values().map(|source| source.expected_delay_s).collect();
            let horizons: Vec<i64> = self.0.values().map(|source| source.restatement_horizon_s).collect();
            sqlx::query!(
                "INSERT INTO read.sources (epoch, workspace, source_id, name, channel, kind, role, measure_roles,
                                           time_zone, currency, expected_delay_s, restatement_horizon_s)
                 SELECT $1, s.workspace, s.source_id, s.name, s.channel, s.kind, s.role, s.measure_roles::json,
                     s.time_zone, s.currency, s.expected_delay_s, s.restatement_horizon_s
                 FROM unnest($2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                             $9::text[], $10::text[], $11::bigint[], $12::bigint[])
                      AS s (workspace, source_id, name, channel, kind, role, measure_roles, time_zone, currency,
                            expected_delay_s, restatement_horizon_s)
                 ON CONFLICT (epoch, workspace, source_id) DO UPDATE
                 SET name = excluded.name, channel = excluded.channel, kind = excluded.kind, role = excluded.role,
                     measure_roles = excluded.measure_roles, time_zone = excluded.time_zone,
                     currency = excluded.currency,
                     expected_delay_s = excluded.expected_delay_s,
                     restatement_horizon_s = excluded.restatement_horizon_s",
                epoch,
                &workspaces,
                &ids,
                &texts(|source| source.name.clone()),
                &texts(|source| source.channel.to_string()),
                &texts(|source| kind(source.kind).to_owned()),
                &texts(|source| role(source.role).to_owned()),
                &texts(measure_roles),
                &texts(|source| source.time_zone.to_string()),
                &texts(|source| source.currency.to_string()),
                &delays,
                &horizons
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}

fn kind(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Push => "push",
        SourceKind::Pull => "pull",
    }
}

fn role(role: SourceRole) -> &'static str {
    match role {
        SourceRole::Primary => "primary",
        SourceRole::Reference => "reference",
    }
}

/// The roles as JSON, such as `{"clicks":"reference"}`. The names need no escape.
fn measure_roles(source: &SourceDefinition) -> String {
    let roles = source.measure_roles.iter().map(|(measure, of)| format!(r#""{measure}":"{}""#, role(*of)));
    format!("{{{}}}", roles.collect::<Vec<_>>().join(","))
}
