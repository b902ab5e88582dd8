//! What every command carries: who gives it, in which flow, under which key, and its body as it was sent.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use domain::ids::WorkspaceId;
use event_store::{Metadata, Receipt};
use http::{HeaderMap, Method};
use platform::http::auth::Authenticated;
use platform::http::{body, json};
use platform::http::problem::Problem;
use platform::http::trace::TraceContext;
use platform::keys::{Principal, Scope};
use serde::Deserialize;

use crate::failure::Failure;
use crate::idempotency::{self, Idempotency};
use crate::outcome::Outcome;
use crate::precondition::{IfMatch, IfMatchError};
use crate::state::ApiState;

/// Who gives a command, and what makes it safe to send again.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Principal,
    pub(crate) received_at: DateTime<Utc>,
    pub(crate) idempotency: Option<Idempotency>,
    if_match: Result<IfMatch, IfMatchError>,
    trace: TraceContext,
}

impl Caller {
    pub(crate) fn workspace(&self) -> WorkspaceId {
        WorkspaceId(self.principal.workspace)
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
                ("actor", self.principal.key_id.to_string()),
                ("correlation_id", self.trace.correlation_id.clone()),
                ("causation_id", self.trace.causation_id.clone()),
                ("traceparent", self.trace.traceparent.clone()),
                ("received_at", self.received_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        ))
    }

    /// What is kept of the answer, when the caller may ask for it again.
    pub(crate) fn receipt(&self, outcome: &Outcome) -> Result<Option<Receipt>, Failure> {
        let Some(Idempotency { key, digest }) = &self.idempotency else { return Ok(None) };
        let response = serde_json::to_string(outcome).map_err(Failure::encoding)?;
        Ok(Some(Receipt { key: key.clone(), digest: *digest, response }))
    }
}

/// A command whose body is JSON.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) caller: Caller,
    body: Bytes,
}

impl Command {
    /// The body, checked whole.
    pub(crate) fn body<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        Ok(json::parse(json::text(&self.body)?)?)
    }

    /// The body of a batch, whose items are kept as they were sent and checked one by one.
    pub(crate) fn batch<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        Ok(json::parse_envelope(json::text(&self.body)?)?)
    }
}

impl FromRequest<ApiState> for Command {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, waiting) = Waiting::begin(request, state).await?;
        let body = json::read(request, state).await?;
        Ok(Self { caller: waiting.caller(&body)?, body })
    }
}

/// A command that says everything by its path. Its body is empty, or an empty object.
#[derive(Debug, Clone)]
pub(crate) struct BareCommand {
    pub(crate) caller: Caller,
}

impl FromRequest<ApiState> for BareCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, waiting) = Waiting::begin(request, state).await?;
        let body = body::whole(request, state).await?;
        if !body.trim_ascii().is_empty() {
            let Nothing {} = json::parse(json::text(&body)?)?;
        }
        Ok(Self { caller: waiting.caller(&body)? })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A request whose caller may send it, and whose body has not been read yet.
struct Waiting {
    principal: Principal,
    trace: TraceContext,
    received_at: DateTime<Utc>,
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl Waiting {
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

    fn caller(self, body: &[u8]) -> Result<Caller, Problem> {
        let idempotency = idempotency::key(&self.headers)?
            .map(|key| Idempotency { key, digest: idempotency::digest(&self.method, &self.path, body) });
        Ok(Caller {
            principal: self.principal,
            received_at: self.received_at,
            idempotency,
            if_match: IfMatch::read(&self.headers),
            trace: self.trace,
        })
    }
}
