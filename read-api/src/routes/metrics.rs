//! The numbers of one campaign.

use axum::response::Response;
use domain::bucket::Granularity;
use http_edge::path::ApiPath;
use http_edge::query::{ApiQuery, CommaList};
use queries::Query;
use queries::report::Report;
use queries::report::filter::request::FilterRequest;
use queries::report::request::{CompareRequest, ReportRequest};
use uuid::Uuid;

use super::campaign::CampaignPath;
use super::{data_state, words};
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::json::ReportBody;
use crate::params::params;
use crate::problems::NumbersProblems;

params! {
    /// The parameters of a campaign's metrics.
    pub(crate) struct MetricsParams in pages pinning dates {
        /// Days named by where they lie from today in `time_zone`, instead of `date_from` and `date_to`: `today`,
        /// `yesterday`, `this_week`, `last_week`, `last_7_days` (or 1 to 400), and the same of `month`, `quarter` and
        /// `year`.
        #[param(pattern = "^(today|yesterday|(this|last)_(week|month|quarter|year)|last_[0-9]+_days)$")]
        range: Option<String>,
        /// The first local day. Default: 29 days before `date_to`.
        #[param(example = "2026-10-24")]
        date_from: Option<String>,
        /// The last local day, inclusive. Default: today.
        #[param(example = "2026-11-22")]
        date_to: Option<String>,
        /// `15m`, `hour`, `day` (the default), `week`, `month`, `quarter`, `year` or `all`.
        granularity: Option<String>,
        /// The day on which weeks begin, `monday` to `sunday`. Default: the workspace's.
        week_start: Option<String>,
        /// The month with which years begin, and quarters with every third one. Default: the workspace's.
        year_start: Option<String>,
        /// The three months of a quarter in weeks, or `none` for months of the Gregorian calendar. Default: the
        /// workspace's.
        retail_weeks: Option<String>,
        /// The IANA time zone of the days. Default: the workspace's.
        time_zone: Option<String>,
        /// Any of `channel` and `source`, and one dimension: `ad`, `ad_group`, `keyword`, `creative`, `placement`,
        /// `country`, `device`, `conversion_action`, `utm_source`, `utm_medium`, `utm_campaign`, `utm_term` or
        /// `utm_content`. Separated by commas.
        #[param(value_type = Option<String>)]
        group_by: Option<CommaList>,
        /// Measures by name, separated by commas.
        #[param(value_type = Option<String>, example = "impressions,clicks,spend,ctr")]
        measures: Option<CommaList>,
        /// Adds the numbers of another range to each row: `previous_period`, `previous_month`, `previous_quarter`,
        /// `previous_year`, `previous_year_weekday`, or its first and last local day, joined by a slash.
        compare_to: Option<String>,
        /// With `compare_to`: whether both ranges end with the last bucket that is closed for all sources, of the
        /// finest grain that all of them state.
        compare_elapsed: Option<bool>,
        /// Rows for buckets without numbers: `none` (the default), `zero` or `zero_if_complete`.
        fill: Option<String>,
        /// The numbers that `roas`, `cpa` and `cost_per_lead` are computed from: `printed` (the default), or `covered`
        /// for those of channels of which primary sources state both sides.
        ratios: Option<String>,
        /// Whether to return totals over the rows of all pages.
        totals: Option<bool>,
        /// `all` (the default), or `final` for final buckets only.
        data_state: Option<String>,
    }
}

/// Get the numbers of a campaign
///
/// Sums by buckets of local time, sorted by bucket. Only buckets with numbers have rows, unless `fill` asks for more.
/// Totals sum primary sources only.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/metrics",
    operation_id = "get_metrics",
    tag = "numbers",
    params(CampaignPath, MetricsParams),
    responses(
        (status = 200, description = "The numbers.", content(
            (ReportBody<'static> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        NumbersProblems,
    )
)]
pub(crate) async fn show(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<MetricsParams>,
) -> Result<Response, ApiError> {
    let data_state = data_state(params.data_state.as_deref())?;
    let request = request(&params, id);
    let report = Report { request, granularity: Granularity::Day, data_state, campaign: Some(id) };
    caller.list(Query::Report(Box::new(report)), &params, format!("campaign-{id}-metrics")).await
}

fn request(params: &MetricsParams, id: Uuid) -> ReportRequest {
    ReportRequest {
        measures: words(params.measures.as_ref()),
        date_from: params.date_from.clone(),
        date_to: params.date_to.clone(),
        granularity: params.granularity.clone(),
        time_zone: params.time_zone.clone(),
        group_by: words(params.group_by.as_ref()),
        filters: Some(FilterRequest { campaign_id: vec![id.to_string()], ..FilterRequest::default() }),
        order_by: None,
        data_state: None,
        limit: params.limit,
        cursor: params.cursor.clone(),
        week_start: params.week_start.clone(),
        year_start: params.year_start.clone(),
        retail_weeks: params.retail_weeks.clone(),
        compare_to: params.compare_to.as_deref().map(CompareRequest::of_text),
        compare_elapsed: params.compare_elapsed,
        range: params.range.clone(),
        fill: params.fill.clone(),
        ratios: params.ratios.clone(),
        totals: params.totals,
        subtotals: None,
    }
}
