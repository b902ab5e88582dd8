//! What sources vouch for in the time of a query, and how settled that makes numbers.

use chrono::{DateTime, Utc};

use super::{END_OF_TIME, Finality, UnexpectedTime};

/// A span of buckets by their ends: after the first instant (`None`: every earlier one), and up to the second.
pub(super) type EndSpan = (Option<DateTime<Utc>>, DateTime<Utc>);

/// What a source vouches for, in the time of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermarks {
    /// The instant through which it is complete.
    pub complete_through: Option<DateTime<Utc>>,
    /// The times of which nothing is expected.
    pub unexpected: Vec<UnexpectedTime>,
    /// The buckets that are final, by their ends.
    pub final_spans: Vec<EndSpan>,
    /// What its own days and hours make of everything before this instant is over.
    pub elapsed_through: DateTime<Utc>,
}

impl Watermarks {
    /// The same of a source that is asked about the time from one instant to another only: of all else nothing is
    /// expected of it.
    #[must_use]
    pub fn within(mut self, from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>) -> Self {
        if let Some(from) = from {
            self.unexpected.insert(0, (None, Some(from)));
            self.final_spans.push((None, from));
        }
        if let Some(until) = until {
            self.unexpected.push((Some(until), None));
            self.final_spans.push((Some(until), END_OF_TIME));
            if until <= self.elapsed_through {
                self.elapsed_through = END_OF_TIME;
            }
        }
        self.final_spans = unite(self.final_spans);
        self
    }

    /// Whether every bucket between two instants is final.
    fn is_final(&self, (start, end): (DateTime<Utc>, DateTime<Utc>)) -> bool {
        self.final_spans.iter().any(|(from, to)| from.is_none_or(|from| from <= start) && end <= *to)
    }

    /// The last instant up to which all of a range is final.
    fn final_through(&self, (start, end): (DateTime<Utc>, DateTime<Utc>)) -> Option<DateTime<Utc>> {
        let first = self.final_spans.iter().find(|(from, to)| from.is_none_or(|from| from <= start) && start < *to)?;
        Some(first.1.min(end))
    }

    /// Where a range begins to be incomplete.
    fn first_incomplete(&self, (start, end): (DateTime<Utc>, DateTime<Utc>)) -> Option<DateTime<Utc>> {
        let mut incomplete = self.complete_through.map_or(start, |through| through.max(start));
        for (from, until) in &self.unexpected {
            if from.is_none_or(|from| from <= incomplete) && until.is_none_or(|until| incomplete < until) {
                incomplete = (*until)?;
            }
        }
        Some(incomplete).filter(|incomplete| *incomplete < end)
    }
}

/// What is in both of two lists of spans.
pub(super) fn intersect(left: &[EndSpan], right: &[EndSpan]) -> Vec<EndSpan> {
    let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a.0.max(b.0), a.1.min(b.1))));
    unite(pairs.filter(|(from, to)| from.is_none_or(|from| from < *to)).collect())
}

/// The same spans, in order, those that touch as one.
pub(super) fn unite(mut spans: Vec<EndSpan>) -> Vec<EndSpan> {
    spans.sort_unstable();
    let mut united: Vec<EndSpan> = Vec::with_capacity(spans.len());
    for span in spans {
        match united.last_mut() {
            Some(last) if span.0.is_none_or(|from| from <= last.1) => last.1 = last.1.max(span.1),
            _ => united.push(span),
        }
    }
    united
}

/// How settled the numbers of a range are. Where no primary source is expected nobody vouches for it, and it stays
/// provisional.
pub fn state(range: (DateTime<Utc>, DateTime<Utc>), now: DateTime<Utc>, primaries: &[&Watermarks]) -> Finality {
    let end = range.1;
    if end > now || primaries.iter().any(|source| source.elapsed_through < end) {
        Finality::Live
    } else if !primaries.is_empty() && primaries.iter().all(|source| source.is_final(range)) {
        Finality::Final
    } else {
        Finality::Provisional
    }
}

/// Where the numbers of a range begin to be incomplete. It moves by what sources say, never by the clock.
pub fn first_incomplete(range: (DateTime<Utc>, DateTime<Utc>), primaries: &[&Watermarks]) -> Option<DateTime<Utc>> {
    if primaries.is_empty() {
        return Some(range.0).filter(|start| *start < range.1);
    }
    primaries.iter().filter_map(|source| source.first_incomplete(range)).min()
}

/// The last instant up to which all of a range is final; `None` where its first bucket is not.
pub fn final_through(range: (DateTime<Utc>, DateTime<Utc>), primaries: &[&Watermarks]) -> Option<DateTime<Utc>> {
    let through: Option<Vec<_>> = primaries.iter().map(|source| source.final_through(range)).collect();
    through?.into_iter().min()
}
