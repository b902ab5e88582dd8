//! The second pass over the file: gathers its good lines by source into batches.

use std::collections::BTreeMap;
use std::io::Read;

use chrono::NaiveDate;
use csv::{ByteRecord, Reader};
use domain::measure::Measure;

use super::layout::{Columns, Layout};
use super::lines::Lines;
use super::row::Row;
use super::scan::{FileSummary, SurveyError, next_record, reader};

/// The number of statements in one request.
pub const BATCH: usize = 1_000;
/// The most lines that wait in partial batches, whatever the number of sources.
const WAITING: usize = 20 * BATCH;

/// Statements of one source, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Counts the batches of a file, from 0.
    pub number: u64,
    /// The source that states them.
    pub source: String,
    /// The day that they make whole, if they do.
    pub replaces: Option<NaiveDate>,
    /// The statements.
    pub statements: Vec<LineStatement>,
}

/// A line's statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineStatement {
    /// Its line number.
    pub line: u64,
    /// The campaign's name in the file.
    pub campaign: String,
    /// The day.
    pub date: NaiveDate,
    /// The totals.
    pub measures: Vec<(Measure, i64)>,
}

/// The reader of batches from a scanned file.
pub struct Batches<'a, R> {
    reader: Reader<Lines<R>>,
    layout: Layout,
    survey: &'a FileSummary,
    waiting: BTreeMap<String, Vec<LineStatement>>,
    count: usize,
    next_number: u64,
    /// Good lines that state nothing, because all their cells are empty.
    pub silent: u64,
}

impl<'a, R: Read> Batches<'a, R> {
    /// Starts at the top of the file.
    pub fn new(file: R, columns: &Columns, survey: &'a FileSummary) -> Result<Self, SurveyError> {
        let mut reader = reader(file);
        let layout = Layout::find(columns, reader.byte_headers().map_err(SurveyError::Read)?)?;
        Ok(Self { reader, layout, survey, waiting: BTreeMap::new(), count: 0, next_number: 0, silent: 0 })
    }

    /// The next batch; `None` at the end. The same file gives the same batches.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, SurveyError> {
        let mut record = ByteRecord::new();
        while let Some((line, shape)) = next_record(&mut self.reader, &mut record)? {
            if self.survey.bad.contains(&line) {
                continue;
            }
            let row = shape.and_then(|()| Row::read(&self.layout, &record)).map_err(|_| SurveyError::Changed(line))?;
            if !self.survey.campaigns.contains_key(row.campaign) || !self.survey.sources.contains(row.source) {
                return Err(SurveyError::Changed(line));
            }
            if row.measures.is_empty() {
                self.silent += 1;
                continue;
            }
            let statement =
                LineStatement { line, campaign: row.campaign.to_owned(), date: row.date, measures: row.measures };
            let of_source = self.waiting.entry(row.source.to_owned()).or_default();
            of_source.push(statement);
            self.count += 1;
            if of_source.len() >= BATCH {
                let source = row.source.to_owned();
                return Ok(self.take(source));
            }
            if self.count >= WAITING {
                return Ok(self.take_fullest());
            }
        }
        Ok(self.take_fullest())
    }

    fn take_fullest(&mut self) -> Option<Batch> {
        let fullest = self.waiting.iter().max_by_key(|(_, statements)| statements.len())?.0.clone();
        self.take(fullest)
    }

    fn take(&mut self, source: String) -> Option<Batch> {
        let statements = self.waiting.remove(&source)?;
        self.count -= statements.len();
        let number = self.next_number;
        self.next_number += 1;
        Some(Batch { number, source, replaces: None, statements })
    }
}
