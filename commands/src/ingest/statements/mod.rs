//! Statements: totals as of now, from a pull source. Only changes are recorded.

mod batch; // the items of a batch, and the decision on them
mod merge; // the newest statement of each measure

#[cfg(test)]
mod tests;

use domain::catalogue::STATEMENTS_RECORDED;
use domain::item::RejectedItem;
use domain::source::SourceKind;
use domain::statement::{BucketSpec, STREAM_TYPE, StatementInput, StatementsRecorded};
use event_store::ExpectedVersion;

use self::batch::StatementBatch;
use super::resolved_refs::ResolvedRefs;
use super::{BatchResult, complete_batch};
use crate::Commands;
use crate::append::{Attempts, Proposal, new_json_event};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{Completed, Outcome};

/// A statement, or the error of reading it.
pub type StatementItem = Result<StatementInput, RejectedItem>;

impl Commands {
    /// Records a batch of statements with buckets of `spec`.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = source, correlation_id = context.correlation_id)
    )]
    pub async fn record_statements(
        &self,
        context: &CommandContext,
        source: &str,
        spec: BucketSpec,
        items: &[StatementItem],
    ) -> Result<Completed<BatchResult>, CommandError> {
        let batch = StatementBatch::new(items, spec, context.received_at);
        let mut attempts = Attempts::begin(self, context)?;
        let result = loop {
            let mut attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                break result;
            }
            let known = ResolvedRefs::find(&mut attempt.claims, source, batch.campaigns()).await?;
            let known = known.ok_or_else(|| CommandError::UnknownSource { name: source.to_owned() })?;
            known.source.require(SourceKind::Pull)?;
            attempt.check_source_rate(known.source.id, items.len())?;
            let resolved = batch.resolve(&known);
            attempt.claims.find(resolved.claim_keys()).await?;
            let decided = resolved.decide(&attempt.claims)?;
            let mut events = Vec::new();
            if !decided.statements.is_empty() {
                let recorded = StatementsRecorded {
                    source: known.source.id,
                    series: None,
                    currency: known.source.definition.currency,
                    grain: spec.grain,
                    time_zone: spec.zone,
                    breakdown: Vec::new(),
                    sealed_with: None,
                    statements: decided.statements,
                };
                events.push(new_json_event(STATEMENTS_RECORDED, &recorded)?);
            }
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: known.source.id.stream(context.workspace()),
                expected: ExpectedVersion::Any,
                events,
                claims: known.assertions(&attempt.claims).into_iter().chain(decided.claims).collect(),
                item_preconditions: Vec::new(),
                outcome: Outcome::BatchProcessed(decided.settled),
            };
            if let Some(result) = attempt.append(proposal).await? {
                break result;
            }
        };
        complete_batch("statements", context, result, |_| None)
    }
}
