//! Errors to problems: the one place that decides which.

pub(crate) mod kinds; // the problem types that only commands have
pub(crate) mod rules; // the rules of the domain, as problem types

use std::time::Duration;

use domain::event::DecodeError;
use domain::source::SourceKind;
use event_store::{AppendError, LoadError};
use http_edge::problem::Problem;
use http_edge::problem::kinds::INVALID_BODY;

use crate::error::CommandError;
use crate::idempotency::IdempotencyKeyError;
use crate::item_error::truncate;
use crate::outcome::DomainRejection;
use crate::precondition::IfMatchError;

/// When to try again what was refused for load.
const SOON: Duration = Duration::from_secs(1);

impl From<CommandError> for Problem {
    fn from(failure: CommandError) -> Self {
        match failure {
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
            CommandError::Limited(problem) => problem,
            CommandError::KeyReused => key_reused(),
            CommandError::SourceNameTaken { name, field } => Problem::new(kinds::SOURCE_NAME_TAKEN)
                .detail(format!("The source \"{}\" is registered with another {field}.", truncate(&name)))
                .field(field, "differs from what is registered under this name"),
            CommandError::ExternalIdTaken { id } => Problem::new(kinds::EXTERNAL_ID_TAKEN)
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
            CommandError::BatchSize { field, count, most } => {
                Problem::new(kinds::BATCH_SIZE).field(field, format!("has {count} items, but 1 to {most} are taken"))
            }
            CommandError::Invalid { field, detail } => Problem::new(INVALID_BODY).field(field, detail),
            CommandError::Append(error) => error.into_problem(),
            CommandError::Load(error) => error.into_problem(),
            CommandError::Database(error) => Problem::unavailable(error),
            CommandError::UnreadableEvent { ref source, .. } if source.requires_newer_version() => {
                Problem::unavailable(failure)
            }
            CommandError::BadClaim { .. }
            | CommandError::BadEvent { .. }
            | CommandError::UnreadableEvent { .. }
            | CommandError::BadReceipt { .. }
            | CommandError::Encoding(_) => Problem::internal(failure),
        }
    }
}

/// An error of another crate as a problem.
trait IntoProblem {
    fn into_problem(self) -> Problem;
}

impl IntoProblem for AppendError {
    fn into_problem(self) -> Problem {
        match self {
            // These are retried where they can be met; one that comes here was met too often.
            AppendError::Version { .. } | AppendError::Claim { .. } | AppendError::Item => {
                CommandError::Contended.into()
            }
            AppendError::ReceiptMismatch => key_reused(),
            AppendError::Invalid(_) => Problem::internal(self),
            AppendError::Overloaded => Problem::overloaded(),
            AppendError::ShuttingDown | AppendError::Unavailable(_) => Problem::unavailable(self),
        }
    }
}

impl IntoProblem for LoadError {
    fn into_problem(self) -> Problem {
        match self {
            // While processes are upgraded one after the other, another one may answer.
            LoadError::Event { source: event_store::DecodeError::Upcast(ref why), .. }
                if why.downcast_ref().is_some_and(DecodeError::requires_newer_version) =>
            {
                Problem::unavailable(self)
            }
            LoadError::Event { .. } => Problem::internal(self),
            LoadError::Database { .. } => Problem::unavailable(self),
        }
    }
}

impl From<&DomainRejection> for Problem {
    fn from(refused: &DomainRejection) -> Self {
        let problem =
            Problem::new(rules::of_code(&refused.code)).with_code(refused.code.clone()).detail(refused.detail.clone());
        match &refused.field {
            Some(field) => problem.field(field.clone(), refused.detail.clone()),
            None => problem,
        }
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

impl From<IfMatchError> for Problem {
    fn from(error: IfMatchError) -> Self {
        Problem::new(kinds::INVALID_IF_MATCH).field("If-Match", error.to_string())
    }
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
