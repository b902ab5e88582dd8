//! The shadow epoch of a verify, which is filled, compared and dropped. There is one for each live epoch, because rows
//! depend on its stored inputs. No workspace ever reads it.

use std::collections::BTreeMap;

use sqlx::{Connection, Executor, PgConnection, PgPool};

use super::super::locks::is_lock_timeout;
use super::super::rebuild::{PendingWorkspace, Rebuild};
use super::super::{Projection, checkpoint};

/// How long creating the tables may wait for another change of the same tables.
const LOCK_TIMEOUT: &str = "5s";
/// How long dropping them waits for a transaction that may read them.
const LONGEST_READ: &str = "30s";

/// Creates a shadow epoch, to be compared with the live epoch `like`.
pub(super) async fn begin(pool: &PgPool, projection: &Projection, like: i32) -> Result<i32, sqlx::Error> {
    let mut tx = pool.begin().await?;
    sqlx::query_scalar!("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT).fetch_one(&mut *tx).await?;
    checkpoint::lock_epochs(&mut tx).await?;
    let epoch = checkpoint::create_epoch(&mut tx, projection).await?;
    // In the same transaction, so that no replay ever continues it.
    sqlx::query!(
        "UPDATE read.epochs SET state = 'verifying' WHERE projection = $1 AND epoch = $2",
        projection.name,
        epoch
    )
    .execute(&mut *tx)
    .await?;
    take_over_inputs(&mut tx, projection, epoch, like).await?;
    tx.commit().await?;
    Ok(epoch)
}

/// Copies the stored inputs of the live epoch, not those that were set since for the next one.
async fn take_over_inputs(
    conn: &mut PgConnection,
    projection: &Projection,
    epoch: i32,
    live: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE read.epochs e SET dimension_values = l.dimension_values FROM read.epochs l
         WHERE e.projection = $1 AND e.epoch = $2 AND l.projection = $1 AND l.epoch = $3",
        projection.name,
        epoch,
        live
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM read.epoch_retention WHERE projection = $1 AND epoch = $2", projection.name, epoch)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO read.epoch_retention (table_name, epoch, projection, before, changed_at)
         SELECT table_name, $2, projection, before, changed_at FROM read.epoch_retention
         WHERE projection = $1 AND epoch = $3",
        projection.name,
        epoch,
        live
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether two epochs have the same stored inputs. Months are not compared: where one epoch keeps fewer, fewer are
/// compared.
pub(super) async fn have_same_inputs(
    pool: &PgPool,
    projection: &Projection,
    epochs: [i32; 2],
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(DISTINCT dimension_values) = 1 AS "are_same!" FROM read.epochs
           WHERE projection = $1 AND epoch = ANY($2)"#,
        projection.name,
        &epochs[..]
    )
    .fetch_one(pool)
    .await
}

/// Drops the epoch of this run, and what a killed one left. The caller holds the lock of this projection's verify. What
/// cannot be dropped in time, because of a very long read, is dropped by the next run.
pub(super) async fn drop_leftovers(pool: &PgPool, projection: &Projection) -> Result<(), sqlx::Error> {
    let left = sqlx::query!(
        "SELECT epoch, tables FROM read.epochs WHERE projection = $1 AND state = 'verifying' ORDER BY epoch",
        projection.name
    )
    .fetch_all(pool)
    .await?;
    for aside in left {
        sqlx::query!("DELETE FROM read.checkpoints WHERE projection = $1 AND epoch = $2", projection.name, aside.epoch)
            .execute(pool)
            .await?;
        match drop_tables(pool, &aside.tables, aside.epoch).await {
            Ok(()) => {
                sqlx::query!(
                    "DELETE FROM read.epochs WHERE projection = $1 AND epoch = $2",
                    projection.name,
                    aside.epoch
                )
                .execute(pool)
                .await?;
            }
            Err(error) if is_lock_timeout(&error) => {
                tracing::warn!(
                    projection = projection.name,
                    epoch = aside.epoch,
                    "a read takes very long: the next verify drops the shadow epoch"
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Detaches tables, then drops them. They are detached concurrently: only this session waits, for the reads that began
/// before it.
async fn drop_tables(pool: &PgPool, tables: &[String], epoch: i32) -> Result<(), sqlx::Error> {
    let mut session = pool.acquire().await?.detach();
    sqlx::query_scalar!("SELECT set_config('lock_timeout', $1, false)", LONGEST_READ).fetch_one(&mut session).await?;
    for table in tables {
        let child = format!("{table}_e{epoch}");
        let state = sqlx::query!(
            r#"SELECT c.oid IS NOT NULL AS "exists!", i.inhrelid IS NOT NULL AS "is_attached!",
                      coalesce(i.inhdetachpending, false) AS "is_half_detached!"
               FROM (SELECT to_regclass('read.' || quote_ident($1)) AS oid) c
               LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"#,
            child
        )
        .fetch_one(&mut session)
        .await?;
        // The statement is dynamic, because the names come from the epoch's record.
        if state.is_attached {
            let how = if state.is_half_detached { "FINALIZE" } else { "CONCURRENTLY" };
            let detach = format!("ALTER TABLE read.{table} DETACH PARTITION read.{child} {how}");
            session.execute(detach.as_str()).await?;
        }
        if state.exists {
            session.execute(format!("DROP TABLE read.{child}").as_str()).await?;
        }
    }
    session.close().await
}

/// The logs with live rows, by live epoch, with nothing rebuilt of them yet.
pub(super) async fn live_logs(
    pool: &PgPool,
    projection: &Projection,
    only: &[i32],
) -> Result<BTreeMap<i32, Vec<PendingWorkspace>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT l.epoch, l.workspace, coalesce(c.position, 0) AS "live!"
           FROM read.live_epochs l LEFT JOIN read.checkpoints c USING (projection, epoch, workspace)
           WHERE l.projection = $1 AND (l.workspace = ANY($2) OR cardinality($2::integer[]) = 0)
           ORDER BY l.workspace"#,
        projection.name,
        only
    )
    .fetch_all(pool)
    .await?;
    let mut logs = BTreeMap::<i32, Vec<PendingWorkspace>>::new();
    for row in rows {
        logs.entry(row.epoch).or_default().push(PendingWorkspace {
            workspace: row.workspace,
            filled: 0,
            live: row.live,
        });
    }
    Ok(logs)
}

/// The checkpoint of a log's rebuild.
pub(super) async fn filled(rebuild: &Rebuild<'_>, workspace: i32) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT position FROM read.checkpoints WHERE projection = $1 AND epoch = $2 AND workspace = $3",
        rebuild.projection.name,
        rebuild.epoch,
        workspace
    )
    .fetch_one(rebuild.pool)
    .await
}

/// The number of rows in `read.skipped_events` of a log, which only grows.
pub(super) async fn skipped_events(rebuild: &Rebuild<'_>, workspace: i32) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "skips!" FROM read.skipped_events WHERE projection = $1 AND workspace = $2"#,
        rebuild.projection.name,
        workspace
    )
    .fetch_one(rebuild.pool)
    .await
}
