//! Which format the dates of a file are in.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use thiserror::Error;

use super::{DateFormat, Moment};

/// The formats that are tried, the likeliest first.
const CANDIDATES: &[&str] = &[
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%+",
    "%Y-%m-%dT%H:%M:%S%.f%z",
    "%Y-%m-%d %H:%M:%S%.f %z",
    "%Y-%m-%d %H:%M:%S%.f %Z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d",
    "%Y%m%d",
    "%Y%m%d%H",
    "%Y-%m-%d %H",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%d %b %Y",
    "%d. %b %Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%b %d, %Y %I:%M %p",
    "%a, %b %d, %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d de %b de %Y",
    "%Y-%m",
    "%b %Y",
    "excel",
];

/// The years that are taken for years. A two-digit year is not one of them.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2199;

/// The error of dates in no known format, or in two.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DateGuessError {
    /// No format reads them.
    #[error("line {line}: `{cell}` is not a date in a known format; say how it is written with --date-format")]
    Unknown {
        /// The line of the first cell.
        line: u64,
        /// The cell.
        cell: String,
    },
    /// Two formats read all of them, as different days.
    #[error(
        "line {line}: `{cell}` is {} as {first} and {} as {second}, and nothing in the file decides; say --date-format",
        days[0], days[1]
    )]
    Open {
        /// The line.
        line: u64,
        /// The cell.
        cell: String,
        /// The likelier format.
        first: String,
        /// The other one.
        second: String,
        /// The day in each.
        days: [NaiveDate; 2],
    },
}

/// The dates of a file: each one once, with its first line.
#[derive(Debug, Clone, Default)]
pub struct DateEvidence {
    cells: HashMap<String, (u64, u64)>,
}

impl DateEvidence {
    /// Adds a cell.
    pub fn note(&mut self, cell: &str, line: u64) {
        match self.cells.get_mut(cell) {
            Some((_, count)) => *count += 1,
            None => {
                self.cells.insert(cell.to_owned(), (line, 1));
            }
        }
    }

    /// Whether a cell has a time of the day.
    pub fn has_times(&self, format: &DateFormat) -> bool {
        let midnight = chrono::NaiveTime::MIN;
        self.cells.keys().any(|cell| format.read(cell).is_some_and(|moment| moment.local().time() != midnight))
    }

    /// The format that reads the most cells. `None`: there is no cell.
    pub fn decide(&self) -> Result<Option<DateFormat>, DateGuessError> {
        let mut cells: Vec<(&str, u64, u64)> =
            self.cells.iter().map(|(cell, (line, count))| (cell.as_str(), *line, *count)).collect();
        cells.sort_unstable_by_key(|(_, line, _)| *line);
        let Some((first_cell, first_line, _)) = cells.first().copied() else { return Ok(None) };
        let mut best: Option<(DateFormat, u64)> = None;
        let mut rival: Option<DateFormat> = None;
        for format in CANDIDATES.iter().filter_map(|text| text.parse::<DateFormat>().ok()) {
            let readable = cells.iter().filter(|(cell, ..)| day(&format, cell).is_some());
            let count: u64 = readable.map(|(.., count)| count).sum();
            match &best {
                _ if count == 0 => {}
                Some((_, most)) if count < *most => {}
                Some((_, most)) if count == *most => rival = rival.or(Some(format)),
                Some(_) | None => (best, rival) = (Some((format, count)), None),
            }
        }
        let Some((best, _)) = best else {
            return Err(DateGuessError::Unknown { line: first_line, cell: first_cell.to_owned() });
        };
        if let Some(rival) = rival {
            let differing = cells.iter().find_map(|(cell, line, _)| {
                let (one, other) = day(&best, cell).zip(day(&rival, cell))?;
                (one != other).then(|| (*line, (*cell).to_owned(), [one, other]))
            });
            if let Some((line, cell, days)) = differing {
                let (first, second) = (best.name().to_owned(), rival.name().to_owned());
                return Err(DateGuessError::Open { line, cell, first, second, days });
            }
        }
        Ok(Some(best))
    }
}

fn day(format: &DateFormat, cell: &str) -> Option<NaiveDate> {
    format.read(cell).map(Moment::local).map(|local| local.date()).filter(|day| YEARS.contains(&day.year()))
}
