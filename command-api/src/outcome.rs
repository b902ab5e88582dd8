//! What a command came to: kept with its receipt, so that the same request is answered the same.

use domain::campaign::CampaignError;
use domain::ids::{CampaignId, SourceId};
use domain::source::SourceError;
use event_store::{AppendOutcome, StoredReceipt};
use serde::{Deserialize, Serialize};

use crate::error::CommandError;
use crate::problems::rules;
use crate::routes::PreAppendResults;

/// The caller's part of an answer. What only the append knows (version, position, twins) is in the receipt beside it.
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
    /// A sync was noted.
    SyncRecorded,
    /// A batch was judged.
    BatchProcessed(PreAppendResults),
    /// The rules do not allow it.
    Refused(DomainRejection),
}

/// A rule that does not allow a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DomainRejection {
    /// The rule's stable name.
    pub(crate) code: String,
    /// What is wrong.
    pub(crate) detail: String,
    /// The member at fault, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
}

impl From<CampaignError> for DomainRejection {
    fn from(error: CampaignError) -> Self {
        let field = error.field().map(str::to_owned);
        Self { code: rules::of_campaign(&error).code.to_owned(), detail: error.to_string(), field }
    }
}

impl From<SourceError> for DomainRejection {
    fn from(error: SourceError) -> Self {
        let field = error.field().map(str::to_owned);
        Self { code: rules::of_source(error).code.to_owned(), detail: error.to_string(), field }
    }
}

/// An outcome with what the append made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandResult {
    pub(crate) outcome: Outcome,
    /// The stream's version.
    pub(crate) version: i64,
    /// The log's position that covers it.
    pub(crate) position: i64,
    /// Items of a batch that were recorded before, numbered among those that the append was given.
    pub(crate) duplicates: Vec<usize>,
    /// Items whose id was recorded before with other content.
    pub(crate) conflicts: Vec<usize>,
    /// It was done before, for the same key.
    pub(crate) replayed: bool,
}

impl CommandResult {
    /// Without an append: nothing was done, and nothing is to be remembered.
    pub(crate) fn nothing(outcome: Outcome, version: i64) -> Self {
        Self { outcome, version, position: 0, duplicates: Vec::new(), conflicts: Vec::new(), replayed: false }
    }

    /// From an append that was given `outcome` to remember.
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

    /// From a receipt that was found before anything was done.
    pub(crate) fn found(receipt: StoredReceipt, key: &str) -> Result<Self, CommandError> {
        Ok(Self {
            outcome: read(&receipt.response, key)?,
            version: receipt.version.unwrap_or_default(),
            position: receipt.position,
            duplicates: receipt.duplicates,
            conflicts: receipt.conflicts,
            replayed: true,
        })
    }
}

fn read(stored: &str, key: &str) -> Result<Outcome, CommandError> {
    serde_json::from_str(stored).map_err(|_| CommandError::BadReceipt { key: key.to_owned() })
}
