//! Months of the tables that are partitioned by month: created before rows are written, except those before a retention
//! bound.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::bucket::utc_month;
use sqlx::PgConnection;

/// The bound before which a table keeps no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RetentionBound(Option<DateTime<Utc>>);

impl RetentionBound {
    /// Whether rows of this bucket are kept.
    pub(super) fn holds(self, bucket: DateTime<Utc>) -> bool {
        self.0.is_none_or(|before| bucket >= before)
    }
}

/// Creates the missing months of these buckets, in the transaction that writes the rows. Returns the bound of each
/// table. It is a stored input, which a rebuild of the epoch reads too.
pub(super) async fn prepare<const N: usize>(
    epoch: i32,
    tables: [&str; N],
    buckets: impl Iterator<Item = DateTime<Utc>>,
    conn: &mut PgConnection,
) -> Result<[RetentionBound; N], sqlx::Error> {
    let names: Vec<String> = tables.iter().map(|&table| table.to_owned()).collect();
    let months: BTreeSet<_> = buckets.map(utc_month).collect();
    let months: Vec<_> = months.into_iter().collect();
    let rows = sqlx::query!(
        r#"SELECT table_name AS "table_name!", before FROM read.prepare_months($1, $2, $3)"#,
        epoch,
        &names,
        &months
    )
    .fetch_all(conn)
    .await?;
    let before = |table: &str| rows.iter().find(|row| row.table_name == table).and_then(|row| row.before);
    Ok(tables.map(|table| RetentionBound(before(table))))
}
