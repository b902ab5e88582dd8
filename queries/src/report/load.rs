//! One report: its canonical query, its probe and its rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::Granularity;
use domain::measure::Measure;
use domain::source::SourceRole;
use uuid::Uuid;

use super::aggregate::Aggregates;
use super::context::ReportContext;
use super::data::{DataBuilder, ReportData};
use super::dates::DaysBody;
use super::filter::parts::InclusionSet;
use super::lookups::RestatedRows;
use super::order::{self, PageOfRows};
use super::prepare::prepare;
use super::query::{DataState, GroupKey, ReportQuery};
use super::request::{ReportRequest, RequestDefaults};
use super::rows::{AuthoritativeSources, Row, RowContext, RowTotals};
use super::snapshot_lookups::SnapshotLookups;
use super::{compare, dimension, fill, lookups, partial, refunds, replaced, totals, warnings};
use crate::database::defaults::QueryDefaults;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::paging::{PageRequest, Paging};
use crate::probe::Probe;
use crate::result::{ResultMeta, TypedResult};
use crate::sources::{self, PeriodId, Source};
use crate::warning::Warning;

/// The model that reports are read from, as answers name it.
pub const MODEL: &str = "campaign_metrics";

/// A report as it was requested: the workspace decides on days that are left open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Report {
    pub request: ReportRequest,
    /// The granularity if the request names none.
    pub granularity: Granularity,
    /// The data state if the request names none.
    pub data_state: DataState,
    /// The one campaign that it is about, which must exist.
    pub campaign: Option<Uuid>,
}

impl Report {
    pub(crate) fn canonical(&self, defaults: QueryDefaults) -> Result<(ReportQuery, Paging), ReadError> {
        let read = canonical(&self.request, self.granularity, self.data_state, defaults)?;
        if self.campaign.is_some() && read.0.groups_by(GroupKey::Campaign) {
            return Err(ReadError::field(
                "group_by",
                "takes channel, source and a dimension here; POST /v1/reports groups by campaign",
            ));
        }
        Ok(read)
    }
}

/// The canonical query of a report, and the requested page.
pub(crate) fn canonical(
    request: &ReportRequest,
    granularity: Granularity,
    data_state: DataState,
    defaults: QueryDefaults,
) -> Result<(ReportQuery, Paging), ReadError> {
    let QueryDefaults { time_zone, calendar, now } = defaults;
    let defaults = RequestDefaults { time_zone, calendar, granularity, now };
    let (query, paging) = request.canonical(defaults, data_state).map_err(ReadError::Query)?;
    let dimensions = query.dimensions();
    if dimensions.len() > 1 {
        return Err(ReadError::DimensionCombination { dimensions: dimensions.into_iter().collect() });
    }
    Ok((query, paging))
}

pub(crate) async fn probe(
    snapshot: &mut Snapshot,
    query: &ReportQuery,
    campaign: Option<Uuid>,
) -> Result<Option<Probe<ReportContext>>, ReadError> {
    if let Some(id) = campaign
        && !lookups::exists(snapshot, id).await?
    {
        return Ok(None);
    }
    let mut shared = SnapshotLookups::load(snapshot).await?;
    let context = prepare(snapshot, &mut shared, query).await?;
    Ok(Some(context.into_probe(snapshot)))
}

/// The requested page of a report.
pub(crate) async fn load(
    context: &ReportContext,
    snapshot: &mut Snapshot,
    query: &ReportQuery,
    page: PageRequest<'_>,
) -> Result<TypedResult<ReportData>, ReadError> {
    let now = snapshot.now;
    let dates = query.dates.as_relative();
    let page = PageRequest { dates, ..page };
    let computed = context.compute(snapshot, query).await?;
    let of_numbers = computed.warnings();
    let Computed { aggregates, authoritative, rows, totals, subtotals, .. } = computed;
    let (plan, sources) = (&context.own.plan, &context.sources);
    // A total is restated if any of its rows is, on whatever page.
    let has_totals = query.totals || query.subtotals.is_some();
    let restated =
        if has_totals { lookups::restated(snapshot, &rows, plan, sources).await? } else { RestatedRows::new() };
    let PageOfRows { rows, next_cursor } = order::page(rows, query, plan.cells(), page)?;
    let restated = if has_totals { restated } else { lookups::restated(snapshot, &rows, plan, sources).await? };

    let shown = rows.iter().chain(subtotals.iter().flatten());
    let names = context.names(snapshot, query, shown).await?;
    let warnings = context.warnings(snapshot, query, &aggregates, &names, of_numbers).await?;
    let row_context = context.row_context(query, plan, &authoritative, now);
    let restated_totals = totals::restated(&row_context, &restated);
    let compared = context.compared.as_ref().map_or(&[][..], |range| range.plan.cells());
    let mut builder = DataBuilder::new(&row_context, compared, &names);
    let rows = builder.columns(&rows, |row| restated.contains_key(&row.key));
    let is_restated = |row: &Row| restated_totals.contains(&row.key);
    let subtotals = subtotals.map(|subtotals| builder.columns(&subtotals, is_restated));
    let totals = totals.map(|totals| builder.columns(&[totals], is_restated));
    let dates = dates.map(|(date_from, date_to)| DaysBody { date_from, date_to });
    let data = builder.finish(rows, (subtotals, totals), dates, context.compared_range(now));
    let (time_zone, freshness) = (query.time_zone, Some(context.freshness(now)));
    let meta =
        ResultMeta { time_zone, freshness, ..ResultMeta::of_snapshot(snapshot, MODEL, context.version, warnings) };
    Ok(TypedResult::page(meta, next_cursor, data))
}

