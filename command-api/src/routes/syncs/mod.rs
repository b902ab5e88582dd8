//! Syncs: a source says how its runs go.

use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::bucket::{Grain, is_in_range};
use domain::ids::SourceId;
use domain::sync::{STREAM_TYPE, SyncEvent};
use event_store::{AppendRequest, ClaimEffect, ExpectedVersion, NewEvent, Payload};
use http::StatusCode;
use http_edge::path::ApiPath;
use http_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resolved_refs::ResolvedSource;
use super::time::{SKEW, to_millis};
use crate::claims::SOURCE_NAME;
use crate::command::{CommandContext, JsonCommand};
use crate::error::CommandError;
use crate::execute::{self, ATTEMPTS, AppendAttempt};
use crate::outcome::{CommandResult, Outcome};
use crate::problems::kinds::SyncProblems;
use crate::response::{CommandResponse, rejection_or_corrupt_receipt};
use crate::state::ApiState;

const LONGEST_REASON: usize = 500;

/// How a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SyncStatus {
    /// It has started.
    Started,
    /// It ended well.
    Completed,
    /// It ended otherwise.
    Failed,
}

/// What a source says of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "completed", "complete_through": "2026-11-21T22:00:00Z", "grain": "hour"}))]
pub(crate) struct RecordSync {
    /// How it goes.
    status: SyncStatus,
    /// With `completed`: everything before this instant is there.
    #[serde(default)]
    complete_through: Option<DateTime<Utc>>,
    /// With `completed`: the steps in which completeness moves, `15m` (if left out), `hour` or `day`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    grain: Option<Grain>,
    /// With `failed`: why, in 1 to 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// A sync that is noted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"position": 18342}))]
pub(crate) struct SyncAnswer {
    /// The log's position that covers it.
    position: i64,
}

/// Say how a source's run goes
#[utoipa::path(
    post,
    path = "/v1/sources/{name}/syncs",
    operation_id = "note_sync",
    tag = "sources",
    request_body = RecordSync,
    params(
        ("name" = String, Path, description = "The source", example = "google_ads"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "Noted", body = SyncAnswer, headers(
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        SyncProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    command: JsonCommand,
) -> Result<CommandResponse, Problem> {
    let body: RecordSync = command.body()?;
    let caller = &command.caller;
    let said = body.check(caller.received_at)?;
    let done = execute(&state, caller, &name, &said).await?;
    match done.outcome {
        Outcome::SyncRecorded => {
            Ok(CommandResponse::new(StatusCode::OK, caller, &done, &SyncAnswer { position: done.position }))
        }
        Outcome::Created(_)
        | Outcome::Changed(_)
        | Outcome::Registered(_)
        | Outcome::AlreadyRegistered(_)
        | Outcome::BatchProcessed(_)
        | Outcome::Refused(_) => rejection_or_corrupt_receipt(caller, &done),
    }
}

#[tracing::instrument(
    skip_all,
    fields(workspace = %caller.workspace(), source.name = name, correlation_id = caller.correlation_id())
)]
async fn execute(
    state: &ApiState,
    caller: &CommandContext,
    name: &str,
    said: &ValidSync,
) -> Result<CommandResult, CommandError> {
    let _turn = execute::admit(state, caller)?;
    if let Some(done) = execute::find_previous_result(state, caller).await? {
        return Ok(done);
    }
    for attempt in 0..ATTEMPTS {
        execute::backoff(attempt).await;
        let mut lookup = execute::lookup(state, caller, attempt);
        let source = ResolvedSource::find(&mut lookup, name).await?.ok_or(CommandError::NotFound)?;
        execute::check_source_rate(state, caller, source.id, 1, attempt)?;
        let event = said.event(source.id, caller.received_at);
        let request = AppendRequest {
            workspace: caller.principal.workspace,
            stream_type: STREAM_TYPE,
            stream_id: source.id.stream(caller.workspace()),
            expected: ExpectedVersion::Any,
            events: vec![NewEvent {
                event_type: event.kind().name.to_owned(),
                event_version: event.kind().version().to_string(),
                payload: Payload::Json(serde_json::to_string(&event).map_err(CommandError::encoding)?),
            }],
            metadata: caller.metadata(),
            claims: vec![lookup.assert(SOURCE_NAME, name, ClaimEffect::Keep)],
            item_preconditions: Vec::new(),
            receipt: caller.receipt(&Outcome::SyncRecorded)?,
            recorded_at: state.clock.now(),
        };
        match execute::append(state, request).await? {
            AppendAttempt::Committed(appended) => {
                return CommandResult::appended(Outcome::SyncRecorded, appended, caller.key());
            }
            AppendAttempt::Conflicted(_) => {}
        }
    }
    Err(CommandError::Contended)
}

/// A sync whose members agree with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ValidSync {
    Started,
    Completed { complete_through: DateTime<Utc>, grain: Grain },
    Failed { reason: String },
}

impl RecordSync {
    fn check(self, now: DateTime<Utc>) -> Result<ValidSync, CommandError> {
        let stray = |field, given: bool, belongs_to: &str| {
            let detail = format!("belongs to status {belongs_to}");
            if given { Err(CommandError::Invalid { field, detail }) } else { Ok(()) }
        };
        if self.status != SyncStatus::Completed {
            stray("complete_through", self.complete_through.is_some(), "completed")?;
            stray("grain", self.grain.is_some(), "completed")?;
        }
        if self.status != SyncStatus::Failed {
            stray("reason", self.reason.is_some(), "failed")?;
        }
        match self.status {
            SyncStatus::Started => Ok(ValidSync::Started),
            SyncStatus::Completed => {
                let complete_through = complete_through(self.complete_through, now)?;
                Ok(ValidSync::Completed { complete_through, grain: self.grain.unwrap_or(Grain::QuarterHour) })
            }
            SyncStatus::Failed => Ok(ValidSync::Failed { reason: reason(self.reason)? }),
        }
    }
}

fn complete_through(given: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<DateTime<Utc>, CommandError> {
    let refuse = |detail: &str| CommandError::Invalid { field: "complete_through", detail: detail.to_owned() };
    let complete_through = given.ok_or_else(|| refuse("is needed with status completed"))?;
    if complete_through > now + SKEW {
        return Err(refuse("lies ahead of this server's clock"));
    }
    if !is_in_range(complete_through.date_naive()) {
        return Err(refuse("must lie in the years 1970 to 2199"));
    }
    Ok(to_millis(complete_through))
}

fn reason(given: Option<String>) -> Result<String, CommandError> {
    let refuse = |detail: String| CommandError::Invalid { field: "reason", detail };
    let reason = given.ok_or_else(|| refuse("is needed with status failed".to_owned()))?;
    let length = reason.chars().count();
    let control = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if reason.trim().is_empty() || length > LONGEST_REASON || reason.contains(control) {
        return Err(refuse(format!("must be 1 to {LONGEST_REASON} characters, none a control character")));
    }
    Ok(reason)
}

impl ValidSync {
    fn event(&self, source: SourceId, at: DateTime<Utc>) -> SyncEvent {
        match self {
            Self::Started => SyncEvent::SyncStarted { source, at },
            Self::Completed { complete_through, grain } => {
                SyncEvent::SyncCompleted { source, at, complete_through: *complete_through, grain: *grain }
            }
            Self::Failed { reason } => SyncEvent::SyncFailed { source, at, reason: reason.clone() },
        }
    }
}

#[cfg(test)]
mod tests;
