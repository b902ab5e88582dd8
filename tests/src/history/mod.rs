//! The requests of clients and their answers, as far as a user can know them.
//!
//! A request has one or several attempts. Each attempt has its own trace id, which the system stores with every event
//! of the attempt. So the log itself shows which attempt wrote an event.

mod recorder;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::Measure;
use domain::observation::ObservationType;
use serde_json::Value;
use uuid::Uuid;

pub use recorder::{Recorder, Trace};

/// The history of one workspace.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The requests, in the order in which they were first sent.
    pub requests: Vec<Request>,
}

impl History {
    /// The number of each kind of result. A test requires minimum numbers, so that a run with little activity fails.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally { requests: self.requests.len(), ..Tally::default() };
        for request in &self.requests {
            tally.doubtful += usize::from(request.is_doubtful());
            tally.in_parts += usize::from(request.is_in_parts());
            tally.repeated += usize::from(request.done().any(|(_, reply)| reply.replayed));
            let Some((_, reply)) = request.done().next() else { continue };
            tally.acknowledged += 1;
            let (Operation::Observe { items, .. }, Acknowledged::Batch(fates)) = (&request.operation, &reply.content)
            else {
                continue;
            };
            for (item, fate) in items.iter().zip(fates) {
                match (fate, &item.content) {
                    (ItemOutcome::Accepted, ObservationOp::Happened { .. }) => tally.observations += 1,
                    (ItemOutcome::Accepted, ObservationOp::Corrects { .. }) => tally.corrections += 1,
                    (ItemOutcome::Duplicate, _) => tally.duplicates += 1,
                    (ItemOutcome::Conflict, _) => tally.conflicts += 1,
                    (ItemOutcome::Rejected(_), _) => tally.rejected += 1,
                    (ItemOutcome::Doubtful, _) => {}
                }
            }
        }
        tally
    }
}

/// The counts of a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests.
    pub requests: usize,
    /// Those that were acknowledged.
    pub acknowledged: usize,
    /// Those with an unanswered attempt.
    pub doubtful: usize,
    /// Those that were carried out in parts.
    pub in_parts: usize,
    /// Those that a receipt answered again.
    pub repeated: usize,
    /// Observations that were accepted.
    pub observations: usize,
    /// Corrections that were accepted.
    pub corrections: usize,
    /// Items that were recorded before.
    pub duplicates: usize,
    /// Items whose id was recorded with other content.
    pub conflicts: usize,
    /// Items that were not recorded.
    pub rejected: usize,
}

/// A request of a client.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its idempotency key, the same for every attempt.
    pub key: Option<String>,
    /// The operation.
    pub operation: Operation,
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Draft a campaign. No two have the same name.
    Create {
        /// Its name.
        name: String,
    },
    /// Change a campaign.
    Change {
        /// The campaign.
        campaign: Uuid,
        /// The change.
        change: Change,
        /// The expected version.
        if_match: Option<i64>,
    },
    /// Record observations.
    Observe {
        /// The source.
        source: Source,
        /// The format.
        form: Form,
        /// The observations, in the order sent.
        items: Vec<Observation>,
    },
    /// Record statements.
    State {
        /// The source.
        source: Source,
        /// The statements, in the order sent.
        items: Vec<Statement>,
    },
}

/// The format of observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON document, recorded as a whole.
    Batch,
    /// Newline-delimited JSON, recorded and answered chunk by chunk.
    Lines,
}

/// A change of a campaign. Each successful one is one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// To a name that no other request uses.
    Rename(String),
    /// From draft.
    Launch,
    /// From launched.
    Pause,
    /// From paused.
    Resume,
}

/// A registered source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
}

/// An observation as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: ObservationType,
    /// Its time, or that of the correction.
    pub at: DateTime<Utc>,
    /// Its content.
    pub content: ObservationOp,
}

/// The content of an observation. Numbers are in the units of the type's measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservationOp {
    /// A new observation.
    Happened {
        /// Its campaign.
        campaign: Uuid,
        /// Its count.
        count: i64,
        /// Its value or cost.
        value: Option<i64>,
    },
    /// A correction of an earlier observation. A missing total stays; without both, it is a retraction.
    Corrects {
        /// The id of the earlier one.
        of: String,
        /// The day on which it happened.
        day: NaiveDate,
        /// Whether to send the day, which is optional for an id that was used on one day only.
        names_day: bool,
        /// The new count.
        count: Option<i64>,
        /// The new value or cost.
        value: Option<i64>,
    },
}

