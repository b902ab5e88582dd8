//! A stored event.

use std::fmt;

use chrono::{DateTime, Utc};

/// A stored event. Payload and metadata are the text that was appended, in the version of that time.
///
/// A replay reads millions of events, so the texts of one share a single allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The log.
    pub workspace: i32,
    /// Its position in the log: 1, 2, 3, …
    pub position: i64,
    /// Its sequence in the stream: 1, 2, 3, …
    pub sequence: i64,
    /// The time of the append.
    pub recorded_at: DateTime<Utc>,
    /// All its texts, one after the other.
    texts: Box<str>,
    /// The end of each of them.
    ends: [usize; PARTS],
}

/// The number of texts of an event.
const PARTS: usize = 6;

/// The texts of an event.
#[derive(Debug, Clone, Copy)]
pub struct StoredEventFields<'a> {
    /// The kind of stream.
    pub stream_type: &'a str,
    /// The stream, as `<workspace>/<id>`.
    pub stream_id: &'a str,
    /// The name of the event.
    pub event_type: &'a str,
    /// The version of the payload's shape.
    pub event_version: &'a str,
    /// The content: JSON.
    pub payload: &'a str,
    /// The metadata: a JSON object of strings.
    pub metadata: &'a str,
}

impl StoredEvent {
    /// An event at a position of a workspace's log, at a sequence of its stream.
    pub fn new(
        workspace: i32,
        position: i64,
        sequence: i64,
        recorded_at: DateTime<Utc>,
        texts: StoredEventFields<'_>,
    ) -> Self {
        let StoredEventFields { stream_type, stream_id, event_type, event_version, payload, metadata } = texts;
        let parts = [stream_type, stream_id, event_type, event_version, payload, metadata];
        let mut ends = [0; PARTS];
        let mut end = 0;
        for (part, is_at) in parts.iter().zip(&mut ends) {
            end += part.len();
            *is_at = end;
        }
        Self { workspace, position, sequence, recorded_at, texts: parts.concat().into_boxed_str(), ends }
    }

    /// The kind of stream.
    pub fn stream_type(&self) -> &str {
        self.text(0)
    }

    /// The stream, as `<workspace>/<id>`.
    pub fn stream_id(&self) -> &str {
        self.text(1)
    }

    /// The name of the event.
    pub fn event_type(&self) -> &str {
        self.text(2)
    }

    /// The version of the payload's shape.
    pub fn event_version(&self) -> &str {
        self.text(3)
    }

    /// The content: JSON.
    pub fn payload(&self) -> &str {
        self.text(4)
    }

    /// The metadata: a JSON object of strings.
    pub fn metadata(&self) -> &str {
        self.text(5)
    }

    /// The bytes that it takes in memory.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.texts.len()
    }

    fn text(&self, part: usize) -> &str {
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start..self.ends[part]]
    }
}

impl fmt::Debug for StoredEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEvent")
            .field("workspace", &self.workspace)
            .field("position", &self.position)
            .field("stream_type", &self.stream_type())
            .field("stream_id", &self.stream_id())
            .field("sequence", &self.sequence)
            .field("event_type", &self.event_type())
            .field("event_version", &self.event_version())
            .field("payload", &self.payload())
            .field("metadata", &self.metadata())
            .field("recorded_at", &self.recorded_at)
            .finish_non_exhaustive()
    }
}
