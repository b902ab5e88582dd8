//! Periods of a source: dates within which its numbers count alike, because series, channel, roles and measures stay.
//!
//! Settings hold from a local day of the source on. What is pushed, and totals of hours, lie in a period by their
//! instant, totals of days by their date. A source whose settings never changed has one period, and costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::bucket::{DayStart, local_date};
use domain::freshness::ZoneAlignment;
use domain::source::{DatedDefinition, SourceDefinition};
use domain::zone::Zone;
use uuid::Uuid;

use super::{Source, Sources};

/// The dates of a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceDates {
    /// Its place among the periods of its source.
    pub number: u16,
    /// Its first day; none: from the beginning of time.
    pub from: Option<DayStart>,
    /// The first day after it; none: to the end of time.
    pub until: Option<DayStart>,
}

/// The id of a period of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeriodId {
    pub source: Uuid,
    pub number: u16,
    /// The series whose numbers count in it, as the tables of numbers have it.
    pub series: Uuid,
}

/// What holds of a source within a range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InForce<'a> {
    /// The day that begins it there: none for the first.
    pub begins: Option<DayStart>,
    pub series: Uuid,
    pub definition: &'a SourceDefinition,
}

/// Sources by their periods within a range: each as it is defined in the period.
pub(crate) type SourcePeriods = BTreeMap<PeriodId, Source>;

/// A range of a query: its instants, and its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DateRange {
    /// The first instant, and the first after it.
    pub span: (DateTime<Utc>, DateTime<Utc>),
    /// The first date and the last.
    pub dates: (NaiveDate, NaiveDate),
}

impl DateRange {
    /// The range from the first of both to the last.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            span: (self.span.0.min(other.span.0), self.span.1.max(other.span.1)),
            dates: (self.dates.0.min(other.dates.0), self.dates.1.max(other.dates.1)),
        }
    }

    /// The part of it between two instants: its dates are those of the zone.
    pub(crate) fn part(self, span: (DateTime<Utc>, DateTime<Utc>), zone: Zone) -> Self {
        let (first, last) = (local_date(span.0, zone), local_date(span.1 - TimeDelta::nanoseconds(1), zone));
        Self { span, dates: (first.max(self.dates.0), last.min(self.dates.1)) }
    }

    /// Whether nothing of it lies before a day.
    fn begins_by(&self, day: DayStart) -> bool {
        day.at <= self.span.0 && day.date <= self.dates.0
    }

    /// Whether nothing of it lies on a day or later.
    fn ends_by(&self, day: DayStart) -> bool {
        self.span.1 <= day.at && self.dates.1 < day.date
    }
}

impl SourceDates {
    pub(crate) fn is_all(&self) -> bool {
        self.from.is_none() && self.until.is_none()
    }

    /// Its edges that cut a range. `None` if it holds nothing of the range.
    pub(crate) fn within(&self, range: &DateRange) -> Option<(Option<DayStart>, Option<DayStart>)> {
        let is_beside =
            self.from.is_some_and(|from| range.ends_by(from)) || self.until.is_some_and(|until| range.begins_by(until));
        (!is_beside).then(|| {
            (self.from.filter(|from| !range.begins_by(*from)), self.until.filter(|until| !range.ends_by(*until)))
        })
    }

    /// Whether both hold some of the same time.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let ends_by = |until: Option<DayStart>, from: Option<DayStart>| {
            until.zip(from).is_some_and(|(until, from)| until.at <= from.at)
        };
        !ends_by(self.until, other.from) && !ends_by(other.until, self.from)
    }

    /// Its edges in the time of a query, with all that is of it between them.
    pub(super) fn in_query_time(&self, alignment: &ZoneAlignment) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
        let told = |day: Option<DayStart>| day.map(|day| alignment.day_in_query_time(day)).unzip();
        (told(self.from).0, told(self.until).1)
    }
}

impl PeriodId {
    /// The first period of a source in its first series.
    #[cfg(test)]
    pub(crate) fn first(source: Uuid) -> Self {
        Self { source, number: 0, series: source }
    }
}

/// The periods of one source.
pub(crate) fn periods_of(periods: &SourcePeriods, source: Uuid) -> impl Iterator<Item = &Source> {
    let first = PeriodId { source, number: 0, series: Uuid::nil() };
    let last = PeriodId { source, number: u16::MAX, series: Uuid::max() };
    periods.range(first..=last).map(|(_, source)| source)
}

/// What of a timeline matters to numbers: none where they count alike at all times.
pub(super) fn history(timeline: Vec<DatedDefinition>) -> Vec<DatedDefinition> {
    let is_alike = |dated: &DatedDefinition| timeline.first().is_some_and(|first| first.counts_like(dated));
    if timeline.iter().all(is_alike) { Vec::new() } else { timeline }
}

