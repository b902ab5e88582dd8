//! Sources: connectors' feeds, registered by name.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::channel::Channel;
use domain::ids::SourceId;
use domain::money::Currency;
use domain::source::{
    Role, STREAM_TYPE, Source, SourceCommand, SourceDefinition, SourceDetails, SourceError, SourceEvent, SourceKind,
    decide,
};
use domain::zone::Zone;
use event_store::{AppendRequest, Claim, ExpectedVersion, NewEvent, Payload, Then};
use http::StatusCode;
use http_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::known::KnownSource;
use crate::answer::{Answer, otherwise};
use crate::claims::{self, Lookup, SOURCE_NAME};
use crate::command::{Caller, Command};
use crate::execute::{self, ATTEMPTS, Race};
use crate::failure::Failure;
use crate::ids;
use crate::outcome::{Done, Outcome, Refused};
use crate::problems::kinds::OfSources;
use crate::quantity::Unique;
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
    /// `primary`: counts toward totals; `reference`: is shown beside them.
    #[schema(value_type = String, example = "primary")]
    role: Role,
    /// Roles of single measures, where they differ.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    measure_roles: Unique<Role>,
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
        OfSources,
    ),
    security(("key" = []))
)]
pub(crate) async fn register(State(state): State<ApiState>, command: Command) -> Result<Answer, Problem> {
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
async fn execute(state: &ApiState, caller: &Caller, definition: SourceDefinition) -> Result<Done, Failure> {
    let _turn = execute::begin(state, caller)?;
    if let Some(done) = execute::earlier(state, caller).await? {
        return Ok(done);
    }
    let new_id = SourceId(ids::at(caller.received_at));
    for attempt in 0..ATTEMPTS {
        execute::pause(attempt).await;
        let mut lookup = execute::lookup(state, caller, attempt);
        let registered = KnownSource::find(&mut lookup, &definition.name).await?;
        let id = registered.as_ref().map_or(new_id, |known| known.id);
        let source = Source {
            details: registered.map(|known| SourceDetails { source: known.id, definition: known.definition }),
        };
        let version = i64::from(source.details.is_some());
        let command = SourceCommand::Register { source: id, definition: definition.clone(), at: caller.received_at };
        let (outcome, events) = match decide(&source, command) {
            Ok(events) if events.is_empty() => (Outcome::RegisteredBefore(id), events),
            Ok(events) => (Outcome::Registered(id), events),
            Err(SourceError::RegisteredOtherwise { field }) => {
                return Err(Failure::SourceNameTaken { name: definition.name, field });
            }
            Err(
                error @ (SourceError::Name(_)
                | SourceError::ExpectedDelay { .. }
                | SourceError::RestatementHorizon { .. }),
            ) => (Outcome::Refused(Refused::from(error)), Vec::new()),
        };
        if matches!(outcome, Outcome::Refused(_)) && caller.idempotency.is_none() {
            return Ok(Done::nothing(outcome, version));
        }
        let request = AppendRequest {
            workspace: caller.principal.workspace,
            stream_type: STREAM_TYPE,
            stream_id: id.stream(caller.workspace()),
            expected: ExpectedVersion::Exact(version),
            claims: claims(&lookup, id, &definition.name, &events)?,
            events: events.iter().map(new_event).collect::<Result<_, _>>()?,
            metadata: caller.metadata(),
            seen: Vec::new(),
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match execute::append(state, request).await? {
            Race::Won(appended) => return Done::appended(outcome, appended, caller.key()),
            Race::Lost(_) => {}
        }
    }
    Err(Failure::Contended)
}

/// Takes the name for a source that is new, and asserts that it is still as it was seen for one that is not.
fn claims(lookup: &Lookup<'_>, id: SourceId, name: &str, events: &[SourceEvent]) -> Result<Vec<Claim>, Failure> {
    let mut claims = Vec::new();
    for event in events {
        let SourceEvent::SourceRegistered { definition, .. } = event;
        let state = serde_json::to_string(definition).map_err(Failure::encoding)?;
        claims.push(claims::take(SOURCE_NAME, definition.name.clone(), &id.to_string(), &state));
    }
    if events.is_empty() && lookup.held(SOURCE_NAME, name).is_some() {
        claims.push(lookup.assert(SOURCE_NAME, name, Then::Keep));
    }
    Ok(claims)
}

fn new_event(event: &SourceEvent) -> Result<NewEvent, Failure> {
    Ok(NewEvent {
        event_type: cqrs_es::DomainEvent::event_type(event),
        event_version: cqrs_es::DomainEvent::event_version(event),
        payload: Payload::Json(serde_json::to_string(event).map_err(Failure::encoding)?),
    })
}

fn answer(caller: &Caller, name: String, done: &Done) -> Result<Answer, Problem> {
    let (status, id) = match done.outcome {
        Outcome::Registered(id) => (StatusCode::CREATED, id),
        Outcome::RegisteredBefore(id) => (StatusCode::OK, id),
        Outcome::Created(_) | Outcome::Changed(_) | Outcome::Noted | Outcome::Judged(_) | Outcome::Refused(_) => {
            return otherwise(caller, done);
        }
    };
    let location = format!("/v1/sources/{}", path_segment(&name));
    let body = SourceAnswer { source_id: id.0, name, version: done.version, position: done.position };
    let answer = Answer::new(status, caller, done, &body).with_version(done.version);
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
    fn into_definition(self) -> Result<SourceDefinition, Failure> {
        let mut measure_roles = BTreeMap::new();
        for (name, role) in self.measure_roles.0 {
            let measure = name
                .parse()
                .map_err(|error| Failure::Invalid { field: "measure_roles", detail: format!("\"{name}\" {error}") })?;
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
