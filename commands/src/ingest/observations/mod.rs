//! Observations: increments that a push source sends. A batch is one event, whatever campaigns it touches.

mod backfill; // history, in chunks that count once
mod batch; // the items of a batch, and the decision on them
mod correction_totals; // the totals of corrected observations
mod event_builder; // the event of a batch
mod fingerprint; // the identity and the content of an observation
mod id_space; // what a source's ids are unique within
mod prerequisites; // what a decision needs from the log
mod recorded; // what the log holds of a batch
mod window; // the acceptance window of a source

#[cfg(test)]
mod tests;

use domain::catalogue::OBSERVATIONS_RECORDED;
use domain::item::{RejectedItem, truncate};
use domain::observation::{ObservationInput, STREAM_TYPE};
use domain::source::SourceKind;
use event_store::ExpectedVersion;

pub use self::backfill::BackfillChunk;

use self::batch::ObservationBatch;
use self::recorded::RecordedItems;
use super::resolved_refs::ResolvedRefs;
use super::unknown_campaigns::CampaignCreation;
use super::{BatchResult, complete_batch};
use crate::Commands;
use crate::append::{Attempts, Proposal, new_event};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{Completed, Outcome};

/// An observation, or the error of reading it.
pub type ObservationItem = Result<ObservationInput, RejectedItem>;

impl Commands {
    /// Records a batch of observations. The append finds the receipt of a batch that was sent before under the same
    /// key. An earlier lookup would cost every new batch a round trip.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = source, correlation_id = context.correlation_id)
    )]
    pub async fn record_observations(
        &self,
        context: &CommandContext,
        source: &str,
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
            attempt.check_source_rate(known.source.id, items.len())?;
            let unknown = |known: &ResolvedRefs<'_>, zone| batch.unknown_campaigns(known, None, zone);
            if creation.run(self, context, &mut attempt, &mut known, unknown).await? {
                continue;
            }
            // Reads nothing if the decision needs nothing of the log.
            let prerequisites = batch.prerequisites(&known.source);
            let recorded = RecordedItems::find(&mut attempt.claims, known.source.id, &prerequisites).await?;
            let decided = batch.decide(&known, &recorded, None)?;
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: known.source.id.stream(context.workspace()),
                expected: ExpectedVersion::Any,
                events: decided.payloads.into_iter().map(|payload| new_event(OBSERVATIONS_RECORDED, payload)).collect(),
                claims: known.assertions(&attempt.claims).into_iter().chain(decided.claims).collect(),
                item_preconditions: decided.item_preconditions,
                outcome: Outcome::BatchProcessed(decided.settled),
            };
            if let Some(result) = attempt.append(proposal).await? {
                break result;
            }
        };
        complete_batch("observations", context, result, |index| batch.id(index))
    }
}

/// The id of an item, shortened, so that an answer does not grow with the request.
pub fn observation_id(item: &ObservationItem) -> Option<String> {
    match item {
        Ok(input) => Some(truncate(&input.id)),
        Err(rejected) => rejected.id.clone(),
    }
}
