//! The context of a report: the sources and campaigns that its filters admit, and everything that its version and its
//! freshness follow from. It is known before any number is added up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::freshness::{SourceFreshness, ZoneAlignment, last_boundary, next_boundary};
use domain::source::{SourceKind, SourceRole};
use uuid::Uuid;

use super::aggregate::{Aggregates, Selection, gather};
use super::coverage::Coverage;
use super::data::ComparedRange;
use super::elapsed::Elapsed;
use super::expected;
use super::filter::Filter;
use super::filter::parts::{
    DisjointPart, InclusionSet, TooManyParts, admitted_campaigns, listed_campaigns, may_match_source, partition,
};
use super::lookups;
use super::marks::FINE_MARKS_SINCE;
use super::plan::Plan;
use super::query::{GroupKey, ReportQuery};
use super::range::{ReportRange, plan_ranges};
use super::rollup::RollupChoice;
use super::rows::{AuthoritativeSources, RowContext, watermarks};
use super::settled;
use super::snapshot_lookups::{SnapshotLookups, SourcesByCampaign};
use super::sum::Sum;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::last_change::{NumberMarks, Scope};
use crate::parked::{Parked, ResourceScope};
use crate::probe::{Probe, Validity};
use crate::sources::{self, Freshness, FreshnessRange, PeriodId, Source, SourcePeriods, Sources, periods_of};
use crate::version::Version;

/// What is known of a report before its sums are computed.
#[derive(Debug)]
pub(crate) struct ReportContext {
    pub own: ReportRange,
    /// The range that it is compared with.
    pub compared: Option<ReportRange>,
    /// Every source of the workspace.
    pub all_sources: Arc<Sources>,
    /// The sources that the filters admit, by periods in which they do.
    pub sources: SourcePeriods,
    /// What the filters admit.
    pub parts: Vec<DisjointPart>,
    /// The campaigns that the filters admit; `None` for all.
    pub campaigns: Option<BTreeSet<Uuid>>,
    /// The sources that feed each of these campaigns. If `campaigns` is `None`: each campaign that a part names.
    sources_by_campaign: SourcesByCampaign,
    /// The sources with numbers that the filters admit.
    contributing_sources: BTreeSet<PeriodId>,
    /// The sources that have delivered nothing yet, and are expected to deliver what the filters let in.
    awaited_sources: BTreeSet<PeriodId>,
    coverage: Coverage,
    pub version: Version,
    /// The next instant at which the clock changes the result.
    pub until: Option<DateTime<Utc>>,
    /// The parked parts of the sources that the filters admit.
    pub parked: Parked,
}

