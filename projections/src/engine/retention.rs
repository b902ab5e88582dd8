//! Retention of the tables whose rows belong to a time. The log is never touched: a rebuild under a wider rule has the
//! months again.
//!
//! A bound is stored before anything is dropped, and readers report it. What lies before it is dropped once every older
//! reader is gone: partitions by month, or rows of the tables with few rows. Views read the bound in the transaction
//! that writes. A new epoch begins with it.

use chrono::{DateTime, Months, Utc};
use domain::bucket::utc_month;
use sqlx::PgPool;
use thiserror::Error;

use super::locks::ShortLockWaits;
use super::{Projection, Registry, checkpoint};

/// The number of coming months whose partitions are created in advance.
const MONTHS_AHEAD: u32 = 2;
/// The most rows that one transaction deletes.
const ROWS_AT_ONCE: i64 = 10_000;
const DROP_ATTEMPTS: u32 = 20;

/// The retention of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The projection.
    pub projection: String,
    /// Its name in schema `read`.
    pub table: String,
    /// The number of whole months before the current one that are kept; `None`: the bound stays where it is.
    pub keep_months: Option<i32>,
    /// The bound: rows of earlier buckets are kept neither now nor by the next rebuild.
    pub before: Option<DateTime<Utc>>,
    /// The bound of the existing rows. It is later than `before` while months that are to be kept again need a rebuild.
    pub dropped_before: Option<DateTime<Utc>>,
}

