//! The scope marks that bound when the numbers of a range were last touched.
//!
//! What is pushed and totals of hours mark their UTC hour and day, totals of days the date that they state. Each also
//! marks its UTC month. So the last touch of a range is the greatest of its whole months, its whole days, the hours at
//! its ends, and its dates.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, DurationRound, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::plan::Plan;
use crate::last_change::NumberMarks;
use crate::sources::DateRange;

/// The first version of the projection that writes marks of days, hours and dates.
pub(crate) const FINE_MARKS_SINCE: i32 = 9;

impl NumberMarks {
    /// The marks of these ranges. `are_fine`: whether there are marks below a month.
    pub(crate) fn of<'a>(plans: impl Iterator<Item = &'a Plan>, are_fine: bool) -> Self {
        let (mut months, mut of_workspace) = (BTreeSet::new(), BTreeSet::new());
        for plan in plans {
            months.extend(plan.months());
            if are_fine {
                add_fine_marks(plan, &mut of_workspace);
            }
        }
        if !are_fine {
            of_workspace.extend(months.iter().map(|month| format!("month:{month}")));
        }
        Self { months: months.into_iter().collect(), of_workspace: of_workspace.into_iter().collect() }
    }
}

fn add_fine_marks(plan: &Plan, marks: &mut BTreeSet<String>) {
    let DateRange { span: (start, end), dates } = plan.range();
    let mut whole_months = Vec::new();
    let mut day = start.date_naive();
    while midnight(day) < end {
        let month = day.with_day(1).unwrap_or(day);
        let next_month = month.checked_add_months(Months::new(1)).unwrap_or(NaiveDate::MAX);
        if day == month && start <= midnight(month) && midnight(next_month) <= end {
            marks.insert(format!("month:{}", month.format("%Y-%m")));
            whole_months.push(month);
            day = next_month;
            continue;
        }
        let next_day = day.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        if start <= midnight(day) && midnight(next_day) <= end {
            marks.insert(format!("day:{day}"));
        } else {
            add_hours((start.max(midnight(day)), end.min(midnight(next_day))), marks);
        }
        day = next_day;
    }
    // Days that are too coarse for the query lie in its range by their instants, whatever their zone.
    let reach = Days::new(u64::from(plan.days.is_empty()));
    let first = dates.0.checked_sub_days(reach).unwrap_or(dates.0);
    let last = dates.1.checked_add_days(reach).unwrap_or(dates.1);
    let in_whole_month = |date: &NaiveDate| date.with_day(1).is_some_and(|month| whole_months.contains(&month));
    let days = first.iter_days().take_while(|date| *date <= last).filter(|date| !in_whole_month(date));
    marks.extend(days.map(|date| format!("date:{date}")));
}

/// The hours that a part of a day touches.
fn add_hours((start, end): (DateTime<Utc>, DateTime<Utc>), marks: &mut BTreeSet<String>) {
    let mut hour = start.duration_trunc(TimeDelta::hours(1)).unwrap_or(start);
    while hour < end {
        marks.insert(format!("hour:{}", hour.format("%Y-%m-%dT%H")));
        hour += TimeDelta::hours(1);
    }
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::query;
    use super::{NumberMarks, Plan};

    fn marks(from: &str, to: &str, granularity: &str, zone: &str) -> Vec<String> {
        let request = json!({"date_from": from, "date_to": to, "granularity": granularity, "time_zone": zone});
        let plan = Plan::new(&query(request)).unwrap();
        NumberMarks::of([&plan].into_iter(), true).of_workspace
    }

    #[test]
    fn whole_months_go_by_their_own_mark() {
        assert_eq!(marks("2026-11-01", "2026-11-30", "day", "UTC"), ["month:2026-11"]);
        assert_eq!(
            marks("2026-10-31", "2026-12-01", "all", "UTC"),
            ["date:2026-10-31", "date:2026-12-01", "day:2026-10-31", "day:2026-12-01", "month:2026-11"]
        );
    }

    #[test]
    fn hours_bound_a_day_of_another_zone() {
        let day = marks("2026-11-20", "2026-11-20", "day", "America/New_York");
        assert_eq!((day.len(), day[0].as_str()), (25, "date:2026-11-20"));
        assert_eq!((day[1].as_str(), day[24].as_str()), ("hour:2026-11-20T05", "hour:2026-11-21T04"));
        // A half-hour zone touches the hours that it cuts.
        let day = marks("2026-11-20", "2026-11-20", "day", "Asia/Kolkata");
        assert_eq!((day[1].as_str(), day[25].as_str()), ("hour:2026-11-19T18", "hour:2026-11-20T18"));
    }

    #[test]
    fn days_around_a_range_of_hours_count() {
        let day = marks("2026-11-20", "2026-11-20", "hour", "UTC");
        assert_eq!(day, ["date:2026-11-19", "date:2026-11-20", "date:2026-11-21", "day:2026-11-20"]);
    }
}
