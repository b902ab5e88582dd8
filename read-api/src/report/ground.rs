//! What is known of a report before anything is added up: which sources and campaigns its filters let in, and everything that
//! its version and its freshness follow from.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::freshness::{Reckoning, SourceFreshness, last_boundary, next_boundary};
use domain::source::Role;
use uuid::Uuid;

use super::combine::{Feeding, Setting, vouched};
use super::filter::Filter;
use super::filter::parts::{Part, Set, TooManyParts, admits, divide};
use super::gather::{Gathered, Selection, Sum, gather};
use super::lookups;
use super::plan::Plan;
use super::query::{GroupKey, ReportQuery};
use super::reading::{Limits, Reading};
use crate::answer::ComparedRange;
use crate::parked::{About, Parked};
use crate::refusal::Refusal;
use crate::serve::{Lasting, Survey};
use crate::snapshot::Snapshot;
use crate::sources::{self, Freshness, Source, Sources};
use crate::version::{Scope, Touched, Version};

/// What is known of a report before anything is added up.
pub(crate) struct Ground {
    pub(crate) own: Range,
    /// What it is compared with.
    pub(crate) compared: Option<Range>,
    /// Every source of the workspace.
    pub(super) all_sources: Arc<Sources>,
    /// Those that the filters let in.
    pub(super) sources: Sources,
    /// What the filters let in.
    pub(super) parts: Vec<Part>,
    /// The campaigns beyond which they let in nothing; `None` for all.
    pub(super) campaigns: Option<BTreeSet<Uuid>>,
    /// The sources that feed each of them; when `campaigns` is `None`, each of those that parts name.
    feeding: SourcesByCampaign,
    /// The sources that feed anything that the filters let in.
    fed_by: BTreeSet<Uuid>,
    pub(crate) version: Version,
    /// Until when it holds if nothing happens.
    pub(crate) until: Option<DateTime<Utc>>,
    /// What waits of the sources that the filters let in.
    pub(super) parked: Parked,
}

/// One range of days of a report, and where its sums are read.
pub(crate) struct Range {
    pub(crate) plan: Plan,
    pub(super) reading: Reading,
}

/// What the reports of a snapshot have in common, looked up once.
pub(crate) struct Shared {
    sources: Arc<Sources>,
    limits: Limits,
    /// By whose numbers, and in which months.
    touched: HashMap<(Scope, Vec<String>), Touched>,
    /// By the campaigns that are fed.
    feeding: HashMap<Vec<Uuid>, SourcesByCampaign>,
}

/// The sources that feed each campaign.
type SourcesByCampaign = BTreeMap<Uuid, BTreeSet<Uuid>>;

impl Shared {
    pub(crate) async fn load(snapshot: &mut Snapshot) -> Result<Self, Refusal> {
        let (sources, limits) = (Arc::new(sources::load(snapshot).await?), Limits::load(snapshot).await?);
        Ok(Self { sources, limits, touched: HashMap::new(), feeding: HashMap::new() })
    }

    async fn touched(
        &mut self,
        snapshot: &mut Snapshot,
        scope: &Scope,
        months: Vec<String>,
    ) -> Result<Touched, Refusal> {
        Ok(match self.touched.entry((scope.clone(), months)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let (scope, months) = unknown.key();
                let touched = scope.last_touched(snapshot, months).await?;
                *unknown.insert(touched)
            }
        })
    }

    async fn feeding(
        &mut self,
        snapshot: &mut Snapshot,
        campaigns: &BTreeSet<Uuid>,
    ) -> Result<SourcesByCampaign, Refusal> {
        Ok(match self.feeding.entry(campaigns.iter().copied().collect()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => {
                let feeding = sources::feeding(snapshot, unknown.key()).await?;
                unknown.insert(feeding).clone()
            }
        })
    }
}

