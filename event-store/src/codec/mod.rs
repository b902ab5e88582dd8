//! The one way from a stored payload to the shape that the code knows: loads and projections both decode through here.
//!
//! An event type's version is an integer, raised when the payload's shape changes. An [`Upcaster`] takes a payload from
//! one version to a later one; several are chained. The log's rows are never rewritten.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// One step from an older shape of an event type to a newer one.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// The event type that it reads.
    pub event_type: &'static str,
    /// The version that it reads.
    pub from_version: u32,
    /// Turns a payload of `from_version` into one of `to_version`.
    pub upcast: fn(Value) -> Value,
    /// The version that it makes: a later one.
    pub to_version: u32,
}

/// Why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The version is not an integer.
    #[error("the version {0:?} of the event is not an integer")]
    Version(String),
    /// An upcaster does not lead to a later version.
    #[error("the upcaster of {event_type} from version {from_version} leads to no later version")]
    Upcaster {
        /// The event type.
        event_type: &'static str,
        /// The version that it reads.
        from_version: u32,
    },
    /// The payload does not have the shape of its type.
    #[error("the payload does not have the shape of its type")]
    Payload(#[from] serde_json::Error),
    /// The metadata is not a JSON object of strings.
    #[error("the metadata is not an object of strings")]
    Metadata(#[source] serde_json::Error),
}

/// The payload in its current shape. Borrowed, and not even parsed, when no upcaster applies.
pub fn decode_payload<'a>(
    upcasters: &[Upcaster],
    event_type: &str,
    event_version: &str,
    payload: &'a str,
) -> Result<Cow<'a, str>, DecodeError> {
    if !applies(upcasters, event_type, event_version)? {
        return Ok(Cow::Borrowed(payload));
    }
    let upcast = upcast(upcasters, event_type, event_version, serde_json::from_str(payload)?)?;
    Ok(Cow::Owned(upcast.to_string()))
}

/// The payload in its current shape, for a payload that is parsed already.
pub fn upcast(
    upcasters: &[Upcaster],
    event_type: &str,
    event_version: &str,
    mut payload: Value,
) -> Result<Value, DecodeError> {
    let mut version = parse_version(event_version)?;
    while let Some(step) = step(upcasters, event_type, version) {
        if step.to_version <= version {
            return Err(DecodeError::Upcaster { event_type: step.event_type, from_version: version });
        }
        payload = (step.upcast)(payload);
        version = step.to_version;
    }
    Ok(payload)
}

/// A typed event from a payload that is parsed already.
pub(crate) fn decode_value<E: DeserializeOwned>(
    upcasters: &[Upcaster],
    event_type: &str,
    event_version: &str,
    payload: Value,
) -> Result<E, DecodeError> {
    Ok(serde_json::from_value(upcast(upcasters, event_type, event_version, payload)?)?)
}

/// Metadata as cqrs-es knows it.
pub(crate) fn decode_metadata(metadata: Value) -> Result<HashMap<String, String>, DecodeError> {
    serde_json::from_value(metadata).map_err(DecodeError::Metadata)
}

fn applies(upcasters: &[Upcaster], event_type: &str, event_version: &str) -> Result<bool, DecodeError> {
    let version = parse_version(event_version)?;
    Ok(step(upcasters, event_type, version).is_some())
}

fn step<'u>(upcasters: &'u [Upcaster], event_type: &str, version: u32) -> Option<&'u Upcaster> {
    upcasters.iter().find(|upcaster| upcaster.from_version == version && upcaster.event_type == event_type)
}

fn parse_version(event_version: &str) -> Result<u32, DecodeError> {
    event_version.parse().map_err(|_not_a_number| DecodeError::Version(event_version.to_owned()))
}

#[cfg(test)]
mod tests;
