//! The request of a report as it was sent, and how it becomes canonical. All wrong fields are named at once.

mod read; // its fields, one by one

use std::fmt;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::bucket::{FIRST_DATE, FiscalCalendar, Granularity, RelativeRange, local_date};
use domain::zone::Zone;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::calendar::QueryCalendar;
use super::comparison::CompareTo;
use super::dates::QueryDates;
use super::filter::Filter;
use super::filter::request::FilterRequest;
use super::query::{DataState, ReportQuery};
use crate::fields::{FieldError, FieldErrors};
use crate::paging::Paging;
use domain::json_objects;

/// The default length of the range in days, today included.
const DEFAULT_DAYS: u64 = 30;

/// A report over many campaigns. All members are optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schema(example = json!({
    "measures": ["clicks", "spend"], "date_from": "2026-11-21", "date_to": "2026-11-22", "granularity": "day",
    "time_zone": "Europe/Berlin", "group_by": ["channel"], "filters": {"status": ["active"]}, "limit": 2
}))]
pub struct ReportRequest {
    /// Measures by name, additive or derived, as `GET /v1/measures` lists them, and what derived ones divide, such as
    /// `cpc.spend`.
    #[schema(example = json!(["clicks", "spend", "cpc"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measures: Option<Vec<String>>,
    /// Days named by where they lie from today in `time_zone`, instead of `date_from` and `date_to`: `today`,
    /// `yesterday`, `this_week`, `last_week`, `last_7_days` (or 1 to 400), and the same of `month`, `quarter` and
    /// `year`. `this_…` ends with today, `last_…` before it.
    #[schema(
        example = "last_7_days",
        pattern = "^(today|yesterday|(this|last)_(week|month|quarter|year)|last_[0-9]+_days)$"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// The first local day. Default: 29 days before `date_to`.
    #[schema(example = "2026-11-01")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_from: Option<String>,
    /// The last local day, inclusive. Default: today.
    #[schema(example = "2026-11-30")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_to: Option<String>,
    /// `15m`, `hour`, `day`, `week`, `month`, `quarter`, `year`, or `all` (the default) for one bucket over the range.
    #[schema(example = "day")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granularity: Option<String>,
    /// The day on which weeks begin, `monday` to `sunday`. Default: the workspace's.
    #[schema(example = "sunday")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_start: Option<String>,
    /// The month with which years begin, and quarters with every third one: `january` to `december`. Default: the
    /// workspace's.
    #[schema(example = "april")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year_start: Option<String>,
    /// The three months of a quarter in weeks: `4-4-5`, `4-5-4` or `5-4-4`; or `none`, for months of the Gregorian
    /// calendar. Default: the workspace's.
    #[schema(example = "4-5-4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retail_weeks: Option<String>,
    /// The IANA time zone of the days. Default: the workspace's.
    #[schema(example = "Europe/Berlin")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Any of `channel`, `source`, `campaign`, and one dimension of observations: `ad`, `creative`, `placement`,
    /// `country`, `device`, `utm_source`, `utm_medium`, `utm_campaign`, `utm_term` or `utm_content`.
    #[schema(example = json!(["source"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    /// Conditions on the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<FilterRequest>,
    /// Adds `compared` to each row: the numbers of another range, and the changes. `previous_period`: as many months
    /// right before where the range consists of whole ones, else as many days; of `this_week` or `this_month`, as much
    /// of the one before. `previous_month`, `previous_quarter`, `previous_year`: the same dates there.
    /// `previous_year_weekday`: 52 weeks earlier. Or `{date_from, date_to}`: buckets are compared in their order.
    #[schema(example = "previous_period")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare_to: Option<CompareRequest>,
    /// With `compare_to`: whether both ranges end with the last bucket that is closed for all sources, of the finest
    /// grain that all of them state.
    #[schema(example = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare_elapsed: Option<bool>,
    /// The rows of a group for buckets without numbers. `none` (the default): no row. `zero`: a row with zeros.
    /// `zero_if_complete`: zero where the sources of the measure are complete past the bucket, otherwise null.
    #[schema(example = "zero_if_complete")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<String>,
    /// The numbers that `roas`, `cpa` and `cost_per_lead` are computed from. `printed` (the default): all that the row
    /// shows. `covered`: those of campaigns and channels of which primary sources state both sides.
    #[schema(example = "covered")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratios: Option<String>,
    /// Whether to return `totals`: the sums over the rows of all pages.
    #[schema(example = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<bool>,
    /// A key of `group_by`, or `bucket`. Adds `subtotals`: the sums by this key over the rows of all pages.
    #[schema(example = "source")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtotals: Option<String>,
    /// `bucket`, a key of `group_by` or one of `measures`; with `compare_to` also its change, such as `clicks_change`
    /// or `clicks_relative_change`. With a leading `-`, in descending order.
    #[schema(example = json!(["-spend"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_by: Option<Vec<String>>,
    /// `all` (the default), or `final` for final buckets only. If the query parameter of this name is given too, both
    /// must be equal.
    #[schema(example = "all")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_state: Option<String>,
    /// The most rows of a page: 1 to 1000, by default 100.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The range that a report is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = CompareTo)]
pub enum CompareRequest {
    /// `previous_period`, `previous_month`, `previous_quarter`, `previous_year` or `previous_year_weekday`.
    #[schema(example = "previous_year")]
    Named(String),
    /// A range of local days.
    Range(RangeRequest),
}

impl CompareRequest {
    /// The range of a parameter: a name, or two dates joined by a slash.
    pub fn of_text(text: &str) -> Self {
        match text.split_once('/') {
            Some((from, to)) => Self::Range(RangeRequest { date_from: from.to_owned(), date_to: to.to_owned() }),
            None => Self::Named(text.to_owned()),
        }
    }
}

/// A range of local days.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Range)]
pub struct RangeRequest {
    /// The first day.
    #[schema(example = "2026-10-01")]
    date_from: String,
    /// The last day, inclusive.
    #[schema(example = "2026-10-31")]
    date_to: String,
}

json_objects!(read and written: ReportRequest, RangeRequest);

impl<'de> Deserialize<'de> for CompareRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrRange;

