//! The calendar of a report: the workspace's, with what the query says otherwise.

use domain::bucket::{CalendarUnit, FiscalCalendar, month_name, weekday_name};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// The name of months that are not made of weeks.
pub const NO_RETAIL_WEEKS: &str = "none";

/// The calendar of a report. What decides nothing is as in ISO 8601, so that queries with the same rows are equal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueryCalendar {
    pub fiscal: FiscalCalendar,
    shows_week_start: bool,
    shows_year_start: bool,
    shows_retail_weeks: bool,
}

impl QueryCalendar {
    /// The parts of a calendar that decide on the edges of these units.
    pub fn new(fiscal: FiscalCalendar, units: impl IntoIterator<Item = CalendarUnit>) -> Self {
        let mut used = Self::default();
        for unit in units {
            let is_longer_than_month = matches!(unit, CalendarUnit::Quarter | CalendarUnit::Year);
            let is_of_weeks = unit != CalendarUnit::Week && fiscal.retail_weeks.is_some();
            used.shows_retail_weeks |= unit != CalendarUnit::Week;
            used.shows_week_start |= unit == CalendarUnit::Week || is_of_weeks;
            used.shows_year_start |= is_longer_than_month || is_of_weeks;
        }
        if used.shows_week_start {
            used.fiscal.week_start = fiscal.week_start;
        }
        if used.shows_year_start {
            used.fiscal.year_start = fiscal.year_start;
        }
        if used.shows_retail_weeks {
            used.fiscal.retail_weeks = fiscal.retail_weeks;
        }
        used
    }
}

impl Serialize for QueryCalendar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        if self.shows_week_start {
            members.serialize_entry("week_start", weekday_name(self.fiscal.week_start))?;
        }
        if self.shows_year_start {
            members.serialize_entry("year_start", month_name(self.fiscal.year_start))?;
        }
        if self.shows_retail_weeks {
            let weeks = self.fiscal.retail_weeks.map_or(NO_RETAIL_WEEKS, |weeks| weeks.name());
            members.serialize_entry("retail_weeks", weeks)?;
        }
        members.end()
    }
}
