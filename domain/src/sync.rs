//! Syncs: a source saying how its own runs go. Completeness is an event, so freshness can be replayed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bucket::Grain;
use crate::catalogue::{self, EventType};
use crate::ids::SourceId;

pub use crate::catalogue::SYNC_STREAM as STREAM_TYPE;

/// What a source says of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SyncEvent {
    /// A source says that a run started.
    SyncStarted {
        /// The source.
        source: SourceId,
        /// When we received the word, by our clock.
        at: DateTime<Utc>,
    },
    /// A source says that it is complete through an instant.
    SyncCompleted {
        /// The source.
        source: SourceId,
        /// When we received the word, by our clock.
        at: DateTime<Utc>,
        /// Everything before this instant is there.
        complete_through: DateTime<Utc>,
        /// In which steps its completeness moves.
        grain: Grain,
    },
    /// A source says that a run failed.
    SyncFailed {
        /// The source.
        source: SourceId,
        /// When we received the word, by our clock.
        at: DateTime<Utc>,
        /// Why, in the source's words.
        reason: String,
    },
}

impl SyncEvent {
    /// The source that the event is about.
    pub fn source(&self) -> SourceId {
        match self {
            Self::SyncStarted { source, .. } | Self::SyncCompleted { source, .. } | Self::SyncFailed { source, .. } => {
                *source
            }
        }
    }

    /// What type of event it is.
    pub fn kind(&self) -> EventType {
        match self {
            Self::SyncStarted { .. } => catalogue::SYNC_STARTED,
            Self::SyncCompleted { .. } => catalogue::SYNC_COMPLETED,
            Self::SyncFailed { .. } => catalogue::SYNC_FAILED,
        }
    }
}
