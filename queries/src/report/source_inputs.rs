//! What a report's version rests on of the sources that it watches: their settings, the clock, and a digest of what the
//! report may say of their runs. Most runs of a source change nothing that is said of closed days, so that the position
//! of the last one would move the version needlessly.

use chrono::{DateTime, Utc};
use domain::freshness::{RangeProgress, SourceFreshness, Watermarks};
use sha2::{Digest, Sha256};

use super::context::ReportContext;
use super::plan::Plan;
use super::query::ReportQuery;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::sources::{Source, SourcePeriods, periods_of};
use crate::version::SourcesDigest;

/// What the version of a report takes of the sources that it watches, beside the digest.
#[derive(Debug)]
pub(super) struct SourceInputs {
    /// The position of the last event that changed what one of them is.
    pub position: i64,
    /// What the clock makes of them.
    pub deadlines: Vec<SourceFreshness>,
}

/// The inputs of the watched sources, of a question about some campaigns. How far each is in the ranges of `plans` is
/// kept with its periods. `is_expected`: whether the answer may show a period of a source.
pub(super) fn inputs(
    snapshot: &Snapshot,
    (watched, about): (&[&Source], &ResourceScope),
    periods: &mut SourcePeriods,
    is_expected: impl Fn(&&Source) -> bool,
    plans: &[&Plan],
) -> SourceInputs {
    let mut deadlines = Vec::with_capacity(watched.len());
    for source in watched {
        let shown: Vec<_> = periods_of(periods, source.id).filter(&is_expected).collect();
        let in_ranges = if snapshot.parked.events_of(source.id, about) > 0 {
            RangeProgress::Incomplete
        } else {
            progress(&shown, plans, snapshot.now)
        };
        // What the clock makes of a source that is neither shown nor waited for does not show.
        if in_ranges != RangeProgress::Final || !shown.is_empty() {
            deadlines.push(SourceFreshness { in_ranges, ..source.freshness.clone() });
        }
        for period in periods.values_mut().filter(|period| period.id == source.id) {
            period.freshness.in_ranges = in_ranges;
        }
    }
    SourceInputs { position: watched.iter().map(|source| source.settings_position).max().unwrap_or(0), deadlines }
}

/// How far a source is in every range, by its periods that are shown.
fn progress(shown: &[&Source], plans: &[&Plan], now: DateTime<Utc>) -> RangeProgress {
    let in_range = |plan: &&Plan| {
        let span = plan.range().span;
        let asked = shown.iter().filter(|source| source.is_asked_about(span, plan.query_grain));
        asked.map(|source| source.progress_in(&plan.measures, span, plan.query_grain, now)).min()
    };
    // A source of which nothing is shown has nothing to complete.
    let in_ranges = plans.iter().map(|plan| in_range(plan).unwrap_or(RangeProgress::Final));
    in_ranges.min().unwrap_or(RangeProgress::Incomplete)
}

/// The digest of what a report may say of its sources' runs: the freshness that it shows, and for rows, which buckets
/// each source vouches for.
pub(super) fn digest(
    context: &ReportContext,
    query: &ReportQuery,
    now: DateTime<Utc>,
) -> Result<SourcesDigest, ReadError> {
    let measures = query.additive();
    let mut told = Vec::new();
    for plan in context.plans() {
        serde_json::to_writer(&mut told, &context.freshness_of(plan, now)).map_err(ReadError::corrupt)?;
        let span = plan.range().span;
        for source in context.contributors().filter(|source| source.is_asked_about(span, plan.query_grain)) {
            let watermarks = source.watermarks(&measures, plan.query_grain, now);
            let vouched = VouchedBuckets::of(&watermarks, plan);
            serde_json::to_writer(&mut told, &(source.id, source.period.number, vouched.parts()))
                .map_err(ReadError::corrupt)?;
        }
    }
    Ok(SourcesDigest::of(&Sha256::digest(&told).into()))
}

/// The buckets of a range that a source vouches for. Rows end where buckets do, so nothing between two ends shows.
#[derive(Debug)]
struct VouchedBuckets {
    is_complete: bool,
    /// Where it begins to be incomplete, if that is within the range.
    incomplete_from: Option<DateTime<Utc>>,
    /// How many of the edges are in elapsed time.
    elapsed: usize,
    /// The buckets that are final, by their edges.
    is_final: Vec<(usize, usize)>,
}

impl VouchedBuckets {
    fn of(watermarks: &Watermarks, plan: &Plan) -> Self {
        let (edges, end) = (&plan.edges, plan.range().span.1);
        let up_to = |instant: DateTime<Utc>| edges.partition_point(|edge| *edge <= instant);
        let spans = watermarks.final_spans.iter().map(|(from, to)| {
            let first = from.map_or(0, |from| edges.partition_point(|edge| *edge < from));
            (first, up_to(*to))
        });
        let is_complete = watermarks.complete_through.is_some_and(|through| through >= end);
        Self {
            is_complete,
            incomplete_from: watermarks.complete_through.filter(|_| !is_complete),
            elapsed: up_to(watermarks.elapsed_through),
            // From one edge to a later one.
            is_final: spans.filter(|(first, last)| first + 1 < *last).collect(),
        }
    }

    fn parts(&self) -> impl serde::Serialize {
        (self.is_complete, self.incomplete_from, self.elapsed, &self.is_final)
    }
}
