//! The first reading of a table: what all of its lines together decide. Nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};

use csv::ByteRecord;
use domain::money::Currency;
use thiserror::Error;

use super::dates::{DateEvidence, DateFormat, DateGuessError};
use super::layout::{CurrencyFrom, DateFrom, Layout, SourceFrom};
use super::names::mend;
use super::numbers::{self, DecimalMark, MarkError, MarkEvidence};
use super::pattern;
use super::table::Table;

/// How a line of totals begins.
const TOTALS: &[&str] = &[
    "total",
    "totals",
    "grand total",
    "subtotal",
    "sum",
    "gesamt",
    "gesamtsumme",
    "summe",
    "insgesamt",
    "totaux",
    "totale",
    "totali",
    "totales",
    "totaal",
    "итого",
    "合計",
];

/// What all lines decide together.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The names of the sources, with the currencies that their lines are in.
    pub sources: BTreeMap<String, BTreeSet<Currency>>,
    /// How days are written; `None`: no line has one.
    pub date_format: Option<DateFormat>,
    /// Whether a line has a time of the day.
    pub has_times: bool,
    /// How numbers are written.
    pub mark: DecimalMark,
}

/// The error of a table that leaves something open.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SurveyError {
    /// The decimal mark.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The format of dates.
    #[error(transparent)]
    Date(#[from] DateGuessError),
}

/// What the operator says of a table.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// How days are written.
    pub date_format: Option<DateFormat>,
    /// How numbers are written.
    pub mark: Option<DecimalMark>,
    /// Lines to leave out.
    pub skip_rows_like: Vec<String>,
}

impl Survey {
    /// Reads a table once.
    pub fn of(table: &Table, layout: &Layout, declared: &Declared) -> Result<Self, SurveyError> {
        let mut sources: BTreeMap<String, BTreeSet<Currency>> = BTreeMap::new();
        if let SourceFrom::Name(name) = &layout.source {
            sources.insert(name.clone(), BTreeSet::new());
        }
        let mut dates = DateEvidence::default();
        let mut marks = MarkEvidence::default();
        let mut rows = table.rows();
        let mut record = ByteRecord::new();
        while let Some(line) = rows.next(&mut record) {
            if is_left_out(&record, layout, &declared.skip_rows_like) {
                continue;
            }
            let source = match &layout.source {
                SourceFrom::Name(name) => name.clone(),
                SourceFrom::Column(index) => mend(text(&record, *index)).0.into_owned(),
            };
            let currencies = if source.is_empty() { None } else { Some(sources.entry(source).or_default()) };
            let currency = match layout.currency {
                CurrencyFrom::Column(index) => text(&record, index).trim().to_uppercase().parse().ok(),
                CurrencyFrom::Header(currency) => Some(currency),
                CurrencyFrom::Source => None,
            };
            if let Some((currencies, currency)) = currencies.zip(currency) {
                currencies.insert(currency);
            }
            if let DateFrom::Column(index) = layout.date {
                let cell = text(&record, index).trim();
                if !cell.is_empty() {
                    dates.note(cell, line);
                }
            }
            if declared.mark.is_none() {
                for column in &layout.measures {
                    numbers::note_mark(text(&record, column.index), column.measure, column.scale, line, &mut marks);
                }
            }
        }
        let date_format = match &declared.date_format {
            Some(format) => Some(format.clone()),
            None => dates.decide()?,
        };
        let mark = match declared.mark {
            Some(mark) => mark,
            None => marks.decide(table.delimiter)?,
        };
        let has_times = date_format.as_ref().is_some_and(|format| dates.has_times(format));
        Ok(Self { sources, date_format, has_times, mark })
    }
}

/// A cell as text; what is not UTF-8 is empty here.
fn text(record: &ByteRecord, index: usize) -> &str {
    std::str::from_utf8(record.get(index).unwrap_or_default()).unwrap_or_default()
}

/// Whether a line is blank, holds totals, or is to be left out.
pub fn is_left_out(record: &ByteRecord, layout: &Layout, skip_rows_like: &[String]) -> bool {
    let cells = || (0..record.len()).map(|index| text(record, index).trim());
    let Some(first) = cells().find(|cell| !cell.is_empty()) else {
        // Cells that are not UTF-8 are judged.
        return record.iter().all(|cell| cell.trim_ascii().is_empty());
    };
    if skip_rows_like.iter().any(|like| pattern::fits(like, first)) {
        return true;
    }
    let lower = first.to_lowercase();
    let rest = |word: &&str| lower.strip_prefix(*word).map(str::to_owned);
    let has_no_date = match layout.date {
        DateFrom::Column(index) => numbers::is_no_value(text(record, index)) || text(record, index).trim() == first,
        DateFrom::Day(_) => false,
    };
    TOTALS.iter().filter_map(rest).any(|rest| {
        let is_whole_word = !rest.starts_with(char::is_alphanumeric);
        // A campaign may be called so. A line of totals has a colon, or no day.
        is_whole_word && (rest.trim_start().starts_with(':') || has_no_date)
    })
}
