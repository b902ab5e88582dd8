//! What is known of a report before anything is added up: which sources and campaigns its filters let in, and everything that
//! its version and its freshness follow from.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::freshness::{SourceFreshness, ZoneAlignment, last_boundary, next_boundary};
use domain::source::SourceRole;
use uuid::Uuid;

use super::aggregate::{Aggregates, Selection, gather};
use super::data::ComparedRange;
use super::filter::Filter;
use super::filter::parts::{DisjointPart, InclusionSet, TooManyParts, may_match_source, partition};
use super::lookups;
use super::plan::Plan;
use super::query::{GroupKey, ReportQuery};
use super::rollup::{EpochLimits, RollupChoice};
use super::rows::{AuthoritativeSources, RowContext, vouched};
use super::sum::Sum;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::last_change::{LastChange, Scope};
use crate::parked::{Parked, ResourceScope};
use crate::probe::{Probe, Validity};
use crate::sources::{self, Freshness, Source, Sources};
use crate::version::Version;

/// What is known of a report before anything is added up.
#[derive(Debug)]
pub(crate) struct ReportContext {
    pub own: ReportRange,
    /// What it is compared with.
    pub compared: Option<ReportRange>,
    /// Every source of the workspace.
    pub all_sources: Arc<Sources>,
    /// Those that the filters let in.
    pub sources: Sources,
    /// What the filters let in.
    pub parts: Vec<DisjointPart>,
    /// The campaigns beyond which they let in nothing; `None` for all.
    pub campaigns: Option<BTreeSet<Uuid>>,
    /// The sources that feed each of them; when `campaigns` is `None`, each of those that parts name.
    sources_by_campaign: SourcesByCampaign,
    /// The sources that feed anything that the filters let in.
    contributing_sources: BTreeSet<Uuid>,
    pub version: Version,
    /// Until when it holds if nothing happens.
    pub until: Option<DateTime<Utc>>,
    /// What waits of the sources that the filters let in.
    pub parked: Parked,
}

/// One range of days of a report, and where its sums are read.
#[derive(Debug)]
pub(crate) struct ReportRange {
    pub plan: Plan,
    pub reading: RollupChoice,
}

/// What the reports of a snapshot have in common, looked up once.
pub(crate) struct SnapshotLookups {
    sources: Arc<Sources>,
    limits: EpochLimits,
    /// By whose numbers, and in which months.
    touched: HashMap<(Scope, Vec<String>), LastChange>,
    /// By the campaigns that are fed.
    feeding: HashMap<Vec<Uuid>, SourcesByCampaign>,
}

/// The sources that feed each campaign.
type SourcesByCampaign = BTreeMap<Uuid, BTreeSet<Uuid>>;

impl SnapshotLookups {
    pub(crate) async fn load(snapshot: &mut Snapshot) -> Result<Self, ReadError> {
        let (sources, limits) = (Arc::new(sources::load(snapshot).await?), EpochLimits::load(snapshot).await?);
        Ok(Self { sources, limits, touched: HashMap::new(), feeding: HashMap::new() })
    }

    async fn touched(
        &mut self,
        snapshot: &mut Snapshot,
        scope: &Scope,
        months: Vec<String>,
    ) -> Result<LastChange, ReadError> {
        Ok(match self.touched.entry((scope.clone(), months)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let (scope, months) = unknown.key();
                let touched = scope.last_change(snapshot, months).await?;
                *unknown.insert(touched)
            }
        })
    }

    async fn feeding(
        &mut self,
        snapshot: &mut Snapshot,
        campaigns: &BTreeSet<Uuid>,
    ) -> Result<SourcesByCampaign, ReadError> {
        Ok(match self.feeding.entry(campaigns.iter().copied().collect()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => {
                let feeding = sources::sources_by_campaign(snapshot, unknown.key()).await?;
                unknown.insert(feeding).clone()
            }
        })
    }
}

