//! Through which day the sources of an import are complete.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::bucket::local_date;

use super::facts::SourceFacts;

/// Through which day the sources are complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteThrough {
    /// Through this one: the operator says so.
    Day(NaiveDate),
    /// As far as a tap read them.
    Bookmark {
        /// The day of the bookmark.
        day: NaiveDate,
        /// Whether the tap did not come to its end, so that the day may be read in part.
        is_cut_off: bool,
        /// When the tap began.
        read_at: DateTime<Utc>,
    },
}

impl CompleteThrough {
    /// The day, of sources in these zones. A day that had not ended where it ends last is not complete.
    pub fn day(self, facts: &BTreeMap<String, SourceFacts>) -> Option<NaiveDate> {
        let before = |day: NaiveDate| day.checked_sub_days(Days::new(1));
        match self {
            Self::Day(day) => Some(day),
            Self::Bookmark { day, is_cut_off, read_at } => {
                let today = facts.values().map(|facts| local_date(read_at, facts.zone)).min()?;
                let read = if is_cut_off { before(day)? } else { day };
                Some(read.min(before(today)?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookmarks_hold_for_days_that_were_read_to_their_end() {
        let facts = |zone: &str| {
            let (zone, currency) = (zone.parse().unwrap(), "EUR".parse().unwrap());
            let facts = SourceFacts { zone, currency, is_currency_assumed: false, is_registered: true };
            BTreeMap::from([("meta".to_owned(), facts)])
        };
        let read_at = "2026-11-20T02:00:00Z".parse().unwrap();
        let through = |day: &str, is_cut_off, zone| {
            let complete = CompleteThrough::Bookmark { day: day.parse().unwrap(), is_cut_off, read_at };
            complete.day(&facts(zone)).unwrap().to_string()
        };
        assert_eq!(through("2026-11-18", false, "UTC"), "2026-11-18");
        assert_eq!(through("2026-11-18", true, "UTC"), "2026-11-17");
        // The 20th goes on, and in New York the 19th does, too.
        assert_eq!(through("2026-11-20", false, "UTC"), "2026-11-19");
        assert_eq!(through("2026-11-20", false, "America/New_York"), "2026-11-18");
    }
}
