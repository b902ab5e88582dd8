//! The differences that a comparison of rows finds.

use std::fmt;

/// A row of the live tables that differs from the rebuilt one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The workspace of the row.
    pub workspace: i32,
    /// The table, in schema `read`.
    pub table: &'static str,
    /// The row's key, without epoch and workspace.
    pub key: Vec<Cell>,
    /// How the row differs.
    pub row: RowDifference,
}

/// A column and its value as text; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The column's name.
    pub column: String,
    /// Its value.
    pub value: Option<String>,
}

/// How a row differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowDifference {
    /// The live row has other values.
    Changed(Vec<Changed>),
    /// The rebuild has the row, with these values beside its key; the live table lacks it.
    Missing(Vec<Cell>),
    /// The live table has a row, with these values beside its key, that the log does not give.
    Extra(Vec<Cell>),
}

/// A column that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The column's name.
    pub column: String,
    /// The value of the live row.
    pub live: Option<String>,
    /// The value of the rebuilt row.
    pub rebuilt: Option<String>,
}

/// `rollup_15m campaign_id=… measure=clicks: value is 13, not 12`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        for cell in &self.key {
            write!(f, " {cell}")?;
        }
        f.write_str(": ")?;
        match &self.row {
            RowDifference::Changed(columns) => write!(f, "{}", joined(columns, "; ")),
            RowDifference::Missing(rest) => write!(f, "the row is missing: {}", joined(rest, " ")),
            RowDifference::Extra(rest) => write!(f, "a row too many: {}", joined(rest, " ")),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.column, or_null(self.value.as_deref()))
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (live, rebuilt) = (or_null(self.live.as_deref()), or_null(self.rebuilt.as_deref()));
        write!(f, "{} is {live}, not {rebuilt}", self.column)
    }
}

fn joined<T: fmt::Display>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

fn or_null(value: Option<&str>) -> &str {
    value.unwrap_or("NULL")
}
