//! Merges two streams of rows, both in the order of their keys, into the differences.

use futures_util::{Stream, TryStreamExt};
use sqlx::PgConnection;

use super::super::difference::{Cell, Changed, Difference, RowDifference};
use super::shape::TableSchema;
use super::{Problem, Scope, TableCount};

/// A row: the sort key, and every column as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    order: Vec<Vec<u8>>,
    values: Vec<Option<String>>,
}

/// Compares one table of a workspace in the live epoch and in the rebuilt one.
pub(super) async fn table(
    shape: &TableSchema,
    scope: Scope<'_>,
    (live_epoch, live): (i32, &mut PgConnection),
    (rebuilt_epoch, rebuilt): (i32, &mut PgConnection),
    tell: &(dyn Fn(&Difference) + Send + Sync),
) -> Result<TableCount, Problem> {
    let sql = |epoch, other| shape.query(epoch, other, scope.campaigns.is_some());
    let (live_rows, rebuilt_rows) = (sql(live_epoch, rebuilt_epoch), sql(rebuilt_epoch, live_epoch));
    let found = |key, row| tell(&Difference { workspace: scope.workspace, table: shape.table, key, row });
    merge(shape, rows(shape, &live_rows, scope, live), rows(shape, &rebuilt_rows, scope, rebuilt), found).await
}

/// The statement is dynamic: tables and columns come from the projection's constant and the catalogue.
fn rows<'a>(
    shape: &'a TableSchema,
    sql: &'a str,
    scope: Scope<'a>,
    session: &'a mut PgConnection,
) -> impl Stream<Item = Result<Row, sqlx::Error>> + Unpin + 'a {
    sqlx::query_as::<_, (Vec<Vec<u8>>, Vec<Option<String>>)>(sql)
        .bind(scope.workspace)
        .bind(scope.campaigns.unwrap_or_default())
        .persistent(false)
        .fetch(session)
        .map_ok(|(binary, values)| Row { order: ordering(binary, &shape.signed), values })
}

/// The sort key of binary forms, with the sign of numbers flipped so that bytes order as values do.
fn ordering(mut binary: Vec<Vec<u8>>, signed: &[bool]) -> Vec<Vec<u8>> {
    for (bytes, _) in binary.iter_mut().zip(signed).filter(|(_, is_signed)| **is_signed) {
        if let Some(first) = bytes.first_mut() {
            *first ^= 0x80;
        }
    }
    binary
}

async fn merge(
    shape: &TableSchema,
    live: impl Stream<Item = Result<Row, sqlx::Error>> + Unpin,
    rebuilt: impl Stream<Item = Result<Row, sqlx::Error>> + Unpin,
    found: impl Fn(Vec<Cell>, RowDifference),
) -> Result<TableCount, Problem> {
    let mut count = TableCount { table: shape.table, rows: 0, differences: 0 };
    let (mut live, mut rebuilt) = (Side::of(shape, live), Side::of(shape, rebuilt));
    live.step().await?;
    rebuilt.step().await?;
    loop {
        let difference = match (&live.row, &rebuilt.row) {
            (None, None) => return Ok(count),
            (Some(live), Some(rebuilt)) if live == rebuilt => None,
            (Some(live), Some(rebuilt)) if live.order == rebuilt.order => {
                Some((shape.key_of(&live.values), RowDifference::Changed(shape.changes(&live.values, &rebuilt.values))))
            }
            (Some(row), other) if other.as_ref().is_none_or(|other| row.order < other.order) => {
                Some((shape.key_of(&row.values), RowDifference::Extra(shape.rest_of(&row.values))))
            }
            (_, Some(row)) => Some((shape.key_of(&row.values), RowDifference::Missing(shape.rest_of(&row.values)))),
            (Some(_), None) => unreachable!("a live row without a counterpart is too many"),
        };
        let (step_live, step_rebuilt) = match &difference {
            None | Some((_, RowDifference::Changed(_))) => (true, true),
            Some((_, RowDifference::Extra(_))) => (true, false),
            Some((_, RowDifference::Missing(_))) => (false, true),
        };
        count.rows += 1;
        if let Some((key, row)) = difference {
            count.differences += 1;
            found(key, row);
        }
        if step_live {
            live.step().await?;
        }
        if step_rebuilt {
            rebuilt.step().await?;
        }
    }
}

/// A stream and its current row.
struct Side<S> {
    table: &'static str,
    rows: S,
    row: Option<Row>,
}

impl<S: Stream<Item = Result<Row, sqlx::Error>> + Unpin> Side<S> {
    fn of(shape: &TableSchema, rows: S) -> Self {
        Self { table: shape.table, rows, row: None }
    }

    /// Advances to the next row. The order is checked, because rows out of order would be reported as missing or extra.
    async fn step(&mut self) -> Result<(), Problem> {
        let next = self.rows.try_next().await?;
        if let (Some(last), Some(next)) = (&self.row, &next)
            && last.order >= next.order
        {
            return Err(Problem::Order(self.table));
        }
        self.row = next;
        Ok(())
    }
}

impl TableSchema {
    fn cell(&self, place: usize, values: &[Option<String>]) -> Cell {
        Cell { column: self.columns[place].clone(), value: values[place].clone() }
    }

    fn key_of(&self, values: &[Option<String>]) -> Vec<Cell> {
        self.key.iter().map(|&place| self.cell(place, values)).collect()
    }

    fn rest_of(&self, values: &[Option<String>]) -> Vec<Cell> {
        let rest = (0..self.columns.len()).filter(|place| !self.key.contains(place));
        rest.map(|place| self.cell(place, values)).collect()
    }

    fn changes(&self, live: &[Option<String>], rebuilt: &[Option<String>]) -> Vec<Changed> {
        let columns = self.columns.iter().zip(live.iter().zip(rebuilt));
        columns
            .filter(|(_, (live, rebuilt))| live != rebuilt)
            .map(|(column, (live, rebuilt))| Changed {
                column: column.clone(),
                live: live.clone(),
                rebuilt: rebuilt.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
