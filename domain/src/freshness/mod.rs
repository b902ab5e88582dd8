//! Live, provisional, final: freshness as a pure function of syncs, deadlines and a given now.
//!
//! Everything here changes by an event, or by the clock at an instant that [`next_boundary`] gives beforehand. Between
//! two boundaries nothing changes, so that an answer may be kept until the next one.

mod alignment; // whose days and hours a number is made of
mod reads; // which buckets were read when
mod self_completion; // completeness by the clock
mod syncs; // what a source has said of its runs
mod watermarks; // what sources vouch for, and how settled that makes numbers

use std::collections::BTreeSet;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use strum::VariantArray;

use crate::bucket::{Grain, day_start};
use crate::measure::Measure;
use crate::source::{DatedDefinition, Horizon, Horizons, SourceDetails, SourceKind};
use crate::zone::Zone;

pub use alignment::{StatedGrain, ZoneAlignment};
pub use reads::ReadHistory;
pub use self_completion::{HeardOf, SelfCompleting, SelfCompletion};
pub use syncs::{RunRecord, SourceSyncs};
pub use watermarks::{Watermarks, final_through, first_incomplete, state};

use watermarks::{EndSpan, intersect, unite};

#[cfg(test)]
mod reread_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod zone_tests;

/// The longest that a horizon or delay reaches is far below this; it stands for the end of time.
const END_OF_TIME: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// A time of which nothing is expected: from its first instant (`None`: the beginning of time) to the first after it
/// (`None`: the end).
pub type UnexpectedTime = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// The inputs of a source's freshness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceFreshness {
    /// Whether it sends what happens. Its numbers settle by the clock. Those of a source that is asked for totals
    /// settle when they are read again.
    pub is_push: bool,
    /// What is expected of its buckets, by the first instant of which each holds. Sorted; the first has no instant.
    pub terms: Vec<DeliveryTerms>,
    /// The times of which nothing is expected, in order.
    pub unexpected: Vec<UnexpectedTime>,
    /// Its runs.
    pub syncs: SourceSyncs,
    /// How the clock completes it, if it never says how far it is complete.
    pub self_completion: Option<SelfCompletion>,
    /// How far it is in the ranges that are asked about.
    pub in_ranges: RangeProgress,
}

/// How far a source is in the ranges that are asked about, all of them closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RangeProgress {
    /// Some of its numbers may be missing.
    #[default]
    Incomplete,
    /// All of its numbers are there. Later ones are beyond these ranges.
    Complete,
    /// All of its numbers are final. Neither the clock nor another run changes what is said of it.
    Final,
}

/// How late a source may be, and for how long it may restate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryTerms {
    /// The first instant of which they hold; `None` for the first terms.
    pub from: Option<DateTime<Utc>>,
    /// Whose months the horizons count by.
    pub time_zone: Option<Zone>,
    /// How long after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// How long after a bucket closes its numbers may still change.
    pub horizons: Horizons,
}

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, VariantArray)]
pub enum SourceStatus {
    /// Complete as far as expected.
    Ok,
    /// A run is in progress.
    Running,
    /// Not complete as far as expected.
    Late,
    /// Its last finished run failed.
    Failed,
    /// No run was ever reported.
    Never,
    /// Nothing is expected of it any more.
    Ended,
}

impl SourceStatus {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Running => "running",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Never => "never",
            Self::Ended => "ended",
        }
    }
}

/// The finality of a bucket's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Finality {
    /// The bucket is still open.
    Live,
    /// Closed, but an expected primary source has not completed past it, or has not read it again after its horizon.
    Provisional,
    /// Every expected primary source has completed past it, and can change it no longer.
    Final,
}

impl Finality {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Provisional => "provisional",
            Self::Final => "final",
        }
    }
}

