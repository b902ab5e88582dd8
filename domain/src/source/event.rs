//! What can have happened to a source.

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::change::SourceChange;
use super::definition::SourceDefinition;
use crate::catalogue::{self, EventType};
use crate::ids::SourceId;

/// An event of a source, stored under its variant's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SourceEvent {
    /// A source was registered: one connector's feed, and what its numbers mean.
    SourceRegistered {
        /// Its id.
        source: SourceId,
        /// Its definition.
        definition: SourceDefinition,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// Some of its settings are others for buckets from a date on.
    SourceChanged {
        /// Its id.
        source: SourceId,
        /// The settings, as they are from then on.
        change: SourceChange,
        /// The first local date of which they hold.
        from: NaiveDate,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// It ends: nothing is expected of buckets from an instant on.
    SourceEnded {
        /// Its id.
        source: SourceId,
        /// The first instant of which nothing is expected.
        ends_at: DateTime<Utc>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// It delivers again after it had ended.
    SourceResumed {
        /// Its id.
        source: SourceId,
        /// The first instant of which something is expected again.
        resumes_at: DateTime<Utc>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
}

impl SourceEvent {
    /// The source that the event is about.
    pub fn source(&self) -> SourceId {
        match self {
            Self::SourceRegistered { source, .. }
            | Self::SourceChanged { source, .. }
            | Self::SourceEnded { source, .. }
            | Self::SourceResumed { source, .. } => *source,
        }
    }

    /// What type of event it is.
    pub fn kind(&self) -> EventType {
        match self {
            Self::SourceRegistered { .. } => catalogue::SOURCE_REGISTERED,
            Self::SourceChanged { .. } => catalogue::SOURCE_CHANGED,
            Self::SourceEnded { .. } => catalogue::SOURCE_ENDED,
            Self::SourceResumed { .. } => catalogue::SOURCE_RESUMED,
        }
    }
}

impl DomainEvent for SourceEvent {
    fn event_type(&self) -> String {
        self.kind().name.to_owned()
    }

    fn event_version(&self) -> String {
        self.kind().version().to_string()
    }
}
