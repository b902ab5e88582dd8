//! Decoding of stored rows into typed events.
//!
//! An event type's version is an integer, raised when the payload's shape changes. The log's rows are never rewritten.
//! The owner of the event types provides an [`Upcast`], which converts an older payload to the current version.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Converts a payload to its type's current version, from the event type, its stored version and the payload.
pub type Upcast = fn(&str, &str, Value) -> Result<Value, UpcastError>;

/// The error of an [`Upcast`].
pub type UpcastError = Box<dyn std::error::Error + Send + Sync>;

/// The error of reading a stored event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Its payload cannot be converted to the current version.
    #[error("the payload could not be brought to its current version")]
    Upcast(#[source] UpcastError),
    /// The payload does not have the shape of its type.
    #[error("the payload does not have the shape of its type")]
    Payload(#[from] serde_json::Error),
    /// The metadata is not a JSON object of strings.
    #[error("the metadata is not an object of strings")]
    Metadata(#[source] serde_json::Error),
}

/// Decodes a typed event from a parsed payload.
pub(crate) fn decode_value<E: DeserializeOwned>(
    upcast: Upcast,
    event_type: &str,
    event_version: &str,
    payload: Value,
) -> Result<E, DecodeError> {
    let current = upcast(event_type, event_version, payload).map_err(DecodeError::Upcast)?;
    Ok(serde_json::from_value(current)?)
}

/// Decodes metadata for cqrs-es.
pub(crate) fn decode_metadata(metadata: Value) -> Result<HashMap<String, String>, DecodeError> {
    serde_json::from_value(metadata).map_err(DecodeError::Metadata)
}

#[cfg(test)]
mod tests;
