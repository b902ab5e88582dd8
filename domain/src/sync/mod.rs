//! Syncs: reports of a source on its own runs. Completeness is an event, so freshness can be replayed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bucket::{Grain, is_in_range};
use crate::catalogue::{self, EventType};
use crate::ids::SourceId;
use crate::item::{MAX_CLOCK_SKEW, truncate_to_millis};
use crate::measure::MeasureGroup;

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
        /// Everything before this instant is there; null for a run that moves no completeness.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        complete_through: Option<DateTime<Utc>>,
        /// In which steps its completeness moves.
        grain: Grain,
        /// The range that the run read again; left out: from what was complete before it, less `lookback_s`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        covers: Option<Coverage>,
        /// The longest horizon of the source when the run was reported, in seconds.
        lookback_s: i64,
        /// Up to where the source itself calls its numbers final.
        #[serde(default, skip_serializing_if = "FinalThrough::is_empty")]
        final_through: FinalThrough,
    },
    /// A source takes its completeness back: what it said of later buckets does not hold.
    SyncReopened {
        /// The source.
        source: SourceId,
        /// When we received the word, by our clock.
        at: DateTime<Utc>,
        /// Everything before this instant is still there.
        complete_through: DateTime<Utc>,
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

/// A range that a run read again: the buckets that end after `from` and up to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coverage {
    /// The first instant of the range.
    pub from: DateTime<Utc>,
    /// The first instant after it.
    pub to: DateTime<Utc>,
}

/// Up to where a source calls its numbers final, by the clock that they settle by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FinalThrough {
    /// Impressions, clicks, spend, video views and sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DateTime<Utc>>,
    /// Every other measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversions: Option<DateTime<Utc>>,
}

impl FinalThrough {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The one of a group of measures.
    pub fn of(self, group: MeasureGroup) -> Option<DateTime<Utc>> {
        match group {
            MeasureGroup::Delivery => self.delivery,
            MeasureGroup::Conversions => self.conversions,
        }
    }

    /// Both, each by an operation.
    #[must_use]
    pub fn map(self, change: impl Fn(DateTime<Utc>) -> DateTime<Utc>) -> Self {
        Self { delivery: self.delivery.map(&change), conversions: self.conversions.map(change) }
    }

    fn instants(self) -> impl Iterator<Item = DateTime<Utc>> {
        self.delivery.into_iter().chain(self.conversions)
    }
}

impl SyncEvent {
    /// The source that the event is about.
    pub fn source(&self) -> SourceId {
        match self {
            Self::SyncStarted { source, .. }
            | Self::SyncCompleted { source, .. }
            | Self::SyncReopened { source, .. }
            | Self::SyncFailed { source, .. } => *source,
        }
    }

    /// The type of the event.
    pub fn kind(&self) -> EventType {
        match self {
            Self::SyncStarted { .. } => catalogue::SYNC_STARTED,
            Self::SyncCompleted { .. } => catalogue::SYNC_COMPLETED,
            Self::SyncReopened { .. } => catalogue::SYNC_REOPENED,
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
    Completed(CompletedRun),
    /// Completeness is taken back.
    Reopened {
        /// Everything before this instant is still there.
        complete_through: DateTime<Utc>,
    },
    /// The run failed.
    Failed {
        /// Why, in the source's words.
        reason: String,
    },
}

/// A run that ended well, as it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedRun {
    /// Everything before this instant is there; none for a run that only read a range again.
    pub complete_through: Option<DateTime<Utc>>,
    /// In which steps completeness moves.
    pub grain: Grain,
    /// The range that it read again, if it says so.
    pub covers: Option<Coverage>,
    /// Up to where the source calls its numbers final.
    pub final_through: FinalThrough,
}

/// Why a report is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SyncReportError {
    /// Neither what is complete nor what was read.
    #[error("complete_through or covers is needed with status completed")]
    NothingCompleted,
    /// An instant that is still to come.
    #[error("lies ahead of this server's clock")]
    Ahead(&'static str),
    /// An instant outside of the years that we keep.
    #[error("must lie in the years 1970 to 2199")]
    OutOfRange(&'static str),
    /// A range that ends where it begins, or before.
    #[error("must end after it begins")]
    EmptyCoverage,
    /// Final beyond what is complete.
    #[error("must not lie beyond complete_through")]
    FinalBeyondComplete,
    /// A reason that is blank, too long, or holds control characters.
    #[error("must be 1 to {MAX_REASON} characters, none a control character")]
    Reason,
}

impl SyncReportError {
    /// The member with the error.
    pub fn field(self) -> &'static str {
        match self {
            Self::NothingCompleted => "complete_through",
            Self::Ahead(field) | Self::OutOfRange(field) => field,
            Self::EmptyCoverage => "covers",
            Self::FinalBeyondComplete => "final_through",
            Self::Reason => "reason",
        }
    }
}

impl SyncReport {
    /// Rejects a report that is invalid for every source at `now`.
    pub fn validate(&self, now: DateTime<Utc>) -> Result<(), SyncReportError> {
        match self {
            Self::Started => Ok(()),
            Self::Completed(run) => run.validate(now),
            Self::Reopened { complete_through } => check_instant("complete_through", *complete_through, now),
            Self::Failed { reason } => {
                let control = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
                if reason.trim().is_empty() || reason.chars().count() > MAX_REASON || reason.contains(control) {
                    return Err(SyncReportError::Reason);
                }
                Ok(())
            }
        }
    }

    /// The event that records the report of `source`, whose longest horizon is `lookback_s`, and which was received at
    /// `at`.
    pub fn to_event(&self, source: SourceId, lookback_s: i64, at: DateTime<Utc>) -> SyncEvent {
        match self {
            Self::Started => SyncEvent::SyncStarted { source, at },
            Self::Completed(CompletedRun { complete_through, grain, covers, final_through }) => {
                SyncEvent::SyncCompleted {
                    source,
                    at,
                    complete_through: complete_through.map(truncate_to_millis),
                    grain: *grain,
                    covers: covers.map(|range| Coverage {
                        from: truncate_to_millis(range.from),
                        to: truncate_to_millis(range.to),
                    }),
                    lookback_s,
                    final_through: final_through.map(truncate_to_millis),
                }
            }
            Self::Reopened { complete_through } => {
                SyncEvent::SyncReopened { source, at, complete_through: truncate_to_millis(*complete_through) }
            }
            Self::Failed { reason } => SyncEvent::SyncFailed { source, at, reason: reason.clone() },
        }
    }
}

impl CompletedRun {
    fn validate(&self, now: DateTime<Utc>) -> Result<(), SyncReportError> {
        if self.complete_through.is_none() && self.covers.is_none() {
            return Err(SyncReportError::NothingCompleted);
        }
        if let Some(complete_through) = self.complete_through {
            check_instant("complete_through", complete_through, now)?;
        }
        if let Some(Coverage { from, to }) = self.covers {
            check_instant("covers", from, now)?;
            check_instant("covers", to, now)?;
            if from >= to {
                return Err(SyncReportError::EmptyCoverage);
            }
        }
        for instant in self.final_through.instants() {
            check_instant("final_through", instant, now)?;
            if self.complete_through.is_some_and(|through| instant > through) {
                return Err(SyncReportError::FinalBeyondComplete);
            }
        }
        Ok(())
    }
}

fn check_instant(field: &'static str, instant: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), SyncReportError> {
    if instant > now + MAX_CLOCK_SKEW {
        Err(SyncReportError::Ahead(field))
    } else if !is_in_range(instant.date_naive()) {
        Err(SyncReportError::OutOfRange(field))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
