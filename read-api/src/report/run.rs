//! One report, from canonical query to answer.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::Granularity;
use domain::freshness::{SourceFreshness, last_boundary, next_boundary};
use domain::source::Role;
use uuid::Uuid;

use super::combine::{Feeding, Row, Setting, combine};
use super::gather::{Gathered, Selection, gather};
use super::order::{self, PageOfRows};
use super::plan::Plan;
use super::query::{DataState, GroupKey, Paging, ReportQuery};
use super::reading::{Limits, Reading};
use super::request::{Defaults, ReportRequest};
use super::row::{ReportRow, Sheet};
use super::{dimension, lookups, warnings};
use crate::answer::Warning;
use crate::consistency::Settled;
use crate::parked::{About, Parked};
use crate::refusal::Refusal;
use crate::serve::{Around, Contents, Lasting, Resource, Sought, Survey, Told};
use crate::snapshot::Snapshot;
use crate::sources::{self, Freshness, Source, Sources};
use crate::version::{Scope, Version};

/// A report that is asked for.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) request: &'a ReportRequest,
    /// How time is cut when the request does not say.
    pub(crate) granularity: Granularity,
    pub(crate) data_state: DataState,
    /// The one campaign that it is of, which must be there.
    pub(crate) campaign: Option<Uuid>,
}

/// What is known of a report before anything is added up.
pub(crate) struct Ground {
    pub(crate) plan: Plan,
    /// Every source of the workspace.
    all_sources: Sources,
    /// Those that the filters let in.
    sources: Sources,
    /// The campaigns that the filters let in; `None` for all.
    campaigns: Option<Vec<Uuid>>,
    /// The sources that feed each of them; empty when `campaigns` is `None`.
    feeding: BTreeMap<Uuid, BTreeSet<Uuid>>,
    pub(crate) version: Version,
    /// Until when it holds if nothing happens.
    until: Option<DateTime<Utc>>,
    reading: Reading,
    /// What waits of the sources that the filters let in.
    parked: Parked,
}

impl Resource for Report<'_> {
    const MODEL: &'static str = "campaign_metrics";
    type Query = ReportQuery;
    type Ground = Ground;

    fn about(&self) -> About {
        About::numbers(self.request.named_campaigns())
    }

    fn query(&self, around: Around) -> Result<(ReportQuery, Option<Paging>), Refusal> {
        let Around { time_zone, now } = around;
        let defaults = Defaults { time_zone, granularity: self.granularity, now };
        let (query, paging) = self.request.canonical(defaults, self.data_state).map_err(Refusal::Query)?;
        if self.campaign.is_some() && query.groups_by(GroupKey::Campaign) {
            return Err(Refusal::field(
                "group_by",
                "takes channel, source and a dimension here; POST /v1/reports groups by campaign",
            ));
        }
        Ok((query, Some(paging)))
    }

    async fn survey(&self, settled: &mut Settled, query: &ReportQuery) -> Result<Option<Survey<Ground>>, Refusal> {
        if let Some(id) = self.campaign
            && lookups::names(&mut settled.snapshot, &[id]).await?.is_empty()
        {
            return Ok(None);
        }
        let ground = survey(settled, query).await?;
        Ok(Some(ground.surveyed(&settled.snapshot)))
    }

    async fn result(
        &self,
        snapshot: &mut Snapshot,
        sought: &Sought<ReportQuery>,
        survey: Survey<Ground>,
    ) -> Result<Told, Refusal> {
        let (ground, query) = (survey.ground, &sought.query);
        let paging = sought.paging.as_ref().ok_or_else(|| Refusal::corrupt("a report has pages"))?;
        let gathered = ground.gather(snapshot, query).await?;
        let rows = ground.combine(snapshot, query, &gathered).await?;
        let mixed = warnings::of_currencies(&rows);
        let epoch = snapshot.epoch;
        let PageOfRows { rows, next_cursor } =
            order::page(rows, query, ground.plan.cells(), paging, sought.hash(), epoch)?;

        let restated = lookups::restated(snapshot, &rows, ground.plan.cells(), &ground.sources).await?;
        let names = ground.names(snapshot, query, &rows).await?;
        let warnings = ground.warnings(snapshot, query, &gathered, &names, mixed).await?;
        let data = ground.rows_on_the_wire(query, &rows, &restated, &names);
        let (time_zone, freshness) = (query.time_zone, Some(ground.freshness(snapshot.now)));
        let contents = Contents { data, next_cursor, time_zone, freshness, warnings };
        sought.told::<Self, _>(snapshot, survey.version, contents)
    }
}

