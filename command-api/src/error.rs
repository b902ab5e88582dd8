//! Why a command was not carried out.

use domain::event::DecodeError;
use domain::source::SourceKind;
use event_store::{AppendError, LoadError};
use http_edge::problem::Problem;
use thiserror::Error;

/// Why a command was not carried out, and left no receipt. What the domain refuses is an answer, not a failure.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// The caller's workspace has no such thing.
    #[error("not found")]
    NotFound,
    /// The campaign is not at a version that `If-Match` names.
    #[error("the campaign is at version {actual}")]
    VersionMismatch {
        /// Where it is.
        actual: i64,
    },
    /// Others changed the same thing each time that this command was tried.
    #[error("lost every race")]
    Contended,
    /// Another request under the same idempotency key is being carried out.
    #[error("another request under this idempotency key is being carried out")]
    InFlight,
    /// The edge's limits do not allow it.
    #[error("refused by a limit: {0:?}")]
    Limited(Problem),
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
    /// A batch of the other kind than the source's.
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
    /// A member that only the others' values make wrong.
    #[error("{field} {detail}")]
    Invalid {
        /// The member.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The log did not take the append.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A stream could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The database did not answer.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// A claim says what none of ours says.
    #[error("the claim {kind} {key:?} cannot be read")]
    BadClaim {
        /// Its kind.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// The log does not hold at a position what was recorded there.
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
    /// A receipt says what none of ours says.
    #[error("the receipt of key {key:?} cannot be read")]
    BadReceipt {
        /// Its key.
        key: String,
    },
    /// Something of ours could not be written as JSON.
    #[error("cannot be written as JSON")]
    Encoding(#[source] serde_json::Error),
}

impl CommandError {
    pub(crate) fn claim(kind: &'static str, key: &str) -> Self {
        Self::BadClaim { kind, key: key.to_owned() }
    }

    pub(crate) fn encoding(error: serde_json::Error) -> Self {
        Self::Encoding(error)
    }
}