/// Finds out everything that the version and the freshness of a report follow from.
pub(crate) async fn survey(
    snapshot: &mut Snapshot,
    shared: &mut Shared,
    query: &ReportQuery,
) -> Result<Ground, Refusal> {
    let wrong = |error| Refusal::Query(vec![error]);
    let plan = Plan::new(query).map_err(wrong)?;
    let compared = Plan::compared(query, &plan).map_err(wrong)?;
    let all_sources = Arc::clone(&shared.sources);
    let sources: Sources = all_sources
        .iter()
        .filter(|(_, source)| admits(&query.filters, source))
        .map(|(id, source)| (*id, source.clone()))
        .collect();
    let parts = parts(snapshot, &query.filters, &all_sources).await?;
    let campaigns = bound(&parts, &query.filters);
    // Where one part is of all campaigns, others may still be of some.
    let named = campaigns.clone().unwrap_or_else(|| named(&parts));
    let feeding = if named.is_empty() { BTreeMap::new() } else { shared.feeding(snapshot, &named).await? };
    let fed_by = fed_by(snapshot, &parts, &all_sources, &feeding).await?;

    let scope = Scope::of(query.filters.bound().into_iter().flatten());
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
    let of_sources = watched.iter().map(|source| source.mark).max().unwrap_or(0);
    let deadlines: Vec<&SourceFreshness> = watched.iter().map(|source| &source.freshness).collect();
    let mut edges: BTreeSet<_> = plans().flat_map(|plan| plan.edges.iter().copied()).collect();
    edges.extend(edges_elsewhere(&watched, query, &edges));
    let edges: Vec<_> = edges.into_iter().collect();
    let boundary = last_boundary(snapshot.now, &edges, &deadlines).max(touched.last_start.filter(|_| by_status));
    let next_start = touched.next_start.filter(|_| by_status);
    let until = next_boundary(snapshot.now, &edges, &deadlines).into_iter().chain(next_start).min();
    let range = |plan: Plan| Range { reading: Reading::choose(&plan, query, &shared.limits), plan };
    let (own, compared) = (range(plan), compared.map(range));
    let dropped_at = own.reading.changed_at().max(compared.as_ref().and_then(|then| then.reading.changed_at()));
    let last = touched.position.max(of_sources).max(snapshot.parked.last());
    let version = Version::new(snapshot.revision, last, boundary.max(dropped_at));
    let parked = snapshot.parked.from(&sources, &all_sources);
    Ok(Ground { own, compared, all_sources, sources, parts, campaigns, feeding, fed_by, version, until, parked })
}

/// Where the days and hours end that sources state in zones of their own, for these edges of the query's.
fn edges_elsewhere(sources: &[&Source], query: &ReportQuery, edges: &BTreeSet<DateTime<Utc>>) -> Vec<DateTime<Utc>> {
    let mut elsewhere: Vec<Reckoning> = Vec::new();
    for source in sources {
        let reckoning = source.reckoning(query.granularity, query.time_zone);
        if !reckoning.is_plain() && !elsewhere.contains(&reckoning) {
            elsewhere.push(reckoning);
        }
    }
    elsewhere.iter().flat_map(|reckoning| edges.iter().map(|edge| reckoning.needed(*edge))).collect()
}

/// What the filters let in of what there is.
async fn parts(snapshot: &mut Snapshot, filter: &Filter, sources: &Sources) -> Result<Vec<Part>, Refusal> {
    // Campaigns that are left out anyway need not be looked at.
    let among: Vec<_> = filter.bound().into_iter().flatten().collect();
    let mut standing = BTreeMap::new();
    for statuses in filter.statuses() {
        let ids = lookups::standing_so(snapshot, &among, statuses).await?;
        standing.insert(statuses, ids.into_iter().collect());
    }
    divide(filter, sources, &standing).map_err(|TooManyParts| {
        Refusal::field("filters", "tells too many sources, campaigns and values apart; ask in several reports")
    })
}

fn bound(parts: &[Part], filter: &Filter) -> Option<BTreeSet<Uuid>> {
    if parts.is_empty() {
        return filter.bound();
    }
    let ids: Option<Vec<_>> = parts
        .iter()
        .map(|part| match &part.campaigns {
            Set::Only(ids) => Some(ids),
            Set::Except(_) => None,
        })
        .collect();
    ids.map(|ids| ids.into_iter().flatten().copied().collect())
}

/// The campaigns of those parts that are of some.
fn named(parts: &[Part]) -> BTreeSet<Uuid> {
    let each = parts.iter().filter_map(|part| match &part.campaigns {
        Set::Only(ids) => Some(ids),
        Set::Except(_) => None,
    });
    each.flatten().copied().collect()
}

async fn fed_by(
    snapshot: &mut Snapshot,
    parts: &[Part],
    sources: &Sources,
    feeding: &BTreeMap<Uuid, BTreeSet<Uuid>>,
) -> Result<BTreeSet<Uuid>, Refusal> {
    let mut fed_by = BTreeSet::new();
    for part in parts {
        match &part.campaigns {
            Set::Only(ids) => {
                let feeding = feeding.iter().filter(|(campaign, _)| ids.contains(campaign));
                fed_by.extend(feeding.flat_map(|(_, ids)| ids.intersection(&part.sources)));
            }
            Set::Except(ids) if ids.is_empty() => {
                let feeds = |id: &&Uuid| sources.get(id).is_some_and(|source| source.feeds);
                fed_by.extend(part.sources.iter().filter(feeds));
            }
            Set::Except(ids) => {
                let (of, except): (Vec<_>, Vec<_>) =
                    (part.sources.iter().copied().collect(), ids.iter().copied().collect());
                fed_by.extend(sources::feeding_others(snapshot, &of, &except).await?);
            }
        }
    }
    Ok(fed_by)
}

