//! Syncs: a source saying how its own runs go. Completeness is an event, so freshness can be replayed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bucket::{Grain, is_in_range};
use crate::catalogue::{self, EventType};
use crate::ids::SourceId;
use crate::item::{MAX_CLOCK_SKEW, truncate_to_millis};

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

const MAX_REASON: usize = 500;

/// What a source reports of a run, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncReport {
    /// The run started.
    Started,
    /// The run ended well.
    Completed {
        /// Everything before this instant is there.
        complete_through: DateTime<Utc>,
        /// In which steps completeness moves.
        grain: Grain,
    },
    /// The run failed.
    Failed {
        /// Why, in the source's words.
        reason: String,
    },
}

/// Why a report is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SyncReportError {
    /// Complete through an instant that is still to come.
    #[error("lies ahead of this server's clock")]
    CompleteThroughAhead,
    /// Complete through an instant outside of the years that we keep.
    #[error("must lie in the years 1970 to 2199")]
    CompleteThroughOutOfRange,
    /// A reason that is blank, too long, or holds control characters.
    #[error("must be 1 to {MAX_REASON} characters, none a control character")]
    Reason,
}

impl SyncReportError {
    /// The member at fault.
    pub fn field(self) -> &'static str {
        match self {
            Self::CompleteThroughAhead | Self::CompleteThroughOutOfRange => "complete_through",
            Self::Reason => "reason",
        }
    }
}

impl SyncReport {
    /// Rejects a report that no source could make at `now`.
    pub fn validate(&self, now: DateTime<Utc>) -> Result<(), SyncReportError> {
        match self {
            Self::Completed { complete_through, .. } if *complete_through > now + MAX_CLOCK_SKEW => {
                Err(SyncReportError::CompleteThroughAhead)
            }
            Self::Completed { complete_through, .. } if !is_in_range(complete_through.date_naive()) => {
                Err(SyncReportError::CompleteThroughOutOfRange)
            }
            Self::Started | Self::Completed { .. } => Ok(()),
            Self::Failed { reason } => {
                let control = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
                if reason.trim().is_empty() || reason.chars().count() > MAX_REASON || reason.contains(control) {
                    return Err(SyncReportError::Reason);
                }
                Ok(())
            }
        }
    }

    /// The event that records the report of `source`, which was received at `at`.
    pub fn to_event(&self, source: SourceId, at: DateTime<Utc>) -> SyncEvent {
        match self {
            Self::Started => SyncEvent::SyncStarted { source, at },
            Self::Completed { complete_through, grain } => {
                let complete_through = truncate_to_millis(*complete_through);
                SyncEvent::SyncCompleted { source, at, complete_through, grain: *grain }
            }
            Self::Failed { reason } => SyncEvent::SyncFailed { source, at, reason: reason.clone() },
        }
    }
}

#[cfg(test)]
mod tests;
