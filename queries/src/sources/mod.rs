//! Sources: their definitions, and how fresh they and their numbers are.

mod load; // from the read tables
mod period; // dates within which its numbers count alike
mod series; // its series, and how each cuts time

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::bucket::{Granularity, day_start, local_date};
use domain::freshness::{self, Finality, RangeProgress, SourceFreshness, StatedGrain, Watermarks};
use domain::measure::Measure;
use domain::source::{DatedDefinition, SourceDefinition, SourceRole};
use domain::zone::Zone;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::warning::Warning;

pub(crate) use load::channels_by_campaign;
pub use load::{SourceRow, feeding_others, load, sources_by_campaign};
pub(crate) use period::{DateRange, PeriodId, SourceDates, SourcePeriods, Span, cut, period_at, periods_of, segments};
pub use series::SeriesHistory;

/// A source in a snapshot.
#[derive(Debug, Clone)]
pub struct Source {
    pub id: Uuid,
    /// As it is now, or in its period.
    pub definition: SourceDefinition,
    /// The series whose numbers count: the one of now, or of its period.
    pub series: Uuid,
    /// Its series, if it has more than one.
    pub series_history: SeriesHistory,
    /// Its definitions by date, where numbers count otherwise under some of them; else none.
    pub history: Vec<DatedDefinition>,
    /// The dates that are asked about.
    pub period: SourceDates,
    pub freshness: SourceFreshness,
    /// The measures that it ever stated, of any campaign.
    pub stated: BTreeSet<Measure>,
    /// In which grains and zones it states, or its series in its period does.
    pub stated_grains: Vec<StatedGrain>,
    /// The position of the last event that touched it.
    pub last_position: i64,
    /// The position of the last event that changed what it is or states, or took its completeness back.
    pub settings_position: i64,
    /// Whether it feeds any campaign.
    pub has_data: bool,
}

/// Every source of a workspace, by id.
pub type Sources = BTreeMap<Uuid, Source>;

/// The freshness of an answer's numbers. It follows from the answer's version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Freshness {
    /// `live`: a bucket is still open. `provisional`: closed, but a primary source has not completed past it or may
    /// still restate it. `final`: neither.
    #[schema(value_type = String, example = "provisional")]
    #[serde(serialize_with = "state_name")]
    pub state: Finality,
    /// The instant from which the numbers of the range are incomplete.
    pub first_incomplete: Option<DateTime<Utc>>,
    /// The last bucket up to which all numbers are complete: its date, or its last instant where buckets are shorter
    /// than a day. Null where the first bucket is incomplete.
    #[schema(value_type = Option<String>, example = "2026-11-21")]
    pub complete_through: Option<BucketEdge>,
    /// The last bucket up to which all numbers are final, as for `complete_through`.
    #[schema(value_type = Option<String>, example = "2026-11-19")]
    pub final_through: Option<BucketEdge>,
    /// By measure, the last bucket up to which its numbers are final. Measures settle by different horizons.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub final_through_by_measure: BTreeMap<&'static str, Option<BucketEdge>>,
    /// The sources of which these numbers are expected, by name.
    pub sources: Vec<SourceFreshnessBody>,
}

/// A bucket up to which something holds: its local date, or its end where it is shorter than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub enum BucketEdge {
    /// The last date.
    Date(NaiveDate),
    /// The end of the last bucket.
    Instant(DateTime<Utc>),
}

/// Up to which buckets the numbers of a range are complete, and final. `None` where its first bucket is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettledRange {
    pub complete_through: Option<BucketEdge>,
    pub final_through: Option<BucketEdge>,
}

/// The freshness of one source.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SourceFreshnessBody {
    /// Its name.
    source: String,
    /// `primary` when it counts toward the totals of this answer and decides on its state, else `reference`.
    role: &'static str,
    /// `ok`, `running`, `late`, `failed`, `never` or `ended`.
    status: &'static str,
    /// The source is complete up to this instant.
    complete_through: Option<DateTime<Utc>>,
    /// The source's numbers of the measures asked for are final up to this instant.
    final_through: Option<DateTime<Utc>>,
    /// The start of the run that last read numbers whose horizon has passed since: they are final once a later run has
    /// read them again. Left out where none wait for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_reread_since: Option<DateTime<Utc>>,
    /// The number of its events that are parked, because they could not be applied.
    parked: u64,
}