impl Ground {
    /// What an answer that is made of it says of itself.
    pub(crate) fn surveyed(self, snapshot: &Snapshot) -> Survey<Self> {
        Survey {
            epoch: snapshot.epoch,
            version: self.version,
            lasting: Lasting::Until(self.until),
            numbers: Some((self.freshness(snapshot.now).state, self.complete_through())),
            ground: self,
        }
    }

    /// The admitted sources that decide how settled its numbers are: those that feed its campaigns, and those that may.
    fn deciding(&self) -> Vec<&Source> {
        let about = self.about();
        // What waits may be the first that a source says of them.
        let feeds = |source: &&Source| self.fed_by.contains(&source.id) || self.parked.events_of(source.id, &about) > 0;
        self.sources.values().filter(feeds).collect()
    }

    pub(super) fn about(&self) -> About {
        About::numbers(self.campaigns.iter().flatten().copied())
    }

    /// Whether something waits that would decide on the whole of the answer.
    fn is_unsettled(&self) -> bool {
        let is_primary = |source: &Source| source.role_among(&self.own.plan.measures) == Role::Primary;
        self.parked.unsettles(&self.about(), |id| self.sources.get(&id).is_none_or(is_primary))
    }

    pub(crate) fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        self.freshness_of(&self.own.plan, now)
    }

    fn freshness_of(&self, plan: &Plan, now: DateTime<Utc>) -> Freshness {
        let range = (plan.calendar.start(), plan.calendar.end());
        let about = self.about();
        let parked = (|id| self.parked.events_of(id, &about), self.is_unsettled());
        sources::freshness(&self.deciding(), &plan.measures, parked, (range, plan.told), now, self.version.as_of())
    }

    /// The range that it is compared with, and how settled that is.
    pub(super) fn compared_range(&self, now: DateTime<Utc>) -> Option<ComparedRange> {
        let plan = &self.compared.as_ref()?.plan;
        let Freshness { state, first_incomplete, .. } = self.freshness_of(plan, now);
        let (date_from, date_to) = plan.dates;
        // Where no date corresponds to any, there is no range.
        (date_from <= date_to).then_some(ComparedRange { date_from, date_to, state, first_incomplete })
    }

    pub(crate) fn complete_through(&self) -> Option<DateTime<Utc>> {
        let plan = &self.own.plan;
        let through = sources::complete_through(&self.deciding(), &plan.measures, plan.told);
        through.filter(|_| !self.is_unsettled())
    }

    /// The primary sources that the filters let in and that state totals without dimensions.
    pub(super) fn stating_totals(&self) -> Vec<&Source> {
        let states = |source: &&Source| {
            source.definition.kind == domain::source::SourceKind::Pull
                && source.role_among(&self.own.plan.measures) == Role::Primary
        };
        self.deciding().into_iter().filter(states).collect()
    }

    /// The sums of one of its ranges.
    pub(super) async fn gather(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        range: &Range,
    ) -> Result<Gathered, Refusal> {
        // Who feeds none of it has no numbers of it, and need not be looked for.
        let is_shown = |source: &&Source| {
            self.fed_by.contains(&source.id)
                && (query.groups_by(GroupKey::Source) || source.role_among(&range.plan.measures) == Role::Primary)
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
    pub(super) async fn feeding(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        sums: impl Iterator<Item = &Sum>,
    ) -> Result<Feeding, Refusal> {
        let together = self.deciding().iter().map(|source| source.id).collect();
        if !query.groups_by(GroupKey::Campaign) {
            return Ok(Feeding { together, by_campaign: BTreeMap::new() });
        }
        let mut by_campaign = if self.campaigns.is_some() {
            self.feeding.clone()
        } else {
            let met: BTreeSet<_> = sums.filter_map(|sum| sum.campaign).collect();
            sources::feeding(snapshot, &met.into_iter().collect::<Vec<_>>()).await?
        };
        for (campaign, ids) in &mut by_campaign {
            ids.retain(|id| self.parts.iter().any(|part| part.lets_in(*id, *campaign)));
        }
        Ok(Feeding { together, by_campaign })
    }

    /// What combining the sums of one of its ranges needs to know beside them.
    pub(super) fn setting<'a>(
        &'a self,
        query: &'a ReportQuery,
        plan: &'a Plan,
        feeding: &'a Feeding,
        now: DateTime<Utc>,
    ) -> Setting<'a> {
        Setting {
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