/// The rows of a report, in no particular order.
pub(super) struct Computed {
    /// The sums of the report's own range, and of the range that it is compared with.
    aggregates: Vec<Aggregates>,
    /// The warnings about the ratios of its own range.
    partial: Vec<Warning>,
    authoritative: AuthoritativeSources,
    pub rows: Vec<Row>,
    totals: Option<Row>,
    subtotals: Option<Vec<Row>>,
}

impl Computed {
    fn all_rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().chain(&self.totals).chain(self.subtotals.iter().flatten())
    }

    /// The warnings that follow from its numbers.
    fn warnings(&self) -> Vec<Warning> {
        self.partial.iter().cloned().chain(warnings::of_currencies(self.all_rows())).collect()
    }
}

impl ReportContext {
    /// The rows and the warnings, for a resource that is computed from them.
    pub(crate) async fn rows_and_warnings(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
    ) -> Result<(Vec<Row>, Vec<Warning>), ReadError> {
        let computed = self.compute(snapshot, query).await?;
        let of_numbers = computed.warnings();
        let names = self.names(snapshot, query, computed.rows.iter()).await?;
        let warnings = self.warnings(snapshot, query, &computed.aggregates, &names, of_numbers).await?;
        Ok((computed.rows, warnings))
    }

    async fn compute(&self, snapshot: &mut Snapshot, query: &ReportQuery) -> Result<Computed, ReadError> {
        let broken_down = self.broken_down(snapshot, query).await?;
        let mut aggregates = vec![self.gather(snapshot, query, &self.own, &broken_down).await?];
        if let Some(compared) = &self.compared {
            aggregates.push(self.gather(snapshot, query, compared, &broken_down).await?);
        }
        let sums = aggregates.iter().flat_map(|aggregates| &aggregates.sums);
        let authoritative = self.row_sources(snapshot, query, sums).await?;
        self.combine(query, aggregates, authoritative, snapshot.now)
    }

    fn combine(
        &self,
        query: &ReportQuery,
        aggregates: Vec<Aggregates>,
        authoritative: AuthoritativeSources,
        now: DateTime<Utc>,
    ) -> Result<Computed, ReadError> {
        let ranges = [Some(&self.own), self.compared.as_ref()].into_iter().flatten();
        let row_contexts: Vec<_> =
            ranges.map(|range| self.row_context(query, &range.plan, &authoritative, now)).collect();
        let mut tallies = row_contexts
            .iter()
            .zip(&aggregates)
            .map(|(row_context, aggregates)| row_context.tally(&aggregates.sums))
            .collect::<Result<Vec<_>, _>>()?;
        let groups = row_contexts.first().map(|own| fill::groups(own, &tallies)).unwrap_or_default();
        for (row_context, tally) in row_contexts.iter().zip(&mut tallies) {
            fill::fill(row_context, &groups, tally)?;
            row_context.keep_requested(tally);
        }
        let paired = |tallies: &[RowTotals]| -> Result<Vec<Row>, ReadError> {
            let mut each = row_contexts.iter().zip(tallies).map(|(row_context, tally)| row_context.rows(tally));
            let rows = each.next().transpose()?.unwrap_or_default();
            match (each.next().transpose()?, row_contexts.as_slice()) {
                (Some(compared_rows), [own, compared]) => Ok(compare::pair(own, rows, compared, compared_rows)),
                _ => Ok(rows),
            }
        };
        let folded = |fold: &dyn Fn(&RowContext<'_>, &RowTotals) -> Result<RowTotals, ReadError>| {
            let each = row_contexts.iter().zip(&tallies).map(|(row_context, tally)| fold(row_context, tally));
            paired(&each.collect::<Result<Vec<_>, ReadError>>()?)
        };
        let own = row_contexts.first().zip(tallies.first());
        let partial = own.map(|(own, tally)| partial::warnings(own.coverage, own.sources, &tally.values()));
        let partial = partial.transpose()?.unwrap_or_default();
        let rows = paired(&tallies)?;
        let totals = if query.totals { folded(&totals::totals)?.pop() } else { None };
        let by = query.subtotals;
        let subtotals =
            by.map(|by| folded(&|row_context, tally| totals::subtotals(row_context, tally, by))).transpose()?;
        Ok(Computed { aggregates, partial, authoritative, rows, totals, subtotals })
    }

