//! Syncs: reports of a source on its runs.

use domain::sync::{STREAM_TYPE, SyncReport};
use event_store::{ClaimEffect, ExpectedVersion};

use super::ResolvedSource;
use crate::Commands;
use crate::append::{Attempts, Proposal, new_json_event};
use crate::claims::SOURCE_NAME;
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{Completed, Outcome};

impl Commands {
    /// Records the report of a run of the named source.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = source, correlation_id = context.correlation_id)
    )]
    pub async fn record_sync(
        &self,
        context: &CommandContext,
        source: &str,
        report: &SyncReport,
    ) -> Result<Completed<()>, CommandError> {
        report
            .validate(context.received_at)
            .map_err(|error| CommandError::Invalid { field: error.field(), detail: error.to_string() })?;
        let mut attempts = Attempts::begin(self, context)?;
        let result = loop {
            let mut attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                break result;
            }
            let known = ResolvedSource::find(&mut attempt.claims, source).await?.ok_or(CommandError::NotFound)?;
            attempt.check_source_rate(known.id, 1)?;
            let event = report.to_event(known.id, context.received_at);
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: known.id.stream(context.workspace()),
                expected: ExpectedVersion::Any,
                events: vec![new_json_event(event.kind(), &event)?],
                claims: vec![attempt.claims.assert(SOURCE_NAME, source, ClaimEffect::Keep)],
                item_preconditions: Vec::new(),
                outcome: Outcome::SyncRecorded,
            };
            if let Some(result) = attempt.append(proposal).await? {
                break result;
            }
        };
        result.complete(context.key(), |outcome| matches!(outcome, Outcome::SyncRecorded).then_some(()))
    }
}
