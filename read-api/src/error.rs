//! Why a request is not answered, and the problem that says so.

use std::error::Error;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use domain::observation::Dimension;
use http_edge::consistency::ConsistencyTokenError;
use http_edge::json::JsonError;
use http_edge::problem::kinds::INVALID_QUERY;
use http_edge::problem::{FieldError, Problem};
use sqlx::error::DatabaseError;

use crate::problems;
use crate::report::{MAX_SUBTOTALS, MAX_SUMS};
use crate::response::FreshnessHeaders;

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("refused by the edge: {0:?}")]
    Edge(Problem),
    #[error("the query is not valid")]
    Query(Vec<FieldError>),
    #[error("one of several requests is not what it should be: {0:?}")]
    MalformedPart(JsonError),
    #[error("there is no such thing in this workspace, as it stands")]
    NotFound(Box<FreshnessHeaders>),
    #[error(transparent)]
    ConsistencyToken(ConsistencyTokenError),
    #[error("the consistency token belongs to another workspace")]
    ForeignConsistencyToken,
    #[error("position {asked} is past the head {head}")]
    UnknownPosition { asked: i64, head: i64 },
    #[error("position {asked} is not applied yet: {applied} is")]
    NotYetVisible { asked: i64, applied: i64 },
    #[error("the answer would lag by {lag}")]
    StalenessBoundUnmet { lag: TimeDelta },
    #[error("the read model is being built")]
    Building,
    #[error("the cursor is none of ours")]
    CursorMalformed,
    #[error("the cursor belongs to another query")]
    CursorMismatch,
    #[error("the cursor belongs to a read model that is gone")]
    CursorExpired,
    #[error("the report adds up to too many numbers")]
    ReportTooLarge,
    #[error("the report tells too many subtotals")]
    TooManySubtotals,
    #[error("the report crosses dimensions: {dimensions:?}")]
    DimensionCombination { dimensions: Vec<Dimension> },
    #[error("the report takes too long")]
    TooSlow(#[source] sqlx::Error),
    #[error("the database cannot be asked")]
    Database(#[source] sqlx::Error),
    #[error("a read table holds what no projection writes")]
    Corrupt(#[source] Box<dyn Error + Send + Sync>),
}

impl ReadError {
    /// A read table holds what no projection writes.
    pub(crate) fn corrupt(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Corrupt(error.into())
    }

    /// Whether it is about what was asked, and not about who can be asked now.
    pub(crate) fn is_client_error(&self) -> bool {
        match self {
            Self::Query(_)
            | Self::MalformedPart(_)
            | Self::CursorMalformed
            | Self::CursorMismatch
            | Self::CursorExpired
            | Self::ReportTooLarge
            | Self::TooManySubtotals
            | Self::DimensionCombination { .. } => true,
            Self::Edge(_)
            | Self::NotFound(_)
            | Self::ConsistencyToken(_)
            | Self::ForeignConsistencyToken
            | Self::UnknownPosition { .. }
            | Self::NotYetVisible { .. }
            | Self::StalenessBoundUnmet { .. }
            | Self::Building
            | Self::TooSlow(_)
            | Self::Database(_)
            | Self::Corrupt(_) => false,
        }
    }

    /// One wrong field of the query.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::Query(vec![FieldError { field: field.to_owned(), detail: detail.into() }])
    }
}

impl From<Problem> for ReadError {
    fn from(problem: Problem) -> Self {
        Self::Edge(problem)
    }
}

impl From<sqlx::Error> for ReadError {
    fn from(error: sqlx::Error) -> Self {
        // query_canceled: what statement_timeout does.
        let timed_out = error.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "57014");
        if timed_out { Self::TooSlow(error) } else { Self::Database(error) }
    }
}

/// Whether asking again may help: the server, the network or the pool is at fault, not the query.
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

impl From<ReadError> for Problem {
    fn from(refusal: ReadError) -> Self {
        let soon = |kind| Problem::new(kind).retry_after(Duration::from_secs(1));
        match refusal {
            ReadError::Edge(problem) => problem,
            ReadError::Query(errors) => errors
                .into_iter()
                .fold(Problem::new(INVALID_QUERY), |problem, FieldError { field, detail }| problem.field(field, detail)),
            ReadError::MalformedPart(error) => error.into(),
            ReadError::NotFound(_) => Problem::not_found(),
            ReadError::ConsistencyToken(error) => {
                Problem::new(problems::INVALID_CONSISTENCY_TOKEN).detail(error.to_string())
            }
            ReadError::ForeignConsistencyToken => {
                Problem::new(problems::INVALID_CONSISTENCY_TOKEN).detail("It was handed out for another workspace.")
            }
            ReadError::UnknownPosition { asked, head } => {
                Problem::new(problems::UNKNOWN_POSITION)
.detail(format!("Position {asked} was asked for, and the log's last is {head}.")).extension("asked", asked).extension("head", head)
            }
            ReadError::NotYetVisible { asked, applied } => {
                soon(problems::NOT_YET_VISIBLE).detail(format!("Position {asked} was asked for, and the answer would hold the log up to {applied}.")).extension("asked", asked).extension("applied", applied)
            }
            ReadError::StalenessBoundUnmet { lag } => {
                soon(problems::STALENESS_BOUND_UNMET).detail(format!("It would lag by {} ms.", lag.num_milliseconds())).extension("lag_ms", lag.num_milliseconds())
            }
            ReadError::Building => Problem::new(problems::BUILDING)
                .detail("GET /v1/freshness tells how far it is.")
                .retry_after(Duration::from_secs(10)),
            ReadError::CursorMalformed => Problem::new(INVALID_QUERY)
                .field("cursor", "is no cursor; pass on next_cursor as it was received"),
            ReadError::CursorMismatch => Problem::new(problems::CURSOR_MISMATCH)
                .detail("Send the same query with it that it came from, or none."),
            ReadError::CursorExpired => Problem::new(problems::CURSOR_EXPIRED)
                .detail("The read model was rebuilt since. Begin again without a cursor."),
            ReadError::ReportTooLarge => Problem::new(problems::REPORT_TOO_LARGE).detail(format!(
                "It would add up to more than {MAX_SUMS} numbers. Ask for fewer measures or groups, coarser buckets, or a shorter range."
            )),
            ReadError::TooManySubtotals => Problem::new(problems::REPORT_TOO_LARGE).detail(format!(
                "It would tell more than {MAX_SUBTOTALS} subtotals. Filter more, or ask for rows by that key alone, which have pages."
            )),
            ReadError::DimensionCombination { dimensions } => {
                let names: Vec<_> = dimensions.iter().map(|dimension| dimension.name()).collect();
                Problem::new(problems::DIMENSION_COMBINATION)
                    .detail(format!(
                        "The query names {}. Group by and filter on one of them, or ask for a report by each.",
                        names.join(" and ")
                    ))
                    .extension("dimensions", names)
            }
            ReadError::TooSlow(error) => soon(problems::REPORT_TOO_SLOW)
                .detail("The database's work was cancelled. Ask for a shorter range, coarser buckets, fewer groups or a narrower filter.")
                .with_source(error),
            ReadError::Database(error) if is_transient(&error) => Problem::unavailable(error),
            ReadError::Database(error) => Problem::internal(error),
            ReadError::Corrupt(error) => Problem::internal(error),
        }
    }
}

impl IntoResponse for ReadError {
    fn into_response(self) -> Response {
        let standing = if let Self::NotFound(standing) = &self { Some(standing.clone()) } else { None };
        let mut response = Problem::from(self).into_response();
        if let Some(standing) = standing {
            standing.write(response.headers_mut());
        }
        response
    }
}