impl Freshness {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let source = |source: &SourceFreshnessBody| size_of::<SourceFreshnessBody>() + source.source.len();
        size_of::<Self>() + self.sources.iter().map(source).sum::<usize>()
    }
}

impl Source {
    /// Its role for these measures: primary if it is primary for any of them.
    pub fn role_among(&self, measures: &BTreeSet<Measure>) -> SourceRole {
        let counts = measures.iter().any(|measure| self.definition.role_of(*measure) == SourceRole::Primary);
        if counts { SourceRole::Primary } else { SourceRole::Reference }
    }

    /// Whether it states this measure: because it says so, else because it ever did. One that has delivered nothing yet
    /// and says nothing is expected to state every measure.
    pub fn states(&self, measure: Measure) -> bool {
        let declared = &self.definition.measures;
        match (declared.is_empty(), self.stated.is_empty()) {
            (false, _) => declared.contains(&measure),
            (true, false) => self.stated.contains(&measure),
            (true, true) => true,
        }
    }

    /// The measures among these that count toward totals and that it states: those by which it decides.
    pub fn counted_among(&self, measures: &BTreeSet<Measure>) -> BTreeSet<Measure> {
        let counts =
            |measure: &Measure| self.definition.role_of(*measure) == SourceRole::Primary && self.states(*measure);
        measures.iter().copied().filter(counts).collect()
    }

    /// Whether it has delivered nothing yet, and is expected to.
    pub fn is_awaited(&self) -> bool {
        !self.has_data && self.freshness.ended_at().is_none()
    }

    /// The measures by which it vouches for numbers: those that count, else those that it states, else all.
    fn vouched_measures(&self, measures: &BTreeSet<Measure>) -> BTreeSet<Measure> {
        let counted = self.counted_among(measures);
        if !counted.is_empty() {
            return counted;
        }
        let stated: BTreeSet<_> = measures.iter().copied().filter(|measure| self.states(*measure)).collect();
        if stated.is_empty() { measures.clone() } else { stated }
    }

    /// What it vouches for in the time of a query for these measures.
    pub(crate) fn watermarks(
        &self,
        measures: &BTreeSet<Measure>,
        (granularity, time_zone): QueryGrain,
        now: DateTime<Utc>,
    ) -> Watermarks {
        let zone_alignment = self.zone_alignment(granularity, time_zone);
        let watermarks = self.freshness.watermarks(&zone_alignment, &self.vouched_measures(measures), now);
        let (from, until) = self.period.in_query_time(&zone_alignment);
        watermarks.within(from, until)
    }

    /// How far its numbers of these measures are in a range.
    pub(crate) fn progress_in(
        &self,
        measures: &BTreeSet<Measure>,
        span: (DateTime<Utc>, DateTime<Utc>),
        grain: QueryGrain,
        now: DateTime<Utc>,
    ) -> RangeProgress {
        let watermarks = self.watermarks(measures, grain, now);
        match freshness::state(span, now, &[&watermarks]) {
            _ if freshness::first_incomplete(span, &[&watermarks]).is_some() => RangeProgress::Incomplete,
            Finality::Live => RangeProgress::Incomplete,
            Finality::Provisional => RangeProgress::Complete,
            Finality::Final => RangeProgress::Final,
        }
    }

    /// Whether any of a span of a query's time is of its period.
    pub(crate) fn is_asked_about(
        &self,
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        (granularity, time_zone): QueryGrain,
    ) -> bool {
        if self.period.is_all() {
            return true;
        }
        let (from, until) = self.period.in_query_time(&self.zone_alignment(granularity, time_zone));
        from.is_none_or(|from| from < end) && until.is_none_or(|until| start < until)
    }

    /// The id of its period.
    pub(crate) fn period_id(&self) -> PeriodId {
        PeriodId { source: self.id, number: self.period.number, series: self.series }
    }
}