impl SourceFreshness {
    /// What decides how fresh a source is, from what it is and what it has said.
    pub fn new(details: &SourceDetails, syncs: SourceSyncs) -> Self {
        let terms = details.timeline().into_iter().map(|DatedDefinition { from, definition, .. }| DeliveryTerms {
            from: from.map(|day| day.at),
            time_zone: Some(definition.time_zone),
            expected_delay_s: definition.expected_delay_s,
            horizons: definition.horizons,
        });
        let zone = details.definition.time_zone;
        let before = details.definition.expected_from.map(|date| (None, Some(day_start(date, zone))));
        let pauses = details.pauses.iter().map(|pause| (Some(pause.from), pause.until));
        Self {
            is_push: details.definition.kind == SourceKind::Push,
            terms: terms.collect(),
            unexpected: before.into_iter().chain(pauses).collect(),
            syncs,
            self_completion: None,
            in_ranges: RangeProgress::Incomplete,
        }
    }

    /// The same source, completed by the clock if it never says how far it is complete.
    #[must_use]
    pub fn completed_by_clock(mut self, settings: Option<SelfCompleting>, heard: Option<HeardOf>) -> Self {
        let SourceSyncs { complete_through, last_completed_at, last_failed_at, .. } = self.syncs;
        let failed_at = last_failed_at.filter(|failed_at| last_completed_at < Some(*failed_at));
        if let (None, Some(settings), Some(heard)) = (complete_through, settings, heard)
            && let Some(completion) = settings.complete(heard, failed_at)
        {
            self.syncs.complete_through = Some(completion.complete_through);
            self.syncs.grain = Some(Grain::QuarterHour);
            self.self_completion = Some(completion);
        }
        self
    }
}

impl DeliveryTerms {
    fn zone(&self) -> Zone {
        self.time_zone.unwrap_or(Zone::UTC)
    }
}

impl SourceFreshness {
    /// The terms of the bucket that ends at `end`.
    fn terms_at(&self, end: DateTime<Utc>) -> Option<&DeliveryTerms> {
        self.terms.iter().rev().find(|terms| terms.from.is_none_or(|from| from < end))
    }

    /// The instant from which it is late unless it says more: one grain after what it is complete through, and its
    /// expected delay, rounded up to a whole second, so that versions, which name boundaries in seconds, tell it apart.
    /// A day counts 24 hours here, whatever its clocks do.
    pub fn late_at(&self) -> Option<DateTime<Utc>> {
        if let Some(completion) = self.self_completion {
            return Some(completion.late_at);
        }
        let step_s = self.syncs.grain.unwrap_or(Grain::QuarterHour).seconds();
        let complete_through = self.complete_through()?;
        let delay_s = self.terms_at(complete_through)?.expected_delay_s;
        let whole = complete_through.trunc_subsecs(0);
        let rounding_s = i64::from(whole < complete_through);
        later(whole, step_s.saturating_add(delay_s).saturating_add(rounding_s))
    }

