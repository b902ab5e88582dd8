//! What an answer says of itself in its headers, which are structured fields (RFC 9651): where it was read, how fresh it is.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use domain::freshness::Finality;
use http::header::{HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use http_edge::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};

use super::{VARIES, insert};
use crate::consistency::{ConsistencyRequirement, ConsistentSnapshot};
use crate::model_head::ModelHead;
use crate::snapshot::Snapshot;

const DATA_POSITION: HeaderName = HeaderName::from_static("data-position");
const DATA_FRESHNESS: HeaderName = HeaderName::from_static("data-freshness");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Where a workspace is, as headers say it. It is written once, however many answers are from there.
#[derive(Debug, Clone)]
pub(crate) struct PositionHeaders {
    position: HeaderValue,
    token: HeaderValue,
}

impl PositionHeaders {
    pub(crate) fn new(workspace: i32, epoch: i32, applied: i64, head: i64) -> Self {
        let token = ConsistencyToken { workspace, position: applied };
        Self {
            position: header(&format!("epoch={epoch}, applied={applied}, head={head}")),
            token: token.header_value(),
        }
    }
}

/// What an answer says of itself in its headers.
#[derive(Debug, Clone)]
pub(crate) struct FreshnessHeaders {
    place: PositionHeaders,
    applied: i64,
    lag: TimeDelta,
    satisfied: bool,
    /// Parts that wait and belong to the answer.
    parked: usize,
    waited_s: Option<u64>,
    numbers: Option<(Finality, Option<DateTime<Utc>>)>,
}

impl FreshnessHeaders {
    pub(crate) fn of(settled: &ConsistentSnapshot) -> Self {
        let standing = Self::of_snapshot(&settled.snapshot, settled.parked);
        Self { satisfied: settled.satisfied, waited_s: settled.waited_s, ..standing }
    }

    /// Of an answer of which nothing was asked but what is there. `parked`: parts that wait and belong to it.
    pub(crate) fn of_snapshot(snapshot: &Snapshot, parked: usize) -> Self {
        let Snapshot { workspace, epoch, applied, head, .. } = *snapshot;
        Self { parked, ..Self::new(PositionHeaders::new(workspace, epoch, applied, head), applied, snapshot.lag()) }
    }

    /// Of an answer that shows what there is at a tip.
    pub(crate) fn at_tip(tip: &ModelHead, now: DateTime<Utc>) -> Self {
        Self::new(tip.place.clone(), tip.applied, tip.lag(now))
    }

    fn new(place: PositionHeaders, applied: i64, lag: TimeDelta) -> Self {
        Self { place, applied, lag, satisfied: true, parked: 0, waited_s: None, numbers: None }
    }

    /// The same of a result that holds at this tip, too, where the log is applied up to the same position.
    pub(crate) fn at_position(&self, tip: &ModelHead, now: DateTime<Utc>) -> Self {
        Self { place: tip.place.clone(), lag: tip.lag(now), ..*self }
    }

    /// Whether it is as fresh as a caller wants it.
    pub(crate) fn meets(&self, consistency: ConsistencyRequirement) -> bool {
        consistency.is_met_at(self.applied, self.lag)
    }

    /// The same, for a caller whose wishes are met.
    pub(crate) fn satisfied_for(self, consistency: ConsistencyRequirement) -> Self {
        Self { satisfied: true, waited_s: consistency.wait_s(), ..self }
    }

    /// Adds how settled the numbers of the answer are, and through when they are complete.
    pub(crate) fn with_numbers(mut self, state: Finality, complete_through: Option<DateTime<Utc>>) -> Self {
        self.numbers = Some((state, complete_through));
        self
    }

    /// Writes the headers.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(DATA_POSITION, self.place.position.clone());
        headers.insert(DATA_FRESHNESS, self.freshness());
        headers.insert(CONSISTENCY_TOKEN, self.place.token.clone());
        if let Some(wait_s) = self.waited_s {
            insert(headers, PREFERENCE_APPLIED, &format!("wait={wait_s}"));
        }
        headers.insert(VARY, VARIES);
    }

    fn freshness(&self) -> HeaderValue {
        if let Self { satisfied: true, parked: 0, numbers: None, .. } = self
            && self.lag.is_zero()
        {
            // What most answers without numbers say.
            return HeaderValue::from_static("lag=0.000, satisfied=?1");
        }
        // Longer than it can become, so that it need not grow.
        let mut text = String::with_capacity(128);
        if let Some((state, _)) = self.numbers {
            let _ = write!(text, "state={}, ", state.name());
        }
        let millis = self.lag.num_milliseconds();
        let satisfied = u8::from(self.satisfied);
        let _ = write!(text, "lag={}.{:03}, satisfied=?{satisfied}", millis / 1_000, millis % 1_000);
        if let Some((_, Some(complete_through))) = self.numbers {
            let _ = write!(text, ", complete_through=@{}", complete_through.timestamp());
        }
        if self.parked > 0 {
            let _ = write!(text, ", parked={}", self.parked);
        }
        header(&text)
    }
}

/// Names, digits and signs, which any header may hold.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
