//! Commands as requests: the context from the headers, and the body.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use commands::{CommandContext, Idempotency, VersionPrecondition};
use domain::json_objects;
use domain::note::{CommandNote, NoteUrl, Reason};
use http::HeaderMap;
use http_edge::auth::{self, Authenticated};
use http_edge::body::{self, BodyStream};
use http_edge::json;
use http_edge::problem::Problem;
use http_edge::trace::TraceContext;
use platform::authenticator::Authenticator;
use platform::principal::Scope;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::idempotency::{self, RequestDigest};
use crate::precondition::{self, IfMatchError};
use crate::state::ApiState;

/// A command whose body is JSON.
#[derive(Debug)]
pub(crate) struct JsonCommand {
    pub(crate) context: CommandContext,
    pub(crate) if_match: Result<VersionPrecondition, IfMatchError>,
    body: Bytes,
}

impl JsonCommand {
    /// The digest of the body alone.
    pub(crate) fn body_digest(&self) -> [u8; 32] {
        idempotency::digest(&self.body)
    }

    /// The body, checked whole.
    pub(crate) fn body<T: DeserializeOwned + ToSchema>(&self) -> Result<T, Problem> {
        json::parse_body(json::text(&self.body)?)
    }

    /// The body, checked whole; an empty one says nothing.
    pub(crate) fn body_or_default<T: DeserializeOwned + ToSchema + Default>(&self) -> Result<T, Problem> {
        if self.body.trim_ascii().is_empty() { Ok(T::default()) } else { self.body() }
    }

    /// The body of a batch. Its items stay raw text and are checked one by one.
    pub(crate) fn batch<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        Ok(json::parse_envelope(json::text(&self.body)?)?)
    }
}

impl FromRequest<ApiState> for JsonCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, head) = RequestHead::read(request, state).await?;
        let body = json::read(request, state).await?;
        head.json_command(&[], body)
    }
}

/// A command of an authenticated caller, before its body is read.
pub(crate) struct UnreadCommand {
    head: RequestHead,
    request: Request,
}

impl UnreadCommand {
    pub(crate) fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    /// Reads the body. `parts` belong to the content of the request besides the body.
    pub(crate) async fn read(self, state: &ApiState, parts: &[&str]) -> Result<JsonCommand, Problem> {
        let body = body::read_to_end(self.request, state).await?;
        self.head.json_command(parts, body)
    }

    /// The command for a route that reads the body piece by piece.
    pub(crate) fn stream(self) -> Result<(StreamingCommand, BodyStream), Problem> {
        let RequestHead { context, request_id, headers, content } = self.head;
        let key = idempotency::key(&headers)?;
        let bearer = auth::bearer(&headers).unwrap_or_default().to_owned();
        let command = StreamingCommand { context, request_id, key, content, bearer };
        Ok((command, BodyStream::of(self.request)?))
    }
}

impl FromRequest<ApiState> for UnreadCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, head) = RequestHead::read(request, state).await?;
        Ok(Self { head, request })
    }
}

/// A command that is carried out part by part as its body arrives.
pub(crate) struct StreamingCommand {
    pub(crate) context: CommandContext,
    /// The id of the request, as in problems.
    pub(crate) request_id: String,
    /// The caller's idempotency key.
    pub(crate) key: Option<String>,
    /// The digest of the request's content, before any of the body.
    pub(crate) content: RequestDigest,
    bearer: String,
}

impl StreamingCommand {
    /// The context of one part, at its own time, if the caller's key is still valid.
    pub(crate) async fn part(
        &self,
        state: &ApiState,
        idempotency: Option<Idempotency>,
    ) -> Result<CommandContext, Problem> {
        auth::authenticate_again(&Authenticator::from_ref(state), &self.bearer).await?.require(Scope::Command)?;
        Ok(CommandContext { received_at: state.commands.now(), idempotency, ..self.context.clone() })
    }
}

/// A read of what commands rest on, by a caller who may command.
#[derive(Debug)]
pub(crate) struct ReadCommand {
    pub(crate) context: CommandContext,
}

impl FromRequest<ApiState> for ReadCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (_, head) = RequestHead::read(request, state).await?;
        Ok(Self { context: head.context })
    }
}

/// A command that its path determines. Its body is empty, or a [`Note`].
#[derive(Debug)]
pub(crate) struct StepCommand {
    pub(crate) context: CommandContext,
    pub(crate) if_match: Result<VersionPrecondition, IfMatchError>,
}

impl FromRequest<ApiState> for StepCommand {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let (request, head) = RequestHead::read(request, state).await?;
        let body = body::read_to_end(request, state).await?;
        let note: Note =
            if body.trim_ascii().is_empty() { Note::default() } else { json::parse_body(json::text(&body)?)? };
        let JsonCommand { context, if_match, .. } = head.json_command(&[], body)?;
        Ok(Self { context: noted(context, note.reason, note.note_url), if_match })
    }
}

/// Why a step is taken.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"reason": "Stock is gone until 12 December", "note_url": "https://tracker.example/T-17"}))]
pub(crate) struct Note {
    /// Why: 1 to 500 characters, shown by the campaign's activity.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
}

json_objects!(read: Note);

/// The context of a command with what its body notes beside it.
pub(crate) fn noted(context: CommandContext, reason: Option<Reason>, url: Option<NoteUrl>) -> CommandContext {
    CommandContext { note: CommandNote { reason, url }, ..context }
}

/// The head of an authenticated request.
struct RequestHead {
    /// The context without an idempotency key, whose digest needs the body.
    context: CommandContext,
    request_id: String,
    headers: HeaderMap,
    content: RequestDigest,
}

impl RequestHead {
    async fn read(request: Request, state: &ApiState) -> Result<(Request, Self), Problem> {
        let (mut parts, body) = request.into_parts();
        let authenticated = Authenticated::from_request_parts(&mut parts, state).await?;
        let principal = authenticated.require(Scope::Command)?.clone();
        let Ok(trace) = TraceContext::from_request_parts(&mut parts, state).await;
        let head = Self {
            request_id: trace.request_id().to_owned(),
            context: CommandContext {
                principal,
                received_at: state.commands.now(),
                items_received_at: None,
                correlation_id: trace.correlation_id,
                causation_id: trace.causation_id,
                traceparent: trace.traceparent,
                note: CommandNote::default(),
                idempotency: None,
            },
            headers: parts.headers.clone(),
            content: RequestDigest::of(&parts.method, parts.uri.path()),
        };
        Ok((Request::from_parts(parts, body), head))
    }

    fn json_command(self, parts: &[&str], body: Bytes) -> Result<JsonCommand, Problem> {
        let Self { mut context, headers, content, .. } = self;
        context.idempotency = idempotency::key(&headers)?.map(|key| {
            let mut content = parts.iter().fold(content, |content, part| content.with(part));
            content.add(&body);
            Idempotency { key, digest: content.digest() }
        });
        Ok(JsonCommand { context, if_match: precondition::read(&headers), body })
    }
}
