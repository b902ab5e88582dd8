//! Why the log did not do what it was asked.

use std::sync::Arc;

use crate::claims::StoredClaim;

/// Why a request was not appended. Nothing of it was written, except perhaps after [`AppendError::Unavailable`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream moved since the decision was made.
    #[error("the stream is at version {actual}")]
    Version {
        /// Where it is now.
        actual: i64,
    },
    /// A claim is not as the request asserts.
    #[error("the claim {kind} {key:?} is not as expected")]
    Claim {
        /// What is claimed.
        kind: &'static str,
        /// Which one of it.
        key: String,
        /// What is there now; `None` if nobody holds it.
        found: Option<Box<StoredClaim>>,
    },
    /// An item that the request rests on is not as it was seen: look again.
    #[error("an item is not as expected")]
    Item,
    /// The receipt's key was used before, with other content.
    #[error("the receipt's key was used with other content")]
    ReceiptMismatch,
    /// The request itself is wrong, and will be wrong again.
    #[error("invalid append: {0}")]
    Invalid(String),
    /// The queue is full: try later.
    #[error("too many appends are waiting")]
    Overloaded,
    /// This process is stopping: try another one.
    #[error("the log's writer is shutting down")]
    ShuttingDown,
    /// The database did not answer as it should. Whether the request was written is not known; a receipt makes it safe
    /// to send it again.
    #[error("the log is unavailable")]
    Unavailable(#[source] Arc<sqlx::Error>),
}

/// Why a workspace was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenWorkspaceError {
    /// Another workspace has this name.
    #[error("the name {0:?} is taken")]
    NameTaken(String),
    /// The name is empty or holds what the database cannot store.
    #[error("a workspace's name must not be empty nor hold a NUL")]
    InvalidName,
    /// The database did not answer as it should.
    #[error("cannot open a workspace")]
    Database(#[from] sqlx::Error),
}

/// Why a stream was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An event of the stream cannot be read.
    #[error("event {sequence} of stream {stream_id} cannot be read")]
    Event {
        /// The stream.
        stream_id: String,
        /// The event's version in it.
        sequence: i64,
        /// Why.
        #[source]
        source: crate::codec::DecodeError,
    },
    /// The database did not answer as it should.
    #[error("cannot load the stream {stream_id}")]
    Database {
        /// The stream.
        stream_id: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
