//! Sources: connectors' feeds, registered by name.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::channel::Channel;
use domain::ids::SourceId;
use domain::money::Currency;
use domain::source::{
    STREAM_TYPE, Source, SourceCommand, SourceDefinition, SourceDetails, SourceError, SourceEvent, SourceKind,
    SourceRole, decide,
};
use domain::zone::Zone;
use event_store::{AppendRequest, Claim, ClaimEffect, ExpectedVersion, NewEvent, Payload};
use http::StatusCode;
use http_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::resolved_refs::ResolvedSource;
use crate::claims::{self, ClaimReader, SOURCE_NAME};
use crate::command::{CommandContext, JsonCommand};
use crate::error::CommandError;
use crate::execute::{self, ATTEMPTS, AppendAttempt};
use crate::ids;
use crate::outcome::{CommandResult, DomainRejection, Outcome};
use crate::problems::kinds::SourceProblems;
use crate::raw_number::UniqueKeys;
use crate::response::{CommandResponse, rejection_or_corrupt_receipt};
use crate::state::ApiState;

/// What a source is. Fixed once it is registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "google_ads",
    "channel": "paid_search",
    "kind": "pull",
    "role": "primary",
    "time_zone": "Europe/Berlin",
    "currency": "EUR",
    "expected_delay_s": 10_800,
    "restatement_horizon_s": 2_592_000
}))]
pub(crate) struct RegisterSource {
    /// One line of 1 to 100 characters, unique in the workspace.
    name: String,
    /// The channel that it reports on.
    #[schema(value_type = String)]
    channel: Channel,
    /// `push`: sends observations; `pull`: is asked for totals and sends statements.
    #[schema(value_type = String, example = "pull")]
    kind: SourceKind,
    /// `primary`: counts toward totals; `campaign_ref`: is shown beside them.
    #[schema(value_type = String, example = "primary")]
    role: SourceRole,
    /// Roles of single measures, where they differ.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    measure_roles: UniqueKeys<SourceRole>,
    /// The IANA zone of its days.
    #[schema(value_type = String)]
    time_zone: Zone,
    /// The currency of its money.
    #[schema(value_type = String)]
    currency: Currency,
    /// How long after a bucket closes its numbers usually arrive; at most 31 days.
    expected_delay_s: i64,
    /// How long after a bucket closes it may still change what it said; at most 400 days.
    restatement_horizon_s: i64,
}

/// A source that is registered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "source_id": "0195d2f4-6c11-7be4-8d02-9a4b1c7e5f30",
    "name": "google_ads",
    "version": 1,
    "position": 2
}))]
pub(crate) struct SourceAnswer {
    /// Its id.
    source_id: Uuid,
    /// Its name, by which batches and syncs refer to it.
    name: String,
    /// How many events it has.
    version: i64,
    /// The log's position that covers it.
    position: i64,
}

