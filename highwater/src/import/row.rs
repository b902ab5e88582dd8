//! One line of the file, parsed and checked.

use chrono::NaiveDate;
use csv::ByteRecord;
use domain::decimal::Rounded;
use domain::measure::{Measure, MeasureError};
use thiserror::Error;

use super::layout::Layout;

/// The content of a good line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'a> {
    /// The source.
    pub source: &'a str,
    /// The campaign.
    pub campaign: &'a str,
    /// The day.
    pub date: NaiveDate,
    /// The totals, as integers in each measure's unit. An empty cell is a measure that is not stated.
    pub measures: Vec<(Measure, i64)>,
}

/// The error of a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowError {
    /// It has more or fewer fields than the header.
    #[error("has {found} fields where the header has {expected}")]
    Fields { expected: u64, found: u64 },
    /// It is not UTF-8.
    #[error("{column} is not UTF-8 text")]
    NotText { column: &'static str },
    /// A name is empty.
    #[error("{column} is empty")]
    Empty { column: &'static str },
    /// It is not a day in the given format.
    #[error("`{0}` is not a date in the given format")]
    Date(String),
    /// It is not a value of the measure.
    #[error("{measure} `{cell}` {reason}")]
    Value { measure: Measure, cell: String, reason: MeasureError },
    /// An earlier line has its source, campaign and date.
    #[error("repeats the source, campaign and date of line {first}: `{source_name}`, `{campaign}`, {date}")]
    Twice { first: u64, source_name: String, campaign: String, date: NaiveDate },
}

/// A line that is not sent, with its error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} {error}")]
pub struct BadLine {
    /// Its line number; the header is line 1.
    pub line: u64,
    /// The error.
    #[source]
    pub error: RowError,
}

impl<'a> Row<'a> {
    /// Parses a line. Spaces around a cell are ignored.
    pub fn read(layout: &Layout, record: &'a ByteRecord) -> Result<Self, RowError> {
        let source = name(record, layout.source, "the source")?;
        let campaign = name(record, layout.campaign, "the campaign")?;
        let cell = text(record, layout.date, "the date")?;
        let date = layout.date_format.read(cell).ok_or_else(|| RowError::Date(cell.to_owned()))?;
        let mut measures = Vec::with_capacity(layout.measures.len());
        for (measure, column) in &layout.measures {
            let cell = text(record, *column, measure.name())?;
            if !cell.is_empty() {
                let Rounded { value, .. } = measure.parse_value(cell).map_err(|reason| RowError::Value {
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
