//! The context of a report: the sources and campaigns that its filters admit, and everything that its version and its
//! freshness follow from. It is known before any number is added up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::source::{SourceKind, SourceRole};
use uuid::Uuid;

use super::aggregate::{Aggregates, Selection, gather};
use super::coverage::Coverage;
use super::data::ComparedRange;
use super::filter::parts::DisjointPart;
use super::plan::Plan;
use super::query::{GroupKey, ReportQuery};
use super::range::ReportRange;
use super::rows::{AuthoritativeSources, RowContext, watermarks};
use super::snapshot_lookups::SourcesByCampaign;
use super::sum::Sum;
use super::{expected, lookups};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
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
    pub(super) sources_by_campaign: SourcesByCampaign,
    /// The sources with numbers that the filters admit.
    pub(super) contributing_sources: BTreeSet<PeriodId>,
    /// The sources that have delivered nothing yet, and are expected to deliver what the filters let in.
    pub(super) awaited_sources: BTreeSet<PeriodId>,
    pub(super) coverage: Coverage,
    pub version: Version,
    /// The next instant at which the clock changes the result.
    pub until: Option<DateTime<Utc>>,
    /// The parked parts of the sources that the filters admit.
    pub parked: Parked,
}

/// Whether a source states any of the measures that the plan reads.
pub(super) fn states_any(source: &Source, plan: &Plan) -> bool {
    plan.measures.iter().any(|measure| source.states(*measure))
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

    /// The plans of its ranges.
    pub(super) fn plans(&self) -> impl Iterator<Item = &Plan> {
        [Some(&self.own), self.compared.as_ref()].into_iter().flatten().map(|range| &range.plan)
    }

    /// The sources, by periods, whose numbers rows may have, or wait for.
    pub(super) fn contributors(&self) -> impl Iterator<Item = &Source> {
        let ids = self.contributing_sources.union(&self.awaited_sources);
        ids.filter_map(|id| self.sources.get(id))
    }

    pub(super) fn freshness_of(&self, plan: &Plan, now: DateTime<Utc>) -> Freshness {
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
        let together = self.plans().flat_map(|plan| self.authoritative_sources(plan)).map(Source::period_id).collect();
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
