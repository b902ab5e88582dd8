//! Why a command was not carried out.

use domain::event::DecodeError;
use domain::source::SourceKind;
use event_store::{AppendError, LoadError};
use platform::rate_limit::RateLimitStatus;
use thiserror::Error;

use crate::rejection::DomainRejection;

/// Why a command was not carried out. Only a rejection by the domain leaves a receipt.
#[derive(Debug, Error)]
pub enum CommandError {
    /// A rule of the domain does not allow it.
    #[error("{}", rejection.detail)]
    Rejected {
        /// The rule.
        rejection: DomainRejection,
        /// Whether it was rejected before, under the same idempotency key.
        replayed: bool,
    },
    /// The caller's workspace has no such thing.
    #[error("not found")]
    NotFound,
    /// The campaign is not at a version that the caller accepts.
    #[error("the campaign is at version {actual}")]
    VersionMismatch {
        /// Its version.
        actual: i64,
    },
    /// Others changed the same thing each time that this command was tried.
    #[error("lost the race at every attempt")]
    Contended,
    /// Another request under the same idempotency key is being carried out.
    #[error("another request under this idempotency key is being carried out")]
    InFlight,
    /// The source sends more than its rate limit allows.
    #[error("too many {}", .0.policy.counts)]
    RateLimited(RateLimitStatus),
    /// The idempotency key was used for something else.
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
    /// Another campaign has an external id.
    #[error("the external id {id:?} is taken")]
    ExternalIdTaken {
        /// The id.
        id: String,
    },
    /// A batch names a source that is not registered.
    #[error("there is no source {name:?}")]
    UnknownSource {
        /// The name.
        name: String,
    },
    /// A batch of another kind than the source sends.
    #[error("the source {name:?} is of kind {kind:?}")]
    WrongSourceKind {
        /// The source's name.
        name: String,
        /// Its kind.
        kind: SourceKind,
    },
    /// A batch without items, or with too many.
    #[error("{count} items, but 1 to {most} are taken")]
    BatchSize {
        /// The member that holds the items.
        field: &'static str,
        /// How many were sent.
        count: usize,
        /// How many are taken.
        most: usize,
    },
    /// A member of the input is wrong.
    #[error("{field} {detail}")]
    Invalid {
        /// The member.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The log has more to write than it can.
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
    /// A claim cannot be read.
    #[error("the claim {kind} {key:?} cannot be read")]
    BadClaim {
        /// Its kind.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// An event does not hold the observations that the log's item ids name.
    #[error("the event at position {position} does not hold the observations that are recorded with it")]
    BadEvent {
        /// The position.
        position: i64,
    },
    /// An event that the batch rests on cannot be read.
    #[error("the event at position {position} cannot be read")]
    UnreadableEvent {
        /// The position.
        position: i64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// A receipt cannot be read, or is of another use case.
    #[error("the receipt of key {key:?} cannot be read")]
    BadReceipt {
        /// Its key.
        key: String,
    },
    /// A value of ours could not be written as JSON.
    #[error("cannot be written as JSON")]
    Encoding(#[source] serde_json::Error),
}

impl CommandError {
    pub(crate) fn bad_claim(kind: &'static str, key: &str) -> Self {
        Self::BadClaim { kind, key: key.to_owned() }
    }

    /// Whether something that the command needs cannot be reached now. Another attempt, or another process, may
    /// succeed.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Append(error) => matches!(error, AppendError::ShuttingDown | AppendError::Unavailable(_)),
            Self::Load(LoadError::Database { .. }) | Self::Database(_) => true,
            // While processes are upgraded one after the other, another one may read what this one cannot.
            Self::Load(LoadError::Event { source: event_store::DecodeError::Upcast(why), .. }) => {
                why.downcast_ref().is_some_and(DecodeError::requires_newer_version)
            }
            Self::UnreadableEvent { source, .. } => source.requires_newer_version(),
            _ => false,
        }
    }
}

impl From<AppendError> for CommandError {
    fn from(error: AppendError) -> Self {
        match error {
            // Use cases retry these; one that comes here was met at every attempt.
            AppendError::Version { .. } | AppendError::Claim { .. } | AppendError::Item => Self::Contended,
            AppendError::ReceiptMismatch => Self::KeyReused,
            AppendError::Overloaded => Self::Overloaded,
            AppendError::Invalid(_) | AppendError::ShuttingDown | AppendError::Unavailable(_) => Self::Append(error),
        }
    }
}