/// Finds out everything that the version and the freshness of a report follow from.
pub(crate) async fn prepare(
    snapshot: &mut Snapshot,
    shared: &mut SnapshotLookups,
    query: &ReportQuery,
) -> Result<ReportContext, ReadError> {
    let wrong = |error| ReadError::Query(vec![error]);
    let plan = Plan::new(query).map_err(wrong)?;
    let compared = Plan::compared(query, &plan).map_err(wrong)?;
    let all_sources = Arc::clone(&shared.sources);
    let sources: Sources = all_sources
        .iter()
        .filter(|(_, source)| may_match_source(&query.filters, source))
        .map(|(id, source)| (*id, source.clone()))
        .collect();
    let parts = parts(snapshot, &query.filters, &all_sources).await?;
    let campaigns = bound(&parts, &query.filters);
    // Where one part is of all campaigns, others may still be of some.
    let named = campaigns.clone().unwrap_or_else(|| named(&parts));
    let feeding = if named.is_empty() { BTreeMap::new() } else { shared.feeding(snapshot, &named).await? };
    let fed_by = fed_by(snapshot, &parts, &all_sources, &feeding).await?;

    let scope = Scope::of(query.filters.campaign_bound().into_iter().flatten());
    let plans = || [Some(&plan), compared.as_ref()].into_iter().flatten();
    let months: BTreeSet<_> = plans().flat_map(Plan::months).collect();
    let touched = shared.touched(snapshot, &scope, months.into_iter().collect()).await?;
    // A filter by name or channel may begin to match a source that was not there before.
    let by_source = query.filters.is_by_source();
    let by_status = !query.filters.statuses().is_empty();
    let fed: BTreeSet<_> = feeding.values().flatten().collect();
    let watched: Vec<_> = match scope {
        Scope::Campaigns(_) if !by_source && !by_status => {
            all_sources.values().filter(|source| fed.contains(&source.id)).collect()
        }
        Scope::Campaigns(_) | Scope::Workspace => all_sources.values().collect(),
    };
    let of_sources = watched.iter().map(|source| source.last_position).max().unwrap_or(0);
    let deadlines: Vec<&SourceFreshness> = watched.iter().map(|source| &source.freshness).collect();
    let mut edges: BTreeSet<_> = plans().flat_map(|plan| plan.edges.iter().copied()).collect();
    edges.extend(source_zone_edges(&watched, query, &edges));
    let edges: Vec<_> = edges.into_iter().collect();
    let boundary = last_boundary(snapshot.now, &edges, &deadlines).max(touched.last_start.filter(|_| by_status));
    let next_start = touched.next_start.filter(|_| by_status);
    let until = next_boundary(snapshot.now, &edges, &deadlines).into_iter().chain(next_start).min();
    let range = |plan: Plan| ReportRange { reading: RollupChoice::choose(&plan, query, &shared.limits), plan };
    let (own, compared) = (range(plan), compared.map(range));
    let dropped_at = own.reading.changed_at().max(compared.as_ref().and_then(|then| then.reading.changed_at()));
    let last = touched.position.max(of_sources).max(snapshot.parked.last());
    let version = Version::new(snapshot.revision, last, boundary.max(dropped_at));
    let parked = snapshot.parked.for_sources(|id| sources.contains_key(&id) || !all_sources.contains_key(&id));
    Ok(ReportContext {
        own,
        compared,
        all_sources,
        sources,
        parts,
        campaigns,
        sources_by_campaign: feeding,
        contributing_sources: fed_by,
        version,
        until,
        parked,
    })
}

/// Where the days and hours end that sources state in zones of their own, for these edges of the query's.
fn source_zone_edges(sources: &[&Source], query: &ReportQuery, edges: &BTreeSet<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
    let mut elsewhere: Vec<ZoneAlignment> = Vec::new();
    for source in sources {
        let reckoning = source.reckoning(query.granularity, query.time_zone);
        if !reckoning.is_aligned() && !elsewhere.contains(&reckoning) {
            elsewhere.push(reckoning);
        }
    }
    elsewhere.iter().flat_map(|reckoning| edges.iter().map(|edge| reckoning.to_source_time(*edge))).collect()
}

