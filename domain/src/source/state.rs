//! The state of a source after its events. There are no rules here: an event that happened is applied, whatever it
//! contains.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::change::SourceChange;
use super::definition::SourceDefinition;
use super::event::SourceEvent;
use super::series::{Series, SeriesTimeline};
use crate::bucket::DayStart;
use crate::ids::SourceId;

/// A source after its events. The default is one that was never registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its details, once it was registered.
    pub details: Option<SourceDetails>,
}

/// A registered source: its definition, how that changed from which date on, and when nothing is expected of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDetails {
    /// Its id.
    pub source: SourceId,
    /// Its definition.
    pub definition: SourceDefinition,
    /// The changes of its settings, in the order in which they were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<DatedChange>,
    /// The times of which nothing is expected, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<DeliveryPause>,
}

/// A change of settings, with the first local date of which it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatedChange {
    /// The first local date of which it holds.
    pub from: NaiveDate,
    /// The settings.
    pub change: SourceChange,
}

/// A definition of a source, with the day from which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedDefinition {
    /// The day; none for the first definition.
    pub from: Option<DayStart>,
    /// The series that holds then.
    pub series: SourceId,
    /// The definition.
    pub definition: SourceDefinition,
}

impl DatedDefinition {
    /// Whether numbers count alike under both: in one series, on the same channel, in the same roles, as of the same
    /// measures.
    pub fn counts_like(&self, other: &Self) -> bool {
        self.series == other.series && self.definition.counts_like(&other.definition)
    }
}

/// A time of which nothing is expected of a source: from its end until it resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryPause {
    /// The first instant of which nothing is expected.
    pub from: DateTime<Utc>,
    /// The first instant of which something is expected again; none while the source has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl SourceDetails {
    /// A source as it is registered.
    pub fn new(source: SourceId, definition: SourceDefinition) -> Self {
        Self { source, definition, changes: Vec::new(), pauses: Vec::new() }
    }

    /// Its definition for buckets of a local date.
    pub fn definition_on(&self, date: NaiveDate) -> SourceDefinition {
        let in_force = self.changes.iter().filter(|dated| dated.from <= date);
        in_force.fold(self.definition.clone(), |definition, dated| dated.change.apply(&definition))
    }

    /// Its definition for what happens at an instant.
    pub fn definition_at(&self, instant: DateTime<Utc>) -> SourceDefinition {
        let has_begun = |dated: &DatedDefinition| dated.from.is_none_or(|day| day.at <= instant);
        let in_force = self.timeline().into_iter().rev().find(has_begun);
        in_force.map_or_else(|| self.definition.clone(), |dated| dated.definition)
    }

    /// Its first series.
    fn first_series(&self) -> Series {
        let SourceDefinition { time_zone, currency, .. } = self.definition;
        Series { id: self.source, time_zone, currency }
    }

    /// The series that holds a date: the one that was begun last of those that begin by then.
    fn series_on(&self, date: NaiveDate) -> Series {
        let mut begun = self.changes.iter().rev().filter(|dated| dated.from <= date);
        begun.find_map(|dated| dated.change.series).unwrap_or_else(|| self.first_series())
    }

    /// Its series by date.
    pub fn series(&self) -> SeriesTimeline {
        let begun = self.changes.iter().filter(|dated| dated.change.series.is_some());
        let mut dates: Vec<_> = begun.map(|dated| dated.from).collect();
        dates.sort_unstable();
        SeriesTimeline::new(self.first_series(), dates.into_iter().map(|date| (date, self.series_on(date))))
    }

    /// The series of an id, whether or not it holds any date now.
    pub fn series_named(&self, id: SourceId) -> Option<Series> {
        let begun = self.changes.iter().rev().filter_map(|dated| dated.change.series);
        begun.chain([self.first_series()]).find(|series| series.id == id)
    }

    /// Every series that it ever had, whether or not it holds any date now.
    pub fn all_series(&self) -> Vec<SourceId> {
        let begun = self.changes.iter().filter_map(|dated| dated.change.series).map(|series| series.id);
        let mut ids: Vec<_> = std::iter::once(self.source).chain(begun).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Its definitions by date, the first one from the beginning of time.
    pub fn timeline(&self) -> Vec<DatedDefinition> {
        let mut dates: Vec<_> = self.changes.iter().map(|dated| dated.from).collect();
        dates.sort_unstable();
        dates.dedup();
        let (from, series) = (None, self.source);
        let mut timeline = vec![DatedDefinition { from, series, definition: self.definition.clone() }];
        for date in dates {
            let (definition, series) = (self.definition_on(date), self.series_on(date).id);
            if timeline.last().is_none_or(|last| last.definition != definition || last.series != series) {
                let from = Some(DayStart::new(date, definition.time_zone));
                timeline.push(DatedDefinition { from, series, definition });
            }
        }
        timeline
    }

    /// The days from which its numbers count otherwise than before.
    pub fn turning_days(&self) -> Vec<DayStart> {
        let timeline = self.timeline();
        let pairs = timeline.iter().zip(timeline.iter().skip(1));
        pairs.filter(|(before, after)| !before.counts_like(after)).filter_map(|(_, after)| after.from).collect()
    }

    /// When it ended, unless it has resumed since.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.pauses.last().filter(|pause| pause.until.is_none()).map(|pause| pause.from)
    }

    /// Whether nothing is expected of an instant.
    pub fn is_paused_at(&self, instant: DateTime<Utc>) -> bool {
        self.pauses.iter().any(|pause| pause.from <= instant && pause.until.is_none_or(|until| instant < until))
    }

    fn end(&mut self, ends_at: DateTime<Utc>) {
        if self.ended_at().is_some() {
            self.pauses.pop();
        }
        self.pauses.push(DeliveryPause { from: ends_at, until: None });
    }

    fn resume(&mut self, resumes_at: DateTime<Utc>) {
        let Some(ended_at) = self.ended_at() else { return };
        self.pauses.pop();
        if ended_at < resumes_at {
            self.pauses.push(DeliveryPause { from: ended_at, until: Some(resumes_at) });
        }
    }

    /// Takes in what happened after the registration.
    pub fn apply(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::SourceRegistered { source, definition, at: _ } => *self = Self::new(source, definition),
            SourceEvent::SourceChanged { source: _, change, from, at: _ } => {
                self.changes.push(DatedChange { from, change });
            }
            SourceEvent::SourceEnded { source: _, ends_at, at: _ } => self.end(ends_at),
            SourceEvent::SourceResumed { source: _, resumes_at, at: _ } => self.resume(resumes_at),
        }
    }
}

impl Source {
    /// Applies an event.
    pub fn apply(&mut self, event: SourceEvent) {
        match (&mut self.details, event) {
            (details, SourceEvent::SourceRegistered { source, definition, at: _ }) => {
                *details = Some(SourceDetails::new(source, definition));
            }
            (Some(details), event) => details.apply(event),
            (None, _) => {}
        }
    }
}
