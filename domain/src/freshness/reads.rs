//! Which buckets of a pull source were read when.
//!
//! A number of a pull source is final when it was read once more after it could change no longer. What a run reads
//! again replaces what earlier runs read, so the history is a step function: for each bucket, by its end, the start of
//! the last run that read it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::source::Horizon;
use crate::zone::Zone;

/// The longest span that is kept as settled. Longer ones keep the start of their run, which says more.
const LONGEST_SETTLED: TimeDelta = TimeDelta::days(2);

/// When each bucket was last read: disjoint spans in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReadHistory(Vec<ReadSpan>);

/// The buckets that end after `from` and up to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ReadSpan {
    /// `None`: every earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<DateTime<Utc>>,
    to: DateTime<Utc>,
    #[serde(flatten)]
    read: LastRead,
}

/// When the buckets of a span were last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LastRead {
    /// By a run that started then.
    StartedAt(DateTime<Utc>),
    /// Each by a run that started at least so many seconds after the bucket had ended. Many runs in one.
    AfterS(i64),
}

impl LastRead {
    fn is_settled(self, to: DateTime<Utc>, horizon: Horizon, zone: Zone) -> bool {
        match self {
            Self::StartedAt(started_at) => {
                horizon.settles_at(to, zone).is_some_and(|settles_at| settles_at <= started_at)
            }
            Self::AfterS(seconds) => seconds >= horizon.longest_s(),
        }
    }
}

impl ReadHistory {
    /// Takes in a run that started at `started_at` and read the buckets that end after `from` and up to `to`.
    /// `lookback_s`: the longest horizon of the source. What the run leaves behind by more than that is settled.
    pub(super) fn record(
        &mut self,
        (from, to): (Option<DateTime<Utc>>, DateTime<Utc>),
        started_at: DateTime<Utc>,
        lookback_s: i64,
    ) {
        if from.is_some_and(|from| from >= to) {
            return;
        }
        let mut kept: Vec<ReadSpan> = Vec::with_capacity(self.0.len() + 2);
        let mut later: Vec<ReadSpan> = Vec::new();
        for span in self.0.drain(..) {
            if from.is_some_and(|from| span.to <= from) {
                push(&mut kept, span);
                continue;
            }
            if let Some(from) = from
                && span.from.is_none_or(|start| start < from)
            {
                push(&mut kept, settle(ReadSpan { to: from, ..span }, lookback_s));
            }
            if span.to > to {
                later.push(ReadSpan { from: Some(span.from.map_or(to, |start| start.max(to))), ..span });
            }
        }
        push(&mut kept, ReadSpan { from, to, read: LastRead::StartedAt(started_at) });
        for span in later {
            push(&mut kept, span);
        }
        self.0 = kept;
    }

    /// Forgets what was read of buckets that end after `through`.
    pub(super) fn reopen(&mut self, through: DateTime<Utc>) {
        self.0.retain(|span| span.from.is_none_or(|from| from < through));
        if let Some(last) = self.0.last_mut() {
            last.to = last.to.min(through);
        }
    }

    /// The spans of buckets that were read after they had settled, each from its first instant (`None`: every earlier
    /// one) to the first after it.
    pub(super) fn settled(&self, horizon: Horizon, zone: Zone) -> Vec<(Option<DateTime<Utc>>, DateTime<Utc>)> {
        let mut settled: Vec<(Option<DateTime<Utc>>, DateTime<Utc>)> = Vec::new();
        for span in &self.0 {
            let to = if span.read.is_settled(span.to, horizon, zone) {
                span.to
            } else if let LastRead::StartedAt(started_at) = span.read {
                match horizon.settled_through(started_at, zone) {
                    Some(through) if span.from.is_none_or(|from| from < through) => through.min(span.to),
                    _ => continue,
                }
            } else {
                continue;
            };
            match settled.last_mut() {
                Some(last) if span.from == Some(last.1) => last.1 = to,
                _ => settled.push((span.from, to)),
            }
        }
        settled
    }

    /// The start of the last run that read the bucket that ends at `end`.
    pub fn last_read(&self, end: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let span = self.0.iter().find(|span| span.to >= end && span.from.is_none_or(|from| from < end))?;
        match span.read {
            LastRead::StartedAt(started_at) => Some(started_at),
            LastRead::AfterS(seconds) => end.checked_add_signed(TimeDelta::try_seconds(seconds)?),
        }
    }
}

/// Keeps of a short span only that it is settled, so that those of many runs become one.
fn settle(span: ReadSpan, lookback_s: i64) -> ReadSpan {
    let is_short = span.from.is_some_and(|from| span.to - from <= LONGEST_SETTLED);
    let is_settled = span.read.is_settled(span.to, Horizon::Seconds(lookback_s), Zone::UTC);
    if is_short && is_settled { ReadSpan { read: LastRead::AfterS(lookback_s), ..span } } else { span }
}

/// Adds a span behind the others, as part of the last one where that says the same.
fn push(spans: &mut Vec<ReadSpan>, span: ReadSpan) {
    match spans.last_mut() {
        Some(last) if Some(last.to) == span.from && last.read == span.read => last.to = span.to,
        _ => spans.push(span),
    }
}
