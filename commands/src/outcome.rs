//! The result of a command. Its receipt keeps it, so that the same command gets the same answer.

use chrono::{DateTime, Utc};
use domain::ids::{CampaignId, SourceId};
use event_store::{AppendOutcome, StoredReceipt};
use serde::{Deserialize, Serialize};

use crate::batch_result::{ItemCounts, PreAppendResults};
use crate::error::CommandError;
use crate::rejection::DomainRejection;

/// The part of a result that a receipt keeps. Version, position and duplicates come from the append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A campaign was created.
    Created(CampaignId),
    /// A campaign was changed, or already had the requested state.
    Changed(CampaignId),
    /// A source was registered.
    Registered(SourceId),
    /// A source with the same definition was registered before.
    AlreadyRegistered(SourceId),
    /// A source was changed, or was already as asked.
    SourceChanged(SourceId),
    /// The workspace has the calendar that was asked for.
    CalendarSet,
    /// The workspace has the money limit that was asked for.
    MoneyLimitSet,
    /// A sync was recorded.
    SyncRecorded,
    /// A batch was processed.
    BatchProcessed(PreAppendResults),
    /// A chunk of a backfill was recorded before.
    ChunkRepeated(ItemCounts),
    /// The rules of the domain reject the command.
    Refused(DomainRejection),
}

/// The result of a command, with its version and position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed<T> {
    /// The value of the result.
    pub value: T,
    /// The stream's version.
    pub version: i64,
    /// The position of the log that covers it.
    pub position: i64,
    /// When the event of that position was recorded. `None` for an empty log.
    pub recorded_at: Option<DateTime<Utc>>,
    /// Whether it was carried out before, under the same idempotency key.
    pub replayed: bool,
}

impl<T> Completed<T> {
    /// A result that nothing was appended for.
    pub(crate) fn unchanged(value: T) -> Self {
        Self { value, version: 0, position: 0, recorded_at: None, replayed: false }
    }

    /// The result with the position of another one, if that is later.
    pub(crate) fn covering(self, other: &Completed<()>) -> Self {
        if other.position < self.position {
            return self;
        }
        Self { position: other.position, recorded_at: other.recorded_at, ..self }
    }

    /// The result with another value.
    pub(crate) fn map<U>(self, value: impl FnOnce(T) -> U) -> Completed<U> {
        let (of, rest) = self.split();
        Completed {
            value: value(of),
            version: rest.version,
            position: rest.position,
            recorded_at: rest.recorded_at,
            replayed: rest.replayed,
        }
    }

    /// Splits the result into its value and the rest.
    pub fn split(self) -> (T, Completed<()>) {
        let Self { value, version, position, recorded_at, replayed } = self;
        (value, Completed { value: (), version, position, recorded_at, replayed })
    }
}

/// An outcome with the result of its append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandResult {
    outcome: Outcome,
    version: i64,
    position: i64,
    recorded_at: Option<DateTime<Utc>>,
    /// Items that were recorded before, numbered among the items of the append.
    pub(crate) duplicates: Vec<usize>,
    /// Items whose id was recorded before with other content.
    pub(crate) conflicts: Vec<usize>,
    replayed: bool,
}

impl CommandResult {
    /// A result without an append.
    pub(crate) fn without_append(outcome: Outcome, version: i64) -> Self {
        let (duplicates, conflicts) = (Vec::new(), Vec::new());
        Self { outcome, version, position: 0, recorded_at: None, duplicates, conflicts, replayed: false }
    }

    /// The result of an append with `outcome` in its receipt.
    pub(crate) fn appended(
        outcome: Outcome,
        appended: AppendOutcome,
        recorded_at: Option<DateTime<Utc>>,
        key: Option<&str>,
    ) -> Result<Self, CommandError> {
        let outcome = match appended.response {
            Some(stored) if appended.replayed => read(&stored, key.unwrap_or_default())?,
            Some(_) | None => outcome,
        };
        Ok(Self {
            outcome,
            version: appended.version,
            position: appended.position,
            recorded_at,
            duplicates: appended.duplicates,
            conflicts: appended.conflicts,
            replayed: appended.replayed,
        })
    }

    /// The result from a receipt.
    pub(crate) fn replayed(
        receipt: StoredReceipt,
        recorded_at: Option<DateTime<Utc>>,
        key: &str,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            outcome: read(&receipt.response, key)?,
            version: receipt.version.unwrap_or_default(),
            position: receipt.position,
            recorded_at,
            duplicates: receipt.duplicates,
            conflicts: receipt.conflicts,
            replayed: true,
        })
    }

    /// The result of one use case. `read` accepts its outcomes; a receipt with another outcome is of another use case.
    pub(crate) fn complete<T>(
        self,
        key: Option<&str>,
        read: impl FnOnce(Outcome) -> Option<T>,
    ) -> Result<Completed<T>, CommandError> {
        let Self { outcome, version, position, recorded_at, replayed, .. } = self;
        if let Outcome::Refused(rejection) = outcome {
            return Err(CommandError::Rejected { rejection, replayed });
        }
        let bad_receipt = || CommandError::BadReceipt { key: key.unwrap_or_default().to_owned() };
        let value = read(outcome).ok_or_else(bad_receipt)?;
        Ok(Completed { value, version, position, recorded_at, replayed })
    }
}

fn read(stored: &str, key: &str) -> Result<Outcome, CommandError> {
    serde_json::from_str(stored).map_err(|_| CommandError::BadReceipt { key: key.to_owned() })
}
