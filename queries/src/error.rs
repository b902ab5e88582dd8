//! Why a query has no result.

use std::error::Error;

use chrono::TimeDelta;
use domain::observation::Dimension;
use sqlx::error::DatabaseError;

use crate::fields::FieldError;
use crate::status::ReadStatus;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the query is not valid: {0:?}")]
    Query(Vec<FieldError>),
    /// One of several queries could not be parsed. The caller of this crate gives the text of its refusal.
    #[error("one of several queries could not be read: {0}")]
    Unreadable(Box<str>),
    /// The resource does not exist in this workspace, at the position of the status.
    #[error("there is no such thing in this workspace")]
    NotFound(Box<ReadStatus>),
    #[error("position {requested} is past the head {head}")]
    UnknownPosition { requested: i64, head: i64 },
    /// The caller has seen an event that the log does not hold: it was restored from a backup since.
    #[error("the event that was seen at position {position} is not in the log")]
    LogRestored { position: i64 },
    #[error("position {requested} is not applied yet: {applied} is")]
    NotYetVisible { requested: i64, applied: i64 },
    #[error("the answer would lag by {lag}")]
    StalenessBoundUnmet { lag: TimeDelta },
    #[error("the read model is being built")]
    Building,
    #[error("the cursor is malformed")]
    CursorMalformed,
    #[error("the cursor belongs to another query")]
    CursorMismatch,
    #[error("the cursor belongs to a read model that is gone")]
    CursorExpired,
    #[error("the report adds up more than {limit} numbers")]
    ReportTooLarge { limit: usize },
    #[error("the report has more than {limit} subtotals")]
    TooManySubtotals { limit: usize },
    #[error("the report crosses dimensions: {dimensions:?}")]
    DimensionCombination { dimensions: Vec<Dimension> },
    #[error("the report takes too long")]
    TooSlow(#[source] sqlx::Error),
    #[error("the database cannot be queried")]
    Database(#[source] sqlx::Error),
    #[error("a read table holds what no projection writes")]
    Corrupt(#[source] Box<dyn Error + Send + Sync>),
}

impl ReadError {
    /// A read table holds what no projection writes.
    pub fn corrupt(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt(error.into())
    }

    /// One wrong field of the query.
    pub fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::Query(vec![FieldError { field: field.to_owned(), detail: detail.into() }])
    }

    /// Whether the query is at fault, not the state of the system.
    pub fn is_client_error(&self) -> bool {
        match self {
            Self::Query(_)
            | Self::Unreadable(_)
            | Self::CursorMalformed
            | Self::CursorMismatch
            | Self::CursorExpired
            | Self::ReportTooLarge { .. }
            | Self::TooManySubtotals { .. }
            | Self::DimensionCombination { .. } => true,
            Self::NotFound(_)
            | Self::UnknownPosition { .. }
            | Self::LogRestored { .. }
            | Self::NotYetVisible { .. }
            | Self::StalenessBoundUnmet { .. }
            | Self::Building
            | Self::TooSlow(_)
            | Self::Database(_)
            | Self::Corrupt(_) => false,
        }
    }

    /// Whether the same query may have a result soon, although the database could not be queried now.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooSlow(error) | Self::Database(error) => is_transient(error),
            _ => false,
        }
    }
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        // query_canceled: what statement_timeout does.
        let timed_out = error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "57014");
        if timed_out { Self::TooSlow(error) } else { Self::Database(error) }
    }
}

/// Whether a retry may help: the server, the network or the pool is at fault, not the query.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        // Connection exceptions, insufficient resources, operator intervention.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}
