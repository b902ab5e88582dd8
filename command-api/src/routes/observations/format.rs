//! The formats of observations.

use http::HeaderMap;
use http_edge::body::{media_type, unsupported_media_type};
use http_edge::problem::{Problem, kinds};

/// The media type of newline-delimited JSON, and of the response to it.
pub(super) const LINES: &str = "application/x-ndjson";
const CLOUD_EVENT: &str = "application/cloudevents+json";
const CLOUD_EVENTS: &str = "application/cloudevents-batch+json";

/// The format of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputFormat {
    /// One JSON document with a source and its observations.
    Batch,
    /// One observation on each line.
    Lines,
    /// One event.
    CloudEvent,
    /// An array of events.
    CloudEvents,
}

const TAKEN: &str = "Send `Content-Type: application/json`, `application/x-ndjson`, `application/cloudevents+json` or \
                     `application/cloudevents-batch+json`.";

impl InputFormat {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        match media_type(headers).as_deref() {
            Some("application/json") if headers.contains_key("ce-specversion") => Err(unsupported_media_type(
                "CloudEvents are taken in structured and in batched mode, not in binary mode.",
            )),
            Some("application/json") => Ok(Self::Batch),
            Some(LINES | "application/ndjson" | "application/jsonl") => Ok(Self::Lines),
            Some(CLOUD_EVENT) => Ok(Self::CloudEvent),
            Some(CLOUD_EVENTS) => Ok(Self::CloudEvents),
            Some(_) | None => Err(unsupported_media_type(TAKEN)),
        }
    }

    /// This format, if the request is in it.
    pub(super) fn required(self, headers: &HeaderMap) -> Result<Self, Problem> {
        match Self::of(headers) {
            Ok(format) if format == self => Ok(self),
            Ok(_) | Err(_) => Err(unsupported_media_type(&format!("Send `Content-Type: {}`.", self.media_type()))),
        }
    }

    /// Its canonical media type.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Batch => "application/json",
            Self::Lines => LINES,
            Self::CloudEvent => CLOUD_EVENT,
            Self::CloudEvents => CLOUD_EVENTS,
        }
    }

    /// Rejects a request that names its source twice, or not at all.
    pub(super) fn check(self, source: Option<&str>) -> Result<(), Problem> {
        let detail = match (self, source) {
            (Self::Batch, Some(_)) => "is named in the body",
            (Self::Lines, None) => "is needed: the lines do not name their source",
            (Self::Batch, None) | (Self::Lines, Some(_)) | (Self::CloudEvent | Self::CloudEvents, _) => return Ok(()),
        };
        Err(Problem::new(kinds::INVALID_QUERY).field("source", detail))
    }
}
