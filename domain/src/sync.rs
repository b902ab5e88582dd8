//! Syncs: a source saying how its own runs go. Completeness is an event, so freshness can be replayed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bucket::Grain;
use crate::event::{EventType, catalogue};
use crate::ids::SourceId;

/// The stream type of sync events: one stream per source.
pub const STREAM_TYPE: &str = "syncs";

/// What a source says of a run. `at` is when we received the word, by our clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncEvent {
    /// A run started.
    SyncStarted {
        /// The source.
        source: SourceId,
        /// When it said so.
        at: DateTime<Utc>,
    },
    /// A run ended well.
    SyncCompleted {
        /// The source.
        source: SourceId,
        /// When it said so.
        at: DateTime<Utc>,
        /// Everything before this instant is there.
        complete_through: DateTime<Utc>,
        /// In which steps its completeness moves.
        grain: Grain,
    },
    /// A run failed.
    SyncFailed {
        /// The source.
        source: SourceId,
        /// When it said so.
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
