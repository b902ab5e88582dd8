//! Outcomes as HTTP answers.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_edge::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};
use http_edge::problem::Problem;
use serde::Serialize;

use crate::command::CommandContext;
use crate::error::CommandError;
use crate::idempotency::IDEMPOTENCY_REPLAYED;
use crate::outcome::{CommandResult, Outcome};

/// An answer that covers a position of the caller's log.
#[derive(Debug)]
pub(crate) struct CommandResponse(Response);

impl CommandResponse {
    /// What was done, with a token that makes a read wait for it.
    pub(crate) fn new(
        status: StatusCode,
        caller: &CommandContext,
        done: &CommandResult,
        body: &impl Serialize,
    ) -> Self {
        let token = consistency_token(caller, done.position).header_value();
        Self((status, Json(body)).into_response()).with(CONSISTENCY_TOKEN, Some(token)).replayed(done)
    }

    /// What the rules did not allow.
    fn refused(problem: Problem, done: &CommandResult) -> Self {
        Self(problem.into_response()).replayed(done)
    }

    /// The version, as `If-Match` takes it.
    pub(crate) fn with_version(self, version: i64) -> Self {
        self.with(header::ETAG, HeaderValue::from_str(&format!("\"{version}\"")).ok())
    }

    /// Where the created thing is.
    pub(crate) fn with_location(self, path: &str) -> Self {
        self.with(header::LOCATION, HeaderValue::from_str(path).ok())
    }

    fn replayed(self, done: &CommandResult) -> Self {
        self.with(IDEMPOTENCY_REPLAYED, done.replayed.then(|| HeaderValue::from_static("true")))
    }

    fn with(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        if let Some(value) = value {
            self.0.headers_mut().insert(name, value);
        }
        self
    }
}

impl IntoResponse for CommandResponse {
    fn into_response(self) -> Response {
        self.0
    }
}

fn consistency_token(caller: &CommandContext, position: i64) -> ConsistencyToken {
    ConsistencyToken { workspace: caller.principal.workspace, position }
}

/// What makes a read wait for `position`, for an answer that has it in its body.
pub(crate) fn token(caller: &CommandContext, position: i64) -> String {
    consistency_token(caller, position).to_string()
}

/// The answer to an outcome that a route has none for: a refusal, or a receipt of another route.
pub(crate) fn rejection_or_corrupt_receipt(
    caller: &CommandContext,
    done: &CommandResult,
) -> Result<CommandResponse, Problem> {
    match &done.outcome {
        Outcome::Refused(refused) => Ok(CommandResponse::refused(Problem::from(refused), done)),
        Outcome::Created(_)
        | Outcome::Changed(_)
        | Outcome::Registered(_)
        | Outcome::AlreadyRegistered(_)
        | Outcome::SyncRecorded
        | Outcome::BatchProcessed(_) => {
            let key = caller.key().unwrap_or_default().to_owned();
            Err(CommandError::BadReceipt { key }.into())
        }
    }
}
