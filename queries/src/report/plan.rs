//! The plan of a report: its calendar, and what it reads of the tables.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};
use domain::bucket::{
    Bucket, Calendar, CalendarError, Grain, Granularity, MAX_CELLS, ReportBucket, is_in_range, local_date, moved,
};
use domain::measure::Measure;

use super::comparison::CompareTo;
use super::query::ReportQuery;
use crate::fields::FieldError;
use crate::sources::{DateRange, QueryGrain};

/// The most days that a report covers, however coarse its cells are.
const MAX_DAYS: i64 = 10_000;

/// The calendar of a query, and what it reads.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The first and the last local day.
    pub dates: (NaiveDate, NaiveDate),
    /// The granularity and the time zone of the query.
    pub query_grain: QueryGrain,
    pub calendar: Calendar,
    /// The instant at which the range was cut, if it was.
    pub cut_at: Option<DateTime<Utc>>,
    /// The instants at which a cell or a day of the range begins or ends, sorted. The clock may change a state there.
    pub edges: Vec<DateTime<Utc>>,
    /// The additive measures that it needs.
    pub measures: BTreeSet<Measure>,
    /// The cell of the day statements of each local date. Empty if days are too coarse for the query.
    pub days: Vec<DayBucket>,
    /// The grains below a day that fit into the cells.
    pub fitting: Vec<Grain>,
    /// The grains that are too coarse for the cells.
    pub too_coarse: Vec<Grain>,
}

