//! What a command did: kept with its receipt, so that the same command is answered the same.

use domain::ids::{CampaignId, SourceId};
use event_store::{AppendOutcome, StoredReceipt};
use serde::{Deserialize, Serialize};

use crate::batch_result::PreAppendResults;
use crate::error::CommandError;
use crate::rejection::DomainRejection;

/// What a receipt keeps. What only the append knows (version, position, duplicates) is beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// A campaign was created.
    Created(CampaignId),
    /// A campaign was changed, or was already as asked.
    Changed(CampaignId),
    /// A source was registered.
    Registered(SourceId),
    /// A source was registered before, as the same.
    AlreadyRegistered(SourceId),
    /// A sync was recorded.
    SyncRecorded,
    /// A batch was processed.
    BatchProcessed(PreAppendResults),
    /// The rules of the domain do not allow it.
    Refused(DomainRejection),
}

/// What a command did, and where that stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed<T> {
    /// What was done.
    pub value: T,
    /// The stream's version.
    pub version: i64,
    /// The position of the log that covers it.
    pub position: i64,
    /// Whether it was done before, under the same idempotency key.
    pub replayed: bool,
}

impl<T> Completed<T> {
    /// The value, and the rest without it.
    pub fn split(self) -> (T, Completed<()>) {
        let Self { value, version, position, replayed } = self;
        (value, Completed { value: (), version, position, replayed })
    }
}

/// An outcome with what the append made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandResult {
    outcome: Outcome,
    version: i64,
    position: i64,
    /// Items of a batch that were recorded before, numbered among those that the append was given.
    pub(crate) duplicates: Vec<usize>,
    /// Items whose id was recorded before with other content.
    pub(crate) conflicts: Vec<usize>,
    replayed: bool,
}

impl CommandResult {
    /// A result of which nothing is to be remembered.
    pub(crate) fn without_append(outcome: Outcome, version: i64) -> Self {
        Self { outcome, version, position: 0, duplicates: Vec::new(), conflicts: Vec::new(), replayed: false }
    }

    /// The result of an append that was given `outcome` to remember.
    pub(crate) fn appended(outcome: Outcome, appended: AppendOutcome, key: Option<&str>) -> Result<Self, CommandError> {
        let outcome = match appended.response {
            Some(stored) if appended.replayed => read(&stored, key.unwrap_or_default())?,
            Some(_) | None => outcome,
        };
        Ok(Self {
            outcome,
            version: appended.version,
            position: appended.position,
            duplicates: appended.duplicates,
            conflicts: appended.conflicts,
            replayed: appended.replayed,
        })
    }

    /// The result that a receipt remembers.
    pub(crate) fn replayed(receipt: StoredReceipt, key: &str) -> Result<Self, CommandError> {
        Ok(Self {
            outcome: read(&receipt.response, key)?,
            version: receipt.version.unwrap_or_default(),
            position: receipt.position,
            duplicates: receipt.duplicates,
            conflicts: receipt.conflicts,
            replayed: true,
        })
    }

    /// The result of one use case, whose outcomes `read` knows. A receipt with any other outcome is of another use
    /// case.
    pub(crate) fn complete<T>(
        self,
        key: Option<&str>,
        read: impl FnOnce(Outcome) -> Option<T>,
    ) -> Result<Completed<T>, CommandError> {
        let Self { outcome, version, position, replayed, .. } = self;
        if let Outcome::Refused(rejection) = outcome {
            return Err(CommandError::Rejected { rejection, replayed });
        }
        let bad_receipt = || CommandError::BadReceipt { key: key.unwrap_or_default().to_owned() };
        let value = read(outcome).ok_or_else(bad_receipt)?;
        Ok(Completed { value, version, position, replayed })
    }
}

fn read(stored: &str, key: &str) -> Result<Outcome, CommandError> {
    serde_json::from_str(stored).map_err(|_| CommandError::BadReceipt { key: key.to_owned() })
}