        impl<'de> Visitor<'de> for NameOrRange {
            type Value = CompareRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name such as previous_period, or {date_from, date_to}")
            }

            fn visit_str<E>(self, name: &str) -> Result<CompareRequest, E> {
                Ok(CompareRequest::Named(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<CompareRequest, A::Error> {
                RangeRequest::deserialize(MapAccessDeserializer::new(members)).map(CompareRequest::Range)
            }
        }

        deserializer.deserialize_any(NameOrRange)
    }
}

/// The defaults of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestDefaults {
    pub time_zone: Zone,
    pub calendar: FiscalCalendar,
    pub granularity: Granularity,
    pub now: DateTime<Utc>,
}

impl ReportRequest {
    /// The campaigns that its filter names.
    pub fn named_campaigns(&self) -> Vec<Uuid> {
        let named = self.filters.iter().flat_map(|filters| &filters.campaign_id);
        named.filter_map(|id| id.parse().ok()).collect()
    }

    /// The canonical query, or every wrong field. `data_state` is the default of the request.
    pub fn canonical(
        &self,
        defaults: RequestDefaults,
        data_state: DataState,
    ) -> Result<(ReportQuery, Paging), Vec<FieldError>> {
        let mut fields = FieldErrors::default();
        let time_zone = fields.parse("time_zone", self.time_zone.as_deref()).unwrap_or(defaults.time_zone);
        let granularity = fields.parse("granularity", self.granularity.as_deref()).unwrap_or(defaults.granularity);
        let today = local_date(defaults.now, time_zone);
        let measures = fields.measures(self.measures.as_deref());
        let group_by = fields.group_by(self.group_by.as_deref().unwrap_or_default());
        let compares = self.compare_to.is_some();
        let order_by = fields.order_by(self.order_by.as_deref().unwrap_or_default(), &measures, &group_by, compares);
        let filters = self.filters.as_ref().map_or_else(Filter::default, |filters| filters.read(&mut fields));
        let fiscal = self.fiscal(&mut fields, defaults.calendar);
        let compare_to = self.compare_to.as_ref().and_then(|compare_to| fields.compare_to(compare_to));
        let compare_elapsed = fields.compare_elapsed(self.compare_elapsed, compares);
        let range = fields.range(self.range.as_deref(), self.date_from.is_some() || self.date_to.is_some());
        let units = [granularity.unit(), compare_to.and_then(CompareTo::unit), range.and_then(RelativeRange::unit)];
        let calendar = QueryCalendar::new(fiscal, units.into_iter().flatten());
        let fill = fields.fill(self.fill.as_deref());
        let ratios = fields.ratios(self.ratios.as_deref());
        let subtotals = fields.subtotals(self.subtotals.as_deref(), &group_by, granularity);
        let data_state = fields.parse("data_state", self.data_state.as_deref()).unwrap_or(data_state);
        let paging = fields.paging(self.limit, self.cursor.as_deref());
        let dates = match (range, paging.dates()) {
            (Some(range), Some(dates)) => QueryDates::of_first_page(range, dates),
            (Some(range), None) => QueryDates::relative(range, today, fiscal),
            (None, _) => self.given_dates(&mut fields, today),
        };
        let query = ReportQuery {
            measures,
            dates,
            granularity,
            calendar,
            time_zone,
            group_by,
            filters,
            order_by,
            data_state,
            compare_to,
            compare_elapsed,
            fill,
            ratios,
            totals: self.totals.unwrap_or(false),
            subtotals,
        };
        fields.finish((query, paging))
    }

    fn given_dates(&self, fields: &mut FieldErrors, today: NaiveDate) -> QueryDates {
        let date_to = fields.date("date_to", self.date_to.as_deref()).unwrap_or(today);
        let days_before =
            date_to.checked_sub_days(Days::new(DEFAULT_DAYS - 1)).map_or(FIRST_DATE, |day| day.max(FIRST_DATE));
        let date_from = fields.date("date_from", self.date_from.as_deref()).unwrap_or(days_before);
        QueryDates::given(date_from, date_to)
    }

    /// The workspace's calendar, with what the request says otherwise.
    fn fiscal(&self, fields: &mut FieldErrors, default: FiscalCalendar) -> FiscalCalendar {
        FiscalCalendar {
            week_start: fields.week_start(self.week_start.as_deref()).unwrap_or(default.week_start),
            year_start: fields.year_start(self.year_start.as_deref()).unwrap_or(default.year_start),
            retail_weeks: fields.retail_weeks(self.retail_weeks.as_deref()).unwrap_or(default.retail_weeks),
        }
    }
}
