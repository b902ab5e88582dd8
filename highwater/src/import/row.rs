//! One line of the file, read and judged.

use chrono::NaiveDate;
use csv::ByteRecord;
use domain::measure::{Measure, MeasureError};
use thiserror::Error;

use super::layout::Layout;

/// What a good line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// Who says it.
    pub source: &'a str,
    /// Of which campaign.
    pub campaign: &'a str,
    /// Of which day.
    pub date: NaiveDate,
    /// The totals, as integers in each measure's unit. An empty cell is a measure not stated.
    pub measures: Vec<(Measure, i64)>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowError {
    /// More or fewer fields than the header.
    #[error("has {found} fields where the header has {expected}")]
    Fields { expected: u64, found: u64 },
    /// Bytes that are no UTF-8.
    #[error("{column} is not UTF-8 text")]
    NotText { column: &'static str },
    /// Nothing where a name must stand.
    #[error("{column} is empty")]
    Empty { column: &'static str },
    /// Not a day in the format that was given.
    #[error("`{0}` is not a date in the given format")]
    Date(String),
    /// Not a value of the measure.
    #[error("{measure} `{cell}` {reason}")]
    Value { measure: Measure, cell: String, reason: MeasureError },
    /// Its source, campaign and date stood on an earlier line already.
    #[error("says the same source, campaign and date as line {first}: `{source_name}`, `{campaign}`, {date}")]
    Twice { first: u64, source_name: String, campaign: String, date: NaiveDate },
}

/// A line that will not be sent, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} {error}")]
pub struct BadLine {
    /// Where it starts in the file; the header is line 1.
    pub line: u64,
    /// What is wrong with it.
    #[source]
    pub error: RowError,
}

impl<'a> Row<'a> {
    /// Reads a line. Spaces around a cell mean nothing.
    pub fn read(layout: &Layout, record: &'a ByteRecord) -> Result<Self, RowError> {
        let source = name(record, layout.source, "the source")?;
        let campaign = name(record, layout.campaign, "the campaign")?;
        let cell = text(record, layout.date, "the date")?;
        let date = layout.date_format.read(cell).ok_or_else(|| RowError::Date(cell.to_owned()))?;
        let mut measures = Vec::with_capacity(layout.measures.len());
        for (measure, column) in &layout.measures {
            let cell = text(record, *column, measure.name())?;
            if !cell.is_empty() {
                let value = measure.parse_value(cell).map_err(|reason| RowError::Value {
                    measure: *measure,
                    cell: cell.to_owned(),
                    reason,
                })?;
                measures.push((*measure, value));
            }
        }
        Ok(Self { source, campaign, date, measures })
    }
}

fn text<'a>(record: &'a ByteRecord, index: usize, column: &'static str) -> Result<&'a str, RowError> {
    let cell = record.get(index).unwrap_or_default();
    std::str::from_utf8(cell).map(str::trim).map_err(|_| RowError::NotText { column })
}

fn name<'a>(record: &'a ByteRecord, index: usize, column: &'static str) -> Result<&'a str, RowError> {
    let name = text(record, index, column)?;
    if name.is_empty() { Err(RowError::Empty { column }) } else { Ok(name) }
}
