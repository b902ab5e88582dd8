//! A query's calendar, and what of the tables it reads.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDate, Utc, Weekday};
use domain::bucket::{Bucket, Calendar, CalendarError, Cell, Grain, Granularity, MAX_CELLS};
use domain::measure::Measure;
use platform::http::problem::FieldError;

use super::query::ReportQuery;

/// The first day of a week.
const WEEK_START: Weekday = Weekday::Mon;
/// The most days that a report covers, however coarse its cells are.
const MAX_DAYS: i64 = 10_000;

/// What a query reads, computed once.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) calendar: Calendar,
    /// Instants at which a cell or a day of the range begins or ends, sorted: where the clock may change a state.
    pub(crate) edges: Vec<DateTime<Utc>>,
    /// Every additive measure that is needed.
    pub(crate) measures: BTreeSet<Measure>,
    /// Where the day statements of each local date belong. Empty when days are too coarse for the query.
    pub(crate) days: Vec<DayPlace>,
    /// Shorter grains that fit the query, beside the day.
    pub(crate) fitting: Vec<Grain>,
    /// Grains that are too coarse for it.
    pub(crate) too_coarse: Vec<Grain>,
}

/// Where a local date belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayPlace {
    pub(crate) date: NaiveDate,
    /// Index of its cell.
    pub(crate) cell: usize,
    /// When that day is in the query's zone. `None` where the zone skipped it.
    pub(crate) span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Plan {
    pub(crate) fn new(query: &ReportQuery) -> Result<Self, FieldError> {
        let cut = |granularity| Calendar::cut(query.date_from, query.date_to, granularity, query.time_zone, WEEK_START);
        if (query.date_to - query.date_from).num_days() >= MAX_DAYS {
            let detail = format!("the range from date_from to date_to must not be longer than {MAX_DAYS} days");
            return Err(FieldError { field: "date_to".to_owned(), detail });
        }
        let calendar = cut(query.granularity).map_err(refusal)?;
        let days = cut(Granularity::Day).map_err(refusal)?;
        let by_day = !matches!(query.granularity, Granularity::QuarterHour | Granularity::Hour);
        let (fitting, too_coarse) = grains(query.granularity);
        Ok(Self {
            edges: edges(&calendar, &days),
            measures: query.additive(),
            days: if by_day { day_places(query, &calendar) } else { Vec::new() },
            calendar,
            fitting,
            too_coarse,
        })
    }

    pub(crate) fn cells(&self) -> &[Cell] {
        self.calendar.cells()
    }

    /// The UTC months that the range touches, as scopes name them.
    pub(crate) fn months(&self) -> Vec<String> {
        let mut months = Vec::new();
        let month_of = |instant: DateTime<Utc>| (instant.year(), instant.month());
        let (mut year, mut month) = month_of(self.calendar.start());
        // The instant before the end still belongs to the range.
        let last = month_of(self.calendar.end() - chrono::TimeDelta::nanoseconds(1));
        while (year, month) <= last {
            months.push(format!("{year:04}-{month:02}"));
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        months
    }
}

/// Hours fit into any cell that is not shorter; day statements have a way of their own.
fn grains(granularity: Granularity) -> (Vec<Grain>, Vec<Grain>) {
    match granularity {
        Granularity::QuarterHour => (vec![Grain::QuarterHour], vec![Grain::Hour, Grain::Day]),
        Granularity::Hour => (vec![Grain::QuarterHour, Grain::Hour], vec![Grain::Day]),
        Granularity::Day | Granularity::Week | Granularity::Month | Granularity::All => {
            (vec![Grain::QuarterHour, Grain::Hour], Vec::new())
        }
    }
}

/// Each local date with the cell that holds it. A date that the zone skipped belongs to the cell before it: another zone's
/// source may have stated it.
fn day_places(query: &ReportQuery, calendar: &Calendar) -> Vec<DayPlace> {
    if calendar.cells().is_empty() {
        return Vec::new();
    }
    let dates = query.date_from.iter_days().take_while(|date| *date <= query.date_to);
    dates
        .map(|date| {
            let cell = calendar.cells().partition_point(|cell| cell.first_date <= date).saturating_sub(1);
            let span = Bucket::Day(date).resolve(Grain::Day, query.time_zone).ok().map(|span| (span.start, span.end));
            DayPlace { date, cell, span }
        })
        .collect()
}

/// Coarse cells seldom end; the edges of their days keep `final_through` at most a day behind the clock.
fn edges(calendar: &Calendar, days: &Calendar) -> Vec<DateTime<Utc>> {
    let ends = |cells: &Calendar| cells.cells().iter().map(|cell| cell.end).collect::<Vec<_>>();
    let mut edges = ends(calendar);
    edges.extend(ends(days));
    edges.push(calendar.start());
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn refusal(error: CalendarError) -> FieldError {
    let (field, detail) = match error {
        CalendarError::Reversed => ("date_from", "must not lie after date_to".to_owned()),
        CalendarError::OutOfRange => ("date_from", error.to_string()),
        CalendarError::TooManyCells => {
            ("granularity", format!("cuts the range into more than {MAX_CELLS} cells; ask for a shorter range"))
        }
    };
    FieldError { field: field.to_owned(), detail }
}
