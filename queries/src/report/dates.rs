//! The days of a report: given ones, or those that a relative range stands for.

use chrono::NaiveDate;
use domain::bucket::{CalendarUnit, FiscalCalendar, RelativeRange};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// The days of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryDates {
    /// The first one.
    pub from: NaiveDate,
    /// The last one.
    pub to: NaiveDate,
    relative: Option<Relative>,
}

/// The relative range that was asked for. It stays in the canonical query, which means other days tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Relative {
    range: RelativeRange,
    /// The day from which the days follow. `None`: a cursor has named them.
    today: Option<NaiveDate>,
}

/// The days that a relative range stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Days)]
pub struct DaysBody {
    /// The first local day.
    pub date_from: NaiveDate,
    /// The last local day.
    pub date_to: NaiveDate,
}

impl QueryDates {
    /// These days.
    pub fn given(from: NaiveDate, to: NaiveDate) -> Self {
        Self { from, to, relative: None }
    }

    /// The days of a relative range today.
    pub(super) fn relative(range: RelativeRange, today: NaiveDate, fiscal: FiscalCalendar) -> Self {
        let (from, to) = range.dates(today, fiscal);
        Self { from, to, relative: Some(Relative { range, today: Some(today) }) }
    }

    /// The days that a relative range stood for when the first page was read.
    pub(super) fn of_first_page(range: RelativeRange, (from, to): (NaiveDate, NaiveDate)) -> Self {
        Self { from, to, relative: Some(Relative { range, today: None }) }
    }

    /// The days, if they were given.
    pub fn as_given(&self) -> Option<(NaiveDate, NaiveDate)> {
        self.relative.is_none().then_some((self.from, self.to))
    }

    /// The days, if they follow from a relative range.
    pub(super) fn as_relative(&self) -> Option<(NaiveDate, NaiveDate)> {
        self.relative.map(|_| (self.from, self.to))
    }

    /// The unit of the calendar that holds today, if the days are those of it up to today.
    pub(super) fn running_unit(&self) -> Option<CalendarUnit> {
        match self.relative?.range {
            RelativeRange::This(unit) => Some(unit),
            RelativeRange::Today | RelativeRange::Yesterday | RelativeRange::LastDays(_) | RelativeRange::Last(_) => {
                None
            }
        }
    }

    /// The one day on which the query means these days. `None`: it always does.
    pub(super) fn today(&self) -> Option<NaiveDate> {
        self.relative.and_then(|relative| relative.today)
    }
}

impl Serialize for QueryDates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        if let Some(Relative { range, .. }) = self.relative {
            members.serialize_entry("range", &range.to_string())?;
        } else {
            members.serialize_entry("date_from", &self.from)?;
            members.serialize_entry("date_to", &self.to)?;
        }
        members.end()
    }
}