/// Why a retention was not set.
#[derive(Debug, Error)]
pub enum RetentionError {
    /// The table has no retention.
    #[error("{table:?} is not a table that is kept by month; those are {}", tables.join(", "))]
    UnknownTable {
        /// The requested table.
        table: String,
        /// The tables with a retention.
        tables: Vec<String>,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Keeps `keep_months` whole months before the current one, of one table or of all tables with a retention. `None`
/// keeps all months, from the next rebuild on. [`maintain`] drops the earlier ones.
pub async fn set(
    pool: &PgPool,
    registry: Registry,
    table: Option<&str>,
    keep_months: Option<u32>,
    now: DateTime<Utc>,
) -> Result<(), RetentionError> {
    let tables = kept_tables(pool).await?;
    let wanted: Vec<String> = tables.iter().filter(|name| table.is_none_or(|table| table == *name)).cloned().collect();
    if let (Some(table), true) = (table, wanted.is_empty()) {
        return Err(RetentionError::UnknownTable { table: table.to_owned(), tables });
    }
    let before = keep_months.and_then(|months| first_kept(now, months));
    let keep_months = keep_months.map(|months| i32::try_from(months).unwrap_or(i32::MAX));
    for &projection in registry {
        let own: Vec<String> =
            wanted.iter().filter(|name| projection.tables.contains(&name.as_str())).cloned().collect();
        let mut tx = pool.begin().await?;
        checkpoint::lock_epochs(&mut tx).await?;
        sqlx::query!(
            "INSERT INTO read.retention (projection, table_name, keep_months, before, changed_at)
             SELECT $1, name, $3, $4, $5 FROM unnest($2::text[]) AS t (name)
             ON CONFLICT (projection, table_name) DO UPDATE
             SET keep_months = excluded.keep_months, before = excluded.before, changed_at = excluded.changed_at",
            projection.name,
            &own,
            keep_months,
            before,
            now
        )
        .execute(&mut *tx)
        .await?;
        carry_over(&mut tx, projection, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Limits how many values of a dimension an epoch keeps, from the next rebuild on.
pub async fn limit_dimensions(pool: &PgPool, registry: Registry, values: u32) -> Result<(), sqlx::Error> {
    let values = i32::try_from(values).unwrap_or(i32::MAX);
    for projection in registry {
        sqlx::query!(
            "INSERT INTO read.dimension_limits (projection, dimension_values) VALUES ($1, $2)
             ON CONFLICT (projection) DO UPDATE SET dimension_values = excluded.dimension_values",
            projection.name,
            values
        )
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// The retention of each table that ever had one.
pub async fn list(pool: &PgPool) -> Result<Vec<Retention>, sqlx::Error> {
    sqlx::query_as!(
        Retention,
        r#"SELECT r.projection, r.table_name AS "table", r.keep_months, r.before,
                  (SELECT max(e.before) FROM read.epoch_retention e
                   WHERE e.projection = r.projection AND e.table_name = r.table_name) AS dropped_before
           FROM read.retention r ORDER BY r.projection, r.table_name"#
    )
    .fetch_all(pool)
    .await
}

/// Advances the bounds month by month, drops what lies before them, and creates the coming months. Returns the dropped
/// partitions, and those of which rows were deleted. What readers still use is left for the next call.
pub async fn maintain(pool: &PgPool, registry: Registry, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
    advance(pool, registry, now).await?;
    make_months(pool, registry, now).await?;
    let mut dropped = drop_months(pool).await?;
    dropped.extend(delete_rows(pool).await?);
    Ok(dropped)
}

/// The first month that is kept, so many whole months before the current one.
fn first_kept(now: DateTime<Utc>, months: u32) -> Option<DateTime<Utc>> {
    utc_month(now).checked_sub_months(Months::new(months))
}

async fn monthly_tables(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT name AS "name!" FROM unnest(read.monthly_tables()) AS t (name)"#)
        .fetch_all(pool)
        .await
}

async fn kept_tables(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT name AS "name!" FROM unnest(read.monthly_tables() || read.row_retention_tables()) AS t (name)"#
    )
    .fetch_all(pool)
    .await
}

async fn advance(pool: &PgPool, registry: Registry, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    for &projection in registry {
        let mut tx = pool.begin().await?;
        checkpoint::lock_epochs(&mut tx).await?;
        let rules = sqlx::query!(
            r#"SELECT table_name, keep_months AS "keep_months!" FROM read.retention
               WHERE projection = $1 AND keep_months IS NOT NULL"#,
            projection.name
        )
        .fetch_all(&mut *tx)
        .await?;
        for rule in rules {
            let before = u32::try_from(rule.keep_months).ok().and_then(|months| first_kept(now, months));
            sqlx::query!(
                "UPDATE read.retention SET before = $3, changed_at = $4
                 WHERE projection = $1 AND table_name = $2 AND (before IS NULL OR before < $3)",
                projection.name,
                rule.table_name,
                before,
                now
            )
            .execute(&mut *tx)
            .await?;
        }
        carry_over(&mut tx, projection, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Copies advanced bounds to the existing epochs. A bound there never moves back, because the months are gone.
async fn carry_over(
    conn: &mut sqlx::PgConnection,
    projection: &Projection,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"INSERT INTO read.epoch_retention AS kept (table_name, epoch, projection, before, changed_at)
           SELECT r.table_name, e.epoch, r.projection, r.before, $2
           FROM read.retention r JOIN read.epochs e USING (projection)
           WHERE r.projection = $1 AND r.before IS NOT NULL
           ON CONFLICT (table_name, epoch) DO UPDATE
           SET before = excluded.before, changed_at = excluded.changed_at, set_by = pg_current_xact_id()
           WHERE kept.before < excluded.before"#,
        projection.name,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn make_months(pool: &PgPool, registry: Registry, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let months: Vec<_> =
        (0..=MONTHS_AHEAD).filter_map(|ahead| utc_month(now).checked_add_months(Months::new(ahead))).collect();
    let tables = monthly_tables(pool).await?;
    for &projection in registry {
        let own: Vec<String> =
            tables.iter().filter(|name| projection.tables.contains(&name.as_str())).cloned().collect();
        let epochs = sqlx::query_scalar!(
            "SELECT epoch FROM read.epochs WHERE projection = $1 AND state <> 'dropping' AND tables @> $2
             ORDER BY epoch",
            projection.name,
            &own
        )
        .fetch_all(pool)
        .await?;
        for epoch in epochs {
            sqlx::query!("SELECT FROM read.prepare_months($1, $2, $3)", epoch, &own, &months).execute(pool).await?;
        }
    }
    Ok(())
}

async fn drop_months(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    // A reader from before the bound was set does not know it, and must find the rows.
    let over = sqlx::query!(
        r#"SELECT r.table_name, r.epoch, m.name AS "name!"
           FROM read.epoch_retention r
           CROSS JOIN LATERAL read.months_before(r.table_name, r.epoch, r.before) AS m (name)
           WHERE NOT EXISTS (SELECT FROM pg_stat_activity a
                             WHERE a.datname = current_database() AND a.backend_type = 'client backend'
                               AND a.pid <> pg_backend_pid()
                               AND age(a.backend_xmin) >= age(r.set_by::xid))
           ORDER BY r.epoch, m.name"#
    )
    .fetch_all(pool)
    .await?;
    let mut dropped = Vec::new();
    for month in over {
        if drop_month(pool, &month.table_name, month.epoch, &month.name).await? {
            dropped.push(month.name);
        } else {
            tracing::warn!(table = month.name, "readers are busy: the month is dropped later");
        }
    }
    Ok(dropped)
}

/// Deletes the rows that are not kept of tables without partitions by month. A writer that did not know the bound yet
/// may leave rows before it. The next run deletes them.
async fn delete_rows(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let over = sqlx::query!(
        r#"SELECT r.table_name, r.epoch, r.before FROM read.epoch_retention r
           WHERE r.table_name = ANY(read.row_retention_tables())
             AND NOT EXISTS (SELECT FROM pg_stat_activity a
                             WHERE a.datname = current_database() AND a.backend_type = 'client backend'
                               AND a.pid <> pg_backend_pid()
                               AND age(a.backend_xmin) >= age(r.set_by::xid))
           ORDER BY r.epoch, r.table_name"#
    )
    .fetch_all(pool)
    .await?;
    let mut emptied = Vec::new();
    for table in over {
        let mut has_rows = false;
        loop {
            let deleted = match table.table_name.as_str() {
                "corrections" => delete_corrections(pool, table.epoch, table.before).await?,
                _ => delete_statements(pool, table.epoch, table.before).await?,
            };
            if deleted == 0 {
                break;
            }
            has_rows = true;
        }
        if has_rows {
            emptied.push(format!("{}_e{}", table.table_name, table.epoch));
        }
    }
    Ok(emptied)
}

/// Skips rows that are being written, so that no session deadlocks. The next run deletes them.
async fn delete_statements(pool: &PgPool, epoch: i32, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM read.statements WHERE epoch = $1 AND ctid = ANY(ARRAY(
             SELECT ctid FROM read.statements WHERE epoch = $1 AND bucket_end <= $2 LIMIT $3 FOR UPDATE SKIP LOCKED))",
        epoch,
        before,
        ROWS_AT_ONCE
    )
    .execute(pool)
    .await?;
    let deleted_rows = sqlx::query!(
        "DELETE FROM read.breakdowns WHERE epoch = $1 AND ctid = ANY(ARRAY(
             SELECT ctid FROM read.breakdowns WHERE epoch = $1 AND bucket_end <= $2 LIMIT $3 FOR UPDATE SKIP LOCKED))",
        epoch,
        before,
        ROWS_AT_ONCE
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected() + deleted_rows.rows_affected())
}

async fn delete_corrections(pool: &PgPool, epoch: i32, before: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM read.corrections WHERE epoch = $1 AND ctid = ANY(ARRAY(
             SELECT ctid FROM read.corrections WHERE epoch = $1 AND bucket < $2 LIMIT $3 FOR UPDATE SKIP LOCKED))",
        epoch,
        before,
        ROWS_AT_ONCE
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// The table whose retention decides how long a table is kept: totals follow from the rows of breakdowns.
pub(crate) fn kept_like(table: &str) -> &str {
    if table == "breakdowns" { "statements" } else { table }
}

/// The condition under which a retention that begins at `before` keeps a row of a table.
pub(crate) fn kept_from(table: &str, before: &str) -> String {
    match table {
        // A day of some zone may begin in one month and end in the next. It is kept as a whole with the later one.
        "statements" | "breakdowns" => format!("bucket_end > {before}"),
        _ => format!("bucket >= {before}"),
    }
}

/// Drops one partition. Returns `false` if readers used it all the time.
async fn drop_month(pool: &PgPool, table: &str, epoch: i32, month: &str) -> Result<bool, sqlx::Error> {
    let mut tries = ShortLockWaits::new(DROP_ATTEMPTS);
    while let Some(mut tx) = tries.begin(pool).await? {
        let tried = sqlx::query!("SELECT read.drop_month($1, $2, $3)", table, epoch, month).execute(&mut *tx).await;
        if tries.finish(tx, tried).await? {
            return Ok(true);
        }
    }
    Ok(false)
}