/// Loads everything that the version and the freshness of a report follow from.
pub(crate) async fn prepare(
    snapshot: &mut Snapshot,
    shared: &mut SnapshotLookups,
    query: &ReportQuery,
) -> Result<ReportContext, ReadError> {
    let (plan, compared) = plan_ranges(query, None)?;
    let all_sources = Arc::clone(&shared.sources);
    let whole = compared.as_ref().map_or_else(|| plan.range(), |compared| plan.range().and(compared.range()));
    let is_admitted = |source: &Source| may_match_source(&query.filters, source);
    let mut sources = sources::cut(&all_sources, &whole, is_admitted, Coverage::is_by_cell(&query.measures));
    let parts = parts(snapshot, &query.filters, &sources).await?;
    let campaigns = admitted_campaigns(&parts, &query.filters);
    // Where one part admits all campaigns, others may still name some.
    let listed = campaigns.clone().unwrap_or_else(|| listed_campaigns(&parts));
    let sources_by_campaign =
        if listed.is_empty() { BTreeMap::new() } else { shared.sources_by_campaign(snapshot, &listed).await? };
    let contributing_sources = contributing_sources(snapshot, &parts, &sources, &sources_by_campaign).await?;
    let coverage = Coverage::of(query, &sources);
    let scope = Scope::of(query.filters.campaign_bound().into_iter().flatten());
    let plans = || [Some(&plan), compared.as_ref()].into_iter().flatten();
    let has_fine_marks = shared.limits.version >= FINE_MARKS_SINCE;
    let marks = NumberMarks::of(plans(), has_fine_marks);
    let last_change = shared.last_change(snapshot, &scope, marks).await?;
    // A filter by name or channel may match a source that is registered later.
    let by_source = query.filters.is_by_source();
    let by_status = !query.filters.statuses().is_empty();
    let feeding: BTreeSet<_> = sources_by_campaign.values().flatten().collect();
    let channels = &mut shared.campaign_channels;
    let others: Vec<_> = all_sources.values().filter(|source| !feeding.contains(&source.id)).collect();
    let candidates = expected::candidates(snapshot, channels, &others, &whole, campaigns.as_ref()).await?;
    let asked = (&sources, &query.additive());
    let awaited_sources = expected::awaited(snapshot, channels, &candidates, asked, campaigns.as_ref()).await?;
    let names_all = matches!(scope, Scope::Workspace) || by_source || by_status;
    let matters = |source: &&Source| names_all || feeding.contains(&source.id) || candidates.contains(&source.id);
    let watched: Vec<_> = all_sources.values().filter(matters).collect();
    let is_expected = |source: &&Source| {
        let id = source.period_id();
        awaited_sources.contains(&id) || contributing_sources.contains(&id) && states_any(source, &plan)
    };
    // Numbers of elapsed buckets follow from how far sources are complete.
    let may_settle = has_fine_marks && !query.compare_elapsed;
    let settling: Vec<_> = plans().filter(|_| may_settle).collect();
    let about = ResourceScope::numbers(campaigns.iter().flatten().copied());
    let inputs = settled::inputs(snapshot, (&watched, &about), &mut sources, is_expected, &settling).await?;
    let deadlines: Vec<&SourceFreshness> = inputs.deadlines.iter().collect();
    let mut edges: BTreeSet<_> = plans().flat_map(|plan| plan.edges.iter().copied()).collect();
    let expected = sources.values().filter(is_expected);
    let expected: Vec<_> =
        expected.filter(|source| source.is_asked_about(plan.range().span, plan.query_grain)).collect();
    let elapsed = query.compare_elapsed.then(|| Elapsed::of(&expected, query, snapshot.now)).flatten();
    let elapsed = elapsed.filter(|elapsed| elapsed.through < plan.calendar.end());
    edges.extend(elapsed.iter().flat_map(|elapsed| [elapsed.through, elapsed.next]));
    edges.extend(source_zone_edges(&watched, query, &edges));
    let edges: Vec<_> = edges.into_iter().collect();
    let boundary = last_boundary(snapshot.now, &edges, &deadlines).max(last_change.last_start.filter(|_| by_status));
    let next_start = last_change.next_start.filter(|_| by_status);
    // A relative range means other days from midnight on.
    let (last_midnight, next_midnight) = query.midnights().unzip();
    let boundary = boundary.max(last_midnight);
    let until = next_boundary(snapshot.now, &edges, &deadlines);
    let until = until.into_iter().chain(next_start).chain(next_midnight).min();
    let (plan, compared) =
        if let Some(elapsed) = elapsed { plan_ranges(query, Some(elapsed.through))? } else { (plan, compared) };
    let range = |plan: Plan| ReportRange::new(plan, query, &shared.limits, &sources);
    let (own, compared) = (range(plan)?, compared.map(range).transpose()?);
    let rollups = own.rollups().chain(compared.iter().flat_map(ReportRange::rollups));
    let dropped_at = rollups.filter_map(RollupChoice::changed_at).max();
    let position = last_change.position.max(inputs.position).max(snapshot.parked.last());
    let version = snapshot.version(position, boundary.max(dropped_at)).await?;
    let parked =
        snapshot.parked.for_sources(|id| periods_of(&sources, id).next().is_some() || !all_sources.contains_key(&id));
    Ok(ReportContext {
        own,
        compared,
        all_sources,
        sources,
        parts,
        campaigns,
        sources_by_campaign,
        contributing_sources,
        awaited_sources,
        coverage,
        version,
        until,
        parked,
    })
}

/// Whether a source states any of the measures that the plan reads.
fn states_any(source: &Source, plan: &Plan) -> bool {
    plan.measures.iter().any(|measure| source.states(*measure))
}

/// The edges of the query, as edges of the days and hours that sources state in zones of their own.
fn source_zone_edges(sources: &[&Source], query: &ReportQuery, edges: &BTreeSet<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
    let mut alignments: Vec<ZoneAlignment> = Vec::new();
    for source in sources {
        for alignment in source.zone_alignments((query.granularity, query.time_zone)) {
            if !alignment.is_aligned() && !alignments.contains(&alignment) {
                alignments.push(alignment);
            }
        }
    }
    alignments.iter().flat_map(|alignment| edges.iter().map(|edge| alignment.to_source_time(*edge))).collect()
}

/// The parts of the workspace that the filters admit.
async fn parts(
    snapshot: &mut Snapshot,
    filter: &Filter,
    sources: &SourcePeriods,
) -> Result<Vec<DisjointPart>, ReadError> {
    // Campaigns that are excluded anyway need no lookup.
    let among: Vec<_> = filter.campaign_bound().into_iter().flatten().collect();
    let mut by_status = BTreeMap::new();
    for statuses in filter.statuses() {
        let ids = lookups::campaigns_with_status(snapshot, &among, statuses).await?;
        by_status.insert(statuses, ids.into_iter().collect());
    }
    partition(filter, sources, &by_status).map_err(|TooManyParts| {
        ReadError::field("filters", "tells too many sources, campaigns and values apart; ask in several reports")
    })
}

