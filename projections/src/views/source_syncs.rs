//! `read.source_syncs`: what each source has said of its runs. `read.source_runs`: each run that ended well or took
//! completeness back, so that a later change can be told from one that came before the number was final.
//!
//! Rows are folded from the source's own sync stream, event by event, from where the row stands: how the log was cut
//! into batches does not matter. No other stream is read.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::freshness::{RunRecord, SourceSyncs as Syncs};
use domain::ids::SourceId;
use domain::sync::{FinalThrough, SyncEvent};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

type Key = (i32, SourceId);

/// The events of each source that are not folded yet, in order, with their positions.
#[derive(Debug, Default)]
pub(super) struct SourceSyncs(BTreeMap<Key, Vec<(i64, SyncEvent)>>);

impl View for SourceSyncs {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Sync(event) => {
                let events = self.0.entry((recorded.workspace, event.source())).or_default();
                events.push((recorded.position, event.clone()));
            }
            Event::Workspace(_)
            | Event::Campaign(_)
            | Event::Source(_)
            | Event::Observations(_)
            | Event::Statements(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (source, events) in downcast::<Self>(later).0 {
            self.0.entry(source).or_default().extend(events);
        }
    }

    fn pending_rows(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let mut syncs = load(epoch, &self.0, conn).await?;
            let mut runs = Vec::new();
            for (key, events) in &self.0 {
                let state = syncs.entry(*key).or_default();
                runs.extend(events.iter().filter_map(|(position, event)| Some((*key, *position, state.apply(event)?))));
            }
            store(epoch, &syncs, conn).await?;
            store_runs(epoch, &runs, conn).await
        })
    }
}

/// A row as it stands.
struct Row {
    workspace: i32,
    source_id: Uuid,
    last_started_at: Option<DateTime<Utc>>,
    last_completed_at: Option<DateTime<Utc>>,
    last_failed_at: Option<DateTime<Utc>>,
    failure_reason: Option<String>,
    complete_through: Option<DateTime<Utc>>,
    grain: Option<String>,
    open_run_at: Option<DateTime<Utc>>,
    last_read_at: Option<DateTime<Utc>>,
    final_delivery: Option<DateTime<Utc>>,
    final_conversions: Option<DateTime<Utc>>,
    reads: Json<domain::freshness::ReadHistory>,
}

async fn load(
    epoch: i32,
    wanted: &BTreeMap<Key, Vec<(i64, SyncEvent)>>,
    conn: &mut PgConnection,
) -> Result<BTreeMap<Key, Syncs>, WriteError> {
    let (workspaces, ids): (Vec<i32>, Vec<Uuid>) = wanted.keys().map(|(workspace, id)| (*workspace, id.0)).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT s.workspace, s.source_id, s.last_started_at, s.last_completed_at, s.last_failed_at, s.failure_reason,
                  s.complete_through, s.grain, s.open_run_at, s.last_read_at, s.final_delivery, s.final_conversions,
                  s.reads AS "reads: Json<domain::freshness::ReadHistory>"
           FROM unnest($2::integer[], $3::uuid[]) AS w (workspace, source_id)
           JOIN read.source_syncs s ON s.epoch = $1 AND s.workspace = w.workspace AND s.source_id = w.source_id"#,
        epoch,
        &workspaces,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let state = |row: Row| {
        let syncs = Syncs {
            last_started_at: row.last_started_at,
            last_completed_at: row.last_completed_at,
            last_failed_at: row.last_failed_at,
            complete_through: row.complete_through,
            failure_reason: row.failure_reason,
            // We wrote it, so it is one.
            grain: row.grain.and_then(|grain| grain.parse().ok()),
            open_run_at: row.open_run_at,
            last_read_at: row.last_read_at,
            final_through: FinalThrough { delivery: row.final_delivery, conversions: row.final_conversions },
            reads: row.reads.0,
        };
        ((row.workspace, SourceId(row.source_id)), syncs)
    };
    Ok(rows.into_iter().map(state).collect())
}

