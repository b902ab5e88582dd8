//! Errors of the log.

use std::sync::Arc;

use crate::claims::StoredClaim;

/// An error of an append. Nothing was written, except perhaps after [`AppendError::Unavailable`], and except after
/// [`AppendError::Unconfirmed`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream is not at the expected version.
    #[error("the stream is at version {actual}")]
    Version {
        /// Its version.
        actual: i64,
    },
    /// A claim does not meet the request's precondition.
    #[error("the claim {kind} {key:?} is not as expected")]
    Claim {
        /// Its kind.
        kind: &'static str,
        /// Its key.
        key: String,
        /// The current claim; `None` if it does not exist.
        found: Option<Box<StoredClaim>>,
    },
    /// An item that the request depends on has changed; look it up again.
    #[error("an item is not as expected")]
    Item,
    /// The request rests on what was read from a database server that has started anew since. Decide again.
    #[error("the database server has started anew since the decision")]
    ServerStartedAnew,
    /// The receipt's key was used before with other content.
    #[error("the receipt's key was used with other content")]
    ReceiptMismatch,
    /// The request itself is invalid, so a retry fails too.
    #[error("invalid append: {0}")]
    Invalid(String),
    /// The queue is full; retry later.
    #[error("too many appends are waiting")]
    Overloaded,
    /// This process is stopping; use another one.
    #[error("the log's writer is shutting down")]
    ShuttingDown,
    /// The request was written, but the wait for a synchronous standby was ended. Whether the standby has it is
    /// unknown. A receipt makes it safe to repeat, and the repetition waits again.
    #[error("the wait for a synchronous standby was ended")]
    Unconfirmed,
    /// The database failed. Whether the request was written is unknown; a receipt makes it safe to repeat.
    #[error("the log is unavailable")]
    Unavailable(#[source] Arc<sqlx::Error>),
}

/// An error of opening a workspace.
#[derive(Debug, thiserror::Error)]
pub enum OpenWorkspaceError {
    /// Another workspace has this name.
    #[error("the name {0:?} is taken")]
    NameTaken(String),
    /// The name is empty or contains what the database cannot store.
    #[error("a workspace's name must not be empty nor hold a NUL")]
    InvalidName,
    /// The database failed.
    #[error("cannot open a workspace")]
    Database(#[from] sqlx::Error),
}

/// An error of loading a stream.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An event of the stream is unreadable.
    #[error("event {sequence} of stream {stream_id} cannot be read")]
    Event {
        /// The stream.
        stream_id: String,
        /// The event's sequence in the stream.
        sequence: i64,
        /// The cause.
        #[source]
        source: crate::codec::DecodeError,
    },
    /// The database failed.
    #[error("cannot load the stream {stream_id}")]
    Database {
        /// The stream.
        stream_id: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
