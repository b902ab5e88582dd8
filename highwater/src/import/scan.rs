//! The first pass over the file: checks every line and collects what the file names.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::Read;

use chrono::{Datelike, NaiveDate};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::layout::{Columns, Layout, LayoutError};
use super::lines::Lines;
use super::row::{BadLine, Row, RowError};

/// The summary of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSummary {
    /// Lines after the header, good and bad.
    pub rows: u64,
    /// Lines that must not be sent.
    pub bad: BTreeSet<u64>,
    /// The sources of the good lines.
    pub sources: BTreeSet<String>,
    /// The campaigns of the good lines.
    pub campaigns: BTreeMap<String, CampaignSummary>,
    /// The digest of the file's bytes, which identifies the file.
    pub digest: [u8; 32],
}

/// The summary of a campaign's good lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignSummary {
    /// The first day that it has numbers for.
    pub first_date: NaiveDate,
    /// The sources that have numbers for it.
    pub sources: BTreeSet<String>,
}

/// The error of a file that cannot be read.
#[derive(Debug, Error)]
pub enum SurveyError {
    /// The header does not fit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Reading failed.
    #[error("cannot read the file")]
    Read(#[source] csv::Error),
    /// The file changed between the passes.
    #[error("the file changed while it was read: line {0} was good and is not any more")]
    Changed(u64),
}

/// A reader for files with a header. [`next_record`] reports lines of another length.
pub(super) fn reader<R: Read>(file: R) -> Reader<Lines<R>> {
    ReaderBuilder::new().has_headers(true).from_reader(Lines::new(file))
}

/// The number of a line, and the error in its shape, if there is one.
pub(super) type Line = (u64, Result<(), RowError>);

/// Reads one line. `None` at the end.
pub(super) fn next_record<R: Read>(
    reader: &mut Reader<Lines<R>>,
    record: &mut ByteRecord,
) -> Result<Option<Line>, SurveyError> {
    let offset = reader.position().byte();
    let shape = match reader.read_byte_record(record) {
        Ok(false) => return Ok(None),
        Ok(true) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                Err(RowError::Fields { expected: *expected_len, found: *len })
            }
            _ => return Err(SurveyError::Read(error)),
        },
    };
    Ok(Some((reader.get_mut().line_of(offset), shape)))
}

/// Reads the whole file. It passes each bad line to `report` as it is found, and the number of bytes read so far to
/// `progress`.
pub fn survey<R: Read>(
    file: R,
    columns: &Columns,
    report: &mut dyn FnMut(BadLine),
    progress: &dyn Fn(u64),
) -> Result<FileSummary, SurveyError> {
    let mut reader = reader(Hashing { file, digest: Sha256::new() });
    let layout = Layout::find(columns, reader.byte_headers().map_err(SurveyError::Read)?)?;
    let mut found = FileSummary::default();
    let mut keys = Keys::default();
    let mut record = ByteRecord::new();
    while let Some((line, shape)) = next_record(&mut reader, &mut record)? {
        found.rows += 1;
        if found.rows.is_multiple_of(1_000) {
            progress(record.position().map_or(0, csv::Position::byte));
        }
        let judged = shape.and_then(|()| Row::read(&layout, &record)).and_then(|row| {
            keys.take(&row, line).map_err(|first| {
                // It is unknown which of the two lines is right, so neither is sent.
                found.bad.insert(first);
                RowError::Twice {
                    first,
                    source_name: row.source.to_owned(),
                    campaign: row.campaign.to_owned(),
                    date: row.date,
                }
            })
        });
        if let Err(error) = judged {
            found.bad.insert(line);
            report(BadLine { line, error });
        }
    }
    keys.tell(&mut found);
    found.digest = reader.into_inner().into_inner().digest.finalize().into();
    Ok(found)
}

/// The keys seen so far. Names are stored once, and keys hold their numbers.
#[derive(Default)]
struct Keys {
    sources: HashMap<String, u32>,
    campaigns: HashMap<String, u32>,
    lines: HashMap<(u32, u32, i32), u64>,
}

impl Keys {
    /// Adds a row's key, or returns the line that has it already.
    fn take(&mut self, row: &Row<'_>, line: u64) -> Result<(), u64> {
        let key = (
            number(&mut self.sources, row.source),
            number(&mut self.campaigns, row.campaign),
            row.date.num_days_from_ce(),
        );
        match self.lines.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => Err(*entry.get()),
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(line);
                Ok(())
            }
        }
    }

    /// Adds the names of the good lines to the summary. A duplicate key is on no good line.
    fn tell(self, found: &mut FileSummary) {
        let sources = names(self.sources);
        let campaigns = names(self.campaigns);
        let mut seen: HashMap<u32, (i32, HashSet<u32>)> = HashMap::new();
        for ((source, campaign, day), line) in self.lines {
            if !found.bad.contains(&line) {
                let (first, fed_by) = seen.entry(campaign).or_insert_with(|| (day, HashSet::new()));
                *first = day.min(*first);
                fed_by.insert(source);
            }
        }
        for (campaign, (first, fed_by)) in seen {
            let fed_by: BTreeSet<String> = fed_by.into_iter().map(|source| sources[source as usize].clone()).collect();
            found.sources.extend(fed_by.iter().cloned());
            if let Some(first_date) = NaiveDate::from_num_days_from_ce_opt(first) {
                found
                    .campaigns
                    .insert(campaigns[campaign as usize].clone(), CampaignSummary { first_date, sources: fed_by });
            }
        }
    }
}

fn number(names: &mut HashMap<String, u32>, name: &str) -> u32 {
    if let Some(number) = names.get(name) {
        return *number;
    }
    // So many names (four thousand million) would not fit in memory.
    let number = u32::try_from(names.len()).unwrap_or(u32::MAX);
    names.insert(name.to_owned(), number);
    number
}

fn names(numbers: HashMap<String, u32>) -> Vec<String> {
    let mut pairs: Vec<(String, u32)> = numbers.into_iter().collect();
    pairs.sort_unstable_by_key(|(_, number)| *number);
    pairs.into_iter().map(|(name, _)| name).collect()
}

/// A reader that hashes the bytes it passes on.
struct Hashing<R> {
    file: R,
    digest: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        self.digest.update(&into[..read]);
        Ok(read)
    }
}
