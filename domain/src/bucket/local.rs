//! The beginnings of a zone's hours and days. All conversions go from UTC to local time, which is never ambiguous.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};

use super::{FIRST_DATE, Grain, LAST_DATE};
use crate::zone::Zone;

const QUARTER_S: i64 = 900;

/// The start of the 15-minute UTC bucket that holds this instant.
pub fn quarter_hour(instant: DateTime<Utc>) -> DateTime<Utc> {
    round_down(instant, QUARTER_S)
}

/// The same start, in seconds from 1970.
pub fn quarter_hour_s(instant: DateTime<Utc>) -> i64 {
    let seconds = instant.timestamp();
    seconds - seconds.rem_euclid(QUARTER_S)
}

/// The start of the UTC bucket of a grain that holds this instant.
pub fn utc_bucket(grain: Grain, instant: DateTime<Utc>) -> DateTime<Utc> {
    round_down(instant, grain.seconds())
}

/// The first instant of the UTC month that holds this instant.
pub fn utc_month(instant: DateTime<Utc>) -> DateTime<Utc> {
    let date = instant.date_naive();
    date.with_day(1).unwrap_or(date).and_time(chrono::NaiveTime::MIN).and_utc()
}

fn round_down(instant: DateTime<Utc>, step_s: i64) -> DateTime<Utc> {
    let seconds = instant.timestamp();
    // Below the first representable instant, there is nothing to round down to.
    DateTime::from_timestamp(seconds - seconds.rem_euclid(step_s), 0).unwrap_or(instant)
}

/// Whether a date lies between [`FIRST_DATE`] and [`LAST_DATE`].
pub fn is_in_range(date: NaiveDate) -> bool {
    (FIRST_DATE..=LAST_DATE).contains(&date)
}

/// The date that a calendar in this zone shows.
pub fn local_date(instant: DateTime<Utc>, zone: Zone) -> NaiveDate {
    local(instant, zone).date()
}

/// The beginning of a local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayStart {
    /// Its first instant.
    pub at: DateTime<Utc>,
    /// Its date.
    pub date: NaiveDate,
}

impl DayStart {
    /// The beginning of this date in a zone.
    pub fn new(date: NaiveDate, zone: Zone) -> Self {
        Self { at: day_start(date, zone), date }
    }
}

/// The first instant of a local date. It is midnight, or the first instant after a skipped midnight, or the earlier of
/// two midnights. A date that the zone skipped begins, and ends, where the next one begins.
///
/// Dates outside of [`FIRST_DATE`]..=[`LAST_DATE`] count as the nearest of these two.
pub fn day_start(date: NaiveDate, zone: Zone) -> DateTime<Utc> {
    start_of(date.clamp(FIRST_DATE, LAST_DATE), zone)
}

/// The first instant after a local date.
pub fn day_end(date: NaiveDate, zone: Zone) -> DateTime<Utc> {
    let date = date.clamp(FIRST_DATE, LAST_DATE);
    start_of(date.checked_add_days(Days::new(1)).unwrap_or(date), zone)
}

fn start_of(date: NaiveDate, zone: Zone) -> DateTime<Utc> {
    let midnight = date.and_time(chrono::NaiveTime::MIN);
    let start = match zone.0.from_local_datetime(&midnight).earliest() {
        Some(start) => start.with_timezone(&Utc),
        None => first_instant_past_gap(date, zone),
    };
    quarter_hour(start)
}

/// The first instant whose local date is not before `date`, where local time jumps over that date's midnight.
fn first_instant_past_gap(date: NaiveDate, zone: Zone) -> DateTime<Utc> {
    let midnight = date.and_time(chrono::NaiveTime::MIN).and_utc();
    // No offset was ever further from UTC than 16 hours, so the jump lies between these two.
    let (mut before, mut past) = (midnight - TimeDelta::hours(16), midnight + TimeDelta::hours(16));
    while (past - before).num_seconds() > 1 {
        let middle = before + TimeDelta::seconds((past - before).num_seconds() / 2);
        if local_date(middle, zone) < date {
            before = middle;
        } else {
            past = middle;
        }
    }
    past
}

/// Whether an hour's bucket of this zone starts here: the local time is a whole hour, or a date begins at another time.
pub(super) fn is_hour_start(instant: DateTime<Utc>, zone: Zone) -> bool {
    quarter_hour(instant) == instant
        && (shows_whole_hour(instant, zone) || day_start(local_date(instant, zone), zone) == instant)
}

/// The first start of an hour's bucket after this one.
pub(super) fn next_hour(start: DateTime<Utc>, zone: Zone) -> DateTime<Utc> {
    let mut date = local_date(start, zone);
    // No clock change ever put two whole hours more than 2 hours apart.
    for quarters in 1..=8 {
        let edge = start + TimeDelta::seconds(quarters * QUARTER_S);
        let edge_date = local_date(edge, zone);
        if shows_whole_hour(edge, zone) || edge_date > date {
            return edge;
        }
        date = edge_date;
    }
    start + TimeDelta::hours(1)
}

fn shows_whole_hour(instant: DateTime<Utc>, zone: Zone) -> bool {
    let local = local(instant, zone);
    local.minute() == 0 && local.second() == 0
}

/// The local time in this zone, with its offset from UTC rounded up to a quarter of an hour. Only offsets of the 1970s
/// need that; rounding them up moves midnight to the quarter before it, as in [`day_start`].
fn local(instant: DateTime<Utc>, zone: Zone) -> NaiveDateTime {
    let utc = instant.naive_utc();
    let offset_s = i64::from(zone.0.offset_from_utc_datetime(&utc).fix().local_minus_utc());
    let rounded_s = -(-offset_s).div_euclid(QUARTER_S) * QUARTER_S;
    utc.checked_add_signed(TimeDelta::seconds(rounded_s)).unwrap_or(utc)
}
