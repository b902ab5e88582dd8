//! From a stored row to a typed event.
//!
//! An event type's version is an integer, raised when the payload's shape changes. The log's rows are never rewritten;
//! whoever knows the events says in an [`Upcast`] how an older payload becomes one of the current version.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Brings a payload to its type's current version: takes the event type, the version that it is stored in, and the
/// payload.
pub type Upcast = fn(&str, &str, Value) -> Result<Value, UpcastError>;

/// Why a payload could not be brought to its current version, in the words of whoever knows the events.
pub type UpcastError = Box<dyn std::error::Error + Send + Sync>;

/// Why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It has no way to the current version.
    #[error("the payload could not be brought to its current version")]
    Upcast(#[source] UpcastError),
    /// The payload does not have the shape of its type.
    #[error("the payload does not have the shape of its type")]
    Payload(#[from] serde_json::Error),
    /// The metadata is not a JSON object of strings.
    #[error("the metadata is not an object of strings")]
    Metadata(#[source] serde_json::Error),
}

/// A typed event from a payload that is parsed already.
pub(crate) fn decode_value<E: DeserializeOwned>(
    upcast: Upcast,
    event_type: &str,
    event_version: &str,
    payload: Value,
) -> Result<E, DecodeError> {
    let current = upcast(event_type, event_version, payload).map_err(DecodeError::Upcast)?;
    Ok(serde_json::from_value(current)?)
}

/// Metadata as cqrs-es knows it.
pub(crate) fn decode_metadata(metadata: Value) -> Result<HashMap<String, String>, DecodeError> {
    serde_json::from_value(metadata).map_err(DecodeError::Metadata)
}

#[cfg(test)]
mod tests;