/// The freshness of one source, which is asked about in these periods. `boundary`: the last instant at which the clock
/// changed anything, as of which the answer is true.
fn freshness_body(
    periods: &[&Source],
    measures: &BTreeSet<Measure>,
    parked: u64,
    range: &FreshnessRange<'_>,
    now: DateTime<Utc>,
    boundary: DateTime<Utc>,
) -> Option<SourceFreshnessBody> {
    let first = periods.first()?;
    let Source { definition, freshness, .. } = first;
    let (start, end) = range.span;
    let vouched: BTreeSet<_> = periods.iter().flat_map(|source| source.vouched_measures(measures)).collect();
    // What is beyond the range says nothing of its numbers. Where all of the range is final, so is its end, also where
    // the source's own days end before the range does.
    let within_range = |through: Option<DateTime<Utc>>| match freshness.in_ranges {
        RangeProgress::Final => Some(end),
        RangeProgress::Incomplete | RangeProgress::Complete => through.map(|through| through.min(end)),
    };
    // What waits may lie anywhere before.
    let final_through = freshness.final_through(&vouched, boundary).filter(|_| parked == 0);
    // Each run makes a little more final. Of a range that is complete, what counts is whole buckets; before it, days.
    let whole = |through: DateTime<Utc>| {
        let told = first.zone_alignment(range.grain.0, range.grain.1).to_query_time(through);
        let day = || day_start(local_date(through, definition.time_zone), definition.time_zone);
        if told < start { day() } else { range.last_edge(told).unwrap_or(start) }
    };
    let decides = periods.iter().any(|source| !source.counted_among(measures).is_empty());
    let is_complete = freshness.in_ranges == RangeProgress::Complete;
    let final_through = if is_complete { final_through.map(whole) } else { final_through };
    Some(SourceFreshnessBody {
        source: definition.name.clone(),
        role: if decides { SourceRole::Primary } else { SourceRole::Reference }.name(),
        status: freshness.status(now).name(),
        complete_through: within_range(freshness.syncs.complete_through),
        final_through: within_range(final_through),
        not_reread_since: freshness.not_reread_since(&vouched, (Some(start), end), boundary),
        parked,
    })
}

/// The role of a source in several of its periods: primary if it is primary in any.
pub(crate) fn role_in(periods: &[&Source], measures: &BTreeSet<Measure>) -> SourceRole {
    let counts = periods.iter().any(|source| source.role_among(measures) == SourceRole::Primary);
    if counts { SourceRole::Primary } else { SourceRole::Reference }
}

/// The granularity and the time zone of a query.
pub type QueryGrain = (Granularity, Zone);

/// A range whose freshness is asked for.
#[derive(Debug)]
pub(crate) struct FreshnessRange<'a> {
    /// Its first instant, and the first after it.
    pub span: (DateTime<Utc>, DateTime<Utc>),
    /// The days or hours that its numbers are told in.
    pub grain: QueryGrain,
    /// Where its buckets end, and its days; sorted.
    pub edges: &'a [DateTime<Utc>],
}

impl FreshnessRange<'_> {
    /// Up to where its numbers are complete, and up to where they are final.
    pub(crate) fn settled(&self, deciding: &[&Watermarks]) -> SettledRange {
        let complete = freshness::first_incomplete(self.span, deciding).unwrap_or(self.span.1);
        let is_final = freshness::final_through(self.span, deciding).filter(|_| !deciding.is_empty());
        SettledRange { complete_through: self.edge(Some(complete)), final_through: self.edge(is_final) }
    }

    /// The end of the last bucket that ends up to an instant.
    fn last_edge(&self, through: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (start, end) = self.span;
        let through = through.min(end);
        let last = self.edges.get(..self.edges.partition_point(|edge| *edge <= through))?.last()?;
        Some(*last).filter(|last| *last > start)
    }

    /// The last bucket that ends up to an instant.
    fn edge(&self, through: Option<DateTime<Utc>>) -> Option<BucketEdge> {
        let last = self.last_edge(through?)?;
        let (granularity, zone) = self.grain;
        Some(match granularity {
            Granularity::QuarterHour | Granularity::Hour => BucketEdge::Instant(last),
            _ => BucketEdge::Date(local_date(last - TimeDelta::nanoseconds(1), zone)),
        })
    }
}

