//! The observations of a file, one after the other: lines of JSON, or records of CSV.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};

use csv::{ByteRecord, ReaderBuilder};
use serde_json::value::RawValue;

use super::ObservationFile;
use super::columns::MemberColumns;
use crate::import::lines::Lines;

/// How many lines that were left out are named.
pub(super) const NAMED: usize = 50;

/// An observation of a file, as the JSON that is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The line on which it begins.
    pub(super) line: u64,
    /// The JSON, or why there is none.
    pub(super) item: Result<String, String>,
}

/// Lines that were left out.
#[derive(Debug, Default)]
pub(super) struct RefusedLines {
    /// How many.
    pub(super) count: u64,
    /// The first of them, with what is wrong.
    pub(super) named: Vec<(u64, String)>,
}

impl RefusedLines {
    pub(super) fn add(&mut self, line: u64, why: String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push((line, why));
        }
    }
}

/// The reader of a file.
#[derive(Debug)]
pub(super) enum Records {
    /// One observation on each line.
    Json {
        /// The rest of the file.
        file: BufReader<File>,
        /// The lines that are read.
        lines: u64,
        /// The bytes that are read.
        bytes: u64,
    },
    /// A header and records.
    Csv {
        /// The rest of the file.
        reader: Box<csv::Reader<Lines<BufReader<File>>>>,
        /// What its columns mean.
        layout: MemberColumns,
    },
}

impl Records {
    pub(super) fn new(file: BufReader<File>, is_json: bool, options: &ObservationFile) -> anyhow::Result<Self> {
        if is_json {
            return Ok(Self::Json { file, lines: 0, bytes: 0 });
        }
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true).delimiter(options.columns.delimiter.unwrap_or(b','));
        let mut reader = builder.from_reader(Lines::new(file, 1));
        let mut header = ByteRecord::new();
        anyhow::ensure!(reader.read_byte_record(&mut header)?, "the file is empty");
        let layout = MemberColumns::find(&header, &options.columns)?;
        Ok(Self::Csv { reader: Box::new(reader), layout })
    }

    /// What may not be meant.
    pub(super) fn warnings(&self) -> Vec<String> {
        match self {
            Self::Json { .. } => Vec::new(),
            Self::Csv { layout, .. } => layout.warnings(),
        }
    }

    /// How many bytes are read.
    pub(super) fn position(&self) -> u64 {
        match self {
            Self::Json { bytes, .. } => *bytes,
            Self::Csv { reader, .. } => reader.position().byte(),
        }
    }
}

impl Iterator for Records {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Json { file, lines, bytes } => loop {
                let mut text = Vec::new();
                match file.read_until(b'\n', &mut text) {
                    Ok(0) => return None,
                    Ok(read) => *bytes += read as u64,
                    Err(error) => return Some(Err(error)),
                }
                *lines += 1;
                let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text).trim_ascii();
                if !text.is_empty() {
                    return Some(Ok(Record { line: *lines, item: json_line(text) }));
                }
            },
            Self::Csv { reader, layout } => {
                let mut record = ByteRecord::new();
                let offset = reader.position().byte();
                match reader.read_byte_record(&mut record) {
                    Ok(false) => None,
                    Ok(true) => {
                        let line = reader.get_mut().line_of(offset);
                        Some(Ok(Record { line, item: layout.read(&record) }))
                    }
                    Err(error) => Some(Err(error.into())),
                }
            }
        }
    }
}

/// A line as it is sent. What its members are is for the server to judge.
fn json_line(text: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(text).map_err(|_| "is not UTF-8".to_owned())?;
    if !text.starts_with('{') {
        return Err("is not a JSON object".to_owned());
    }
    serde_json::from_str::<&RawValue>(text).map_err(|error| format!("is not JSON: {error}"))?;
    Ok(text.to_owned())
}
