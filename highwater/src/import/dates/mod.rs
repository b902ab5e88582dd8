//! How files write days and hours.

mod guess;
mod months;

#[cfg(test)]
mod tests;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, TimeDelta};
use thiserror::Error;

pub use guess::{DateEvidence, DateGuessError};

/// The serial numbers that spreadsheets give to the days from 1954 to 2119.
const SERIALS: std::ops::RangeInclusive<f64> = 20_000.0..=80_000.0;
/// How `--date-format` names serial numbers.
const EXCEL: &str = "excel";

/// When a line's numbers were counted, as far as its cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A day.
    Day(NaiveDate),
    /// A local time.
    Local(NaiveDateTime),
    /// A time with its offset from UTC.
    Fixed(DateTime<FixedOffset>),
}

impl Moment {
    /// The time as the cell shows it.
    pub fn local(self) -> NaiveDateTime {
        match self {
            Self::Day(day) => day.and_time(chrono::NaiveTime::MIN),
            Self::Local(local) => local,
            Self::Fixed(fixed) => fixed.naive_local(),
        }
    }
}

/// What a format spells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Month,
    Day,
    Hour,
    Local,
    Fixed,
    Serial,
}

/// A format of dates: one of `strftime`, or the serial numbers of spreadsheets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    pattern: String,
    shape: Shape,
}

/// The error of a text that is not a [`DateFormat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DateFormatError {
    /// It contains an unknown specifier.
    #[error("holds an unknown specifier")]
    Unknown,
    /// Its output cannot be parsed back to the same day.
    #[error("does not spell a whole date; %Y-%m-%d, %d.%m.%Y, %Y-%m-%d %H:%M, %Y-%m and excel do")]
    NotADate,
}

impl std::str::FromStr for DateFormat {
    type Err = DateFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == EXCEL {
            return Ok(Self { pattern: text.to_owned(), shape: Shape::Serial });
        }
        if StrftimeItems::new(text).any(|item| item == Item::Error) {
            return Err(DateFormatError::Unknown);
        }
        // A time whose year, month, day, hour and minute differ.
        let known = NaiveDate::from_ymd_opt(2031, 12, 28).and_then(|day| day.and_hms_opt(17, 45, 0));
        let zone = FixedOffset::east_opt(7_200);
        let known = known.zip(zone).and_then(|(known, zone)| known.and_local_timezone(zone).single());
        let known = known.ok_or(DateFormatError::NotADate)?;
        // `to_string` would panic on a specifier that can only be read.
        let mut written = String::new();
        std::fmt::Write::write_fmt(&mut written, format_args!("{}", known.format(text)))
            .map_err(|_| DateFormatError::NotADate)?;
        let later = known + TimeDelta::seconds(3_723);
        let later = later.format(text);
        let shapes = [Shape::Fixed, Shape::Local, Shape::Hour, Shape::Day, Shape::Month];
        let spells = |format: &Self| match (format.shape, format.read(&written)) {
            (Shape::Month, Some(Moment::Day(day))) => Some(day) == known.date_naive().with_day0(0),
            // A day's format must not drop a time that it spells.
            (_, Some(Moment::Day(day))) => day == known.date_naive() && later.to_string() == written,
            (Shape::Hour, Some(moment)) => moment.local() + TimeDelta::minutes(45) == known.naive_local(),
            (_, Some(moment)) => moment.local() == known.naive_local(),
            (_, None) => false,
        };
        let mut formats = shapes.into_iter().map(|shape| Self { pattern: text.to_owned(), shape });
        formats.find(spells).ok_or(DateFormatError::NotADate)
    }
}

impl DateFormat {
    /// The text that names it.
    pub fn name(&self) -> &str {
        &self.pattern
    }

    /// Whether its cells have no day.
    pub fn is_month(&self) -> bool {
        self.shape == Shape::Month
    }

    /// Reads a cell.
    pub fn read(&self, cell: &str) -> Option<Moment> {
        if self.shape == Shape::Serial {
            return read_serial(cell);
        }
        let translated = if cell.is_ascii() && !cell.contains(|each: char| each.is_ascii_alphabetic()) {
            None
        } else {
            Some(months::in_english(cell))
        };
        let cell = translated.as_deref().unwrap_or(cell);
        match self.shape {
            Shape::Fixed => DateTime::parse_from_str(cell, &self.pattern).ok().map(Moment::Fixed),
            Shape::Local => NaiveDateTime::parse_from_str(cell, &self.pattern).ok().map(Moment::Local),
            Shape::Hour => {
                let (cell, pattern) = (format!("{cell}:00"), format!("{}:%M", self.pattern));
                NaiveDateTime::parse_from_str(&cell, &pattern).ok().map(Moment::Local)
            }
            Shape::Day | Shape::Serial => NaiveDate::parse_from_str(cell, &self.pattern).ok().map(Moment::Day),
            Shape::Month => {
                let (cell, pattern) = (format!("{cell} 1"), format!("{} %d", self.pattern));
                NaiveDate::parse_from_str(&cell, &pattern).ok().map(Moment::Day)
            }
        }
    }
}

/// Reads a day that a spreadsheet wrote as a number. Its fraction is the time of the day.
fn read_serial(cell: &str) -> Option<Moment> {
    let serial: f64 = cell.parse().ok().filter(|serial| SERIALS.contains(serial))?;
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?.and_time(chrono::NaiveTime::MIN);
    // Minutes: the fraction of a day is no exact decimal.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let minutes = (serial * 1_440.0).round() as i64;
    let local = epoch.checked_add_signed(TimeDelta::try_minutes(minutes)?)?;
    Some(if serial.fract() == 0.0 { Moment::Day(local.date()) } else { Moment::Local(local) })
}
