//! Campaigns that nobody has, created for the items that name them.
//!
//! A request appends to one stream, so each campaign is created before the batch, by a request of its own. Its id is
//! made from workspace, source and external id: of two processes that create it, one does.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::campaign::{Campaign, CampaignCommand, ExternalId, InitialState, decide};
use domain::ids::CampaignId;
use domain::source::{STREAM_TYPE, UnknownCampaigns};
use domain::zone::Zone;
use event_store::{AppendError, AppendRequest, ClaimEffect, CommitContext, ExpectedVersion, Loaded};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::resolved_refs::{ResolvedRefs, ResolvedSource};
use crate::Commands;
use crate::append::Attempt;
use crate::claims::{self, CREATED_CAMPAIGNS};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::workspace::stream_of;

/// The external ids that no campaign has, each with the day of its first item.
pub(super) type UnknownIds<'a> = BTreeMap<&'a str, NaiveDate>;

/// The creation of a batch's campaigns: once, however often the batch is attempted.
#[derive(Debug, Default)]
pub(super) struct CampaignCreation {
    is_done: bool,
    is_at_limit: bool,
}

impl CampaignCreation {
    /// Creates the campaigns that a batch names and nobody has, if its source is to. True if some may be there now that
    /// were not: then the batch is attempted again. `unknown` gives the days of items in a time zone.
    pub(super) async fn run<'a>(
        &mut self,
        commands: &Commands,
        context: &CommandContext,
        attempt: &mut Attempt<'_>,
        known: &mut ResolvedRefs<'_>,
        unknown: impl FnOnce(&ResolvedRefs<'_>, Zone) -> UnknownIds<'a>,
    ) -> Result<bool, CommandError> {
        known.is_at_limit = self.is_at_limit;
        let definition = known.source.details.definition_at(context.received_at);
        if self.is_done || definition.unknown_campaigns == UnknownCampaigns::Reject {
            return Ok(false);
        }
        self.is_done = true;
        let workspace = commands.workspaces.load(&stream_of(context)).await?.aggregate;
        let Some((time_zone, currency)) = workspace.defaults else { return Ok(false) };
        let mut unknown = unknown(known, time_zone);
        if unknown.is_empty() {
            return Ok(false);
        }
        let room = commands.reserve_campaigns(context, attempt, &known.source, unknown.len()).await?;
        self.is_at_limit = room < unknown.len();
        known.is_at_limit = self.is_at_limit;
        let refused = unknown.keys().nth(room).copied();
        if let Some(first) = refused {
            unknown.split_off(first);
        }
        for (external_id, starts_on) in &unknown {
            let id = campaign_id(context, &known.source, external_id);
            let create = CampaignCommand::Create {
                campaign: id,
                name: (*external_id).to_owned(),
                channels: vec![definition.channel.clone()],
                currency,
                time_zone,
                starts_on: *starts_on,
                ends_on: None,
                budget: None,
                external_ids: vec![ExternalId { source: Some(definition.name.clone()), id: (*external_id).to_owned() }],
                attributes: BTreeMap::new(),
                created_by_source: Some(definition.name.clone()),
                state: InitialState::Active,
                at: context.received_at,
            };
            commands.create_campaign(context, id, create).await?;
        }
        Ok(!unknown.is_empty())
    }
}

impl Commands {
    /// Takes as many of the campaigns that a source may create today as there are left, up to `wanted`.
    async fn reserve_campaigns(
        &self,
        context: &CommandContext,
        attempt: &mut Attempt<'_>,
        source: &ResolvedSource,
        wanted: usize,
    ) -> Result<usize, CommandError> {
        let key = format!("{}/{}", context.received_at.date_naive(), source.id);
        loop {
            attempt.claims.find([(CREATED_CAMPAIGNS, key.clone())]).await?;
            let held = attempt.claims.held(CREATED_CAMPAIGNS, &key);
            let created = match held {
                Some(held) => held.state.parse().map_err(|_| CommandError::bad_claim(CREATED_CAMPAIGNS, &key))?,
                None => 0_usize,
            };
            let limit = usize::try_from(self.limits.new_campaigns).unwrap_or(usize::MAX);
            let room = wanted.min(limit.saturating_sub(created));
            if room == 0 {
                return Ok(0);
            }
            let then = ClaimEffect::Put { owner: source.id.to_string(), state: (created + room).to_string() };
            let request = AppendRequest {
                workspace: context.workspace().0,
                stream_type: STREAM_TYPE,
                stream_id: source.id.stream(context.workspace()),
                expected: ExpectedVersion::Any,
                events: Vec::new(),
                metadata: context.metadata(),
                claims: vec![attempt.claims.assert(CREATED_CAMPAIGNS, &key, then)],
                item_preconditions: Vec::new(),
                receipt: None,
                recorded_at: self.clock.now(),
            };
            match self.appender.append(request).await {
                Ok(_) => return Ok(room),
                Err(AppendError::Claim { .. }) => attempt.claims.forget(CREATED_CAMPAIGNS, &key),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Creates a campaign, unless another request did, or its external id belongs to another one by now.
    async fn create_campaign(
        &self,
        context: &CommandContext,
        id: CampaignId,
        create: CampaignCommand,
    ) -> Result<(), CommandError> {
        // An external id that is no name creates nothing: its items are rejected.
        let Ok(events) = decide(&Campaign::default(), create) else { return Ok(()) };
        let commit = CommitContext {
            metadata: context.metadata(),
            claims: claims::of_campaign(id, &[], &events),
            receipt: None,
            recorded_at: self.clock.now(),
        };
        match self.campaigns.append(&Loaded::new_stream(id.stream(context.workspace())), &events, commit).await {
            Ok(_) | Err(AppendError::Version { .. } | AppendError::Claim { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The id of the campaign that a source creates for an external id.
fn campaign_id(context: &CommandContext, source: &ResolvedSource, external_id: &str) -> CampaignId {
    let mut digest = Sha256::new();
    digest.update(b"campaign of a source");
    digest.update(context.workspace().0.to_be_bytes());
    digest.update(source.id.0.as_bytes());
    digest.update(external_id);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    CampaignId(Builder::from_custom_bytes(bytes).into_uuid())
}
