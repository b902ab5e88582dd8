//! The alignment of a source's time with that of a query.
//!
//! A day that a source states in its own zone counts under its date as a whole, whatever the query's zone. So the
//! numbers of a date are complete when the source's day of that date is. That may be hours before or after the end of
//! the query's day. The same holds for hours, where zones differ by a part of one.

use chrono::{DateTime, Days, NaiveDate, Offset, TimeDelta, TimeZone, Utc};

use crate::bucket::{DayStart, Grain, Granularity, day_start, local_date};
use crate::zone::Zone;

/// The grain and the time zone of a source's statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatedGrain {
    /// The length of its buckets.
    pub grain: Grain,
    /// Its time zone.
    pub time_zone: Zone,
}

/// The conversion between the time of a source and the time of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneAlignment {
    /// The query's time zone.
    time_zone: Zone,
    /// Other zones in which the source states days, for a query that uses days.
    days: Vec<Zone>,
    /// Other zones in which the source states hours, for a query that uses hours.
    hours: Vec<Zone>,
    /// Whether some of its numbers are in the query's own time.
    is_shared: bool,
    /// Whether the source states days, in whatever zone, for a query that uses days.
    states_days: bool,
    /// Whether some of its numbers lie where their instants do.
    has_instants: bool,
}

impl ZoneAlignment {
    /// An alignment. `pushes` means that the source also sends observations, which have instants and no days.
    pub fn new(cuts: &[StatedGrain], pushes: bool, granularity: Granularity, time_zone: Zone) -> Self {
        // A grain that is too coarse for the query's cells is in none of them.
        let takes = |grain: Grain| match grain {
            Grain::QuarterHour => true,
            Grain::Hour => granularity != Granularity::QuarterHour,
            Grain::Day => !matches!(granularity, Granularity::QuarterHour | Granularity::Hour),
        };
        let taken = || cuts.iter().filter(|cut| takes(cut.grain));
        let is_foreign = |cut: &&StatedGrain| cut.grain != Grain::QuarterHour && cut.time_zone != time_zone;
        let foreign =
            |grain| taken().filter(is_foreign).filter(|cut| cut.grain == grain).map(|cut| cut.time_zone).collect();
        let is_shared = pushes || taken().next().is_none() || !taken().all(|cut| is_foreign(&cut));
        let states_days = taken().any(|cut| cut.grain == Grain::Day);
        let has_instants =
            pushes || taken().next().is_none() || taken().any(|cut| cut.grain != Grain::Day && !is_foreign(&cut));
        let (days, hours) = (foreign(Grain::Day), foreign(Grain::Hour));
        Self { time_zone, days, hours, is_shared, states_days, has_instants }
    }

    /// Whether the source's time equals the query's.
    pub fn is_aligned(&self) -> bool {
        self.days.is_empty() && self.hours.is_empty()
    }

    /// The part of the query's time that is covered when the source's time is covered up to this instant.
    pub fn to_query_time(&self, instant: DateTime<Utc>) -> DateTime<Utc> {
        let days = self.days.iter().map(|zone| self.align_days(instant, *zone));
        let hours = self.hours.iter().map(|zone| self.align_hours(instant, *zone));
        days.chain(hours).chain(self.is_shared.then_some(instant)).min().unwrap_or(instant)
    }

    /// Where a day of the source begins in the query's time: the earliest and the latest place, because days are told
    /// by their date and everything else by its instant.
    pub fn day_in_query_time(&self, day: DayStart) -> (DateTime<Utc>, DateTime<Utc>) {
        let date = self.states_days.then(|| self.start_of(day.date));
        let hours = self.hours.iter().map(|zone| self.align_hours(day.at, *zone));
        let places: Vec<_> = hours.chain(date).chain(self.has_instants.then_some(day.at)).collect();
        (places.iter().min().copied().unwrap_or(day.at), places.iter().max().copied().unwrap_or(day.at))
    }

    /// The inverse: the source's time that must be covered for the query's time up to `edge`, the end of one of its
    /// cells. `edge <= to_query_time(instant)` exactly if `to_source_time(edge) <= instant`.
    pub fn to_source_time(&self, edge: DateTime<Utc>) -> DateTime<Utc> {
        let date = local_date(edge, self.time_zone);
        let days = self.days.iter().map(|zone| day_start(date, *zone));
        let hours = self.hours.iter().map(|zone| {
            let past = offset_into_hour(edge, *zone);
            if self.has_hours_of(edge, *zone) || past.is_zero() { edge } else { edge + (TimeDelta::hours(1) - past) }
        });
        days.chain(hours).chain(self.is_shared.then_some(edge)).max().unwrap_or(edge)
    }

    /// The days before the current one are over.
    fn align_days(&self, instant: DateTime<Utc>, zone: Zone) -> DateTime<Utc> {
        self.start_of(local_date(instant, zone))
    }

    /// The start of a date in the query's time.
    fn start_of(&self, date: NaiveDate) -> DateTime<Utc> {
        let start = day_start(date, self.time_zone);
        if local_date(start, self.time_zone) == date {
            return start;
        }
        // The query's zone skipped this date, so it counts with the one before it.
        day_start(date.checked_sub_days(Days::new(1)).unwrap_or(date), self.time_zone)
    }

    /// The hours before the current one are over.
    fn align_hours(&self, instant: DateTime<Utc>, zone: Zone) -> DateTime<Utc> {
        if self.has_hours_of(instant, zone) { instant } else { instant - offset_into_hour(instant, zone) }
    }

    /// Whether the hours of a zone begin when the query's do.
    fn has_hours_of(&self, instant: DateTime<Utc>, zone: Zone) -> bool {
        offset_into_hour(instant, zone) == offset_into_hour(instant, self.time_zone)
    }
}

/// The time since the beginning of the hour in a zone.
fn offset_into_hour(instant: DateTime<Utc>, zone: Zone) -> TimeDelta {
    let offset_s = zone.0.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc();
    let past_s = (instant.timestamp() + i64::from(offset_s)).rem_euclid(3_600);
    TimeDelta::seconds(past_s) + TimeDelta::nanoseconds(instant.timestamp_subsec_nanos().into())
}