/// What the filters let in of what there is.
async fn parts(snapshot: &mut Snapshot, filter: &Filter, sources: &Sources) -> Result<Vec<DisjointPart>, ReadError> {
    // Campaigns that are left out anyway need not be looked at.
    let among: Vec<_> = filter.campaign_bound().into_iter().flatten().collect();
    let mut standing = BTreeMap::new();
    for statuses in filter.statuses() {
        let ids = lookups::campaigns_with_status(snapshot, &among, statuses).await?;
        standing.insert(statuses, ids.into_iter().collect());
    }
    partition(filter, sources, &standing).map_err(|TooManyParts| {
        ReadError::field("filters", "tells too many sources, campaigns and values apart; ask in several reports")
    })
}

fn bound(parts: &[DisjointPart], filter: &Filter) -> Option<BTreeSet<Uuid>> {
    if parts.is_empty() {
        return filter.campaign_bound();
    }
    let ids: Option<Vec<_>> = parts
        .iter()
        .map(|part| match &part.campaigns {
            InclusionSet::Only(ids) => Some(ids),
            InclusionSet::Except(_) => None,
        })
        .collect();
    ids.map(|ids| ids.into_iter().flatten().copied().collect())
}

/// The campaigns of those parts that are of some.
fn named(parts: &[DisjointPart]) -> BTreeSet<Uuid> {
    let each = parts.iter().filter_map(|part| match &part.campaigns {
        InclusionSet::Only(ids) => Some(ids),
        InclusionSet::Except(_) => None,
    });
    each.flatten().copied().collect()
}

async fn fed_by(
    snapshot: &mut Snapshot,
    parts: &[DisjointPart],
    sources: &Sources,
    feeding: &BTreeMap<Uuid, BTreeSet<Uuid>>,
) -> Result<BTreeSet<Uuid>, ReadError> {
    let mut fed_by = BTreeSet::new();
    for part in parts {
        match &part.campaigns {
            InclusionSet::Only(ids) => {
                let feeding = feeding.iter().filter(|(campaign, _)| ids.contains(campaign));
                fed_by.extend(feeding.flat_map(|(_, ids)| ids.intersection(&part.sources)));
            }
            InclusionSet::Except(ids) if ids.is_empty() => {
                let feeds = |id: &&Uuid| sources.get(id).is_some_and(|source| source.has_data);
                fed_by.extend(part.sources.iter().filter(feeds));
            }
            InclusionSet::Except(ids) => {
                let (of, except): (Vec<_>, Vec<_>) =
                    (part.sources.iter().copied().collect(), ids.iter().copied().collect());
                fed_by.extend(sources::feeding_others(snapshot, &of, &except).await?);
            }
        }
    }
    Ok(fed_by)
}

impl ReportContext {
    /// What an answer that is made of it says of itself.
    pub(crate) fn into_probe(self, snapshot: &Snapshot) -> Probe<Self> {
        Probe {
            epoch: snapshot.epoch,
            version: self.version,
            validity: Validity::Until(self.until),
            numbers: Some((self.freshness(snapshot.now).state, self.complete_through())),
            prepared: self,
        }
    }

    /// The admitted sources that decide how settled its numbers are: those that feed its campaigns, and those that may.
    fn authoritative_sources(&self) -> Vec<&Source> {
        let about = self.about();
        // What waits may be the first that a source says of them.
        let feeds = |source: &&Source| {
            self.contributing_sources.contains(&source.id) || self.parked.events_of(source.id, &about) > 0
        };
        self.sources.values().filter(feeds).collect()
    }

    pub(crate) fn about(&self) -> ResourceScope {
        ResourceScope::numbers(self.campaigns.iter().flatten().copied())
    }

    /// Whether something waits that would decide on the whole of the answer.
    fn is_unsettled(&self) -> bool {
        let is_primary = |source: &Source| source.role_among(&self.own.plan.measures) == SourceRole::Primary;
        self.parked.affects_finality(&self.about(), |id| self.sources.get(&id).is_none_or(is_primary))
    }

