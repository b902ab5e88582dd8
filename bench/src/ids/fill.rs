//! Ids that are kept already, written by SQL: through the log they would take hours.

use anyhow::Result;
use chrono::NaiveDate;

use crate::server::Database;

/// Fills a day with so many ids of one workspace, in no order. Its index is made afterwards, as full as random inserts
/// leave the pages of a B-tree.
pub(super) async fn day(database: &Database, workspace: i32, day: NaiveDate, ids: u32) -> Result<()> {
    sqlx::query("SELECT log.ensure_day($1)").bind(day).execute(&database.admin).await?;
    let part = format!("log.item_ids_{}", day.format("%Y%m%d"));
    let key = format!("item_ids_{}_pkey", day.format("%Y%m%d"));
    let mut filling = database.admin.begin().await?;
    for statement in [
        "SET LOCAL maintenance_work_mem = '256MB'".to_owned(),
        format!("ALTER TABLE log.item_ids DETACH PARTITION {part}"),
        format!("ALTER TABLE {part} DROP CONSTRAINT {key}"),
        format!(
            "INSERT INTO {part} (workspace, day, id, fingerprint, batch)
             SELECT {workspace}, '{day}', gen_random_uuid(), n, log.first_batch('{day}') + n / 500
             FROM generate_series(1, {ids}) AS n"
        ),
        format!("ALTER TABLE {part} ADD CONSTRAINT {key} PRIMARY KEY (workspace, id, day) WITH (fillfactor = 70)"),
        format!("ALTER TABLE log.item_ids ATTACH PARTITION {part} FOR VALUES FROM ('{day}') TO ('{day}'::date + 1)"),
    ] {
        sqlx::query(&statement).execute(&mut *filling).await?;
    }
    Ok(filling.commit().await?)
}