/// Finds out everything that the version and the freshness of a report follow from.
pub(crate) async fn survey(settled: &mut Settled, query: &ReportQuery) -> Result<Ground, Refusal> {
    let plan = Plan::new(query).map_err(|error| Refusal::Query(vec![error]))?;
    let snapshot = &mut settled.snapshot;
    let all_sources = sources::load(snapshot).await?;
    let ids: Vec<_> = query.filters.campaign_id.iter().copied().collect();
    let campaigns = if query.filters.status.is_empty() {
        Some(ids).filter(|ids| !ids.is_empty())
    } else {
        Some(lookups::standing_so(snapshot, &ids, &query.filters.status).await?)
    };
    let feeding = match &campaigns {
        Some(ids) => sources::feeding(snapshot, ids).await?,
        None => BTreeMap::new(),
    };
    let sources = admitted(query, &all_sources);

    let scope = Scope::of(query.filters.campaign_id.iter().copied());
    let touched = scope.last_touched(snapshot, &plan.months()).await?;
    // A filter by name or channel may begin to match a source that was not there before.
    let by_source = !query.filters.source.is_empty() || !query.filters.channel.is_empty();
    let by_status = !query.filters.status.is_empty();
    let fed: BTreeSet<_> = feeding.values().flatten().collect();
    let watched: Vec<_> = match scope {
        Scope::Campaigns(_) if !by_source && !by_status => {
            all_sources.values().filter(|source| fed.contains(&source.id)).collect()
        }
        Scope::Campaigns(_) | Scope::Workspace => all_sources.values().collect(),
    };
    let of_sources = watched.iter().map(|source| source.mark).max().unwrap_or(0);
    let deadlines: Vec<&SourceFreshness> = watched.iter().map(|source| &source.freshness).collect();
    let boundary = last_boundary(snapshot.now, &plan.edges, &deadlines).max(touched.last_start.filter(|_| by_status));
    let next_start = touched.next_start.filter(|_| by_status);
    let until = next_boundary(snapshot.now, &plan.edges, &deadlines).into_iter().chain(next_start).min();
    let reading = Reading::choose(&plan, query, &Limits::load(snapshot).await?);
    let last = touched.position.max(of_sources).max(snapshot.parked.last());
    let version = Version::new(snapshot.revision, last, boundary.max(reading.changed_at()));
    let parked = snapshot.parked.from(&sources, &all_sources);
    Ok(Ground { plan, all_sources, sources, campaigns, feeding, version, until, reading, parked })
}

