//! What clients asked of a system and what it answered: all that a user can know of it.
//!
//! A request is tried once or several times. Each attempt has a trace id of its own, which the system keeps with every
//! event that the attempt writes; so the log itself tells which attempt wrote what.

mod recorder;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::Measure;
use domain::observation::ObservationType;
use serde_json::Value;
use uuid::Uuid;

pub use recorder::{Recorder, Trace};

/// Everything that clients did to one workspace.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Their requests, in the order in which they were first sent.
    pub requests: Vec<Request>,
}

impl History {
    /// How often each thing happened, so that a run in which little did does not pass for a sound one.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally { requests: self.requests.len(), ..Tally::default() };
        for request in &self.requests {
            tally.doubtful += usize::from(request.is_doubtful());
            tally.in_parts += usize::from(request.is_in_parts());
            tally.repeated += usize::from(request.done().any(|(_, reply)| reply.replayed));
            let Some((_, reply)) = request.done().next() else { continue };
            tally.acknowledged += 1;
            let (Operation::Observe { items, .. }, Acknowledged::Batch(fates)) = (&request.asks, &reply.says) else {
                continue;
            };
            for (item, fate) in items.iter().zip(fates) {
                match (fate, &item.says) {
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

/// What a history comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests.
    pub requests: usize,
    /// Those that were acknowledged.
    pub acknowledged: usize,
    /// Those of which an attempt was not answered.
    pub doubtful: usize,
    /// Those that were carried out in parts.
    pub in_parts: usize,
    /// Those that were answered again by their receipt.
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

/// Something that a client wants done.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its idempotency key, under which every attempt is sent.
    pub key: Option<String>,
    /// What is to be done.
    pub asks: Operation,
    /// How often it was tried, in turn.
    pub attempts: Vec<Attempt>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Draft a campaign. No two have the same name.
    Create {
        /// Its name.
        name: String,
    },
    /// Change a campaign.
    Change {
        /// Which.
        campaign: Uuid,
        /// How.
        change: Change,
        /// The version that the change is meant for.
        if_match: Option<i64>,
    },
    /// Record what happened.
    Observe {
        /// Who saw it.
        source: Source,
        /// How it is sent.
        form: Form,
        /// What, in the order sent.
        items: Vec<Observation>,
    },
    /// Record what totals are.
    State {
        /// Who says so.
        source: Source,
        /// What, in the order sent.
        items: Vec<Statement>,
    },
}

/// How observations are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON document: recorded whole or not at all.
    Batch,
    /// Newline-delimited JSON: recorded and answered chunk by chunk.
    Lines,
}

/// A change of a campaign. Each that is carried out is one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// To a name that no other request gives.
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
    /// What kind of thing.
    pub kind: ObservationType,
    /// When it happened, or when it was corrected.
    pub at: DateTime<Utc>,
    /// What it says.
    pub says: ObservationOp,
}

/// What an observation says. Numbers are in the units of the type's measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservationOp {
    /// Something happened.
    Happened {
        /// To which campaign.
        campaign: Uuid,
        /// How many.
        count: i64,
        /// What it was worth or cost.
        value: Option<i64>,
    },
    /// An earlier observation was wrong. What is not given stays; nothing given takes it all back.
    Corrects {
        /// The id of the earlier one.
        of: String,
        /// The day on which it happened.
        day: NaiveDate,
        /// Whether the day is said: an id that was used on one day only needs none.
        says_day: bool,
        /// How many there were.
        count: Option<i64>,
        /// What it was worth or cost.
        value: Option<i64>,
    },
}

/// A statement of one day of one campaign. No two of a bucket are stated as of the same instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The campaign.
    pub campaign: Uuid,
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The totals.
    pub measures: BTreeMap<Measure, i64>,
    /// As of when.
    pub stated_at: DateTime<Utc>,
}

/// One sending of a request.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The trace id that it was sent with.
    pub trace: String,
    /// When it was sent, in ticks of the history.
    pub began: u64,
    /// When its answer was there, or was given up.
    pub ended: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It was done; of lines, as many as were answered.
    Done(Reply),
    /// It was not done.
    Refused(Refusal),
    /// Nobody knows: the connection was lost, nothing came in time, or the server said that it does not know either.
    Unknown,
}

/// An answer that acknowledges.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What it says.
    pub says: Acknowledged,
    /// The log's position that covers it.
    pub position: i64,
    /// Whether it says that it repeats an earlier answer.
    pub replayed: bool,
    /// The body as it came.
    pub body: Value,
}

impl Reply {
    /// Whether it answers everything that was sent.
    pub fn is_whole(&self) -> bool {
        match &self.says {
            Acknowledged::Campaign { .. } => true,
            Acknowledged::Batch(fates) => !fates.contains(&ItemOutcome::Doubtful),
        }
    }
}

/// What was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// A campaign was made or changed, or was already as asked.
    Campaign {
        /// Which.
        campaign: Uuid,
        /// Its version.
        version: i64,
    },
    /// A batch was judged: how each item fared.
    Batch(Vec<ItemOutcome>),
}

/// How an item fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is recorded.
    Accepted,
    /// It says nothing new.
    Duplicate,
    /// Its id was recorded with other content.
    Conflict,
    /// It is not recorded, and why.
    Rejected(String),
    /// Nobody knows: the answer broke off before it.
    Doubtful,
}

/// An answer that refuses.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The campaign's version, where that was the reason.
    pub version: Option<i64>,
    /// The body as it came.
    pub body: Value,
}

impl Refusal {
    /// Whether the rules of a campaign refused: such an answer is kept under the key, like an acknowledgement.
    pub fn is_kept(&self) -> bool {
        self.status == 422
    }
}

impl Request {
    /// The answers that acknowledge, each with its attempt.
    pub fn done(&self) -> impl Iterator<Item = (&Attempt, &Reply)> {
        self.attempts.iter().filter_map(|attempt| match &attempt.outcome {
            Outcome::Done(reply) => Some((attempt, reply)),
            Outcome::Refused(_) | Outcome::Unknown => None,
        })
    }

    /// The answers that refuse, each with its attempt.
    pub fn refused(&self) -> impl Iterator<Item = (&Attempt, &Refusal)> {
        self.attempts.iter().filter_map(|attempt| match &attempt.outcome {
            Outcome::Refused(refusal) => Some((attempt, refusal)),
            Outcome::Done(_) | Outcome::Unknown => None,
        })
    }

    /// Whether nobody knows of at least one attempt what became of it.
    pub fn is_doubtful(&self) -> bool {
        self.attempts.iter().any(|attempt| match &attempt.outcome {
            Outcome::Done(reply) => !reply.is_whole(),
            Outcome::Refused(_) => false,
            Outcome::Unknown => true,
        })
    }

    /// Whether it is carried out in parts, each of which may be written or not.
    pub fn is_in_parts(&self) -> bool {
        matches!(self.asks, Operation::Observe { form: Form::Lines, .. })
    }

    /// What to call it in a finding.
    pub fn name(&self) -> String {
        let what = match &self.asks {
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
    /// Whether the item is in the log by this answer.
    pub fn is_recorded(&self) -> bool {
        matches!(self, Self::Accepted)
    }
}