/// How fresh the numbers of a range are. Of the sources that are expected, the primaries decide; references are listed.
/// `parked`: how many events of a source wait; `unsettled`: whether something waits that decides.
pub(crate) fn freshness(
    expected: &[&Source],
    measures: &BTreeSet<Measure>,
    (parked, unsettled): (impl Fn(Uuid) -> u64, bool),
    range: &FreshnessRange<'_>,
    now: DateTime<Utc>,
    boundary: DateTime<Utc>,
) -> Freshness {
    let deciding: Vec<&Source> =
        expected.iter().copied().filter(|source| !source.counted_among(measures).is_empty()).collect();
    let of = |measures: &BTreeSet<Measure>| -> Vec<Watermarks> {
        let stating = deciding.iter().filter(|source| !source.counted_among(measures).is_empty());
        stating.map(|source| source.watermarks(measures, range.grain, now)).collect()
    };
    let final_through = |measures: &BTreeSet<Measure>| {
        let watermarks = of(measures);
        let through = freshness::final_through(range.span, &watermarks.iter().collect::<Vec<_>>());
        range.edge(through.filter(|_| !unsettled && !watermarks.is_empty()))
    };
    let mut by_id: BTreeMap<Uuid, Vec<&Source>> = BTreeMap::new();
    for source in expected {
        by_id.entry(source.id).or_default().push(source);
    }
    let mut sources: Vec<_> = by_id
        .into_iter()
        .filter_map(|(id, periods)| freshness_body(&periods, measures, parked(id), range, now, boundary))
        .collect();
    sources.sort_by(|a, b| a.source.cmp(&b.source));
    let watermarks = of(measures);
    let watermarks: Vec<_> = watermarks.iter().collect();
    let state = freshness::state(range.span, now, &watermarks);
    let first_incomplete = if unsettled {
        Some(range.span.0).filter(|start| *start < range.span.1)
    } else {
        freshness::first_incomplete(range.span, &watermarks)
    };
    let by_measure = measures.iter().map(|measure| (measure.name(), final_through(&BTreeSet::from([*measure]))));
    Freshness {
        state: if unsettled { state.min(Finality::Provisional) } else { state },
        first_incomplete,
        complete_through: range.edge(Some(first_incomplete.unwrap_or(range.span.1))),
        final_through: final_through(measures),
        final_through_by_measure: if measures.len() > 1 { by_measure.collect() } else { BTreeMap::new() },
        sources,
    }
}

/// The instant up to the end of a range through which every deciding source is complete; `None` when one never said, or
/// none decides.
pub(crate) fn complete_through(
    expected: &[&Source],
    measures: &BTreeSet<Measure>,
    (granularity, time_zone): QueryGrain,
    end: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let deciding = expected.iter().filter(|source| !source.counted_among(measures).is_empty());
    let through = deciding.map(|source| {
        let through = source.freshness.syncs.complete_through?;
        Some(source.zone_alignment(granularity, time_zone).to_query_time(through))
    });
    through.min().flatten().map(|through| through.min(end))
}

/// The name of each source of a workspace, by id.
pub(crate) fn name_of<'a>(sources: &'a Sources) -> impl Fn(Uuid) -> Option<&'a str> {
    |id| sources.get(&id).map(|source| source.definition.name.as_str())
}

/// A warning about names that no source of the workspace has, if there are any.
pub(crate) fn unknown_sources(names: &BTreeSet<String>, sources: &Sources) -> Option<Warning> {
    let is_known = |name: &String| sources.values().any(|source| source.definition.name == *name);
    let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).cloned().collect();
    (!unknown.is_empty()).then(|| Warning {
        code: "unknown_source",
        detail: "The workspace has no source of this name.".to_owned(),
        sources: unknown,
        measures: Vec::new(),
        spend: None,
    })
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(crate) fn state_name<S: serde::Serializer>(state: &Finality, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

#[cfg(test)]
mod tests;
