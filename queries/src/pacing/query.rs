//! The report of spend by day, from which pacing takes its version and its freshness.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use domain::bucket::Granularity;
use domain::measure::Measure;
use domain::zone::Zone;

use crate::report::calendar::QueryCalendar;
use crate::report::dates::QueryDates;
use crate::report::filter::Filter;
use crate::report::query::{DataState, Fill, GroupKey, MeasureColumn, RatioBasis, ReportQuery};

/// The most days before today whose spend counts.
pub(super) const MAX_DAYS: u64 = 9_999;

/// The report of the spend of these days, each by itself, and by campaign.
pub(super) fn spend_query(
    filters: Filter,
    time_zone: Zone,
    (date_from, date_to): (NaiveDate, NaiveDate),
) -> ReportQuery {
    ReportQuery {
        measures: vec![MeasureColumn::Additive(Measure::Spend)],
        dates: QueryDates::given(date_from, date_to),
        granularity: Granularity::Day,
        calendar: QueryCalendar::default(),
        time_zone,
        group_by: BTreeSet::from([GroupKey::Campaign]),
        filters,
        order_by: Vec::new(),
        data_state: DataState::All,
        compare_to: None,
        compare_elapsed: false,
        fill: Fill::None,
        ratios: RatioBasis::Printed,
        totals: false,
        subtotals: None,
    }
}
