//! What every command carries: who gives it, in which flow, under which key, and its body as it was sent.

use std::collections::BTreeMap;

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use domain::ids::WorkspaceId;
use event_store::{Metadata, Receipt};
use http::{HeaderMap, Method};
use http_edge::auth::{self, Authenticated};
use http_edge::body::{self, BodyStream};
use http_edge::json;
use http_edge::problem::Problem;
use http_edge::trace::TraceContext;
use platform::authenticator::Authenticator;
use platform::principal::{Principal, Scope};
use serde::Deserialize;

use crate::error::CommandError;
use crate::idempotency::{self, Idempotency, RequestDigest};
use crate::outcome::Outcome;
use crate::precondition::{IfMatch, IfMatchError};
use crate::state::ApiState;

/// Who gives a command, and what makes it safe to send again.
#[derive(Debug, Clone)]
pub(crate) struct CommandContext {
    pub(crate) principal: Principal,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) idempotency: Option<Idempotency>,
    if_match: Result<IfMatch, IfMatchError>,
    trace: TraceContext,
}

impl CommandContext {
    pub(crate) fn workspace(&self) -> WorkspaceId {
        WorkspaceId(self.principal.workspace)
    }

    /// Which request it came in, as problems name it.
    pub(crate) fn request_id(&self) -> &str {
        self.trace.request_id()
    }

    /// The flow that the command belongs to.
    pub(crate) fn correlation_id(&self) -> &str {
        &self.trace.correlation_id
    }

    /// The versions of a campaign that the command is meant for.
    pub(crate) fn if_match(&self) -> Result<&IfMatch, Problem> {
        self.if_match.as_ref().map_err(|error| (*error).into())
    }

    /// The caller's idempotency key.
    pub(crate) fn key(&self) -> Option<&str> {
        self.idempotency.as_ref().map(|idempotency| idempotency.key.as_str())
    }

    /// Stored with every event of the command.
    pub(crate) fn metadata(&self) -> Metadata {
        Metadata(BTreeMap::from(
            [
                ("actor", self.principal.actor.to_string()),
                ("correlation_id", self.trace.correlation_id.clone()),
                ("causation_id", self.trace.causation_id.clone()),
                ("traceparent", self.trace.traceparent.clone()),
                ("received_at", self.received_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        ))
    }

    /// What is kept of the answer, when the caller may ask for it again.
    pub(crate) fn receipt(&self, outcome: &Outcome) -> Result<Option<Receipt>, CommandError> {
        let Some(Idempotency { key, digest }) = &self.idempotency else { return Ok(None) };
        let response = serde_json::to_string(outcome).map_err(CommandError::encoding)?;
        Ok(Some(Receipt { key: key.clone(), digest: *digest, response }))
    }
}

/// A command whose body is JSON.
#[derive(Debug, Clone)]
pub(crate) struct JsonCommand {
    pub(crate) caller: CommandContext,
    body: Bytes,
}

impl JsonCommand {
    /// The body, checked whole.
    pub(crate) fn body<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        Ok(json::parse(json::text(&self.body)?)?)
    }

    /// The body of a batch, whose items are kept as they were sent and checked one by one.
    pub(crate) fn batch<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        Ok(json::parse_envelope(json::text(&self.body)?)?)
    }
}

impl FromRequest<ApiState> for JsonCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, waiting) = RequestHead::begin(request, state).await?;
        let body = json::read(request, state).await?;
        Ok(Self { caller: waiting.caller(&[], &body)?, body })
    }
}

/// A command whose caller may give it, and whose body is still to be read.
pub(crate) struct UnreadCommand {
    waiting: RequestHead,
    request: Request,
}

impl UnreadCommand {
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// The command once its body is there. `about` is what the request says beside its body.
    pub(crate) async fn read(self, state: &ApiState, about: &[&str]) -> Result<JsonCommand, Problem> {
        let body = body::read_to_end(self.request, state).await?;
        Ok(JsonCommand { caller: self.waiting.caller(about, &body)?, body })
    }

    /// For a route that reads the body piece by piece.
    pub(crate) fn flow(self) -> Result<(StreamingCommand, BodyStream), Problem> {
        let key = idempotency::key(&self.waiting.headers)?;
        let content = self.waiting.content();
        let bearer = auth::bearer(&self.waiting.headers).unwrap_or_default().to_owned();
        let flowing = StreamingCommand { caller: self.waiting.unkeyed(), key, content, bearer };
        Ok((flowing, BodyStream::of(self.request)?))
    }
}

impl FromRequest<ApiState> for UnreadCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, waiting) = RequestHead::begin(request, state).await?;
        Ok(Self { waiting, request })
    }
}

/// A command that is carried out part by part as its body arrives.
pub(crate) struct StreamingCommand {
    pub(crate) caller: CommandContext,
    /// The caller's idempotency key.
    pub(crate) key: Option<String>,
    /// The request's content, still without anything of the body.
    pub(crate) content: RequestDigest,
    bearer: String,
}

impl StreamingCommand {
    /// The caller of one part: at the time of the part, if the key still holds then.
    pub(crate) async fn caller_of(
        &self,
        state: &ApiState,
        idempotency: Option<Idempotency>,
    ) -> Result<CommandContext, Problem> {
        auth::authenticate_again(&Authenticator::from_ref(state), &self.bearer).await?.require(Scope::Command)?;
        Ok(CommandContext { received_at: state.clock.now(), idempotency, ..self.caller.clone() })
    }
}

/// A command that says everything by its path. Its body is empty, or an empty object.
#[derive(Debug, Clone)]
pub(crate) struct EmptyCommand {
    pub(crate) caller: CommandContext,
}

impl FromRequest<ApiState> for EmptyCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, waiting) = RequestHead::begin(request, state).await?;
        let body = body::read_to_end(request, state).await?;
        if !body.trim_ascii().is_empty() {
            let EmptyBody {} = json::parse(json::text(&body)?)?;
        }
        Ok(Self { caller: waiting.caller(&[], &body)? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmptyBody {}

/// A request whose caller may send it, and whose body has not been read yet.
struct RequestHead {
    principal: Principal,
    trace: TraceContext,
    received_at: DateTime<Utc>,
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl RequestHead {
    async fn begin(request: Request, state: &ApiState) -> Result<(Request, Self), Problem> {
        let (mut parts, body) = request.into_parts();
        let authenticated = Authenticated::from_request_parts(&mut parts, state).await?;
        let principal = authenticated.require(Scope::Command)?.clone();
        let Ok(trace) = TraceContext::from_request_parts(&mut parts, state).await;
        let waiting = Self {
            principal,
            trace,
            received_at: state.clock.now(),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            headers: parts.headers.clone(),
        };
        Ok((Request::from_parts(parts, body), waiting))
    }

    fn content(&self) -> RequestDigest {
        RequestDigest::of(&self.method, &self.path)
    }

    fn caller(self, about: &[&str], body: &[u8]) -> Result<CommandContext, Problem> {
        let idempotency = idempotency::key(&self.headers)?.map(|key| {
            let mut content = about.iter().fold(self.content(), |content, part| content.with(part));
            content.add(body);
            Idempotency { key, digest: content.digest() }
        });
        Ok(CommandContext { idempotency, ..self.unkeyed() })
    }

    fn unkeyed(self) -> CommandContext {
        CommandContext {
            principal: self.principal,
            received_at: self.received_at,
            idempotency: None,
            if_match: IfMatch::read(&self.headers),
            trace: self.trace,
        }
    }
}
