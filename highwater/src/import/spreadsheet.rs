//! Spreadsheets: a sheet as the text that it would be exported as.

use std::io::Cursor;

use calamine::{Data, Range, Reader as _};
use thiserror::Error;

/// The first bytes of a ZIP archive (XLSX, ODS) and of an old Excel file.
const MAGIC: [&[u8]; 2] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];

/// The error of a spreadsheet.
#[derive(Debug, Error)]
pub enum SpreadsheetError {
    /// It cannot be read.
    #[error("the spreadsheet cannot be read")]
    Read(#[source] calamine::Error),
    /// It has no such sheet.
    #[error("the spreadsheet has no sheet `{wanted}`; its sheets: {there}")]
    Missing {
        /// The named sheet.
        wanted: String,
        /// Those that it has.
        there: String,
    },
    /// It has no sheet at all.
    #[error("the spreadsheet has no sheet with cells")]
    Empty,
    /// It cannot be written as text.
    #[error("the sheet cannot be written as text")]
    Write(#[source] csv::Error),
}

/// Whether the bytes are a spreadsheet.
pub fn is_spreadsheet(bytes: &[u8]) -> bool {
    MAGIC.iter().any(|magic| bytes.starts_with(magic))
}

/// A sheet as comma-separated text, one line for each row: the named one, else the first with cells.
pub fn to_csv(bytes: Vec<u8>, sheet: Option<&str>) -> Result<Vec<u8>, SpreadsheetError> {
    let mut book = calamine::open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(SpreadsheetError::Read)?;
    let names = book.sheet_names();
    if let Some(wanted) = sheet
        && !names.iter().any(|name| name == wanted)
    {
        let there = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(SpreadsheetError::Missing { wanted: wanted.to_owned(), there });
    }
    for name in names.iter().filter(|name| sheet.is_none_or(|wanted| wanted == name.as_str())) {
        let cells = book.worksheet_range(name).map_err(SpreadsheetError::Read)?;
        if !cells.is_empty() {
            return write(&cells).map_err(SpreadsheetError::Write);
        }
    }
    Err(SpreadsheetError::Empty)
}

fn write(cells: &Range<Data>) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    // Rows above the first cell keep the numbers of the lines true.
    for _ in 0..cells.start().map_or(0, |(row, _)| row) {
        out.write_record([""])?;
    }
    for row in cells.rows() {
        out.write_record(row.iter().map(cell))?;
    }
    out.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// A cell as text. A number with decimals gets an exponent, which leaves no doubt about its decimal mark.
fn cell(data: &Data) -> String {
    match data {
        Data::Empty => String::new(),
        Data::String(text) => text.replace(['\r', '\n'], " "),
        Data::Int(number) => number.to_string(),
        Data::Float(number) if number.fract() == 0.0 => number.to_string(),
        Data::Float(number) => format!("{number:e}"),
        Data::Bool(is_true) => is_true.to_string(),
        Data::DateTime(serial) => match serial.to_ymd_hms_milli() {
            (year, month, day, 0, 0, 0, _) => format!("{year:04}-{month:02}-{day:02}"),
            (year, month, day, hour, minute, second, _) => {
                format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
            }
        },
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(_) => "#N/A".to_owned(),
    }
}
