//! The context of a command: its actor, its trace and its idempotency key.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::ids::{CampaignId, WorkspaceId};
use domain::note::CommandNote;
use event_store::{Metadata, Receipt};
use platform::principal::Principal;

use crate::error::CommandError;
use crate::ids;
use crate::outcome::Outcome;

/// The actor, the time and the trace of a command.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// The actor and its workspace.
    pub principal: Principal,
    /// When the command was received.
    pub received_at: DateTime<Utc>,
    /// When its items were received, where that was earlier: rejected items that are judged again.
    pub items_received_at: Option<DateTime<Utc>>,
    /// The trace that the command belongs to: a W3C trace id.
    pub correlation_id: String,
    /// The span that caused it: a W3C span id.
    pub causation_id: String,
    /// The command as the parent of its effects (W3C Trace Context).
    pub traceparent: String,
    /// The reason that the caller gives.
    pub note: CommandNote,
    /// The idempotency key, which makes the command safe to repeat.
    pub idempotency: Option<Idempotency>,
}

/// An idempotency key with the digest of its content. The same key with the same content returns the first answer; with
/// other content it is an error.
///
/// The receipt is written in the transaction of its events, so neither exists without the other. A use case that looks
/// for it before its append only saves work: the append looks again, under the head's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key that the caller chose.
    pub key: String,
    /// The digest of the content. The caller decides what belongs to the content.
    pub digest: [u8; 32],
}

impl CommandContext {
    /// The workspace in which the principal acts.
    pub fn workspace(&self) -> WorkspaceId {
        WorkspaceId(self.principal.workspace)
    }

    /// The id of a campaign that this command creates.
    pub fn new_campaign_id(&self) -> CampaignId {
        CampaignId(ids::new_id(self.received_at))
    }

    /// When the items were received.
    pub(crate) fn items_received_at(&self) -> DateTime<Utc> {
        self.items_received_at.unwrap_or(self.received_at)
    }

    /// The idempotency key.
    pub(crate) fn key(&self) -> Option<&str> {
        self.idempotency.as_ref().map(|idempotency| idempotency.key.as_str())
    }

    /// The metadata of every event of the command.
    pub(crate) fn metadata(&self) -> Metadata {
        let known = [
            ("actor", self.principal.actor.to_string()),
            ("correlation_id", self.correlation_id.clone()),
            ("causation_id", self.causation_id.clone()),
            ("traceparent", self.traceparent.clone()),
            ("received_at", self.received_at.to_rfc3339_opts(SecondsFormat::Micros, true)),
        ];
        let reason = self.note.reason.as_ref().map(|reason| ("reason", reason.as_str().to_owned()));
        let url = self.note.url.as_ref().map(|url| ("note_url", url.as_str().to_owned()));
        Metadata(known.into_iter().chain(reason).chain(url).map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The receipt of an outcome, if the command has an idempotency key.
    pub(crate) fn receipt(&self, outcome: &Outcome) -> Result<Option<Receipt>, CommandError> {
        let Some(Idempotency { key, digest }) = &self.idempotency else { return Ok(None) };
        let response = serde_json::to_string(outcome).map_err(CommandError::Encoding)?;
        Ok(Some(Receipt { key: key.clone(), digest: *digest, response }))
    }
}
