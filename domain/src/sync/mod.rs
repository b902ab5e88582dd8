//! Syncs: reports of a source on its own runs. Completeness is an event, so freshness can be replayed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bucket::{Grain, is_in_range};
use crate::catalogue::{self, EventType};
use crate::ids::SourceId;
use crate::item::{MAX_CLOCK_SKEW, truncate_to_millis};

pub use crate::catalogue::SYNC_STREAM as STREAM_TYPE;

/// A report of a source on a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SyncEvent {
    /// A source reported that a run started.
    SyncStarted {
        /// The source.
        source: SourceId,
        /// When the report was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A source reported that it is complete through an instant.
    SyncCompleted {
        /// The source.
        source: SourceId,
        /// When the report was received, by our clock.
        at: DateTime<Utc>,
        /// The instant before which everything is there.
        complete_through: DateTime<Utc>,
        /// The steps in which its completeness moves.
        grain: Grain,
    },
    /// A source reported that a run failed.
    SyncFailed {
        /// The source.
        source: SourceId,
        /// When the report was received, by our clock.
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

    /// The type of the event.
    pub fn kind(&self) -> EventType {
        match self {
            Self::SyncStarted { .. } => catalogue::SYNC_STARTED,
            Self::SyncCompleted { .. } => catalogue::SYNC_COMPLETED,
            Self::SyncFailed { .. } => catalogue::SYNC_FAILED,
        }
    }
}

const MAX_REASON: usize = 500;

/// A report of a source on a run, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncReport {
    /// The run started.
    Started,
    /// The run ended well.
    Completed {
        /// The instant before which everything is there.
        complete_through: DateTime<Utc>,
        /// The steps in which completeness moves.
        grain: Grain,
    },
    /// The run failed.
    Failed {
        /// Why, in the source's words.
        reason: String,
    },
}

/// The error of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SyncReportError {
    /// It is complete through a future instant.
    #[error("lies ahead of this server's clock")]
    CompleteThroughAhead,
    /// It is complete through an instant outside of the supported years.
    #[error("must lie in the years 1970 to 2199")]
    CompleteThroughOutOfRange,
    /// The reason is blank, too long, or contains control characters.
    #[error("must be 1 to {MAX_REASON} characters, none a control character")]
    Reason,
}

impl SyncReportError {
    /// The member with the error.
    pub fn field(self) -> &'static str {
        match self {
            Self::CompleteThroughAhead | Self::CompleteThroughOutOfRange => "complete_through",
            Self::Reason => "reason",
        }
    }
}

impl SyncReport {
    /// Rejects a report that is invalid for every source at `now`.
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
