//! Errors of reads, and their problems.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http_edge::problem::Problem;
use http_edge::problem::kinds::INVALID_QUERY;
use queries::fields::FieldError;
use queries::{ReadError, ReadStatus};

use crate::problems;
use crate::response::write_status;

/// The error of a read.
#[derive(Debug)]
pub(crate) struct ApiError {
    problem: Problem,
    /// The state of the read model in which a resource was not found.
    status: Option<Box<ReadStatus>>,
}

impl ApiError {
    /// An error in one field of the query.
    pub(crate) fn field(field: &str, detail: impl Into<String>) -> Self {
        Problem::new(INVALID_QUERY).field(field, detail).into()
    }

    /// An invalid consistency token.
    pub(crate) fn consistency_token(detail: impl Into<String>) -> Self {
        Problem::new(problems::INVALID_CONSISTENCY_TOKEN).detail(detail).into()
    }

    /// An error that must not happen.
    pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Problem::internal(error).into()
    }

    pub(crate) fn into_problem(self) -> Problem {
        self.problem
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { problem, status: None }
    }
}

impl From<serde_json::Error> for ApiError {
    /// The values are the program's own, so they always serialise.
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound(status) => Self { problem: Problem::not_found(), status: Some(status) },
            ReadError::TooSlow(error) => soon(problems::REPORT_TOO_SLOW)
                .detail(
                    "The database's work was cancelled. Ask for a shorter range, coarser buckets, fewer groups or a \
                     narrower filter.",
                )
                .with_source(error)
                .into(),
            ReadError::Database(_) if error.is_transient() => Problem::unavailable(error).into(),
            ReadError::Database(_) | ReadError::Corrupt(_) => Problem::internal(error).into(),
            other => problem(&other).into(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(status) = self.status {
            write_status(&status, response.headers_mut());
        }
        response
    }
}

fn soon(kind: &'static http_edge::problem::ProblemType) -> Problem {
    Problem::new(kind).retry_after(Duration::from_secs(1))
}

/// The problem of an error. It reveals nothing internal.
pub(crate) fn problem(error: &ReadError) -> Problem {
    match error {
        ReadError::Query(errors) => {
            errors.iter().fold(Problem::new(INVALID_QUERY), |problem, FieldError { field, detail }| {
                problem.field(field.clone(), detail.clone())
            })
        }
        ReadError::Unreadable(why) => Problem::new(INVALID_QUERY).detail(why.to_string()),
        ReadError::NotFound(_) => Problem::not_found(),
        ReadError::UnknownPosition { requested, head } => Problem::new(problems::UNKNOWN_POSITION)
            .detail(format!("Position {requested} is required, and the log's last position is {head}."))
            .extension("asked", *requested)
            .extension("head", *head),
        ReadError::LogRestored { position } => Problem::new(problems::LOG_RESTORED)
            .detail(format!("The event at position {position} that it rests on is not in the log any more."))
            .extension("reset", "restored")
            .extension("asked", *position),
        ReadError::NotYetVisible { requested, applied } => soon(problems::NOT_YET_VISIBLE)
            .detail(format!("Position {requested} is required, and the log is applied up to {applied}."))
            .extension("asked", *requested)
            .extension("applied", *applied),
        ReadError::StalenessBoundUnmet { lag } => soon(problems::STALENESS_BOUND_UNMET)
            .detail(format!("It would lag by {} ms.", lag.num_milliseconds()))
            .extension("lag_ms", lag.num_milliseconds()),
        ReadError::Building => Problem::new(problems::BUILDING)
            .detail("GET /v1/freshness shows the progress.")
            .retry_after(Duration::from_secs(10)),
        ReadError::CursorMalformed => {
            Problem::new(INVALID_QUERY).field("cursor", "is not a cursor; send `next_cursor` as it was received")
        }
        ReadError::CursorMismatch => Problem::new(problems::CURSOR_MISMATCH)
            .detail("Send the cursor with the query that it came from, or send no cursor."),
        ReadError::CursorExpired => Problem::new(problems::CURSOR_EXPIRED)
            .detail("The read model was rebuilt since then. Start again without a cursor."),
        ReadError::ReportTooLarge { limit } => Problem::new(problems::REPORT_TOO_LARGE).detail(format!(
            "It would add up to more than {limit} numbers. Ask for fewer measures or groups, coarser buckets, or a \
             shorter range."
        )),
        ReadError::TooManySubtotals { limit } => Problem::new(problems::REPORT_TOO_LARGE).detail(format!(
            "It would have more than {limit} subtotals. Filter more, or group by that key alone and use pages."
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
        ReadError::TooSlow(_) | ReadError::Database(_) | ReadError::Corrupt(_) => {
            Problem::internal("an error of the system is answered with its cause")
        }
    }
}