/// A statement of one day of one campaign. All statements of a bucket have different times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The campaign.
    pub campaign: Uuid,
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The totals.
    pub measures: BTreeMap<Measure, i64>,
    /// The instant as of which it is stated.
    pub stated_at: DateTime<Utc>,
}

/// An attempt at a request.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its trace id.
    pub trace: String,
    /// When it was sent, in ticks of the history.
    pub began: u64,
    /// When it was answered or given up.
    pub ended: u64,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Success; for lines, of those that were answered.
    Done(Reply),
    /// A refusal.
    Refused(Refusal),
    /// Unknown: the connection was lost, there was no answer in time, or the server does not know either.
    Unknown,
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Its content.
    pub content: Acknowledged,
    /// The log's position that covers it.
    pub position: i64,
    /// Whether it is marked as a replay.
    pub replayed: bool,
    /// The body.
    pub body: Value,
}

impl Reply {
    /// Whether it covers everything that was sent.
    pub fn is_whole(&self) -> bool {
        match &self.content {
            Acknowledged::Campaign { .. } => true,
            Acknowledged::Batch(fates) => !fates.contains(&ItemOutcome::Doubtful),
        }
    }
}

/// The content of a successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// A campaign was created or changed, or already had the requested state.
    Campaign {
        /// The campaign.
        campaign: Uuid,
        /// Its version.
        version: i64,
    },
    /// A batch was processed: the outcome of each item.
    Batch(Vec<ItemOutcome>),
}

/// The outcome of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is recorded.
    Accepted,
    /// It changes nothing.
    Duplicate,
    /// Its id was recorded with other content.
    Conflict,
    /// It is not recorded, for this reason.
    Rejected(String),
    /// Unknown: the answer broke off before it.
    Doubtful,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The campaign's version, for a version mismatch.
    pub version: Option<i64>,
    /// The body.
    pub body: Value,
}

impl Refusal {
    /// Whether a rule of a campaign rejected the request. Such an answer has a receipt, like a success.
    pub fn is_kept(&self) -> bool {
        self.status == 422
    }
}

impl Request {
    /// The successful answers, each with its attempt.
    pub fn done(&self) -> impl Iterator<Item = (&Attempt, &Reply)> {
        self.attempts.iter().filter_map(|attempt| match &attempt.outcome {
            Outcome::Done(reply) => Some((attempt, reply)),
            Outcome::Refused(_) | Outcome::Unknown => None,
        })
    }

    /// The refusals, each with its attempt.
    pub fn refused(&self) -> impl Iterator<Item = (&Attempt, &Refusal)> {
        self.attempts.iter().filter_map(|attempt| match &attempt.outcome {
            Outcome::Refused(refusal) => Some((attempt, refusal)),
            Outcome::Done(_) | Outcome::Unknown => None,
        })
    }

    /// Whether the outcome of an attempt is unknown.
    pub fn is_doubtful(&self) -> bool {
        self.attempts.iter().any(|attempt| match &attempt.outcome {
            Outcome::Done(reply) => !reply.is_whole(),
            Outcome::Refused(_) => false,
            Outcome::Unknown => true,
        })
    }

    /// Whether it is carried out in parts, each of which may be written or not.
    pub fn is_in_parts(&self) -> bool {
        matches!(self.operation, Operation::Observe { form: Form::Lines, .. })
    }

    /// Its name in a violation.
    pub fn name(&self) -> String {
        let what = match &self.operation {
            Operation::Create { name } => format!("create {name}"),
            Operation::Change { campaign, change, if_match } => format!("{change:?} of {campaign} if {if_match:?}"),
            Operation::Observe { source, form, items } => {
                format!("{} observations of {} as {form:?}", items.len(), source.name)
            }
            Operation::State { source, items } => format!("{} statements of {}", items.len(), source.name),
        };
        let traces: Vec<&str> = self.attempts.iter().map(|attempt| attempt.trace.as_str()).collect();
        format!("{what}, key {:?}, traces {}", self.key, traces.join(" "))
    }
}

impl ItemOutcome {
    /// Whether this outcome means that the item is in the log.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Self::Accepted)
    }
}
