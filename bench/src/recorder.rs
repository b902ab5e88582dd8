//! Records batches of observations in process: what the command API's route does once it has read a request and found
//! its source and campaigns, without HTTP and JSON in front.

use anyhow::{Context, Result, ensure};
use domain::catalogue::OBSERVATIONS_RECORDED;
use domain::ids::{CampaignId, SourceId, WorkspaceId};
use domain::money::Currency;
use domain::observation::{Observation, ObservationsRecorded, STREAM_TYPE};
use event_store::{
    AppendRequest, Appender, Claim, ClaimEffect, ClaimPrecondition, ExpectedVersion, Item, ItemKey, Metadata, NewEvent,
    OnDuplicate, Payload, find_claims,
};
use platform::clock::{Clock, SystemClock};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::load::metadata;
use crate::workspace::{SOURCE, Subjects};

/// Whether a batch's observations are kept from being recorded twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    Kept,
    None,
}

/// Writes the observations of one source.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    appender: Appender,
    workspace: WorkspaceId,
    /// That the source and the campaigns are as they were when they were looked up.
    claims: Vec<Claim>,
}

impl Recorder {
    /// `pool` must act as the command part.
    pub(crate) async fn new(
        pool: &PgPool,
        appender: Appender,
        workspace: WorkspaceId,
        subjects: &Subjects,
    ) -> Result<Self> {
        let campaigns: Vec<String> = subjects.campaigns.iter().map(ToString::to_string).collect();
        let mut wanted = vec![("source_name", SOURCE)];
        wanted.extend(campaigns.iter().map(|campaign| ("campaign", campaign.as_str())));
        let found = find_claims(pool, workspace.0, &wanted).await?;
        ensure!(found.len() == wanted.len(), "{} of {} claims are there", found.len(), wanted.len());
        let claims = found
            .into_iter()
            .map(|found| Claim {
                kind: if found.kind == "campaign" { "campaign" } else { "source_name" },
                key: found.key,
                expect: ClaimPrecondition::Held { owner: found.owner, state: found.state },
                then: ClaimEffect::Keep,
            })
            .collect();
        Ok(Self { appender, workspace, claims })
    }

    /// Records a batch, and returns when it is durable.
    pub(crate) async fn record(&self, batch: &ObservationsRecorded, ids: Ids) -> Result<()> {
        let items = batch
            .observations
            .iter()
            .map(|observation| {
                item(batch.source, batch.campaigns[observation.campaign], batch.currency, observation, ids)
            })
            .collect::<Result<_>>()?;
        let (head, tail) = frame(batch)?;
        let at = SystemClock.now();
        let event = NewEvent {
            event_type: OBSERVATIONS_RECORDED.name.to_owned(),
            event_version: OBSERVATIONS_RECORDED.version().to_string(),
            payload: Payload::Items { head, items, tail },
        };
        let request = AppendRequest {
            workspace: self.workspace.0,
            stream_type: STREAM_TYPE,
            stream_id: batch.source.stream(self.workspace),
            expected: ExpectedVersion::Any,
            events: vec![event],
            metadata: Metadata(metadata(at)),
            claims: self.claims.clone(),
            item_preconditions: Vec::new(),
            receipt: None,
            recorded_at: at,
        };
        let appended = self.appender.append(request).await?;
        ensure!(appended.duplicates.is_empty() && appended.conflicts.is_empty(), "new ids were taken");
        Ok(())
    }
}

/// What stands before and after the observations: they come last in the event, so an event without any is the frame.
fn frame(batch: &ObservationsRecorded) -> Result<(String, String)> {
    let empty = ObservationsRecorded::new(batch.source, batch.currency, batch.campaigns.clone(), Vec::new());
    let mut head = serde_json::to_string(&empty)?;
    let tail = head.split_off(head.rfind("]}").context("an event without its end")?);
    Ok((head, tail))
}

fn item(
    source: SourceId,
    campaign: CampaignId,
    currency: Currency,
    observation: &Observation,
    ids: Ids,
) -> Result<Item> {
    let key = match ids {
        Ids::Kept => Some(key(source, campaign, currency, observation)),
        Ids::None => None,
    };
    Ok(Item { key, when_taken: OnDuplicate::default(), content: serde_json::to_string(observation)? })
}

/// Two digests over the parts that the command API's own keys are made of.
fn key(source: SourceId, campaign: CampaignId, currency: Currency, observation: &Observation) -> ItemKey {
    let id = digest(&[source.0.as_bytes(), observation.kind.name().as_bytes(), observation.id.as_bytes()]);
    let value = observation.value_micros.map(|micros| format!("{micros} {currency}")).unwrap_or_default();
    let fingerprint = digest(&[
        campaign.0.as_bytes(),
        &observation.occurred_at.timestamp_millis().to_be_bytes(),
        &observation.count.to_be_bytes(),
        value.as_bytes(),
    ]);
    ItemKey {
        day: observation.occurred_at.date_naive(),
        also_under: None,
        id: Uuid::from_u128(id),
        fingerprint: i64::from_ne_bytes(u64::to_ne_bytes((fingerprint >> 64) as u64)),
    }
}

/// The first half of a SHA-256 over parts, each with its length.
fn digest(parts: &[&[u8]]) -> u128 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let whole: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    u128::from_be_bytes(half)
}