    pub(crate) fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        self.freshness_of(&self.own.plan, now)
    }

    fn freshness_of(&self, plan: &Plan, now: DateTime<Utc>) -> Freshness {
        let range = (plan.calendar.start(), plan.calendar.end());
        let about = self.about();
        let parked = (|id| self.parked.events_of(id, &about), self.is_unsettled());
        sources::freshness(
            &self.authoritative_sources(),
            &plan.measures,
            parked,
            (range, plan.told),
            now,
            self.version.as_of(),
        )
    }

    /// The range that it is compared with, and how settled that is.
    pub(crate) fn compared_range(&self, now: DateTime<Utc>) -> Option<ComparedRange> {
        let plan = &self.compared.as_ref()?.plan;
        let Freshness { state, first_incomplete, .. } = self.freshness_of(plan, now);
        let (date_from, date_to) = plan.dates;
        // Where no date corresponds to any, there is no range.
        (date_from <= date_to).then_some(ComparedRange { date_from, date_to, state, first_incomplete })
    }

    pub(crate) fn complete_through(&self) -> Option<DateTime<Utc>> {
        let plan = &self.own.plan;
        let through = sources::complete_through(&self.authoritative_sources(), &plan.measures, plan.told);
        through.filter(|_| !self.is_unsettled())
    }

    /// The primary sources that the filters let in and that state totals without dimensions.
    pub(crate) fn pull_sources(&self) -> Vec<&Source> {
        let states = |source: &&Source| {
            source.definition.kind == domain::source::SourceKind::Pull
                && source.role_among(&self.own.plan.measures) == SourceRole::Primary
        };
        self.authoritative_sources().into_iter().filter(states).collect()
    }

    /// The sums of one of its ranges.
    pub(crate) async fn gather(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        range: &ReportRange,
    ) -> Result<Aggregates, ReadError> {
        // Who feeds none of it has no numbers of it, and need not be looked for.
        let is_shown = |source: &&Source| {
            self.contributing_sources.contains(&source.id)
                && (query.groups_by(GroupKey::Source) || source.role_among(&range.plan.measures) == SourceRole::Primary)
        };
        let selection = Selection {
            plan: &range.plan,
            parts: &self.parts,
            shown: &self.sources.values().filter(is_shown).map(|source| source.id).collect(),
            by_campaign: query.groups_by(GroupKey::Campaign),
            dimension: query.dimensions().first().copied(),
            by_value: query.dimension().is_some(),
            reading: range.reading,
        };
        gather(snapshot, &selection).await
    }

    /// The sources that decide on rows which are made of these sums.
    pub(crate) async fn feeding(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        sums: impl Iterator<Item = &Sum>,
    ) -> Result<AuthoritativeSources, ReadError> {
        let together = self.authoritative_sources().iter().map(|source| source.id).collect();
        if !query.groups_by(GroupKey::Campaign) {
            return Ok(AuthoritativeSources { together, by_campaign: BTreeMap::new() });
        }
        let mut by_campaign = if self.campaigns.is_some() {
            self.sources_by_campaign.clone()
        } else {
            let met: BTreeSet<_> = sums.filter_map(|sum| sum.campaign).collect();
            sources::sources_by_campaign(snapshot, &met.into_iter().collect::<Vec<_>>()).await?
        };
        for (campaign, ids) in &mut by_campaign {
            ids.retain(|id| self.parts.iter().any(|part| part.contains(*id, *campaign)));
        }
        Ok(AuthoritativeSources { together, by_campaign })
    }

    /// What combining the sums of one of its ranges needs to know beside them.
    pub(crate) fn setting<'a>(
        &'a self,
        query: &'a ReportQuery,
        plan: &'a Plan,
        feeding: &'a AuthoritativeSources,
        now: DateTime<Utc>,
    ) -> RowContext<'a> {
        RowContext {
            query,
            cells: plan.cells(),
            measures: &plan.measures,
            sources: &self.sources,
            vouched: vouched(&self.sources, query, now),
            feeding,
            parked: &self.parked,
            now,
        }
    }
}
