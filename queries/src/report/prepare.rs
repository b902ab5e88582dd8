//! How a report is prepared: everything that its version and its freshness follow from is loaded, and no number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::freshness::{ZoneAlignment, last_boundary, next_boundary};

use super::context::{ReportContext, states_any};
use super::coverage::Coverage;
use super::elapsed::Elapsed;
use super::filter::Filter;
use super::filter::parts::{
    DisjointPart, InclusionSet, TooManyParts, admitted_campaigns, listed_campaigns, may_match_source, partition,
};
use super::marks::FINE_MARKS_SINCE;
use super::plan::Plan;
use super::query::{GroupKey, ReportQuery};
use super::range::{ReportRange, plan_ranges};
use super::rollup::RollupChoice;
use super::snapshot_lookups::{SnapshotLookups, SourcesByCampaign};
use super::{expected, lookups, source_inputs};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::last_change::{NumberMarks, Scope};
use crate::parked::ResourceScope;
use crate::sources::{self, PeriodId, Source, SourcePeriods, Sources, periods_of};

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
    let scope = scope(query, &coverage, &all_sources);
    let plans = || [Some(&plan), compared.as_ref()].into_iter().flatten();
    let has_fine_marks = shared.limits.version >= FINE_MARKS_SINCE;
    let marks = NumberMarks::of(plans(), has_fine_marks);
    let last_change = shared.last_change(snapshot, &scope, marks).await?;
    // A filter by name or channel may match a source that is registered later.
    let (by_source, by_status) = (query.filters.is_by_source(), !query.filters.statuses().is_empty());
    let feeding: BTreeSet<_> = sources_by_campaign.values().flatten().collect();
    let channels = &mut shared.campaign_channels;
    let others: Vec<_> = all_sources.values().filter(|source| !feeding.contains(&source.id)).collect();
    let candidates = expected::candidates(snapshot, channels, &others, &whole, campaigns.as_ref()).await?;
    let asked = (&sources, &query.additive());
    let awaited_sources = expected::awaited(snapshot, channels, &candidates, asked, campaigns.as_ref()).await?;
    let names_all = !matches!(scope, Scope::Campaigns(_)) || by_source || by_status;
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
    let inputs = source_inputs::inputs(snapshot, (&watched, &about), &mut sources, is_expected, &settling);
    let deadlines: Vec<_> = inputs.deadlines.iter().collect();
    let mut edges: BTreeSet<_> = plans().flat_map(|plan| plan.edges.iter().copied()).collect();
    let expected = sources.values().filter(is_expected);
    let expected: Vec<_> =
        expected.filter(|source| source.is_asked_about(plan.range().span, plan.query_grain)).collect();
    let elapsed = query.compare_elapsed.then(|| Elapsed::of(&expected, query, snapshot.now)).flatten();
    let elapsed = elapsed.filter(|elapsed| elapsed.through < plan.calendar.end());
    edges.extend(elapsed.iter().flat_map(|elapsed| [elapsed.through, elapsed.next]));
    edges.extend(source_zone_edges(&watched, query, &edges));
    let edges: Vec<_> = edges.into_iter().collect();
    let (last_start, next_start) =
        if by_status { (last_change.last_start, last_change.next_start) } else { (None, None) };
    // A relative range means other days from midnight on.
    let (last_midnight, next_midnight) = query.midnights().unzip();
    let boundary = last_boundary(snapshot.now, &edges, &deadlines).max(last_start).max(last_midnight);
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
    let mut context = ReportContext {
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
    };
    context.version = version.with_sources(source_inputs::digest(&context, query, snapshot.now)?);
    Ok(context)
}

/// The campaigns whose events may change a report. What a campaign is, and which sources feed it, counts only where the
/// report shows, groups or filters by campaigns, or tells apart where the sides of a ratio meet.
fn scope(query: &ReportQuery, coverage: &Coverage, sources: &Sources) -> Scope {
    let scope = Scope::of(query.filters.campaign_bound().into_iter().flatten());
    let names_any = !query.filters.campaigns().is_empty() || !query.filters.statuses().is_empty();
    if scope != Scope::Workspace || names_any || query.groups_by(GroupKey::Campaign) {
        return scope;
    }
    // The first number of a source makes it expected. It moves the source's settings, unless it is no part of a total.
    let is_outside_totals = |source: &Source| source.has_data && source.stated.is_empty();
    Scope::Numbers { by_feed: coverage.is_by_campaign() || sources.values().any(is_outside_totals) }
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
