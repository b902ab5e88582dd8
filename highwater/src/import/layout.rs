//! The columns of the file.

use chrono::NaiveDate;
use chrono::format::{Item, StrftimeItems};
use csv::ByteRecord;
use domain::measure::Measure;
use thiserror::Error;

/// The columns that the operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The column of the source.
    pub source: String,
    /// The column of the campaign.
    pub campaign: String,
    /// The column of the day.
    pub date: String,
    /// The format of the day.
    pub date_format: DateFormat,
    /// The columns of the measures.
    pub measures: Vec<(Measure, String)>,
}

/// A `strftime` format of a whole date, without specifiers that a date does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat(String);

/// The error of a format that is not a [`DateFormat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DateFormatError {
    /// It contains an unknown specifier.
    #[error("holds an unknown specifier")]
    Unknown,
    /// Its output cannot be parsed back to the same day.
    #[error("does not spell a whole date; %Y-%m-%d and %d.%m.%Y do")]
    NotADate,
}

impl std::str::FromStr for DateFormat {
    type Err = DateFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if StrftimeItems::new(text).any(|item| item == Item::Error) {
            return Err(DateFormatError::Unknown);
        }
        let format = Self(text.to_owned());
        // A day whose year, month and day differ. It is formatted by hand, because chrono's `format` panics on a
        // specifier that a date does not have.
        let known = NaiveDate::from_ymd_opt(2031, 12, 28).ok_or(DateFormatError::NotADate)?;
        let mut written = String::new();
        let printed = std::fmt::Write::write_fmt(&mut written, format_args!("{}", known.format(text))).is_ok();
        if printed && format.read(&written) == Some(known) { Ok(format) } else { Err(DateFormatError::NotADate) }
    }
}

impl DateFormat {
    /// Parses the day of a cell.
    pub fn read(&self, cell: &str) -> Option<NaiveDate> {
        NaiveDate::parse_from_str(cell, &self.0).ok()
    }
}

/// The indexes of the named columns in this file.
#[derive(Debug, Clone)]
pub struct Layout {
    pub(super) source: usize,
    pub(super) campaign: usize,
    pub(super) date: usize,
    pub(super) date_format: DateFormat,
    pub(super) measures: Vec<(Measure, usize)>,
}

/// The error of a header that lacks the named columns.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// A named column is missing.
    #[error("the file has no column `{wanted}`; its columns: {there}")]
    Missing { wanted: String, there: String },
    /// A named column occurs more than once.
    #[error("the file has more than one column `{0}`")]
    Ambiguous(String),
}

impl Layout {
    /// Finds the columns in the file's header.
    pub fn find(columns: &Columns, header: &ByteRecord) -> Result<Self, LayoutError> {
        let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let position = |wanted: &str| {
            let mut found = names.iter().enumerate().filter(|(_, name)| *name == wanted).map(|(index, _)| index);
            match (found.next(), found.next()) {
                (Some(index), None) => Ok(index),
                (Some(_), Some(_)) => Err(LayoutError::Ambiguous(wanted.to_owned())),
                (None, _) => {
                    let there = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    Err(LayoutError::Missing { wanted: wanted.to_owned(), there })
                }
            }
        };
        Ok(Self {
            source: position(&columns.source)?,
            campaign: position(&columns.campaign)?,
            date: position(&columns.date)?,
            date_format: columns.date_format.clone(),
            measures: columns
                .measures
                .iter()
                .map(|(measure, column)| Ok((*measure, position(column)?)))
                .collect::<Result<_, LayoutError>>()?,
        })
    }
}
