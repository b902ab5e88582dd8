//! The calendar cuts of a query: local dates into contiguous cells.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fiscal::{CalendarUnit, FiscalCalendar};
use super::local::{day_end, day_start, is_in_range, local_date, next_hour};
use crate::zone::Zone;

/// The most cells that one calendar may have.
pub const MAX_CELLS: usize = 10_000;

/// The length of a query's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    /// Quarters of an hour.
    #[serde(rename = "15m")]
    QuarterHour,
    /// Hours as a clock in the zone shows them.
    Hour,
    /// Local days.
    Day,
    /// Weeks of local days.
    Week,
    /// Months of local days.
    Month,
    /// Quarters of a year.
    Quarter,
    /// Years of local days.
    Year,
    /// The whole range as one.
    All,
}

/// The error of a name that is not a granularity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a granularity: 15m, hour, day, week, month, quarter, year or all")]
pub struct GranularityError;

impl Granularity {
    /// All of them, finest first.
    pub const ALL: [Self; 8] =
        [Self::QuarterHour, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year, Self::All];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::QuarterHour => "15m",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
            Self::All => "all",
        }
    }

    /// The unit of a calendar that its cells are.
    pub fn unit(self) -> Option<CalendarUnit> {
        match self {
            Self::Week => Some(CalendarUnit::Week),
            Self::Month => Some(CalendarUnit::Month),
            Self::Quarter => Some(CalendarUnit::Quarter),
            Self::Year => Some(CalendarUnit::Year),
            Self::QuarterHour | Self::Hour | Self::Day | Self::All => None,
        }
    }
}

impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Granularity {
    type Err = GranularityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|granularity| granularity.name() == text).ok_or(GranularityError)
    }
}

/// One cell of a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportBucket {
    /// Its label: the date of its first day in the range, or for hours and quarters its first instant in UTC.
    pub label: String,
    /// Its first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// The local date on which it starts.
    pub first_date: NaiveDate,
    /// Whether it holds only a part of its week, month, quarter or year.
    pub is_partial: bool,
}

/// Local dates cut into cells: sorted, each starting where the one before it ends, none of them empty.
///
/// Weeks, months, quarters and years at the edges hold only their days within the range and are labelled by the first
/// of those, so that a label always names a day whose numbers the cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    cells: Vec<ReportBucket>,
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// The error of cutting dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CalendarError {
    /// The last day comes before the first.
    #[error("date_to lies before date_from")]
    Reversed,
    /// Before [`super::FIRST_DATE`] or after [`super::LAST_DATE`].
    #[error("dates must lie in the years 1970 to 2199")]
    OutOfRange,
    /// More than [`MAX_CELLS`].
    #[error("the range has more than 10000 buckets of this granularity")]
    TooManyCells,
}

impl Calendar {
    /// Cuts the days `date_from..=date_to` of a zone. A date that the zone skipped (`Pacific/Apia`, 2011-12-30) has no
    /// cell.
    pub fn cut(
        date_from: NaiveDate,
        date_to: NaiveDate,
        granularity: Granularity,
        zone: Zone,
        fiscal: FiscalCalendar,
    ) -> Result<Self, CalendarError> {
        if date_to < date_from {
            return Err(CalendarError::Reversed);
        }
        if !is_in_range(date_from) || !is_in_range(date_to) {
            return Err(CalendarError::OutOfRange);
        }
        let (start, end) = (day_start(date_from, zone), day_end(date_to, zone));
        let cells = match granularity {
            Granularity::QuarterHour => {
                cut_instants(start, end, zone, |edge| edge + TimeDelta::minutes(15), date_from..=date_to)
            }
            Granularity::Hour => cut_instants(start, end, zone, |edge| next_hour(edge, zone), date_from..=date_to),
            Granularity::Day => cut_dates(date_from, date_to, zone, |date| (date, days_after(date, 1))),
            Granularity::All => cut_dates(date_from, date_to, zone, |date| (date, days_after(date_to, 1))),
            Granularity::Week | Granularity::Month | Granularity::Quarter | Granularity::Year => {
                cut_dates(date_from, date_to, zone, |date| {
                    let whole = granularity.unit().map(|unit| fiscal.period(unit, date));
                    whole.map_or((date, days_after(date, 1)), |whole| (whole.first, whole.after))
                })
            }
        }?;
        Ok(Self { cells, start, end })
    }

    /// The same cells at other dates, one for one, for a comparison. `to` keeps the order of dates. Times within a day
    /// keep their distance from midnight. A cell is empty if nothing corresponds to it: the additional hour of a day of
    /// 25 hours, or a date that `to` maps to where the next one goes.
    pub fn moved(
        &self,
        granularity: Granularity,
        zone: Zone,
        to: impl Fn(NaiveDate) -> NaiveDate,
    ) -> Result<Self, CalendarError> {
        let by_instant = matches!(granularity, Granularity::QuarterHour | Granularity::Hour);
        let mut cells = Vec::with_capacity(self.cells.len());
        for cell in &self.cells {
            let (start, end) = (moved(cell.start, zone, &to)?, moved(cell.end, zone, &to)?);
            let first_date = moved_date(cell.start, zone, &to)?;
            let label = label(by_instant, start, first_date);
            cells.push(ReportBucket { label, start, end, first_date, is_partial: cell.is_partial });
        }
        Ok(Self { cells, start: moved(self.start, zone, &to)?, end: moved(self.end, zone, &to)? })
    }