/// The sources that the filters let in.
fn admitted(query: &ReportQuery, sources: &Sources) -> Sources {
    let filters = &query.filters;
    let is_in = |source: &Source| {
        let definition = &source.definition;
        (filters.source.is_empty() || filters.source.contains(&definition.name))
            && (filters.channel.is_empty() || filters.channel.contains(&definition.channel))
    };
    sources.iter().filter(|(_, source)| is_in(source)).map(|(id, source)| (*id, source.clone())).collect()
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

    /// The admitted sources that feed the campaigns of the report.
    fn fed_by(&self) -> Vec<&Source> {
        let about = self.about();
        let feeds = |source: &&Source| match &self.campaigns {
            None => source.feeds,
            Some(_) => self.feeding.values().any(|ids| ids.contains(&source.id)),
        };
        // What waits may be the first that a source says of them.
        let feeds = |source: &&Source| feeds(source) || self.parked.events_of(source.id, &about) > 0;
        self.sources.values().filter(feeds).collect()
    }

    fn about(&self) -> About {
        About::numbers(self.campaigns.iter().flatten().copied())
    }

    /// Whether something waits that would decide on the whole of the answer.
    fn is_unsettled(&self) -> bool {
        let is_primary = |source: &Source| source.role_among(&self.plan.measures) == Role::Primary;
        self.parked.unsettles(&self.about(), |id| self.sources.get(&id).is_none_or(is_primary))
    }

    pub(crate) fn freshness(&self, now: DateTime<Utc>) -> Freshness {
        let range = (self.plan.calendar.start(), self.plan.calendar.end());
        let about = self.about();
        let parked = (|id| self.parked.events_of(id, &about), self.is_unsettled());
        sources::freshness(&self.fed_by(), &self.plan.measures, parked, range, now, self.version.as_of())
    }

    pub(crate) fn complete_through(&self) -> Option<DateTime<Utc>> {
        sources::complete_through(&self.fed_by(), &self.plan.measures).filter(|_| !self.is_unsettled())
    }

    /// The sources whose numbers have a place in some row.
    fn shown(&self, query: &ReportQuery) -> Vec<Uuid> {
        let is_shown = |source: &&Source| {
            query.groups_by(GroupKey::Source) || source.role_among(&self.plan.measures) == Role::Primary
        };
        self.sources.values().filter(is_shown).map(|source| source.id).collect()
    }

    /// The rows, in no particular order, and what a reader should know beside them: for a resource that goes on from there.
    pub(crate) async fn tally(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
    ) -> Result<(Vec<Row>, Vec<Warning>), Refusal> {
        let gathered = self.gather(snapshot, query).await?;
        let rows = self.combine(snapshot, query, &gathered).await?;
        let mixed = warnings::of_currencies(&rows);
        let names = self.names(snapshot, query, &rows).await?;
        let warnings = self.warnings(snapshot, query, &gathered, &names, mixed).await?;
        Ok((rows, warnings))
    }

    async fn gather(&self, snapshot: &mut Snapshot, query: &ReportQuery) -> Result<Gathered, Refusal> {
        let selection = Selection {
            plan: &self.plan,
            campaigns: self.campaigns.as_deref(),
            sources: self.shown(query),
            by_campaign: query.groups_by(GroupKey::Campaign),
            dimension: query.dimension(),
            reading: self.reading,
        };
        gather(snapshot, &selection).await
    }

    async fn combine(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        gathered: &Gathered,
    ) -> Result<Vec<Row>, Refusal> {
        let feeding = if !query.groups_by(GroupKey::Campaign) {
            Feeding::Together(self.fed_by().iter().map(|source| source.id).collect())
        } else if self.campaigns.is_some() {
            Feeding::ByCampaign(self.feeding.clone())
        } else {
            let met: BTreeSet<_> = gathered.sums.iter().filter_map(|sum| sum.campaign).collect();
            let met: Vec<_> = met.into_iter().collect();
            Feeding::ByCampaign(sources::feeding(snapshot, &met).await?)
        };
        let setting = Setting {
            query,
            cells: self.plan.cells(),
            measures: &self.plan.measures,
            sources: &self.sources,
            feeding: &feeding,
            parked: &self.parked,
            now: snapshot.now,
        };
        combine(&setting, &gathered.sums)
    }

    async fn names(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        rows: &[Row],
    ) -> Result<BTreeMap<Uuid, String>, Refusal> {
        let shown = rows.iter().filter_map(|row| row.key.campaign);
        // Those that the query names are looked up too: an id that is not there gives a warning.
        let ids: BTreeSet<_> = shown.chain(query.filters.campaign_id.iter().copied()).collect();
        lookups::names(snapshot, &ids.into_iter().collect::<Vec<_>>()).await
    }

    async fn warnings(
        &self,
        snapshot: &mut Snapshot,
        query: &ReportQuery,
        gathered: &Gathered,
        names: &BTreeMap<Uuid, String>,
        mixed: Option<Warning>,
    ) -> Result<Vec<Warning>, Refusal> {
        let one_campaign = self.campaigns.as_ref().is_some_and(|ids| ids.len() == 1);
        let overlaps = if one_campaign || query.groups_by(GroupKey::Campaign) {
            warnings::overlaps_in(&gathered.sums)
        } else {
            let primaries =
                self.sources.values().filter(|source| source.role_among(&self.plan.measures) == Role::Primary);
            let primaries: Vec<_> = primaries.map(|source| source.id).collect();
            lookups::overlaps(snapshot, &self.plan, self.reading.grain, self.campaigns.as_deref(), &primaries).await?
        };
        let known = names.keys().copied().collect();
        let mut all = warnings::of_grains(query, &gathered.misfits, &self.sources);
        all.extend(warnings::of_overlaps(&overlaps, &self.sources));
        all.extend(mixed);
        all.extend(self.reading.warnings(query));
        all.extend(
            query.dimension().and_then(|dimension| dimension::of_others(dimension, &gathered.sums, self.reading)),
        );
        all.extend(self.parked.warning(&self.about(), &self.all_sources));
        all.extend(warnings::of_references(query, &self.all_sources, &self.plan.measures));
        all.extend(warnings::of_unknown(query, &self.all_sources, &known));
        all.sort_unstable();
        Ok(all)
    }

    fn rows_on_the_wire<'a>(
        &'a self,
        query: &'a ReportQuery,
        rows: &'a [Row],
        restated: &'a [bool],
        names: &'a BTreeMap<Uuid, String>,
    ) -> Vec<ReportRow<'a>> {
        let (cells, measures) = (self.plan.cells(), &self.plan.measures);
        let sheet = Sheet { query, cells, measures, sources: &self.sources, names };
        rows.iter().zip(restated).map(|(row, restated)| ReportRow::new(row, *restated, sheet)).collect()
    }
}