    async fn names(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        rows: impl Iterator<Item = &Row>,
    ) -> Result<BTreeMap<Uuid, String>, ReadError> {
        let shown = rows.filter_map(|row| row.key.campaign);
        // The query's own ids are looked up too: an unknown one gives a warning.
        let ids: BTreeSet<_> = shown.chain(query.filters.campaigns()).collect();
        lookups::names(snapshot, &ids.into_iter().collect::<Vec<_>>()).await
    }

    async fn warnings(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        aggregates: &[Aggregates],
        names: &BTreeMap<Uuid, String>,
        of_numbers: Vec<Warning>,
    ) -> Result<Vec<Warning>, ReadError> {
        let known = names.keys().copied().collect();
        let ranges = [Some(&self.own), self.compared.as_ref()].into_iter().flatten();
        let mut all = warnings::of_overlaps(&self.overlaps(snapshot, query, aggregates).await?, &self.sources);
        for (range, aggregates) in ranges.zip(aggregates) {
            all.extend(warnings::of_grains(query, &aggregates.mismatches, &self.sources));
            all.extend(range.rollups().flat_map(|rollup| rollup.warnings(query)));
            let is_shown = |source: &&Source| {
                query.groups_by(GroupKey::Source) || source.role_among(&range.plan.measures) == SourceRole::Primary
            };
            let (shown, plan) = (self.sources.values().filter(is_shown), &range.plan);
            let campaigns = self.campaigns.as_ref();
            all.extend(replaced::warnings(snapshot, shown, &plan.range(), &plan.measures, campaigns).await?);
            let known = (&self.sources, &*self.all_sources);
            all.extend(refunds::warning(snapshot, query, (plan, &aggregates.sums), known, campaigns).await?);
            let dimension = query.dimension();
            all.extend(dimension.and_then(|dimension| dimension::of_others(dimension, &aggregates.sums, range.rollup)));
        }
        let broken_down = aggregates.first().map(|own| own.broken_down.clone()).unwrap_or_default();
        if self.parts.iter().all(|part| !part.values.contains(&None))
            && let Some(dimension) = query.filters.dimensions().first()
        {
            all.extend(warnings::of_totals_without(*dimension, &self.stating_without(&broken_down)));
        }
        let compared = self.compared.as_ref().map(|range| &range.plan);
        all.extend(compared.and_then(|compared| warnings::of_lengths(self.own.plan.dates, compared.dates)));
        all.extend(of_numbers);
        all.extend(self.parked.warning(&self.about(), sources::name_of(&self.all_sources)));
        all.extend(warnings::of_references(query, &self.sources, &self.own.plan.measures));
        all.extend(warnings::of_unknown(query, &self.all_sources, &known));
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    /// The primary sources that state the same measure of the same campaign, in the report's own range.
    async fn overlaps(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        aggregates: &[Aggregates],
    ) -> Result<BTreeSet<warnings::Overlap>, ReadError> {
        let one_campaign = self.campaigns.as_ref().is_some_and(|ids| ids.len() == 1);
        let is_cut = self.sources.values().any(|source| !source.period.is_all());
        if (one_campaign || query.groups_by(GroupKey::Campaign)) && !is_cut {
            return Ok(aggregates.first().map(|own| warnings::overlaps_in(&own.sums)).unwrap_or_default());
        }
        let is_primary = |id: &PeriodId| {
            let source = self.sources.get(id);
            source.is_some_and(|source| source.role_among(&self.own.plan.measures) == SourceRole::Primary)
        };
        let mut stating: BTreeMap<Measure, BTreeSet<PeriodId>> = BTreeMap::new();
        let own = aggregates.first().map(|own| own.sums.as_slice()).unwrap_or_default();
        for sum in own.iter().filter(|sum| is_primary(&sum.source)) {
            stating.entry(sum.measure).or_default().insert(sum.source);
        }
        let stating = warnings::may_overlap(stating);
        let measures: BTreeSet<_> = stating.keys().copied().collect();
        let stating: BTreeSet<_> = stating.into_values().flatten().collect();
        let (mut overlaps, range) = (BTreeSet::new(), self.own.plan.range());
        // Two parts may admit different sources of one campaign.
        for (index, part) in self.parts.iter().enumerate() {
            for other in self.parts.iter().skip(index) {
                let campaigns: InclusionSet<Uuid> = part.campaigns.clone().and(&other.campaigns);
                if campaigns.is_nothing() {
                    continue;
                }
                let ids = part.sources.union(&other.sources).filter(|id| stating.contains(id)).copied().collect();
                for (span, periods) in sources::segments(&ids, &self.sources, range.span) {
                    let periods: BTreeMap<_, _> = periods.into_values().map(|id| (id.series, id)).collect();
                    let series: Vec<_> = periods.keys().copied().collect();
                    let segment = (range.part(span, query.time_zone), self.own.finest());
                    let found = lookups::overlaps(snapshot, segment, &campaigns, &series, &measures);
                    overlaps.extend(found.await?.into_iter().map(|(measure, series)| {
                        (measure, series.iter().filter_map(|id| periods.get(id).copied()).collect())
                    }));
                }
            }
        }
        Ok(overlaps)
    }
}
