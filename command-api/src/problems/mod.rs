//! The mapping of errors to problems.

pub(crate) mod kinds; // the problem types that only commands have
pub(crate) mod rules; // the rules of the domain as problem types

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use commands::{CommandError, DomainRejection};
use domain::item::truncate;
use domain::source::SourceKind;
use http_edge::limit::rate_limited;
use http_edge::problem::Problem;
use http_edge::problem::kinds::INVALID_BODY;

use crate::idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKeyError, REPLAYED};
use crate::precondition::IfMatchError;

/// The `Retry-After` of a rejection for a race or for load.
const SOON: Duration = Duration::from_secs(1);

/// What a caller does who does not know whether the command was carried out.
const SEND_IT_AGAIN: &str =
    "It may have been carried out. Send it again with the same Idempotency-Key and the same ids.";

/// The error of a route, answered as a problem.
#[derive(Debug)]
pub(crate) struct RouteError(Problem);

impl From<Problem> for RouteError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<RouteError> for Problem {
    fn from(RouteError(problem): RouteError) -> Self {
        problem
    }
}

impl IntoResponse for RouteError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<CommandError> for RouteError {
    fn from(error: CommandError) -> Self {
        Self(match error {
            CommandError::Rejected { rejection, replayed } => {
                let problem = of_rejection(rejection);
                if replayed { problem.header(IDEMPOTENCY_REPLAYED, REPLAYED) } else { problem }
            }
            CommandError::NotFound => Problem::not_found(),
            CommandError::VersionMismatch { actual } => Problem::new(kinds::VERSION_MISMATCH)
                .detail(format!("It is at version {actual}. Read it again and decide anew."))
                .extension("version", actual),
            CommandError::Contended => Problem::new(kinds::CONCURRENT_CHANGE)
                .detail("Nothing was done. Send the request again.")
                .retry_after(SOON),
            CommandError::InFlight => Problem::new(kinds::REQUEST_IN_FLIGHT)
                .detail("Another request with this Idempotency-Key is not answered yet. Send this one again later.")
                .retry_after(SOON),
            CommandError::RateLimited(status) => rate_limited(&status),
            CommandError::Overloaded => Problem::overloaded(),
            CommandError::KeyReused => key_reused(),
            CommandError::SourceNameTaken { name, field } => Problem::new(kinds::SOURCE_NAME_TAKEN)
                .detail(format!("The source \"{}\" is registered with another {field}.", truncate(&name)))
                .field(field, "differs from what is registered under this name"),
            CommandError::CompletenessMovesBack { through } => Problem::new(kinds::COMPLETENESS_MOVES_BACK)
                .detail(format!("The source is complete through {}.", instant(through)))
                .extension("complete_through", instant(through))
                .field("complete_through", "lies before what the source said earlier"),
            CommandError::NotCompleteThrough { through } => {
                let holds = through.map_or_else(|| "nothing yet".to_owned(), instant);
                Problem::new(kinds::NOT_COMPLETE_THROUGH)
                    .field("complete_through", format!("lies after what the source is complete through: {holds}"))
            }
            CommandError::ExternalIdTaken { id, campaign } => Problem::new(kinds::EXTERNAL_ID_TAKEN)
                .extension("campaign_id", campaign)
                .detail(format!("The external id \"{}\" belongs to another campaign.", truncate(&id)))
                .field("external_ids", format!("\"{}\" is taken", truncate(&id))),
            CommandError::UnknownSource { name } => {
                Problem::new(kinds::UNKNOWN_SOURCE).field("source", not_registered(&name))
            }
            CommandError::WrongSourceKind { name, kind } => {
                let (is, sends) = match kind {
                    SourceKind::Push => ("push", "observations"),
                    SourceKind::Pull => ("pull", "statements"),
                };
                Problem::new(kinds::WRONG_SOURCE_KIND)
                    .field("source", format!("\"{}\" is a {is} source: it sends {sends}", truncate(&name)))
            }
            CommandError::OtherChunk { name, number } => Problem::new(kinds::BACKFILL_CHUNK_TAKEN)
                .detail(format!("Chunk {number} of the backfill {name} was recorded with other content."))
                .field("chunk", "was recorded with other content: cut the file as before, or use another `backfill`"),
            CommandError::BackfillEdgeFixed { edge } => Problem::new(kinds::BACKFILL_EDGE_FIXED)
                .extension("before", instant(edge))
                .field("before", format!("is {} since the first chunk: say the same, or leave it out", instant(edge))),
            CommandError::BackfillEdgeTooLate { latest } => Problem::new(kinds::BACKFILL_EDGE_TOO_LATE).field(
                "before",
                format!(
                    "lies after {}, the start of the source's window: what is younger is plain ingest's",
                    instant(latest)
                ),
            ),
            CommandError::BatchSize { field, count, most } => {
                Problem::new(kinds::BATCH_SIZE).field(field, format!("has {count} items, but 1 to {most} are taken"))
            }
            CommandError::ReplacementTooLarge { most } => Problem::new(kinds::REPLACEMENT_TOO_LARGE)
                .detail("Nothing was done. Replace day by day, or some campaigns at a time.")
                .field("replace", format!("holds too much: at most {most} values are taken back")),
            CommandError::Invalid { field, detail } => Problem::new(INVALID_BODY).field(field, detail),
            CommandError::OutcomeUnknown => {
                Problem::new(kinds::OUTCOME_UNKNOWN).detail(SEND_IT_AGAIN).retry_after(SOON)
            }
            error if error.may_be_carried_out() => Problem::unavailable(error).detail(SEND_IT_AGAIN),
            error if error.is_unavailable() => Problem::unavailable(error),
            CommandError::Append(_)
            | CommandError::Load(_)
            | CommandError::Database(_)
            | CommandError::BadClaim { .. }
            | CommandError::BadEvent { .. }
            | CommandError::UnreadableEvent { .. }
            | CommandError::BadReceipt { .. }
            | CommandError::Encoding(_) => Problem::internal(error),
        })
    }
}

/// The problem of a rule of the domain.
fn of_rejection(rejection: DomainRejection) -> Problem {
    let DomainRejection { code, detail, field } = rejection;
    let problem = Problem::new(rules::of_code(&code)).with_code(code).detail(detail.clone());
    match field {
        Some(field) => problem.field(field, detail),
        None => problem,
    }
}

impl From<IdempotencyKeyError> for Problem {
    fn from(error: IdempotencyKeyError) -> Self {
        match error {
            IdempotencyKeyError::Repeated | IdempotencyKeyError::Malformed => {
                Problem::new(kinds::INVALID_IDEMPOTENCY_KEY).field("Idempotency-Key", error.to_string())
            }
        }
    }
}

impl From<IfMatchError> for RouteError {
    fn from(error: IfMatchError) -> Self {
        Self(Problem::new(kinds::INVALID_IF_MATCH).field("If-Match", error.to_string()))
    }
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn key_reused() -> Problem {
    Problem::new(kinds::IDEMPOTENCY_KEY_REUSED)
        .detail("A key stands for one method, path and body. Use a new key for a new request.")
}

fn not_registered(name: &str) -> String {
    format!("\"{}\" is not registered: POST /v1/sources first", truncate(name))
}

#[cfg(test)]
mod tests;