impl Source {
    /// Its definitions that hold within a range, in order.
    pub(crate) fn definitions_within(&self, range: &DateRange) -> Vec<InForce<'_>> {
        let mut within: Vec<InForce<'_>> = Vec::new();
        for DatedDefinition { from, series, definition } in &self.history {
            let in_force = |begins| InForce { begins, series: series.0, definition };
            match from {
                Some(day) if range.ends_by(*day) => break,
                Some(day) if !range.begins_by(*day) => {
                    let is_alike =
                        |last: &InForce<'_>| last.series == series.0 && last.definition.counts_like(definition);
                    if !within.last().is_some_and(is_alike) {
                        within.push(in_force(Some(*day)));
                    }
                }
                _ => within = vec![in_force(None)],
            }
        }
        if within.is_empty() {
            within.push(InForce { begins: None, series: self.series, definition: &self.definition });
        }
        within
    }

    /// Its periods between these days, which are sorted.
    fn periods(&self, days: &BTreeSet<DayStart>, range: &DateRange) -> impl Iterator<Item = Self> {
        let own = self.definitions_within(range);
        let edges: Vec<_> = std::iter::once(None).chain(in_order(days).into_iter().map(Some)).collect();
        let ends: Vec<_> = edges.iter().skip(1).copied().chain([None]).collect();
        let periods = edges.into_iter().zip(ends).zip(0..).map(move |((from, until), number)| {
            let has_begun = |own: &&InForce<'_>| own.begins.map(|day| day.at) <= from.map(|day| day.at);
            let in_force = own.iter().rev().find(has_begun);
            let (series, definition) =
                in_force.map_or((self.series, &self.definition), |own| (own.series, own.definition));
            let stated_grains = self.grains_of(series).to_vec();
            let period = SourceDates { number, from, until };
            Self { series, definition: definition.clone(), period, stated_grains, ..self.clone() }
        });
        periods.collect::<Vec<_>>().into_iter()
    }
}

/// Days by their beginnings. Where zones are more than a day apart, a later beginning may have an earlier date: then
/// its date counts as the one before it, so that no date is of two periods.
fn in_order(days: &BTreeSet<DayStart>) -> Vec<DayStart> {
    let mut ordered: Vec<DayStart> = Vec::with_capacity(days.len());
    for day in days {
        let last = ordered.last().map_or(day.date, |last| last.date);
        ordered.push(DayStart { date: day.date.max(last), ..*day });
    }
    ordered
}

/// The periods within a range that are admitted. With `by_cell`, sources that may meet in a cell are cut at each
/// other's days too, so that whether they do is the same throughout a period.
pub(crate) fn cut(
    sources: &Sources,
    range: &DateRange,
    is_admitted: impl Fn(&Source) -> bool,
    by_cell: bool,
) -> SourcePeriods {
    let changing: Vec<_> = sources
        .values()
        .filter(|source| !source.history.is_empty())
        .map(|source| (source, source.definitions_within(range)))
        .filter(|(_, definitions)| definitions.len() > 1)
        .collect();
    let mut periods = SourcePeriods::new();
    for source in sources.values() {
        let own = source.definitions_within(range);
        let is_one_cell = |InForce { definition: own, .. }: &InForce<'_>, InForce { definition, .. }: &InForce<'_>| {
            own.currency == definition.currency && own.channel == definition.channel
        };
        let meets = |(other, theirs): &&(&Source, Vec<InForce<'_>>)| {
            other.id == source.id || by_cell && own.iter().any(|own| theirs.iter().any(|their| is_one_cell(own, their)))
        };
        let days = changing.iter().filter(meets).flat_map(|(_, theirs)| theirs.iter().filter_map(|their| their.begins));
        let days: BTreeSet<_> = days.collect();
        if days.is_empty() && source.history.is_empty() {
            if is_admitted(source) {
                periods.insert(source.period_id(), source.clone());
            }
            continue;
        }
        let cut = source.periods(&days, range).filter(&is_admitted);
        periods.extend(cut.map(|source| (source.period_id(), source)));
    }
    periods
}

/// The period of a source that holds an instant; none: the beginning of time.
pub(crate) fn period_at(periods: &SourcePeriods, source: Uuid, at: Option<DateTime<Utc>>) -> Option<&Source> {
    periods_of(periods, source).filter(|source| source.period.from.map(|day| day.at) <= at).last()
}

/// The first instant of a span of time, and the first after it.
pub(crate) type Span = (DateTime<Utc>, DateTime<Utc>);

/// The parts of a span between the edges of some periods, each with those that hold it, by source.
pub(crate) fn segments(
    ids: &BTreeSet<PeriodId>,
    periods: &SourcePeriods,
    (start, end): Span,
) -> Vec<(Span, BTreeMap<Uuid, PeriodId>)> {
    let periods: Vec<_> = ids.iter().filter_map(|id| Some((*id, periods.get(id)?.period))).collect();
    let days = periods.iter().flat_map(|(_, period)| [period.from, period.until]).flatten();
    let edges: BTreeSet<_> = days.map(|day| day.at.clamp(start, end)).chain([start, end]).collect();
    let spans = edges.iter().zip(edges.iter().skip(1)).map(|(from, until)| {
        let holds = |period: &SourceDates| {
            period.from.is_none_or(|day| day.at <= *from) && period.until.is_none_or(|day| *until <= day.at)
        };
        let held = periods.iter().filter(|(_, period)| holds(period)).map(|(id, _)| (id.source, *id));
        ((*from, *until), held.collect())
    });
    spans.collect()
}