    /// When it ended, if nothing is expected of it from then on.
    pub fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.unexpected.iter().find(|(_, until)| until.is_none()).and_then(|(from, _)| *from)
    }

    /// Its status.
    pub fn status(&self, now: DateTime<Utc>) -> SourceStatus {
        let SourceSyncs { last_started_at, last_completed_at, last_failed_at, complete_through, .. } = self.syncs;
        if self.in_ranges == RangeProgress::Final {
            return SourceStatus::Ok;
        }
        let last_ended_at = last_completed_at.max(last_failed_at);
        // `None` is before any instant, so a first run is in progress and a first failure is the last end.
        let underway = last_started_at > last_ended_at;
        if self.ended_at().is_some_and(|ended_at| ended_at <= now) {
            SourceStatus::Ended
        } else if last_failed_at > last_completed_at && !underway {
            SourceStatus::Failed
        } else if self.late_at().is_some_and(|late_at| now >= late_at) {
            SourceStatus::Late
        } else if underway {
            SourceStatus::Running
        } else if last_ended_at.is_none() && complete_through.is_none() {
            SourceStatus::Never
        } else {
            SourceStatus::Ok
        }
    }

    /// The instant through which everything that is expected of it is there. Where nothing is expected of what follows,
    /// it is there too.
    pub fn complete_through(&self) -> Option<DateTime<Utc>> {
        let skip = |through: Option<DateTime<Utc>>, (from, until): &UnexpectedTime| {
            if *from <= through { through.max(Some(until.unwrap_or(END_OF_TIME))) } else { through }
        };
        self.unexpected.iter().fold(self.syncs.complete_through, skip)
    }

    /// The spans of buckets whose numbers of these measures can change no longer, as far as it is complete. For a push
    /// source they grow with the clock; an answer that must not change between boundaries asks at its
    /// [`last_boundary`].
    pub fn final_spans(&self, measures: &BTreeSet<Measure>, now: DateTime<Utc>) -> Vec<EndSpan> {
        let mut spans: Vec<EndSpan> = Vec::new();
        let ends = self.terms.iter().skip(1).map(|terms| terms.from).chain([None]);
        for (terms, until) in self.terms.iter().zip(ends) {
            let window = [(terms.from, until.unwrap_or(END_OF_TIME))];
            let of_measures = measures.iter().map(|measure| self.settled(*measure, terms, now));
            let settled = of_measures.reduce(|all, of| intersect(&all, &of)).unwrap_or_default();
            spans.extend(intersect(&window, &settled));
        }
        let complete = self.syncs.complete_through.map(|through| (None, through));
        let spans = intersect(&unite(spans), complete.as_slice());
        let unexpected = self.unexpected.iter().map(|(from, until)| (*from, until.unwrap_or(END_OF_TIME)));
        unite(spans.into_iter().chain(unexpected).collect())
    }

    /// The spans of buckets whose numbers of one measure have settled.
    fn settled(&self, measure: Measure, terms: &DeliveryTerms, now: DateTime<Utc>) -> Vec<EndSpan> {
        let (horizon, zone) = (terms.horizons.of(measure), terms.zone());
        let mut spans = if self.is_push {
            horizon.settled_through(now, zone).map(|through| (None, through)).into_iter().collect()
        } else {
            self.syncs.reads.settled(horizon, zone)
        };
        spans.extend(self.syncs.final_through.of(measure.group()).map(|through| (None, through)));
        unite(spans)
    }

    /// Every bucket that ends up to this instant is final for these measures.
    pub fn final_through(&self, measures: &BTreeSet<Measure>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = self.final_spans(measures, now).into_iter().next();
        first.map(|(_, through)| through).filter(|through| *through < END_OF_TIME)
    }

    /// The start of the run that last read the latest number of a range whose horizon has passed, if that number was
    /// not read again since.
    pub fn not_reread_since(
        &self,
        measures: &BTreeSet<Measure>,
        (start, end): EndSpan,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        if self.is_push {
            return None;
        }
        let terms = self.terms.last()?;
        let horizons =
            measures.iter().filter_map(|measure| terms.horizons.of(*measure).settled_through(now, terms.zone()));
        let passed = horizons.min()?.min(self.syncs.complete_through?).min(end);
        if start.is_some_and(|start| passed <= start) {
            return None;
        }
        let is_final = |span: &EndSpan| span.0.is_none_or(|from| from < passed) && passed <= span.1;
        if self.final_spans(measures, now).iter().any(is_final) { None } else { self.syncs.reads.last_read(passed) }
    }

    /// What it vouches for in the time of a query.
    pub fn watermarks(
        &self,
        reckoning: &ZoneAlignment,
        measures: &BTreeSet<Measure>,
        now: DateTime<Utc>,
    ) -> Watermarks {
        let told = |instant: DateTime<Utc>| {
            if instant == END_OF_TIME { instant } else { reckoning.to_query_time(instant) }
        };
        let final_spans = self.final_spans(measures, now);
        let unexpected = self.unexpected.iter().map(|(from, until)| (from.map(told), until.map(told)));
        Watermarks {
            complete_through: self.syncs.complete_through.map(told),
            unexpected: unexpected.collect(),
            final_spans: final_spans.into_iter().map(|(from, to)| (from.map(told), told(to))).collect(),
            elapsed_through: told(now),
        }
    }
}

