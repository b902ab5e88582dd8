//! What a comparison may find.

/// A row of the live tables that is not what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whose row.
    pub workspace: i32,
    /// The table, in schema `read`.
    pub table: &'static str,
    /// The row's key, without epoch and workspace.
    pub key: Vec<Cell>,
    /// What is wrong with it.
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
    /// Its name.
    pub column: String,
    /// What the live row has.
    pub live: Option<String>,
    /// What the rebuilt row has.
    pub rebuilt: Option<String>,
}