    /// The same cells up to an instant. The one that holds it is only a part.
    #[must_use]
    pub fn until(self, end: DateTime<Utc>, granularity: Granularity) -> Self {
        let end = end.clamp(self.start, self.end);
        let mut cells = self.cells;
        cells.retain(|cell| cell.start < end);
        if let Some(last) = cells.last_mut().filter(|last| end < last.end) {
            last.end = end;
            last.is_partial |= granularity != Granularity::All;
        }
        Self { cells, start: self.start, end }
    }

    /// The cells in order. There are none only if the zone skipped every date of the range.
    pub fn cells(&self) -> &[ReportBucket] {
        &self.cells
    }

    /// The first instant of the range.
    pub fn start(&self) -> DateTime<Utc> {
        self.start
    }

    /// The first instant after the range.
    pub fn end(&self) -> DateTime<Utc> {
        self.end
    }

    /// The index of the cell that holds this instant.
    pub fn find(&self, instant: DateTime<Utc>) -> Option<usize> {
        let index = self.cells.partition_point(|cell| cell.end <= instant);
        self.cells.get(index).filter(|cell| cell.start <= instant).map(|_| index)
    }
}

/// An instant at the date that its own maps to, as far from midnight, and at most at the end of that day. Where the
/// next date maps there too, nothing corresponds to its own: then at the start.
pub fn moved(
    instant: DateTime<Utc>,
    zone: Zone,
    to: impl Fn(NaiveDate) -> NaiveDate,
) -> Result<DateTime<Utc>, CalendarError> {
    let own_date = local_date(instant, zone);
    let date = moved_date(instant, zone, &to)?;
    if to(days_after(own_date, 1)) == date {
        return Ok(day_start(date, zone));
    }
    let since_midnight = instant - day_start(own_date, zone);
    Ok((day_start(date, zone) + since_midnight).min(day_end(date, zone)))
}

/// The date that an instant's own maps to.
fn moved_date(
    instant: DateTime<Utc>,
    zone: Zone,
    to: impl Fn(NaiveDate) -> NaiveDate,
) -> Result<NaiveDate, CalendarError> {
    Some(to(local_date(instant, zone))).filter(|date| is_in_range(*date)).ok_or(CalendarError::OutOfRange)
}

/// `whole`: the first day of what a date belongs to, and the first day after it.
fn cut_dates(
    date_from: NaiveDate,
    date_to: NaiveDate,
    zone: Zone,
    whole: impl Fn(NaiveDate) -> (NaiveDate, NaiveDate),
) -> Result<Vec<ReportBucket>, CalendarError> {
    let mut cells = Vec::new();
    let mut first_date = date_from;
    while first_date <= date_to {
        let (first_of_whole, after_whole) = whole(first_date);
        let following = after_whole.min(days_after(date_to, 1));
        let is_partial = first_of_whole < first_date || following < after_whole;
        let last_date = following.checked_sub_days(Days::new(1)).unwrap_or(first_date);
        let (start, end) = (day_start(first_date, zone), day_end(last_date, zone));
        if start < end {
            // A cell that begins with a skipped date is labelled by the first day that it does hold.
            let first_date = first_date.max(local_date(start, zone));
            push(
                &mut cells,
                ReportBucket { label: label(false, start, first_date), start, end, first_date, is_partial },
            )?;
        }
        first_date = following;
    }
    Ok(cells)
}

fn cut_instants(
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    zone: Zone,
    next: impl Fn(DateTime<Utc>) -> DateTime<Utc>,
    dates: std::ops::RangeInclusive<NaiveDate>,
) -> Result<Vec<ReportBucket>, CalendarError> {
    let mut cells = Vec::new();
    let mut edge = start;
    while edge < end {
        let following = next(edge).min(end);
        let first_date = local_date(edge, zone).clamp(*dates.start(), *dates.end());
        push(
            &mut cells,
            ReportBucket {
                label: label(true, edge, first_date),
                start: edge,
                end: following,
                first_date,
                is_partial: false,
            },
        )?;
        edge = following;
    }
    Ok(cells)
}

fn label(by_instant: bool, start: DateTime<Utc>, first_date: NaiveDate) -> String {
    if by_instant { start.to_rfc3339_opts(SecondsFormat::Secs, true) } else { first_date.to_string() }
}

fn push(cells: &mut Vec<ReportBucket>, cell: ReportBucket) -> Result<(), CalendarError> {
    if cells.len() == MAX_CELLS {
        return Err(CalendarError::TooManyCells);
    }
    cells.push(cell);
    Ok(())
}

fn days_after(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX)
}