/// The sources with numbers in any of these parts.
async fn contributing_sources(
    snapshot: &mut Snapshot,
    parts: &[DisjointPart],
    sources: &SourcePeriods,
    sources_by_campaign: &SourcesByCampaign,
) -> Result<BTreeSet<PeriodId>, ReadError> {
    let mut contributing = BTreeSet::new();
    for part in parts {
        match &part.campaigns {
            InclusionSet::Only(ids) => {
                let listed = sources_by_campaign.iter().filter(|(campaign, _)| ids.contains(campaign));
                let feeding: BTreeSet<_> = listed.flat_map(|(_, ids)| ids).collect();
                contributing.extend(part.sources.iter().filter(|id| feeding.contains(&id.source)));
            }
            InclusionSet::Except(ids) if ids.is_empty() => {
                let feeds = |id: &&PeriodId| sources.get(id).is_some_and(|source| source.has_data);
                contributing.extend(part.sources.iter().filter(feeds));
            }
            InclusionSet::Except(ids) => {
                let of: BTreeSet<_> = part.sources.iter().map(|id| id.source).collect();
                let (of, except): (Vec<_>, Vec<_>) = (of.into_iter().collect(), ids.iter().copied().collect());
                let feeding = sources::feeding_others(snapshot, &of, &except).await?;
                contributing.extend(part.sources.iter().filter(|id| feeding.contains(&id.source)));
            }
        }
    }
    Ok(contributing)
}

impl ReportContext {
    /// The probe of a result with this context.
    pub(crate) fn into_probe(self, snapshot: &Snapshot) -> Probe<Self> {
        Probe {
            epoch: snapshot.epoch,
            version: self.version,
            validity: Validity::Until(self.until),
            numbers: Some((self.freshness(snapshot.now).state, self.complete_through())),
            prepared: self,
        }
    }

    /// The admitted sources that decide on finality: those that feed its campaigns, and those that may. Each in the
    /// periods of which a range has any.
    fn authoritative_sources(&self, plan: &Plan) -> Vec<&Source> {
        let (about, span) = (self.about(), plan.range().span);
        // What waits may be the first that a source says of them.
        let is_expected = |source: &&Source| {
            let id = source.period_id();
            self.awaited_sources.contains(&id)
                || self.contributing_sources.contains(&id) && states_any(source, &self.own.plan)
                || self.parked.events_of(source.id, &about) > 0
        };
        let expected = self.sources.values().filter(is_expected);
        expected.filter(|source| source.is_asked_about(span, plan.query_grain)).collect()
    }

    /// What the result is about.
    pub(crate) fn about(&self) -> ResourceScope {
        ResourceScope::numbers(self.campaigns.iter().flatten().copied())
    }

    /// Whether a parked part would decide on the finality of the whole result.
    fn is_unsettled(&self) -> bool {
        let is_primary = |source: &Source| !source.counted_among(&self.own.plan.measures).is_empty();
        self.parked.affects_finality(&self.about(), |id| {
            let mut periods = periods_of(&self.sources, id).peekable();
            periods.peek().is_none() || periods.any(is_primary)
        })
    }

