//! `read.sources`: what each source was registered as. `read.source_changes`: what happened to it since, one row for
//! each event, from which readers fold its settings by date.
//!
//! One event registers a source, and a row of changes is named by its place in the log: there is nothing to combine.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::SourceId;
use domain::source::{SourceDefinition, SourceEvent, SourceRole};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct Sources {
    registered: BTreeMap<(i32, SourceId), SourceDefinition>,
    /// By workspace and position.
    changes: BTreeMap<(i32, i64), SourceEvent>,
}

impl View for Sources {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Source(SourceEvent::SourceRegistered { source, definition, at: _ }) => {
                self.registered.insert((recorded.workspace, *source), definition.clone());
            }
            Event::Source(event) => {
                self.changes.insert((recorded.workspace, recorded.position), event.clone());
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
        let later = downcast::<Self>(later);
        self.registered.extend(later.registered);
        self.changes.extend(later.changes);
    }

    fn pending_rows(&self) -> usize {
        self.registered.len() + self.changes.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            self.store_registered(epoch, conn).await?;
            self.store_changes(epoch, conn).await
        })
    }
}

impl Sources {
    async fn store_registered(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), WriteError> {
        if self.registered.is_empty() {
            return Ok(());
        }
        let texts = |of: fn(&SourceDefinition) -> String| self.registered.values().map(of).collect::<Vec<String>>();
        let (workspaces, ids): (Vec<i32>, Vec<Uuid>) =
            self.registered.keys().map(|(workspace, id)| (*workspace, id.0)).unzip();
        let definitions: Vec<_> = self.registered.values().map(json).collect::<Result<_, _>>()?;
        sqlx::query!(
            "INSERT INTO read.sources (epoch, workspace, source_id, name, channel, role, measure_roles, currency,
                                       definition)
             SELECT $1, s.workspace, s.source_id, s.name, s.channel, s.role, s.measure_roles::json, s.currency,
                    s.definition::json
             FROM unnest($2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[])
                  AS s (workspace, source_id, name, channel, role, measure_roles, currency, definition)
             ON CONFLICT (epoch, workspace, source_id) DO UPDATE
             SET name = excluded.name, channel = excluded.channel, role = excluded.role,
                 measure_roles = excluded.measure_roles, currency = excluded.currency,
                 definition = excluded.definition",
            epoch,
            &workspaces,
            &ids,
            &texts(|source| source.name.clone()),
            &texts(|source| source.channel.to_string()),
            &texts(|source| source.role.name().to_owned()),
            &texts(measure_roles),
            &texts(|source| source.currency.to_string()),
            &definitions
        )
        .execute(conn)
        .await?;
        Ok(())
    }

    async fn store_changes(&self, epoch: i32, conn: &mut PgConnection) -> Result<(), WriteError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let (workspaces, positions): (Vec<i32>, Vec<i64>) = self.changes.keys().copied().unzip();
        let ids: Vec<Uuid> = self.changes.values().map(|event| event.source().0).collect();
        let events: Vec<_> = self.changes.values().map(json).collect::<Result<_, _>>()?;
        sqlx::query!(
            "INSERT INTO read.source_changes (epoch, workspace, source_id, position, event)
             SELECT $1, c.workspace, c.source_id, c.position, c.event::json
             FROM unnest($2::integer[], $3::uuid[], $4::bigint[], $5::text[])
                  AS c (workspace, source_id, position, event)",
            epoch,
            &workspaces,
            &ids,
            &positions,
            &events
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// As text: json arrays are not taken.
fn json(value: &impl serde::Serialize) -> Result<String, WriteError> {
    Ok(serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))?)
}

/// The roles as JSON, such as `{"clicks":"reference"}`. The names need no escape.
fn measure_roles(source: &SourceDefinition) -> String {
    let role = |of: &SourceRole| of.name();
    let roles = source.measure_roles.iter().map(|(measure, of)| format!(r#""{measure}":"{}""#, role(of)));
    format!("{{{}}}", roles.collect::<Vec<_>>().join(","))
}
