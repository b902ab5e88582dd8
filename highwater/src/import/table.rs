//! A file as a table: its lines cut into cells, its header and what stands below it.

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::encoding::{self, EncodingError};
use super::lines::Lines;
use super::spreadsheet::{self, SpreadsheetError};

/// The delimiters that are guessed, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// How many records are looked at to guess.
const SAMPLE: usize = 40;
/// How far down a header may stand.
const HEADER_WITHIN: usize = 60;

/// How a file is to be read, as far as the operator says.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The name of its encoding.
    pub encoding: Option<String>,
    /// What separates its cells.
    pub delimiter: Option<u8>,
    /// Its sheet, if it is a spreadsheet.
    pub sheet: Option<String>,
    /// How many lines stand above the header.
    pub skip_lines: Option<u64>,
}

/// A file that is cut into cells.
#[derive(Debug, Clone)]
pub struct Table {
    text: Vec<u8>,
    /// What separates its cells.
    pub delimiter: u8,
    /// The encoding that it was read in; `None`: it is a spreadsheet.
    pub encoding: Option<&'static str>,
    /// The line on which `text` begins.
    first_line: u64,
    /// How many records stand above what the table is read for.
    above: usize,
}

/// The error of a file that cannot be cut into cells.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Its encoding.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// It is a spreadsheet that cannot be read.
    #[error(transparent)]
    Spreadsheet(#[from] SpreadsheetError),
    /// It has no line.
    #[error("the file has no header line")]
    Empty,
}

/// A record and the line on which it begins.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The line.
    pub line: u64,
    /// Its cells.
    pub cells: Vec<String>,
    index: usize,
}

impl Table {
    /// Cuts the bytes of a file into cells.
    pub fn read(bytes: Vec<u8>, reading: &Reading) -> Result<Self, TableError> {
        let (text, encoding) = if spreadsheet::is_spreadsheet(&bytes) {
            (spreadsheet::to_csv(bytes, reading.sheet.as_deref())?, None)
        } else {
            let encoding = match &reading.encoding {
                Some(name) => encoding::named(name)?,
                None => encoding::guess(&bytes),
            };
            (encoding::decode(bytes, encoding)?, Some(encoding.name()))
        };
        let skipped = reading.skip_lines.unwrap_or_default();
        let text = if skipped == 0 { text } else { without_lines(&text, skipped) };
        let delimiter = match (encoding, reading.delimiter) {
            (None, _) => b',',
            (Some(_), Some(delimiter)) => delimiter,
            (Some(_), None) => guess_delimiter(&text),
        };
        Ok(Self { text, delimiter, encoding, first_line: skipped + 1, above: 0 })
    }

    /// The first records, of which one is the header.
    pub fn candidates(&self) -> Result<Vec<Candidate>, TableError> {
        let mut rows = self.rows();
        let mut record = ByteRecord::new();
        let mut found = Vec::new();
        while found.len() < HEADER_WITHIN
            && let Some(line) = rows.next(&mut record)
        {
            let cells = record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
            found.push(Candidate { line, cells, index: found.len() });
        }
        if found.is_empty() { Err(TableError::Empty) } else { Ok(found) }
    }

    /// The table below a header.
    #[must_use]
    pub fn below(self, header: &Candidate) -> Self {
        Self { above: header.index + 1, ..self }
    }

    /// Reads the records one by one, from the top.
    pub fn rows(&self) -> Rows<'_> {
        let mut rows = Rows { reader: reader(&self.text, self.delimiter, self.first_line) };
        let mut record = ByteRecord::new();
        for _ in 0..self.above {
            rows.next(&mut record);
        }
        rows
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.text.len() as u64
    }
}

/// The records of a table.
#[derive(Debug)]
pub struct Rows<'a> {
    reader: Reader<Lines<&'a [u8]>>,
}

impl Rows<'_> {
    /// Reads the next record, and returns its line. `None`: there is none.
    pub fn next(&mut self, record: &mut ByteRecord) -> Option<u64> {
        let offset = self.reader.position().byte();
        // Bytes in memory of any shape can be read.
        let is_there = self.reader.read_byte_record(record).unwrap_or(false);
        is_there.then(|| self.reader.get_mut().line_of(offset))
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.reader.position().byte()
    }
}

fn reader(text: &[u8], delimiter: u8, first_line: u64) -> Reader<Lines<&[u8]>> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(Lines::new(text, first_line))
}

/// The text below its first lines.
fn without_lines(text: &[u8], lines: u64) -> Vec<u8> {
    let mut rest = text;
    for _ in 0..lines {
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else { return Vec::new() };
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
    rest.to_vec()
}

/// The delimiter that cuts the most records into the same number of cells.
fn guess_delimiter(text: &[u8]) -> u8 {
    let agreement = |delimiter: u8| {
        let mut reader = reader(text, delimiter, 1);
        let mut record = ByteRecord::new();
        let mut widths = Vec::with_capacity(SAMPLE);
        while widths.len() < SAMPLE && reader.read_byte_record(&mut record).unwrap_or(false) {
            widths.push(record.len());
        }
        let votes = |width: usize| widths.iter().filter(|other| **other == width).count() * (width - 1);
        widths.iter().map(|width| votes(*width)).max().unwrap_or_default()
    };
    let mut best = (DELIMITERS[0], 0);
    for delimiter in DELIMITERS {
        let score = agreement(delimiter);
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}
