//! The shape of a table's rows, as the catalogue describes it.
//!
//! Rows are read as text, column by column, in the order of their key. Both sides of a comparison must agree with this
//! program on that order, whatever the database's collation. So texts are ordered by their bytes. Every key column is
//! also read in PostgreSQL's binary form, whose bytes order as the values do after the sign of a number is flipped.

use sqlx::PgPool;

use super::super::{Projection, retention};

/// A table of a projection.
#[derive(Debug)]
pub(super) struct TableSchema {
    pub(super) table: &'static str,
    /// The columns that are compared: all except epoch and workspace, which are the same in every row of a comparison.
    pub(super) columns: Vec<String>,
    /// The indexes in `columns` of the key.
    pub(super) key: Vec<usize>,
    /// For each key column, whether its binary form is a signed number.
    pub(super) signed: Vec<bool>,
    selected: String,
    ordered: String,
}

/// A column of the catalogue.
struct Column {
    name: String,
    quoted: String,
    r#type: String,
    /// The function that returns its binary form.
    send: String,
    /// Whether it is text, whose order depends on the collation.
    is_text: bool,
    /// Its place in the primary key.
    key: Option<i32>,
}

impl TableSchema {
    pub(super) async fn of_all(pool: &PgPool, projection: &Projection) -> Result<Vec<Self>, sqlx::Error> {
        let mut shapes = Vec::with_capacity(projection.tables.len());
        for table in projection.tables {
            shapes.push(Self::of(pool, table).await?);
        }
        Ok(shapes)
    }

    async fn of(pool: &PgPool, table: &'static str) -> Result<Self, sqlx::Error> {
        let columns = sqlx::query_as!(
            Column,
            r#"SELECT a.attname::text AS "name!", quote_ident(a.attname) AS "quoted!", t.typname::text AS "type!",
                      t.typsend::text AS "send!", a.attcollation <> 0 AS "is_text!",
                      array_position(i.indkey::smallint[], a.attnum) AS key
               FROM pg_attribute a
               JOIN pg_type t ON t.oid = a.atttypid
               JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
               WHERE a.attrelid = ('read.' || quote_ident($1))::regclass AND a.attnum > 0 AND NOT a.attisdropped
                 AND a.attname NOT IN ('epoch', 'workspace')
               ORDER BY a.attnum"#,
            table
        )
        .fetch_all(pool)
        .await?;
        Ok(Self::from_columns(table, columns))
    }

    fn from_columns(table: &'static str, columns: Vec<Column>) -> Self {
        let mut key: Vec<usize> = (0..columns.len()).filter(|&place| columns[place].key.is_some()).collect();
        key.sort_by_key(|&place| columns[place].key);
        let keys = || key.iter().map(|&place| &columns[place]);
        let joined = |parts: Vec<String>| parts.join(", ");
        let values = joined(columns.iter().map(|column| format!("{}::text", column.quoted)).collect());
        let binary = joined(keys().map(Column::binary).collect());
        let ordered = match joined(keys().map(Column::order).collect()) {
            none if none.is_empty() => none,
            some => format!(" ORDER BY {some}"),
        };
        let signed = keys().map(Column::is_signed).collect();
        let selected = format!("ARRAY[{binary}]::bytea[], ARRAY[{values}]::text[]");
        let columns = columns.into_iter().map(|column| column.name).collect();
        Self { table, columns, key, signed, selected, ordered }
    }

    /// The query of the rows of the workspace `$1` in one epoch. With `is_sampled`, rows of campaigns are limited to
    /// the campaigns `$2`. It reads the epoch's own table, because a lock on its parent could block a drop of another
    /// epoch. It reads only months that both epochs keep: retention drops months from one epoch after the other.
    pub(super) fn query(&self, epoch: i32, other: i32, is_sampled: bool) -> String {
        let Self { table, selected, ordered, .. } = self;
        let has_campaign = self.columns.iter().any(|column| column == "campaign_id");
        // Every statement uses both parameters.
        let only = if is_sampled && has_campaign { "campaign_id = ANY ($2::uuid[])" } else { "$2::uuid[] IS NOT NULL" };
        let kept = if self.columns.iter().any(|column| column == "bucket" || column == "bucket_end") {
            let before = format!(
                "coalesce((SELECT max(r.before) FROM read.epoch_retention r
                           WHERE r.table_name = '{}' AND r.epoch IN ({epoch}, {other})), '-infinity')",
                retention::kept_like(table)
            );
            format!(" AND {}", retention::kept_from(table, &before))
        } else {
            String::new()
        };
        format!(
            "SELECT {selected} FROM read.{table}_e{epoch}
             WHERE epoch = {epoch} AND workspace = $1 AND {only}{kept}{ordered}"
        )
    }
}

impl Column {
    fn binary(&self) -> String {
        format!("{}({})", self.send, self.quoted)
    }

    fn order(&self) -> String {
        if self.is_text { format!("{} COLLATE \"C\"", self.quoted) } else { self.quoted.clone() }
    }

    fn is_signed(&self) -> bool {
        matches!(self.r#type.as_str(), "int2" | "int4" | "int8" | "date" | "timestamptz")
    }
}

#[cfg(test)]
impl TableSchema {
    /// A table for tests, which no database has.
    pub(super) fn of_tests(table: &'static str, columns: &[&str], key: &[usize]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        let (selected, ordered) = (String::new(), String::new());
        Self { table, columns, key: key.to_vec(), signed: Vec::new(), selected, ordered }
    }
}
