//! Decoding of stored events, for loads and for projections alike.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use thiserror::Error;

use super::Event;
use crate::catalogue::{self, EventType, Upcaster};
use crate::observation::ObservationsRecorded;
use crate::workspace::WorkspaceEvent;
use crate::{campaign, observation, source, statement, sync, workspace};

/// The error of reading a stored event.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The stream type is unknown. Newer code may know it.
    #[error("the stream type {0:?} is not known")]
    StreamType(String),
    /// The stream type does not have this event type. Newer code may know it.
    #[error("the event type {0:?} is not known in such a stream")]
    EventType(String),
    /// The version is not an integer from 1 on.
    #[error("the version {0:?} of the event is not an integer from 1 on")]
    Version(String),
    /// This code does not know the version yet. The event can be read after an upgrade, and is never guessed at.
    #[error("{event_type} was written in version {stored} by newer code; this one reads it up to version {known}")]
    UnsupportedVersion {
        /// The event type.
        event_type: &'static str,
        /// The version that it is stored in.
        stored: usize,
        /// The latest version that this code knows.
        known: usize,
    },
    /// The payload does not have the shape of its type.
    #[error("the payload could not be decoded")]
    Payload(#[from] serde_json::Error),
}

impl DecodeError {
    /// Whether newer code may be able to read the event. Then it is not broken, but this code must leave it alone.
    pub fn requires_newer_version(&self) -> bool {
        match self {
            Self::StreamType(_) | Self::EventType(_) | Self::UnsupportedVersion { .. } => true,
            Self::Version(_) | Self::Payload(_) => false,
        }
    }
}

impl Event {
    /// Decodes a stored event, after upcasting it to its type's current version.
    pub fn decode(
        stream_type: &str,
        event_type: &str,
        event_version: &str,
        payload: &str,
    ) -> Result<Self, DecodeError> {
        let Some(known) = EventType::find(event_type).filter(|known| known.stream_type == stream_type) else {
            let is_stream = EventType::ALL.iter().any(|known| known.stream_type == stream_type);
            let (stream_type, event_type) = (stream_type.to_owned(), event_type.to_owned());
            return Err(if is_stream {
                DecodeError::EventType(event_type)
            } else {
                DecodeError::StreamType(stream_type)
            });
        };
        let steps = steps_from(known, event_version)?;
        if steps.iter().all(|step| matches!(step, Upcaster::Unchanged)) {
            // Most events need no upcast, and most of them no serde.
            if known.stream_type == observation::STREAM_TYPE
                && let Some(batch) = ObservationsRecorded::try_fast_decode(payload)
            {
                return Ok(Self::Observations(batch));
            }
            let mut json = serde_json::Deserializer::from_str(payload);
            let event = Self::read(known, &mut json)?;
            json.end()?;
            return Ok(event);
        }
        Ok(Self::read(known, upcast_all(steps, serde_json::from_str(payload)?))?)
    }

    fn read<'de, D: Deserializer<'de>>(known: &EventType, payload: D) -> Result<Self, D::Error> {
        match known.stream_type {
            workspace::STREAM_TYPE if known.name == catalogue::WORKSPACE_OPENED.name => {
                Deserialize::deserialize(payload).map(|opened| Self::Workspace(WorkspaceEvent::Opened(opened)))
            }
            workspace::STREAM_TYPE if known.name == catalogue::WORKSPACE_MONEY_LIMIT_SET.name => {
                Deserialize::deserialize(payload).map(|set| Self::Workspace(WorkspaceEvent::MoneyLimitSet(set)))
            }
            workspace::STREAM_TYPE => {
                Deserialize::deserialize(payload).map(|set| Self::Workspace(WorkspaceEvent::CalendarSet(set)))
            }
            campaign::STREAM_TYPE => Deserialize::deserialize(payload).map(Self::Campaign),
            source::STREAM_TYPE => Deserialize::deserialize(payload).map(Self::Source),
            observation::STREAM_TYPE => Deserialize::deserialize(payload).map(Self::Observations),
            statement::STREAM_TYPE => Deserialize::deserialize(payload).map(Self::Statements),
            sync::STREAM_TYPE => Deserialize::deserialize(payload).map(Self::Sync),
            other => Err(serde::de::Error::custom(format_args!("no stream of ours has the type {other:?}"))),
        }
    }
}

/// Upcasts a parsed payload to its type's current version.
pub fn upcast(event_type: &str, event_version: &str, payload: Value) -> Result<Value, DecodeError> {
    let known = EventType::find(event_type).ok_or_else(|| DecodeError::EventType(event_type.to_owned()))?;
    Ok(upcast_all(steps_from(known, event_version)?, payload))
}

/// The steps from a stored version to the current one.
fn steps_from(known: &EventType, event_version: &str) -> Result<&'static [Upcaster], DecodeError> {
    let stored = event_version.parse().ok().filter(|version: &usize| *version > 0);
    let stored = stored.ok_or_else(|| DecodeError::Version(event_version.to_owned()))?;
    known.upcasters.get(stored - 1..).ok_or(DecodeError::UnsupportedVersion {
        event_type: known.name,
        stored,
        known: known.version(),
    })
}

fn upcast_all(steps: &[Upcaster], payload: Value) -> Value {
    steps.iter().fold(payload, |payload, step| match step {
        Upcaster::Unchanged => payload,
        Upcaster::Rewrite(step) => step(payload),
    })
}