async fn store(epoch: i32, syncs: &BTreeMap<Key, Syncs>, conn: &mut PgConnection) -> Result<(), WriteError> {
    let (workspaces, ids): (Vec<i32>, Vec<Uuid>) = syncs.keys().map(|(workspace, id)| (*workspace, id.0)).unzip();
    let instants = |of: fn(&Syncs) -> Option<DateTime<Utc>>| syncs.values().map(of).collect::<Vec<_>>();
    let reasons: Vec<_> = syncs.values().map(|syncs| syncs.failure_reason.clone()).collect();
    let grains: Vec<_> = syncs.values().map(|syncs| syncs.grain.map(|grain| grain.name().to_owned())).collect();
    // As text: json arrays are not taken, and what is read back is what was written.
    let reads = syncs.values().map(|syncs| serde_json::to_string(&syncs.reads));
    let reads: Vec<_> = reads.collect::<Result<_, _>>().map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        "INSERT INTO read.source_syncs (epoch, workspace, source_id, last_started_at, last_completed_at, last_failed_at,
                                        failure_reason, complete_through, grain, open_run_at, last_read_at,
                                        final_delivery, final_conversions, reads)
         SELECT $1, w.workspace, w.source_id, w.last_started_at, w.last_completed_at, w.last_failed_at,
                w.failure_reason, w.complete_through, w.grain, w.open_run_at, w.last_read_at, w.final_delivery,
                w.final_conversions,
                w.reads::json
         FROM unnest($2::integer[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[],
                     $8::timestamptz[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[],
                     $13::timestamptz[], $14::text[])
              AS w (workspace, source_id, last_started_at, last_completed_at, last_failed_at, failure_reason,
                    complete_through, grain, open_run_at, last_read_at, final_delivery, final_conversions, reads)
         ON CONFLICT (epoch, workspace, source_id) DO UPDATE
         SET last_started_at = excluded.last_started_at, last_completed_at = excluded.last_completed_at,
             last_failed_at = excluded.last_failed_at, failure_reason = excluded.failure_reason,
             complete_through = excluded.complete_through, grain = excluded.grain, open_run_at = excluded.open_run_at,
             last_read_at = excluded.last_read_at, final_delivery = excluded.final_delivery,
             final_conversions = excluded.final_conversions, reads = excluded.reads",
        epoch,
        &workspaces,
        &ids,
        &instants(|syncs| syncs.last_started_at) as _,
        &instants(|syncs| syncs.last_completed_at) as _,
        &instants(|syncs| syncs.last_failed_at) as _,
        &reasons as _,
        &instants(|syncs| syncs.complete_through) as _,
        &grains as _,
        &instants(|syncs| syncs.open_run_at) as _,
        &instants(|syncs| syncs.last_read_at) as _,
        &instants(|syncs| syncs.final_through.delivery) as _,
        &instants(|syncs| syncs.final_through.conversions) as _,
        &reads
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn store_runs(epoch: i32, runs: &[(Key, i64, RunRecord)], conn: &mut PgConnection) -> Result<(), WriteError> {
    if runs.is_empty() {
        return Ok(());
    }
    let workspaces: Vec<i32> = runs.iter().map(|((workspace, _), ..)| *workspace).collect();
    let sources: Vec<Uuid> = runs.iter().map(|((_, source), ..)| source.0).collect();
    let positions: Vec<i64> = runs.iter().map(|(_, position, _)| *position).collect();
    let completed: Vec<_> = runs.iter().map(|(.., run)| run.completed_at).collect();
    let started: Vec<_> = runs.iter().map(|(.., run)| run.started_at).collect();
    let from: Vec<_> = runs.iter().map(|(.., run)| run.covers_from).collect();
    let to: Vec<_> = runs.iter().map(|(.., run)| run.covers_to).collect();
    let reopening: Vec<_> = runs.iter().map(|(.., run)| run.is_reopening).collect();
    sqlx::query!(
        "INSERT INTO read.source_runs (epoch, workspace, source_id, position, completed_at, started_at, covers_from,
                                       covers_to, is_reopening)
         SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::bigint[], $5::timestamptz[], $6::timestamptz[],
                                  $7::timestamptz[], $8::timestamptz[], $9::boolean[])",
        epoch,
        &workspaces,
        &sources,
        &positions,
        &completed,
        &started,
        &from as _,
        &to,
        &reopening
    )
    .execute(conn)
    .await?;
    Ok(())
}
