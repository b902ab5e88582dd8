//! Commands on campaigns: create, edit, budget, lifecycle.

use chrono::{DateTime, Utc};
use domain::campaign::{Campaign, CampaignCommand, CampaignVersion, decide};
use domain::ids::CampaignId;
use event_store::{AppendError, CommitContext, Loaded};

use crate::Commands;
use crate::append::{Attempts, find_previous_result, settle};
use crate::claims::{self, EXTERNAL_CAMPAIGN};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{CommandResult, Completed, Outcome};

/// A campaign after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedCampaign {
    /// The campaign.
    pub id: CampaignId,
    /// Its version after the command.
    pub version: CampaignVersion,
}

/// The versions of a campaign that the caller accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionPrecondition {
    /// Any version.
    Any,
    /// One of these, which may be none.
    Versions(Vec<CampaignVersion>),
}

impl VersionPrecondition {
    /// Whether a campaign may be changed that is at this version.
    pub fn accepts(&self, version: CampaignVersion) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }

    /// Whether it names this number of events, whenever they were recorded.
    fn names(&self, number: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.iter().any(|accepted| accepted.number == number),
        }
    }
}

impl Commands {
    /// Carries out a command on a campaign. [`CampaignCommand::Create`] creates one, under a new id.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), campaign.id = %id, correlation_id = context.correlation_id)
    )]
    pub async fn execute_campaign_command(
        &self,
        context: &CommandContext,
        id: CampaignId,
        precondition: &VersionPrecondition,
        command: CampaignCommand,
    ) -> Result<Completed<ChangedCampaign>, CommandError> {
        let mut may_use_cache = true;
        let mut has_events = false;
        let mut attempts = Attempts::begin(self, context)?;
        let result = loop {
            attempts.next().await?;
            let (loaded, is_cached) = self.load_campaign(context, id, &command, may_use_cache).await?;
            may_use_cache = false;
            if !self.accepts(precondition, &loaded).await? {
                if is_cached {
                    continue;
                }
                // The version may have moved because of this command itself, sent before under the same key.
                match find_previous_result(self, context).await? {
                    Some(result) => break result,
                    None => return Err(CommandError::VersionMismatch { actual: loaded.version }),
                }
            }
            let (outcome, events) = match decide(&loaded.aggregate, command.clone()) {
                Ok(events) if is_creation(&command) => (Outcome::Created(id), events),
                Ok(events) => (Outcome::Changed(id), events),
                Err(error) => (Outcome::Refused(error.into()), Vec::new()),
            };
            if matches!(outcome, Outcome::Refused(_)) && context.idempotency.is_none() {
                if is_cached {
                    continue;
                }
                break CommandResult::without_append(outcome, loaded.version);
            }
            has_events = !events.is_empty();
            let external_ids = loaded.aggregate.details.as_ref().map_or(&[][..], |details| &details.external_ids);
            let commit = CommitContext {
                metadata: context.metadata(),
                claims: claims::of_campaign(id, external_ids, &events),
                receipt: context.receipt(&outcome)?,
                recorded_at: self.clock.now(),
            };
            let appended = self.campaigns.append(&loaded, &events, commit).await;
            if let Err(error) = &appended {
                fail_if_not_retryable(error, id, precondition)?;
            }
            if let Some(result) = settle(self, context, outcome, appended).await? {
                break result;
            }
        };
        let done = result.complete(context.key(), |outcome| match outcome {
            Outcome::Created(id) | Outcome::Changed(id) => Some(id),
            _ => None,
        })?;
        // The position of a command without events is the head, whose event may be of another stream.
        let recorded_at = match done.recorded_at.filter(|_| has_events && !done.replayed) {
            Some(recorded_at) => recorded_at,
            None => self.recorded_at_of_version(&done.value.stream(context.workspace()), done.version).await?,
        };
        let version = CampaignVersion::new(done.version, recorded_at);
        Ok(done.map(|id| ChangedCampaign { id, version }))
    }

    /// Whether the precondition accepts the campaign as it was loaded.
    async fn accepts(
        &self,
        precondition: &VersionPrecondition,
        loaded: &Loaded<Campaign>,
    ) -> Result<bool, CommandError> {
        let number = loaded.version;
        if *precondition == VersionPrecondition::Any || !precondition.names(number) {
            return Ok(*precondition == VersionPrecondition::Any);
        }
        let recorded_at = self.recorded_at_of_version(&loaded.stream_id, number).await?;
        Ok(precondition.accepts(CampaignVersion::new(number, recorded_at)))
    }

    async fn recorded_at_of_version(&self, stream_id: &str, version: i64) -> Result<DateTime<Utc>, CommandError> {
        let found = self.campaigns.recorded_at(stream_id, version).await?;
        found.ok_or(CommandError::NotFound)
    }

    /// A campaign of the caller's workspace, and whether it is from the cache. A decision on a cached campaign must be
    /// asserted by an append. A new campaign has no stream to read.
    async fn load_campaign(
        &self,
        context: &CommandContext,
        id: CampaignId,
        command: &CampaignCommand,
        may_use_cache: bool,
    ) -> Result<(Loaded<Campaign>, bool), CommandError> {
        let stream_id = id.stream(context.workspace());
        if is_creation(command) {
            return Ok((self.campaigns.new_stream(stream_id), false));
        }
        if may_use_cache && let Some(cached) = self.campaigns.cached(&stream_id) {
            return Ok((cached, true));
        }
        let loaded = self.campaigns.load(&stream_id).await?;
        if loaded.aggregate.details.is_none() { Err(CommandError::NotFound) } else { Ok((loaded, false)) }
    }
}

fn is_creation(command: &CampaignCommand) -> bool {
    matches!(command, CampaignCommand::Create { .. })
}

/// Rejects a conflict that another attempt would meet again.
fn fail_if_not_retryable(
    error: &AppendError,
    id: CampaignId,
    precondition: &VersionPrecondition,
) -> Result<(), CommandError> {
    match (error, precondition) {
        (AppendError::Version { actual }, VersionPrecondition::Versions(_)) => {
            Err(CommandError::VersionMismatch { actual: *actual })
        }
        (AppendError::Claim { kind, key, found: Some(found) }, _)
            if *kind == EXTERNAL_CAMPAIGN && found.owner != id.to_string() =>
        {
            Err(CommandError::ExternalIdTaken {
                id: claims::external_id(key).to_owned(),
                campaign: found.owner.clone(),
            })
        }
        _ => Ok(()),
    }
}