/// The last instant up to `now` at which the clock alone may have changed the state of a cell or the status of a
/// source. `cell_ends` is sorted, and contains the result of [`ZoneAlignment::to_source_time`] for each. `sources` may
/// contain reference sources: they add unnecessary boundaries, but omit none.
pub fn last_boundary(
    now: DateTime<Utc>,
    cell_ends: &[DateTime<Utc>],
    sources: &[&SourceFreshness],
) -> Option<DateTime<Utc>> {
    debug_assert!(cell_ends.is_sorted());
    let last_end_up_to = |limit| cell_ends.get(..cell_ends.partition_point(|end| *end <= limit))?.last().copied();
    let of_sources = sources.iter().flat_map(|source| {
        let passed = source.horizons().filter_map(move |(horizon, zone)| {
            // The last cell whose horizon has passed. Its own horizon may differ from the one that it is found by.
            let through = horizon.settled_through(now, zone)?.min(source.syncs.complete_through?);
            horizon.settles_at(last_end_up_to(through)?, zone)
        });
        passed.chain(source.transitions()).filter(|boundary| *boundary <= now)
    });
    of_sources.chain(last_end_up_to(now)).max()
}

/// The first instant after `now` at which the clock alone may change the state of a cell or the status of a source.
/// `cell_ends` and `sources` are like those of [`last_boundary`].
pub fn next_boundary(
    now: DateTime<Utc>,
    cell_ends: &[DateTime<Utc>],
    sources: &[&SourceFreshness],
) -> Option<DateTime<Utc>> {
    debug_assert!(cell_ends.is_sorted());
    let first_end_after = |limit| cell_ends.get(cell_ends.partition_point(|end| *end <= limit)).copied();
    let of_sources = sources.iter().flat_map(|source| {
        let passes = source.horizons().filter_map(move |(horizon, zone)| {
            let end = first_end_after(horizon.settled_through(now, zone)?)?;
            if source.syncs.complete_through < Some(end) {
                return None;
            }
            horizon.settles_at(end, zone)
        });
        passes.chain(source.transitions()).filter(|boundary| *boundary > now)
    });
    of_sources.chain(first_end_after(now)).min()
}

impl SourceFreshness {
    /// When the numbers of these measures settle of the bucket that ends at `end`. `None` past the end of time.
    pub fn settles_at(&self, measures: &BTreeSet<Measure>, end: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let terms = self.terms_at(end)?;
        let instants = measures.iter().map(|measure| terms.horizons.of(*measure).settles_at(end, terms.zone()));
        instants.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Every horizon that any of its numbers has, with the zone whose months it counts by.
    fn horizons(&self) -> impl Iterator<Item = (Horizon, Zone)> {
        self.terms.iter().flat_map(|terms| terms.horizons.by_member().map(|(_, horizon)| (horizon, terms.zone())))
    }

    /// When the clock completes it further, makes it late, begins other terms, and ends it.
    fn transitions(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let completions = self.self_completion.filter(|_| self.in_ranges != RangeProgress::Final).into_iter();
        let completions =
            completions.flat_map(|completion| completion.moves_at.into_iter().chain([completion.moved_at]));
        let terms = self.terms.iter().filter_map(|terms| terms.from);
        completions.chain(self.late_transition()).chain(terms).chain(self.ended_at())
    }

    /// When the clock makes it late, unless it failed or has ended.
    fn late_transition(&self) -> Option<DateTime<Utc>> {
        self.late_at().filter(|late_at| self.status(*late_at) == SourceStatus::Late)
    }
}

/// `None` past the representable time, which never comes.
fn later(instant: DateTime<Utc>, seconds: i64) -> Option<DateTime<Utc>> {
    instant.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}