/// Register a source
///
/// The same definition again is answered with the source that has it (200); another one under a name that is taken is
/// refused (409) and names the first member that differs.
#[utoipa::path(
    post,
    path = "/v1/sources",
    operation_id = "register_source",
    tag = "sources",
    request_body = RegisterSource,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Registered", body = SourceAnswer, headers(
            ("Location" = String, description = "The source, below which its syncs are noted"),
            ("ETag" = String, description = "Its version"),
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        (status = 200, description = "Registered before, as the same", body = SourceAnswer, headers(
            ("ETag" = String, description = "Its version"),
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        SourceProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn register(State(state): State<ApiState>, command: JsonCommand) -> Result<CommandResponse, Problem> {
    let body: RegisterSource = command.body()?;
    let caller = &command.caller;
    let definition = body.into_definition()?;
    let name = definition.name.clone();
    let done = execute(&state, caller, definition).await?;
    answer(caller, name, &done)
}

#[tracing::instrument(
    skip_all,
    fields(workspace = %caller.workspace(), source.name = definition.name, correlation_id = caller.correlation_id())
)]
async fn execute(
    state: &ApiState,
    caller: &CommandContext,
    definition: SourceDefinition,
) -> Result<CommandResult, CommandError> {
    let _turn = execute::admit(state, caller)?;
    if let Some(done) = execute::find_previous_result(state, caller).await? {
        return Ok(done);
    }
    let new_id = SourceId(ids::at(caller.received_at));
    for attempt in 0..ATTEMPTS {
        execute::backoff(attempt).await;
        let mut lookup = execute::lookup(state, caller, attempt);
        let registered = ResolvedSource::find(&mut lookup, &definition.name).await?;
        let id = registered.as_ref().map_or(new_id, |known| known.id);
        let source = Source {
            details: registered.map(|known| SourceDetails { source: known.id, definition: known.definition }),
        };
        let version = i64::from(source.details.is_some());
        let command = SourceCommand::Register { source: id, definition: definition.clone(), at: caller.received_at };
        let (outcome, events) = match decide(&source, command) {
            Ok(events) if events.is_empty() => (Outcome::AlreadyRegistered(id), events),
            Ok(events) => (Outcome::Registered(id), events),
            Err(SourceError::ConflictingDefinition { field }) => {
                return Err(CommandError::SourceNameTaken { name: definition.name, field });
            }
            Err(
                error @ (SourceError::Name(_)
                | SourceError::ExpectedDelay { .. }
                | SourceError::RestatementHorizon { .. }),
            ) => (Outcome::Refused(DomainRejection::from(error)), Vec::new()),
        };
        if matches!(outcome, Outcome::Refused(_)) && caller.idempotency.is_none() {
            return Ok(CommandResult::nothing(outcome, version));
        }
        let request = AppendRequest {
            workspace: caller.principal.workspace,
            stream_type: STREAM_TYPE,
            stream_id: id.stream(caller.workspace()),
            expected: ExpectedVersion::Exact(version),
            claims: claims(&lookup, id, &definition.name, &events)?,
            events: events.iter().map(new_event).collect::<Result<_, _>>()?,
            metadata: caller.metadata(),
            item_preconditions: Vec::new(),
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match execute::append(state, request).await? {
            AppendAttempt::Committed(appended) => return CommandResult::appended(outcome, appended, caller.key()),
            AppendAttempt::Conflicted(_) => {}
        }
    }
    Err(CommandError::Contended)
}

/// Takes the name for a source that is new, and asserts that it is still as it was seen for one that is not.
fn claims(
    lookup: &ClaimReader<'_>,
    id: SourceId,
    name: &str,
    events: &[SourceEvent],
) -> Result<Vec<Claim>, CommandError> {
    let mut claims = Vec::new();
    for event in events {
        let SourceEvent::SourceRegistered { definition, .. } = event;
        let state = serde_json::to_string(definition).map_err(CommandError::encoding)?;
        claims.push(claims::take(SOURCE_NAME, definition.name.clone(), &id.to_string(), &state));
    }
    if events.is_empty() && lookup.held(SOURCE_NAME, name).is_some() {
        claims.push(lookup.assert(SOURCE_NAME, name, ClaimEffect::Keep));
    }
    Ok(claims)
}

fn new_event(event: &SourceEvent) -> Result<NewEvent, CommandError> {
    Ok(NewEvent {
        event_type: cqrs_es::DomainEvent::event_type(event),
        event_version: cqrs_es::DomainEvent::event_version(event),
        payload: Payload::Json(serde_json::to_string(event).map_err(CommandError::encoding)?),
    })
}

fn answer(caller: &CommandContext, name: String, done: &CommandResult) -> Result<CommandResponse, Problem> {
    let (status, id) = match done.outcome {
        Outcome::Registered(id) => (StatusCode::CREATED, id),
        Outcome::AlreadyRegistered(id) => (StatusCode::OK, id),
        Outcome::Created(_)
        | Outcome::Changed(_)
        | Outcome::SyncRecorded
        | Outcome::BatchProcessed(_)
        | Outcome::Refused(_) => {
            return rejection_or_corrupt_receipt(caller, done);
        }
    };
    let location = format!("/v1/sources/{}", path_segment(&name));
    let body = SourceAnswer { source_id: id.0, name, version: done.version, position: done.position };
    let answer = CommandResponse::new(status, caller, done, &body).with_version(done.version);
    Ok(if status == StatusCode::CREATED { answer.with_location(&location) } else { answer })
}

/// A name as a part of a path: all but the unreserved characters of RFC 3986 escaped.
fn path_segment(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

impl RegisterSource {
    fn into_definition(self) -> Result<SourceDefinition, CommandError> {
        let mut measure_roles = BTreeMap::new();
        for (name, role) in self.measure_roles.0 {
            let measure = name.parse().map_err(|error| CommandError::Invalid {
                field: "measure_roles",
                detail: format!("\"{name}\" {error}"),
            })?;
            measure_roles.insert(measure, role);
        }
        Ok(SourceDefinition {
            // The rules drop white space around a name; its claim is looked up before they are asked.
            name: self.name.trim().to_owned(),
            channel: self.channel,
            kind: self.kind,
            role: self.role,
            measure_roles,
            time_zone: self.time_zone,
            currency: self.currency,
            expected_delay_s: self.expected_delay_s,
            restatement_horizon_s: self.restatement_horizon_s,
        })
    }
}
