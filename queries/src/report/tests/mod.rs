//! Reports without a database: canonical queries, rows from sums, order and pages.

mod combining;
mod comparing;
mod filtering;
mod ordering;
mod planning;
mod querying;
mod ranges;
mod ratios;
mod splitting;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::ReportBucket;
use domain::freshness::{SourceFreshness, SourceSyncs};
use domain::ids::SourceId;
use domain::measure::Measure;
use domain::source::{Horizons, IdScope, SourceDefinition, SourceDetails, SourceKind, SourceRole};
use serde_json::Value;
use uuid::Uuid;

use super::coverage::{Coverage, RatioSet};
use super::data::DataBuilder;
use super::query::{DataState, ReportQuery};
use super::request::{ReportRequest, RequestDefaults};
use super::rows::{Row, RowContext};
use super::sum::Sum;
use crate::sources::{PeriodId, SeriesHistory, Source, SourceDates, SourcePeriods};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn defaults() -> RequestDefaults {
    RequestDefaults {
        time_zone: "Europe/Berlin".parse().unwrap(),
        calendar: domain::bucket::FiscalCalendar::ISO,
        granularity: domain::bucket::Granularity::All,
        now: at("2026-11-22T12:00:00Z"),
    }
}

/// The canonical query of a valid request.
pub(super) fn query(request: Value) -> ReportQuery {
    let request: ReportRequest = serde_json::from_value(request).unwrap();
    request.canonical(defaults(), DataState::All).unwrap().0
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// A source with this number, role and currency, never synced.
fn source(n: u128, name: &str, channel: &str, role: SourceRole, currency: &str) -> Source {
    let definition = SourceDefinition {
        name: name.to_owned(),
        channel: channel.parse().unwrap(),
        kind: SourceKind::Push,
        role,
        measure_roles: BTreeMap::new(),
        measures: BTreeSet::new(),
        platform: None,
        time_zone: "UTC".parse().unwrap(),
        currency: currency.parse().unwrap(),
        expected_delay_s: 0,
        horizons: Horizons::default(),
        complete_after_s: None,
        quiet_after_s: None,
        expected_from: None,
        observation_window_s: None,
        id_scope: IdScope::Day,
        unknown_campaigns: domain::source::UnknownCampaigns::Reject,
        dimensions: Vec::new(),
    };
    let details = SourceDetails::new(SourceId(id(n)), definition.clone());
    Source {
        id: id(n),
        definition,
        series: id(n),
        series_history: SeriesHistory::default(),
        history: Vec::new(),
        period: SourceDates::default(),
        freshness: SourceFreshness::new(&details, SourceSyncs::default()),
        stated: BTreeSet::new(),
        stated_grains: Vec::new(),
        last_position: 0,
        settings_position: 0,
        has_data: true,
    }
}

/// The only period of a source.
fn period(n: u128) -> PeriodId {
    PeriodId::first(id(n))
}

fn sources(all: impl IntoIterator<Item = Source>) -> SourcePeriods {
    all.into_iter().map(|source| (source.period_id(), source)).collect()
}

fn ads(n: u128) -> Source {
    source(n, &format!("ads_{n}"), "paid_search", SourceRole::Primary, "EUR")
}

fn sum(cell: usize, source: u128, measure: Measure, value: i128) -> Sum {
    Sum {
        cell,
        campaign: None,
        dimension_value: None,
        source: period(source),
        measure,
        covered: RatioSet::NONE,
        value,
        changed_at: at("2026-11-20T00:00:00Z"),
        overflows: false,
    }
}

/// The sources, each of which states what it has sums of, unless it is said what it states.
fn learned(sources: &SourcePeriods, sums: &[Sum]) -> SourcePeriods {
    let mut sources = sources.clone();
    for source in sources.values_mut().filter(|source| source.stated.is_empty()) {
        source.stated =
            sums.iter().filter(|sum| sum.source == PeriodId::first(source.id)).map(|sum| sum.measure).collect();
    }
    sources
}

fn coverage(query: &ReportQuery, sources: &SourcePeriods) -> Coverage {
    Coverage::of(query, sources)
}

/// Rows as they are written, from their columns.
fn written(row_context: &RowContext<'_>, compared: &[ReportBucket], rows: &[Row]) -> Value {
    let names = BTreeMap::new();
    let mut builder = DataBuilder::new(row_context, compared, &names);
    let columns = builder.columns(rows, |_| false);
    let report = builder.finish(columns, (None, None), None, None);
    serde_json::from_str(&serde_json::to_string(&report.rows().collect::<Vec<_>>()).unwrap()).unwrap()
}