/// A local date and its cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayBucket {
    pub date: NaiveDate,
    /// Index of its cell.
    pub cell: usize,
    /// The day in the query's zone. `None` if the zone skipped it.
    pub span: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Plan {
    pub(crate) fn new(query: &ReportQuery) -> Result<Self, FieldError> {
        let dates = (query.dates.from, query.dates.to);
        check_length(dates, "date_to")?;
        let calendar = cut(query, dates, query.granularity).map_err(|error| refusal(error, "date_from"))?;
        Self::of(query, calendar, dates).map_err(|error| refusal(error, "date_from"))
    }

    /// The plan of the range that a query is compared with. Its cells correspond to those of `own`, one by one. A range
    /// of given dates may have more or fewer. If `own` was cut, it ends correspondingly.
    pub(crate) fn compared(query: &ReportQuery, own: &Self) -> Result<Option<Self>, FieldError> {
        let Some(comparison) = query.compare_to else { return Ok(None) };
        let refused = |error| refusal(error, "compare_to");
        let (days, granularity, zone) = ((query.dates.from, query.dates.to), query.granularity, query.time_zone);
        let to = comparison.mapping(query.dates, granularity, query.calendar.fiscal);
        let plan = if let CompareTo::Range { date_from, date_to } = comparison {
            let dates = (date_from, date_to);
            check_length(dates, "compare_to.date_to")?;
            let calendar = cut(query, dates, granularity).map_err(refused)?;
            let plan = Self::of(query, calendar, dates).map_err(refused)?;
            match own.cut_at {
                Some(end) => plan.until(query, moved(end, zone, to).map_err(refused)?).map_err(refused)?,
                None => plan,
            }
        } else {
            let calendar = own.calendar.moved(granularity, zone, &to).map_err(refused)?;
            let last = day_before(to(day_after(days.1)));
            let plan = Self::of(query, calendar, (to(days.0), last)).map_err(refused)?;
            let end = plan.calendar.end();
            if own.cut_at.is_some() { plan.until(query, end).map_err(refused)? } else { plan }
        };
        Ok(Some(plan))
    }

    /// The same plan up to an instant: the cells behind it are left out, and the one that holds it ends there.
    pub(crate) fn until(self, query: &ReportQuery, end: DateTime<Utc>) -> Result<Self, CalendarError> {
        let calendar = self.calendar.until(end, query.granularity);
        let end = calendar.end();
        let last = local_date(end - TimeDelta::nanoseconds(1), query.time_zone).min(self.dates.1);
        let mut plan = Self::of(query, calendar, (self.dates.0, last))?;
        // A day that is not over has no total.
        plan.days.retain(|day| day.span.is_none_or(|(_, day_end)| day_end <= end));
        plan.cut_at = Some(end);
        Ok(plan)
    }

    fn of(query: &ReportQuery, calendar: Calendar, dates: (NaiveDate, NaiveDate)) -> Result<Self, CalendarError> {
        if !is_in_range(dates.0) || !is_in_range(dates.1) {
            return Err(CalendarError::OutOfRange);
        }
        let by_day = !matches!(query.granularity, Granularity::QuarterHour | Granularity::Hour);
        let (fitting, too_coarse) = grains(query.granularity);
        Ok(Self {
            dates,
            query_grain: (query.granularity, query.time_zone),
            edges: edges(&calendar, &day_edges(query, dates)?),
            measures: query.additive(),
            days: if by_day { day_places(query, dates, &calendar) } else { Vec::new() },
            calendar,
            cut_at: None,
            fitting,
            too_coarse,
        })
    }

    /// Its instants and dates.
    pub(crate) fn range(&self) -> DateRange {
        DateRange { span: (self.calendar.start(), self.calendar.end()), dates: self.dates }
    }

    pub(crate) fn cells(&self) -> &[ReportBucket] {
        self.calendar.cells()
    }

    /// The UTC months that the range touches, as scopes name them.
    pub(crate) fn months(&self) -> Vec<String> {
        let mut months = Vec::new();
        let month_of = |instant: DateTime<Utc>| (instant.year(), instant.month());
        let (mut year, mut month) = month_of(self.calendar.start());
        // The instant before the end still belongs to the range.
        let last = month_of(self.calendar.end() - TimeDelta::nanoseconds(1));
        while (year, month) <= last {
            months.push(format!("{year:04}-{month:02}"));
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        months
    }
}

/// The grains that fit into cells of this granularity, and those that are too coarse. Day statements are placed by
/// date.
fn grains(granularity: Granularity) -> (Vec<Grain>, Vec<Grain>) {
    match granularity {
        Granularity::QuarterHour => (vec![Grain::QuarterHour], vec![Grain::Hour, Grain::Day]),
        Granularity::Hour => (vec![Grain::QuarterHour, Grain::Hour], vec![Grain::Day]),
        Granularity::Day
        | Granularity::Week
        | Granularity::Month
        | Granularity::Quarter
        | Granularity::Year
        | Granularity::All => (vec![Grain::QuarterHour, Grain::Hour], Vec::new()),
    }
}

/// Each local date with its cell. A date that the zone skipped belongs to the cell before it, because a source of
/// another zone may have stated it.
fn day_places(query: &ReportQuery, dates: (NaiveDate, NaiveDate), calendar: &Calendar) -> Vec<DayBucket> {
    if calendar.cells().is_empty() {
        return Vec::new();
    }
    dates
        .0
        .iter_days()
        .take_while(|date| *date <= dates.1)
        .map(|date| {
            let cell = calendar.cells().partition_point(|cell| cell.first_date <= date).saturating_sub(1);
            let span = Bucket::Day(date).resolve(Grain::Day, query.time_zone).ok().map(|span| (span.start, span.end));
            DayBucket { date, cell, span }
        })
        .collect()
}

fn cut(
    query: &ReportQuery,
    (date_from, date_to): (NaiveDate, NaiveDate),
    granularity: Granularity,
) -> Result<Calendar, CalendarError> {
    Calendar::cut(date_from, date_to, granularity, query.time_zone, query.calendar.fiscal)
}

/// The ends of the days; none if no date corresponds to any.
fn day_edges(query: &ReportQuery, dates: (NaiveDate, NaiveDate)) -> Result<Vec<DateTime<Utc>>, CalendarError> {
    if dates.1 < dates.0 {
        return Ok(Vec::new());
    }
    let days = cut(query, dates, Granularity::Day)?;
    Ok(days.cells().iter().map(|day| day.end).collect())
}

/// The edges of the cells and of the days. Coarse cells seldom end: with the days, `final_through` is at most a day
/// behind.
fn edges(calendar: &Calendar, days: &[DateTime<Utc>]) -> Vec<DateTime<Utc>> {
    let mut edges: Vec<_> = calendar.cells().iter().map(|cell| cell.end).collect();
    edges.extend(days);
    edges.push(calendar.start());
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn check_length((from, to): (NaiveDate, NaiveDate), field: &str) -> Result<(), FieldError> {
    if (to - from).num_days() < MAX_DAYS {
        return Ok(());
    }
    let detail = format!("the range from date_from to date_to must not be longer than {MAX_DAYS} days");
    Err(FieldError { field: field.to_owned(), detail })
}

fn refusal(error: CalendarError, field: &str) -> FieldError {
    let (field, detail) = match error {
        CalendarError::Reversed => (field, "must not lie after date_to".to_owned()),
        CalendarError::OutOfRange => (field, error.to_string()),
        CalendarError::TooManyCells => {
            ("granularity", format!("cuts the range into more than {MAX_CELLS} cells; ask for a shorter range"))
        }
    };
    FieldError { field: field.to_owned(), detail }
}

fn day_after(date: NaiveDate) -> NaiveDate {
    date.checked_add_days(Days::new(1)).unwrap_or(date)
}

fn day_before(date: NaiveDate) -> NaiveDate {
    date.checked_sub_days(Days::new(1)).unwrap_or(date)
}
