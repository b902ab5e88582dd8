//! Backfills: history of any age in numbered chunks, each counted once.
//!
//! Ids of observations are kept only for a source's window. A backfill keeps none. Its chunks count once instead: the
//! claim of a chunk has the digest of its content, and stays. So a chunk that is sent again, days later, changes
//! nothing.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::catalogue::OBSERVATIONS_RECORDED;
use domain::ids::SourceId;
use domain::item::truncate_to_millis;
use domain::observation::{Backfill, BackfillName, ObservationInput, STREAM_TYPE};
use domain::source::SourceKind;
use event_store::{Claim, ClaimEffect, ExpectedVersion};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ObservationItem;
use super::batch::ObservationBatch;
use super::recorded::RecordedItems;
use super::window::AcceptanceWindow;
use crate::Commands;
use crate::append::{Attempts, Proposal, new_event};
use crate::batch_result::ItemCounts;
use crate::claims::{BACKFILL, BACKFILL_CHUNK, ClaimReader, take};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::ingest::resolved_refs::ResolvedRefs;
use crate::ingest::unknown_campaigns::CampaignCreation;
use crate::ingest::{BatchResult, complete_batch};
use crate::outcome::{CommandResult, Completed, Outcome};

/// A chunk of a backfill, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillChunk {
    /// The backfill.
    pub name: BackfillName,
    /// Its edge, if the sender says it. The first chunk fixes it; without it, it is the start of the source's window.
    pub before: Option<DateTime<Utc>>,
    /// The number of the chunk in the backfill.
    pub number: u64,
    /// The digest of its content.
    pub digest: [u8; 32],
    /// The rejected item that is judged again, which is a chunk of its own beside the numbered ones.
    pub retry_of: Option<Uuid>,
}

/// What the claim of a chunk keeps.
#[derive(Debug, Serialize, Deserialize)]
struct ChunkState {
    digest: String,
    #[serde(flatten)]
    counts: ItemCounts,
}

impl Commands {
    /// Records a chunk of a backfill. One that was recorded before gets the counts of that time.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = source, correlation_id = context.correlation_id)
    )]
    pub async fn record_backfill_chunk(
        &self,
        context: &CommandContext,
        source: &str,
        chunk: &BackfillChunk,
        items: &[ObservationItem],
    ) -> Result<Completed<BatchResult>, CommandError> {
        let limit = self.money_limit(context, items.iter().flatten().filter_map(ObservationInput::money)).await?;
        let batch = ObservationBatch::new(items, (context.items_received_at(), context.received_at), limit);
        let mut attempts = Attempts::begin(self, context)?;
        let mut creation = CampaignCreation::default();
        let result = loop {
            let mut attempt = attempts.next().await?;
            let known = ResolvedRefs::find(&mut attempt.claims, source, batch.campaigns()).await?;
            let mut known = known.ok_or_else(|| CommandError::UnknownSource { name: source.to_owned() })?;
            known.source.require(SourceKind::Push)?;
            let place = ChunkPlace::new(known.source.id, chunk);
            attempt.claims.find_cached([(BACKFILL, place.backfill.clone())]).await?;
            attempt.claims.find([(BACKFILL_CHUNK, place.chunk.clone())]).await?;
            let (payloads, claims, outcome) = if let Some(counts) = place.recorded(&attempt.claims, chunk)? {
                let unchanged = attempt.claims.assert(BACKFILL_CHUNK, &place.chunk, ClaimEffect::Keep);
                (Vec::new(), vec![unchanged], Outcome::ChunkRepeated(counts))
            } else {
                attempt.check_source_rate(known.source.id, items.len())?;
                let (backfill, edge) = place.open(&attempt.claims, chunk, batch.window(&known.source))?;
                let unknown = |known: &ResolvedRefs<'_>, zone| batch.unknown_campaigns(known, Some(&backfill), zone);
                if creation.run(self, context, &mut attempt, &mut known, unknown).await? {
                    continue;
                }
                let decided = batch.decide(&known, &RecordedItems::default(), Some(&backfill))?;
                if chunk.retry_of.is_some() && decided.payloads.is_empty() {
                    // A chunk counts once, so one of which nothing counts is none: it can be judged again.
                    break CommandResult::without_append(Outcome::BatchProcessed(decided.settled), 0);
                }
                let state = ChunkState { digest: hex::encode(chunk.digest), counts: decided.settled.counts() };
                let state = serde_json::to_string(&state).map_err(CommandError::Encoding)?;
                let counted = take(BACKFILL_CHUNK, place.chunk, &known.source.id.to_string(), &state);
                let claims = known.assertions(&attempt.claims).into_iter().chain([edge, counted]).collect();
                (decided.payloads, claims, Outcome::BatchProcessed(decided.settled))
            };
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: known.source.id.stream(context.workspace()),
                expected: ExpectedVersion::Any,
                events: payloads.into_iter().map(|payload| new_event(OBSERVATIONS_RECORDED, payload)).collect(),
                claims,
                item_preconditions: Vec::new(),
                outcome,
            };
            if let Some(result) = attempt.append(proposal).await? {
                break result;
            }
        };
        complete_batch("observations", context, result, |index| batch.id(index))
    }
}

/// The keys of a chunk's claims.
#[derive(Debug)]
struct ChunkPlace {
    source: SourceId,
    backfill: String,
    chunk: String,
}

impl ChunkPlace {
    fn new(source: SourceId, chunk: &BackfillChunk) -> Self {
        let backfill = format!("{source}/{}", chunk.name);
        let chunk = match chunk.retry_of {
            None => format!("{backfill}/{:020}", chunk.number),
            Some(rejection) => format!("{backfill}/retry {rejection}"),
        };
        Self { source, backfill, chunk }
    }

    /// What became of the items of a chunk that was recorded before. An error if it had other content.
    fn recorded(&self, claims: &ClaimReader<'_>, chunk: &BackfillChunk) -> Result<Option<ItemCounts>, CommandError> {
        let Some(held) = claims.held(BACKFILL_CHUNK, &self.chunk) else { return Ok(None) };
        let state: ChunkState =
            serde_json::from_str(&held.state).map_err(|_| CommandError::bad_claim(BACKFILL_CHUNK, &self.chunk))?;
        if state.digest != hex::encode(chunk.digest) {
            return Err(CommandError::OtherChunk { name: chunk.name.to_string(), number: chunk.number });
        }
        Ok(Some(state.counts))
    }

    /// The backfill with its edge, and the claim that keeps it.
    fn open(
        &self,
        claims: &ClaimReader<'_>,
        chunk: &BackfillChunk,
        window: AcceptanceWindow,
    ) -> Result<(Backfill, Claim), CommandError> {
        let asked = chunk.before.map(truncate_to_millis);
        let (before, claim) = if let Some(held) = claims.held(BACKFILL, &self.backfill) {
            let edge = held.state.parse().map_err(|_| CommandError::bad_claim(BACKFILL, &self.backfill))?;
            if asked.is_some_and(|asked| asked != edge) {
                return Err(CommandError::BackfillEdgeFixed { edge });
            }
            (edge, claims.assert(BACKFILL, &self.backfill, ClaimEffect::Keep))
        } else {
            let latest = window.start();
            let edge = asked.unwrap_or(latest);
            if edge > latest {
                return Err(CommandError::BackfillEdgeTooLate { latest });
            }
            let state = edge.to_rfc3339_opts(SecondsFormat::Millis, true);
            (edge, take(BACKFILL, self.backfill.clone(), &self.source.to_string(), &state))
        };
        Ok((Backfill { name: chunk.name.clone(), before }, claim))
    }
}
