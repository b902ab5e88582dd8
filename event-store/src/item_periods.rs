//! Periods of receipt: how an id stays unique for longer than a day.
//!
//! Ids are kept by day, so that they can be dropped by whole days, and a unique index makes twins of one day wait for
//! each other. An id that must be unique for weeks, whatever day its item names, is kept under the first day of the
//! period of 30 days in which it was received. Two appends of one period meet in the index. What an earlier period
//! holds is settled, so it is looked up before the append.
//!
//! Around a change of periods, an append that began before it may not be committed when another looks. So for half an
//! hour before and after, an id is kept under both: every two appends less than half an hour apart, by whatever clocks,
//! share a period, in which they meet.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// The length of a period in days.
pub const PERIOD_DAYS: u32 = 30;
/// For how long before and after a change of periods ids are kept under both. It covers the longest append and the
/// difference between the clocks of two processes.
const OVERLAP: TimeDelta = TimeDelta::minutes(30);

/// The first day of the period that holds a day.
pub fn period_start(day: NaiveDate) -> NaiveDate {
    let since_epoch = day.signed_duration_since(NaiveDate::default()).num_days();
    day - TimeDelta::days(since_epoch.rem_euclid(PERIOD_DAYS.into()))
}

/// The periods that an id must be new in, which is received at an instant and unique for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemPeriods {
    /// The first of them.
    first: NaiveDate,
    /// The earlier one of two under which it is kept.
    also: Option<NaiveDate>,
    /// The last of them, under which it is kept.
    last: NaiveDate,
}

impl ItemPeriods {
    /// The periods of an id that is received `now`, and must differ from those received for `unique_for` before, which
    /// is longer than an hour.
    pub fn at(now: DateTime<Utc>, unique_for: TimeDelta) -> Self {
        let period = |instant: DateTime<Utc>| period_start(instant.date_naive());
        let last = period(now + OVERLAP);
        let also = Some(period(now - OVERLAP)).filter(|period| *period != last);
        Self { first: period(now - unique_for), also, last }
    }

    /// The day under which the id is kept.
    pub fn day(self) -> NaiveDate {
        self.last
    }

    /// A second day under which it is kept, around a change of periods.
    pub fn also_under(self) -> Option<NaiveDate> {
        self.also
    }

    /// The days under which such an id may be kept.
    pub fn days(self) -> impl Iterator<Item = NaiveDate> {
        let next = |day: &NaiveDate| day.checked_add_days(Days::new(PERIOD_DAYS.into()));
        std::iter::successors(Some(self.first), next).take_while(move |day| *day <= self.last)
    }

    /// Those of them that an append does not look at by itself.
    pub fn earlier_days(self) -> impl Iterator<Item = NaiveDate> {
        self.days().filter(move |day| *day != self.last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn ids_are_kept_under_both_periods_around_their_change() {
        // 20,790 days after the beginning of 1970 is the first day of a period.
        let change = day("2026-12-03");
        assert_eq!(period_start(change), change);
        assert_eq!(period_start(day("2026-12-02")), day("2026-11-03"));
        let kept = |now: &str| {
            let periods = ItemPeriods::at(at(now), TimeDelta::days(7));
            (periods.day(), periods.also_under())
        };
        assert_eq!(kept("2026-12-02T23:29:59Z"), (day("2026-11-03"), None));
        assert_eq!(kept("2026-12-02T23:30:00Z"), (change, Some(day("2026-11-03"))));
        assert_eq!(kept("2026-12-03T00:29:59Z"), (change, Some(day("2026-11-03"))));
        assert_eq!(kept("2026-12-03T00:30:00Z"), (change, None));
    }

    proptest! {
        /// Whatever was received within the window is found: by the append under a day that both keep, or before it.
        #[test]
        fn nothing_of_the_window_is_missed(now in 0..4_000_000_000_i64, ago in 0..7_776_000_i64, days in 7..=90_i64) {
            let instant = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let window = TimeDelta::days(days);
            let ago = ago % (days * 86_400);
            let (earlier, later) = (ItemPeriods::at(instant(now - ago), window), ItemPeriods::at(instant(now), window));
            prop_assert!(later.days().any(|day| day == earlier.day()));
            prop_assert!(later.days().count() <= 5);
            // Two that may run at once meet in the index.
            if ago < OVERLAP.num_seconds() {
                let kept = |periods: ItemPeriods| [Some(periods.day()), periods.also_under()];
                prop_assert!(kept(earlier).into_iter().flatten().any(|day| kept(later).contains(&Some(day))));
            }
        }
    }
}
