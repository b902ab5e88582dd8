//! The messages of a tap.

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

/// What a line of a tap says.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A stream begins.
    Schema {
        /// Its name.
        stream: String,
    },
    /// A record of a stream.
    Record {
        /// The stream.
        stream: String,
        /// Its members.
        record: Map<String, Value>,
    },
    /// From where the tap goes on next time.
    State(Value),
    /// Something that says nothing of numbers.
    Other,
}

/// The error of a line that is no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    /// It is not JSON, or lacks a member.
    #[error("is not a Singer message; taps write their log to standard error")]
    Malformed,
    /// It names a file of records.
    #[error("is a BATCH message, which is not supported: configure the tap to write RECORD messages")]
    Batch,
}

/// A message as it is written.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Written {
    Schema {
        stream: String,
    },
    Record {
        stream: String,
        record: Map<String, Value>,
    },
    State {
        value: Value,
    },
    Batch {},
    #[serde(other)]
    Other,
}

impl std::str::FromStr for Message {
    type Err = MessageError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        match serde_json::from_str(line).map_err(|_| MessageError::Malformed)? {
            Written::Schema { stream } => Ok(Self::Schema { stream }),
            Written::Record { stream, record } => Ok(Self::Record { stream, record }),
            Written::State { value } => Ok(Self::State(value)),
            Written::Batch {} => Err(MessageError::Batch),
            Written::Other => Ok(Self::Other),
        }
    }
}
