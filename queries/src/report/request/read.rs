//! Validation of the fields of a report's request.

use std::collections::BTreeSet;

use chrono::{Month, NaiveDate, Weekday};
use domain::bucket::{
    Granularity, MONTHS, RelativeRange, RetailWeeks, WEEKDAYS, is_in_range, month_name, weekday_name,
};
use domain::observation::Dimension;

use super::CompareRequest;
use crate::fields::FieldErrors;
use crate::report::calendar::NO_RETAIL_WEEKS;
use crate::report::comparison::CompareTo;
use crate::report::query::{Fill, GroupKey, MeasureColumn, Order, OrderBy, RatioBasis, SubtotalKey};

/// The default measures of a report.
const DEFAULT_MEASURES: [&str; 5] = ["impressions", "clicks", "conversions", "spend", "revenue"];

impl FieldErrors {
    pub(super) fn date(&mut self, field: &str, text: Option<&str>) -> Option<NaiveDate> {
        let text = text?;
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_iso_date(text));
        if date.is_none() {
            self.push(field, "is not a date such as 2026-11-21");
        } else if !date.is_some_and(is_in_range) {
            self.push(field, "must lie in the years 1970 to 2199");
        }
        date
    }

    pub(super) fn measures(&mut self, names: Option<&[String]>) -> Vec<MeasureColumn> {
        let default = DEFAULT_MEASURES.map(str::to_owned);
        let names = names.unwrap_or(&default);
        if names.is_empty() {
            self.push("measures", "must name at least one measure");
        }
        for (index, name) in self.limited("measures", names).iter().enumerate() {
            if MeasureColumn::find(name).is_none() {
                self.push(format!("measures[{index}]"), "is not a measure; GET /v1/measures lists them");
            }
        }
        // Catalogue order, so that the order of the request does not matter.
        let is_requested = |name: &str| names.iter().any(|requested| requested == name);
        MeasureColumn::all().filter(|column| is_requested(column.name())).collect()
    }

    pub(super) fn group_by(&mut self, names: &[String]) -> BTreeSet<GroupKey> {
        let mut keys = BTreeSet::new();
        for (index, name) in self.limited("group_by", names).iter().enumerate() {
            match GroupKey::find(name) {
                Some(key) => drop(keys.insert(key)),
                None => self.push(
                    format!("group_by[{index}]"),
                    format_args!("is none of channel, source, campaign, {}", dimensions()),
                ),
            }
        }
        keys
    }

    pub(super) fn order_by(
        &mut self,
        names: &[String],
        measures: &[MeasureColumn],
        group_by: &BTreeSet<GroupKey>,
        compares: bool,
    ) -> Vec<Order> {
        let mut orders: Vec<Order> = Vec::new();
        for (index, text) in self.limited("order_by", names).iter().enumerate() {
            let (name, descending) = text.strip_prefix('-').map_or((text.as_str(), false), |name| (name, true));
            let group = || GroupKey::find(name).filter(|key| group_by.contains(key)).map(OrderBy::Group);
            let measure = || measures.iter().find(|column| column.name() == name).copied().map(OrderBy::Measure);
            let change = || OrderBy::find_change(name, measures).filter(|_| compares);
            let by = (name == "bucket").then_some(OrderBy::Bucket).or_else(group).or_else(measure).or_else(change);
            match by {
                // A repeated key never decides.
                Some(by) if orders.iter().any(|order| order.by == by) => {}
                Some(by) => orders.push(Order { by, descending }),
                None => self.push(
                    format!("order_by[{index}]"),
                    "is neither bucket, nor a key of group_by, nor one of the measures asked for, nor with compare_to \
                     the change of one",
                ),
            }
        }
        orders
    }

    pub(super) fn range(&mut self, name: Option<&str>, has_dates: bool) -> Option<RelativeRange> {
        let range = self.parse("range", name);
        if name.is_some() && has_dates {
            self.push("range", "stands for days of its own: leave out date_from and date_to, or range");
        }
        range
    }

    pub(super) fn week_start(&mut self, name: Option<&str>) -> Option<Weekday> {
        let name = name?;
        let found = WEEKDAYS.into_iter().find(|day| weekday_name(*day) == name);
        if found.is_none() {
            self.push("week_start", "is none of monday, tuesday, wednesday, thursday, friday, saturday and sunday");
        }
        found
    }

    pub(super) fn year_start(&mut self, name: Option<&str>) -> Option<Month> {
        let name = name?;
        let found = MONTHS.into_iter().find(|month| month_name(*month) == name);
        if found.is_none() {
            self.push("year_start", "is not a month such as january or april");
        }
        found
    }

    /// `Some(None)`: months are not made of weeks.
    #[expect(clippy::option_option, reason = "the request may leave it open, or say that there are none")]
    pub(super) fn retail_weeks(&mut self, name: Option<&str>) -> Option<Option<RetailWeeks>> {
        let name = name?;
        if name == NO_RETAIL_WEEKS {
            return Some(None);
        }
        let found = name.parse().ok();
        if found.is_none() {
            self.push("retail_weeks", "is none of 4-4-5, 4-5-4, 5-4-4 and none");
        }
        found.map(Some)
    }

    pub(super) fn compare_to(&mut self, request: &CompareRequest) -> Option<CompareTo> {
        match request {
            CompareRequest::Named(name) => {
                let named = CompareTo::find(name);
                if named.is_none() {
                    let names = CompareTo::NAMED.map(|(name, _)| name).join(", ");
                    self.push(
                        "compare_to",
                        format_args!(
                            "is none of {names}, nor a range: {{date_from, date_to}}, as a parameter \
                             2026-10-01/2026-10-31"
                        ),
                    );
                }
                named
            }
            CompareRequest::Range(range) => {
                let date_from = self.date("compare_to.date_from", Some(&range.date_from));
                let date_to = self.date("compare_to.date_to", Some(&range.date_to));
                let (date_from, date_to) = date_from.zip(date_to)?;
                if date_to < date_from {
                    self.push("compare_to.date_from", "must not lie after date_to");
                }
                Some(CompareTo::Range { date_from, date_to })
            }
        }
    }

    pub(super) fn compare_elapsed(&mut self, elapsed: Option<bool>, compares: bool) -> bool {
        let elapsed = elapsed.unwrap_or(false);
        if elapsed && !compares {
            self.push("compare_elapsed", "needs compare_to");
        }
        elapsed
    }

    pub(super) fn fill(&mut self, name: Option<&str>) -> Fill {
        match name {
            None | Some("none") => Fill::None,
            Some("zero") => Fill::Zero,
            Some("zero_if_complete") => Fill::ZeroIfComplete,
            Some(_) => {
                self.push("fill", "is none of none, zero and zero_if_complete");
                Fill::None
            }
        }
    }

    pub(super) fn ratios(&mut self, name: Option<&str>) -> RatioBasis {
        match name {
            None | Some("printed") => RatioBasis::Printed,
            Some("covered") => RatioBasis::Covered,
            Some(_) => {
                self.push("ratios", "is neither printed nor covered");
                RatioBasis::Printed
            }
        }
    }

    pub(super) fn subtotals(
        &mut self,
        name: Option<&str>,
        group_by: &BTreeSet<GroupKey>,
        granularity: Granularity,
    ) -> Option<SubtotalKey> {
        let name = name?;
        let bucket = (name == "bucket" && granularity != Granularity::All).then_some(SubtotalKey::Bucket);
        let group = || GroupKey::find(name).filter(|key| group_by.contains(key)).map(SubtotalKey::Group);
        let subtotal_key = bucket.or_else(group);
        if subtotal_key.is_none() {
            self.push("subtotals", "is neither a key of group_by, nor bucket where the range is cut into several");
        }
        subtotal_key
    }
}

/// Whether a date has the format of 2026-11-21. The parser also takes signs, blanks and fewer digits.
fn is_iso_date(text: &str) -> bool {
    let written =
        |(index, byte): (usize, u8)| if matches!(index, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(written)
}

/// The names of the dimensions.
fn dimensions() -> String {
    Dimension::ALL.iter().map(|dimension| dimension.name()).collect::<Vec<_>>().join(", ")
}
