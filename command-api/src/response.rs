//! The result of a command as an HTTP response.

use axum::Json;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use commands::{CommandContext, Completed};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_edge::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};
use serde::Serialize;

use crate::idempotency::{IDEMPOTENCY_REPLAYED, REPLAYED};

/// A response that covers a position of the caller's log.
#[derive(Debug)]
pub(crate) struct CommandResponse(Response);

impl CommandResponse {
    /// The result, with a token that makes a read wait for it.
    pub(crate) fn new<T>(
        status: StatusCode,
        context: &CommandContext,
        done: &Completed<T>,
        body: &impl Serialize,
    ) -> Self {
        let token = consistency_token(context, done.position, done.recorded_at).header_value();
        Self((status, Json(body)).into_response())
            .with(CONSISTENCY_TOKEN, Some(token))
            .with(IDEMPOTENCY_REPLAYED, done.replayed.then_some(REPLAYED))
    }

    /// Adds the entity tag, a quoted text.
    pub(crate) fn with_etag(self, tag: &str) -> Self {
        self.with(header::ETAG, HeaderValue::from_str(tag).ok())
    }

    /// Adds the path of the created resource.
    pub(crate) fn with_location(self, path: &str) -> Self {
        self.with(header::LOCATION, HeaderValue::from_str(path).ok())
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

/// A token that makes a read wait for a position of the caller's log.
pub(crate) fn consistency_token(
    context: &CommandContext,
    position: i64,
    recorded_at: Option<DateTime<Utc>>,
) -> ConsistencyToken {
    let recorded_at = recorded_at.map_or(0, |recorded_at| recorded_at.timestamp_micros());
    ConsistencyToken { workspace: context.workspace().0, position, recorded_at }
}
