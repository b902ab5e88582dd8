//! The series of a source: its dates under one time zone and one currency. What is recorded carries the series that
//! holds its bucket, so that a number keeps its meaning when zone or currency change.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::bucket::DayStart;
use crate::ids::SourceId;
use crate::money::Currency;
use crate::zone::Zone;

/// A series of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Series {
    /// Its id; the first series has the id of its source.
    pub id: SourceId,
    /// The zone of its days.
    pub time_zone: Zone,
    /// The currency of its money, as ISO 4217 writes it.
    pub currency: Currency,
}

/// What a command says of the series that may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextSeries {
    /// The id that a new series gets.
    pub id: SourceId,
    /// The time zone; left out: it stays.
    pub time_zone: Option<Zone>,
    /// The currency; left out: it stays.
    pub currency: Option<Currency>,
}

/// The series of a source by date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesTimeline {
    /// The one that holds before any other.
    first: Series,
    /// The others, each with the day from which it holds, by date.
    later: Vec<(DayStart, Series)>,
}

/// A series with the dates that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesDates {
    /// The series.
    pub series: Series,
    /// Its first day; none: from the beginning of time.
    pub from: Option<DayStart>,
    /// The first day after it; none: to the end of time.
    pub until: Option<DayStart>,
}

impl SeriesTimeline {
    /// A timeline of a first series, and of others that hold from dates on, which are in order.
    pub(super) fn new(first: Series, from: impl Iterator<Item = (NaiveDate, Series)>) -> Self {
        let mut later: Vec<(DayStart, Series)> = Vec::new();
        for (date, series) in from {
            if later.last().map_or(first, |(_, last)| *last) != series {
                later.push((DayStart::new(date, series.time_zone), series));
            }
        }
        Self { first, later }
    }

    /// The series that holds a date.
    pub fn on(&self, date: NaiveDate) -> Series {
        self.last(|day| day.date <= date)
    }

    /// The series that holds an instant.
    pub fn at(&self, instant: DateTime<Utc>) -> Series {
        self.last(|day| day.at <= instant)
    }

    fn last(&self, has_begun: impl Fn(&DayStart) -> bool) -> Series {
        self.later.iter().rev().find(|(day, _)| has_begun(day)).map_or(self.first, |(_, series)| *series)
    }

    /// Each with its dates.
    pub fn dates(&self) -> Vec<SeriesDates> {
        let begins = std::iter::once((None, self.first)).chain(self.later.iter().map(|(day, of)| (Some(*day), *of)));
        let ends = self.later.iter().map(|(day, _)| Some(*day)).chain([None]);
        begins.zip(ends).map(|((from, series), until)| SeriesDates { series, from, until }).collect()
    }

    /// Whether one series holds all dates.
    pub fn is_one(&self) -> bool {
        self.later.is_empty()
    }

    /// Those that begin after a date.
    pub(super) fn after(&self, date: NaiveDate) -> impl Iterator<Item = (DayStart, Series)> {
        self.later.iter().copied().filter(move |(day, _)| date < day.date)
    }

    /// Whether one begins on a date.
    pub(super) fn begins_on(&self, date: NaiveDate) -> bool {
        self.later.iter().any(|(day, _)| day.date == date)
    }

    /// Whether each begins after the one before it. Where zones are more than a day apart, it may not.
    pub(super) fn is_in_order(&self) -> bool {
        self.later.is_sorted_by(|(before, _), (after, _)| before.at < after.at)
    }
}
