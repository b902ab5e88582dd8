//! Errors of commands.

use chrono::{DateTime, Utc};
use domain::breakdown::BreakdownError;
use domain::event::DecodeError;
use domain::source::SourceKind;
use domain::statement::ReplacementError;
use event_store::{AppendError, LoadError};
use platform::rate_limit::RateLimitStatus;
use thiserror::Error;

use crate::rejection::DomainRejection;

/// An error of a command. Only a rejection by the domain leaves a receipt.
#[derive(Debug, Error)]
pub enum CommandError {
    /// A rule of the domain rejects the command.
    #[error("{}", rejection.detail)]
    Rejected {
        /// The rule.
        rejection: DomainRejection,
        /// Whether it was rejected before, under the same idempotency key.
        replayed: bool,
    },
    /// There is no such resource in the caller's workspace.
    #[error("not found")]
    NotFound,
    /// The campaign is not at a version that the caller accepts.
    #[error("the campaign is at version {actual}")]
    VersionMismatch {
        /// Its version.
        actual: i64,
    },
    /// Other requests changed the same data at every attempt.
    #[error("lost the race at every attempt")]
    Contended,
    /// Another request under the same idempotency key is in flight.
    #[error("another request under this idempotency key is being carried out")]
    InFlight,
    /// The source sends more than its rate limit allows.
    #[error("too many {}", .0.policy.counts)]
    RateLimited(RateLimitStatus),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Another source has the name.
    #[error("the source name {name:?} is taken")]
    SourceNameTaken {
        /// The name.
        name: String,
        /// The first part in which the two definitions differ.
        field: &'static str,
    },
    /// A run is reported as complete through less than an earlier one.
    #[error("the source is complete through {through} already")]
    CompletenessMovesBack {
        /// What it is complete through.
        through: DateTime<Utc>,
    },
    /// Completeness is taken back to an instant that it never reached.
    #[error("the source is not complete through that instant")]
    NotCompleteThrough {
        /// What it is complete through, if anything.
        through: Option<DateTime<Utc>>,
    },
    /// Another campaign has an external id.
    #[error("the external id {id:?} is taken")]
    ExternalIdTaken {
        /// The id.
        id: String,
        /// The campaign that has it.
        campaign: String,
    },
    /// A batch names a source that is not registered.
    #[error("there is no source {name:?}")]
    UnknownSource {
        /// The name.
        name: String,
    },
    /// The source sends items of another kind.
    #[error("the source {name:?} is of kind {kind:?}")]
    WrongSourceKind {
        /// The source's name.
        name: String,
        /// Its kind.
        kind: SourceKind,
    },
    /// A chunk of a backfill was recorded with other content under its number.
    #[error("chunk {number} of the backfill {name} was recorded with other content")]
    OtherChunk {
        /// The backfill.
        name: String,
        /// The chunk's number.
        number: u64,
    },
    /// A backfill has another edge, which its first chunk fixed.
    #[error("the edge of the backfill is {edge}")]
    BackfillEdgeFixed {
        /// Its edge.
        edge: DateTime<Utc>,
    },
    /// The edge of a backfill would lie within the source's acceptance window.
    #[error("the edge of the backfill lies after {latest}")]
    BackfillEdgeTooLate {
        /// The latest edge that it may have.
        latest: DateTime<Utc>,
    },
    /// A batch is empty or too large.
    #[error("{count} items, but 1 to {most} are taken")]
    BatchSize {
        /// The member that holds the items.
        field: &'static str,
        /// How many were sent.
        count: usize,
        /// The most items of a batch.
        most: usize,
    },
    /// A batch of statements would take back more values than one batch may.
    #[error("more than {most} values would be taken back")]
    ReplacementTooLarge {
        /// How many it may take back.
        most: usize,
    },
    /// A member of the input is invalid.
    #[error("{field} {detail}")]
    Invalid {
        /// The member.
        field: &'static str,
        /// The error.
        detail: String,
    },
    /// The queue of the log is full.
    #[error("the log has more to write than it can")]
    Overloaded,
    /// The append failed.
    #[error(transparent)]
    Append(AppendError),
    /// A stream could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The database did not answer.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// A claim is unreadable.
    #[error("the claim {kind} {key:?} cannot be read")]
    BadClaim {
        /// Its kind.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// The command was written, but a synchronous standby may not have it.
    #[error("the command was written, but a synchronous standby may not have it")]
    OutcomeUnknown,
    /// An event does not contain the observations that the log's item ids name.
    #[error("the event at position {position} does not hold the observations that are recorded with it")]
    BadEvent {
        /// The position.
        position: i64,
    },
    /// An event that the batch depends on is unreadable.
    #[error("the event at position {position} cannot be read")]
    UnreadableEvent {
        /// The position.
        position: i64,
        /// The error of decoding it.
        #[source]
        source: DecodeError,
    },
    /// A receipt is unreadable, or is of another use case.
    #[error("the receipt of key {key:?} cannot be read")]
    BadReceipt {
        /// Its key.
        key: String,
    },
    /// A value could not be serialised as JSON.
    #[error("cannot be written as JSON")]
    Encoding(#[source] serde_json::Error),
}

impl CommandError {
    pub(crate) fn bad_claim(kind: &'static str, key: &str) -> Self {
        Self::BadClaim { kind, key: key.to_owned() }
    }

    /// Whether the command may be carried out all the same.
    pub fn may_be_carried_out(&self) -> bool {
        matches!(self, Self::OutcomeUnknown | Self::Append(AppendError::Unavailable(_)))
    }

    /// Whether a service that the command needs cannot be reached now. Another attempt, or another process, may
    /// succeed.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Append(error) => matches!(error, AppendError::ShuttingDown | AppendError::Unavailable(_)),
            Self::Load(LoadError::Database { .. }) | Self::Database(_) => true,
            // During a rolling upgrade, another process may read what this one cannot.
            Self::Load(LoadError::Event { source: event_store::DecodeError::Upcast(why), .. }) => {
                why.downcast_ref().is_some_and(DecodeError::requires_newer_version)
            }
            Self::UnreadableEvent { source, .. } => source.requires_newer_version(),
            _ => false,
        }
    }
}

impl From<ReplacementError> for CommandError {
    fn from(error: ReplacementError) -> Self {
        Self::Invalid { field: error.field(), detail: error.to_string() }
    }
}

impl From<BreakdownError> for CommandError {
    fn from(error: BreakdownError) -> Self {
        Self::Invalid { field: "breakdown", detail: error.to_string() }
    }
}

impl From<AppendError> for CommandError {
    fn from(error: AppendError) -> Self {
        match error {
            // Use cases retry these errors, so an error here persisted through every attempt.
            AppendError::Version { .. }
            | AppendError::Claim { .. }
            | AppendError::Item
            | AppendError::ServerStartedAnew => Self::Contended,
            AppendError::ReceiptMismatch => Self::KeyReused,
            AppendError::Overloaded => Self::Overloaded,
            AppendError::Unconfirmed => Self::OutcomeUnknown,
            AppendError::Invalid(_) | AppendError::ShuttingDown | AppendError::Unavailable(_) => Self::Append(error),
        }
    }
}