    pub(crate) fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        self.freshness_of(&self.own.plan, now)
    }

    fn freshness_of(&self, plan: &Plan, now: DateTime<Utc>) -> Freshness {
        let span = (plan.calendar.start(), plan.calendar.end());
        let range = FreshnessRange { span, grain: plan.query_grain, edges: &plan.edges };
        let about = self.about();
        let parked = (|id| self.parked.events_of(id, &about), self.is_unsettled());
        sources::freshness(&self.authoritative_sources(plan), &plan.measures, parked, &range, now, self.version.as_of())
    }

    /// The range that it is compared with, and its finality.
    pub(crate) fn compared_range(&self, now: DateTime<Utc>) -> Option<ComparedRange> {
        let plan = &self.compared.as_ref()?.plan;
        let Freshness { state, first_incomplete, .. } = self.freshness_of(plan, now);
        let (date_from, date_to) = plan.dates;
        // If no date corresponds to any, there is no range.
        let elapsed_through = self.own.plan.cut_at;
        (date_from <= date_to).then_some(ComparedRange { date_from, date_to, state, first_incomplete, elapsed_through })
    }

    pub(crate) fn complete_through(&self) -> Option<DateTime<Utc>> {
        let plan = &self.own.plan;
        let (sources, end) = (self.authoritative_sources(plan), plan.calendar.end());
        let through = sources::complete_through(&sources, &plan.measures, plan.query_grain, end);
        through.filter(|_| !self.is_unsettled())
    }

    /// The admitted primary sources that state totals, and none by the dimension of which these series have rows.
    pub(crate) fn stating_without(&self, broken_down: &BTreeSet<Uuid>) -> Vec<&Source> {
        let counts = |source: &Source| !source.counted_among(&self.own.plan.measures).is_empty();
        let is_pull = |source: &Source| source.definition.kind == SourceKind::Pull;
        let states = |source: &&Source| is_pull(source) && counts(source) && !broken_down.contains(&source.series);
        self.authoritative_sources(&self.own.plan).into_iter().filter(states).collect()
    }

    /// The series that have rows by the query's dimension, in any of its ranges: the same in all of them, so that rows
    /// compare.
    pub(crate) async fn broken_down(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
    ) -> Result<BTreeSet<Uuid>, ReadError> {
        let dimensions = query.dimensions();
        let pulled = self.sources.values().filter(|source| source.definition.kind == SourceKind::Pull);
        let series: BTreeSet<_> = pulled.map(|source| source.series).collect();
        let (Some(dimension), false) = (dimensions.first(), series.is_empty()) else { return Ok(BTreeSet::new()) };
        let series: Vec<_> = series.into_iter().collect();
        let mut broken_down = BTreeSet::new();
        for range in [Some(&self.own), self.compared.as_ref()].into_iter().flatten() {
            let range = range.plan.range();
            let found = lookups::broken_down(snapshot, *dimension, &series, range, self.campaigns.as_ref()).await?;
            broken_down.extend(found);
        }
        Ok(broken_down)
    }

    /// The sums of one of its ranges.
    pub(crate) async fn gather(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        range: &ReportRange,
        broken_down: &BTreeSet<Uuid>,
    ) -> Result<Aggregates, ReadError> {
        // Other sources have no numbers in the range.
        let is_shown = |source: &&Source| {
            self.contributing_sources.contains(&source.period_id())
                && (query.groups_by(GroupKey::Source) || source.role_among(&range.plan.measures) == SourceRole::Primary)
        };
        let selection = Selection {
            plan: &range.plan,
            parts: &self.parts,
            shown: &self.sources.values().filter(is_shown).map(Source::period_id).collect(),
            broken_down: broken_down.clone(),
            by_campaign: query.groups_by(GroupKey::Campaign),
            dimension: query.dimensions().first().copied(),
            by_value: query.dimension().is_some(),
            stretches: &range.stretches,
            coverage: &self.coverage,
        };
        gather(snapshot, &selection).await
    }

    /// The sources that decide on the finality of rows made of these sums.
    pub(crate) async fn row_sources(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        sums: impl Iterator<Item = &Sum>,
    ) -> Result<AuthoritativeSources, ReadError> {
        let plans = [Some(&self.own), self.compared.as_ref()].into_iter().flatten().map(|range| &range.plan);
        let together = plans.flat_map(|plan| self.authoritative_sources(plan)).map(Source::period_id).collect();
        if !query.groups_by(GroupKey::Campaign) {
            return Ok(AuthoritativeSources { together, by_campaign: BTreeMap::new() });
        }
        let by_campaign = if self.campaigns.is_some() {
            self.sources_by_campaign.clone()
        } else {
            let campaigns: BTreeSet<_> = sums.filter_map(|sum| sum.campaign).collect();
            sources::sources_by_campaign(snapshot, &campaigns.into_iter().collect::<Vec<_>>()).await?
        };
        let periods = |id: &Uuid| periods_of(&self.sources, *id).map(Source::period_id);
        let mut by_campaign: BTreeMap<Uuid, BTreeSet<PeriodId>> =
            by_campaign.iter().map(|(campaign, ids)| (*campaign, ids.iter().flat_map(periods).collect())).collect();
        expected::add_awaited(snapshot, &mut by_campaign, &self.awaited_sources, &self.sources).await?;
        for (campaign, ids) in &mut by_campaign {
            ids.retain(|id| self.parts.iter().any(|part| part.contains(*id, *campaign)));
        }
        Ok(AuthoritativeSources { together, by_campaign })
    }

    /// The context in which the sums of one of its ranges become rows.
    pub(crate) fn row_context<'a>(
        &'a self,
        query: &'a ReportQuery,
        plan: &'a Plan,
        authoritative: &'a AuthoritativeSources,
        now: DateTime<Utc>,
    ) -> RowContext<'a> {
        RowContext {
            query,
            cells: plan.cells(),
            edges: &plan.edges,
            measures: &plan.measures,
            sources: &self.sources,
            coverage: &self.coverage,
            watermarks: watermarks(&self.sources, query, now),
            authoritative,
            parked: &self.parked,
            now,
        }
    }
}
