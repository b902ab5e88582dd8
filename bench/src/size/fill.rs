//! Events that are in the log already, written by SQL: through the log they would take hours.

use anyhow::{Result, ensure};

use crate::server::Database;

/// Repeats the workspace's first drafted campaign under so many other ids, each with its claim, as if all of them had
/// been drafted before. The read tables count as up to date: nothing that is measured reads these campaigns.
pub(super) async fn log(database: &Database, workspace: i32, events: u32) -> Result<()> {
    let mut filling = database.admin.begin().await?;
    let inserted = sqlx::query(
        "INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                 workspace, position, recorded_at)
         SELECT first.aggregate_type, first.workspace || '/' || made.id, 1, first.event_type, first.event_version,
                replace(first.payload::text, split_part(first.aggregate_id, '/', 2), made.id)::json, first.metadata,
                first.workspace, first.head + made.n, first.recorded_at
         FROM (SELECT e.*, (SELECT h.position FROM log.heads h WHERE h.workspace = $1) AS head FROM log.events e
               WHERE e.workspace = $1 AND e.event_type = 'CampaignCreated' ORDER BY e.position LIMIT 1) AS first,
              (SELECT n, '00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS id
               FROM generate_series(1, $2) AS n OFFSET 0) AS made",
    )
    .bind(workspace)
    .bind(i32::try_from(events)?)
    .execute(&mut *filling)
    .await?;
    ensure!(inserted.rows_affected() == u64::from(events), "{} events were inserted", inserted.rows_affected());
    sqlx::query(
        "INSERT INTO log.claims (workspace, kind, key, owner, state)
         SELECT $1, 'campaign', made.id, made.id, 'open'
         FROM (SELECT '00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS id
               FROM generate_series(1, $2) AS n) AS made",
    )
    .bind(workspace)
    .bind(i32::try_from(events)?)
    .execute(&mut *filling)
    .await?;
    for moved in ["log.heads", "read.checkpoints"] {
        sqlx::query(&format!("UPDATE {moved} SET position = position + $2 WHERE workspace = $1"))
            .bind(workspace)
            .bind(i64::from(events))
            .execute(&mut *filling)
            .await?;
    }
    filling.commit().await?;
    for table in ["log.events", "log.claims"] {
        sqlx::query(&format!("VACUUM (ANALYZE) {table}")).execute(&database.admin).await?;
    }
    Ok(())
}
