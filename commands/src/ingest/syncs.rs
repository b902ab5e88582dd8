//! Syncs: reports of a source on its runs.

use chrono::{DateTime, Utc};
use domain::sync::{STREAM_TYPE, SyncEvent, SyncReport};
use event_store::{ClaimEffect, ExpectedVersion};

use super::ResolvedSource;
use crate::Commands;
use crate::append::{Attempts, Proposal, new_json_event};
use crate::claims::{self, COMPLETENESS, SOURCE_NAME};
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
            let definition = known.details.definition_at(context.received_at);
            let event = report.to_event(known.id, definition.horizons.longest_s(), context.received_at);
            let key = known.id.to_string();
            attempt.claims.find([(COMPLETENESS, key.clone())]).await?;
            let completeness = attempt.claims.held(COMPLETENESS, &key);
            let then = completeness_after(&event, completeness.map(|held| held.state.as_str()), &key)?;
            let mut claims = vec![attempt.claims.assert(SOURCE_NAME, source, ClaimEffect::Keep)];
            claims.extend(then.map(|then| attempt.claims.assert(COMPLETENESS, &key, then)));
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: known.id.stream(context.workspace()),
                expected: ExpectedVersion::Any,
                events: vec![new_json_event(event.kind(), &event)?],
                claims,
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

/// What becomes of a source's completeness, which is `held`: it never moves back in silence. `None`: nothing.
fn completeness_after(event: &SyncEvent, held: Option<&str>, key: &str) -> Result<Option<ClaimEffect>, CommandError> {
    let held: Option<DateTime<Utc>> = match held {
        Some(state) => Some(state.parse().map_err(|_| CommandError::bad_claim(COMPLETENESS, key))?),
        None => None,
    };
    let put = |through| ClaimEffect::Put { owner: key.to_owned(), state: claims::completeness(through) };
    match event {
        SyncEvent::SyncCompleted { complete_through: Some(through), .. } => match held {
            Some(held) if *through < held => Err(CommandError::CompletenessMovesBack { through: held }),
            Some(held) if *through == held => Ok(Some(ClaimEffect::Keep)),
            _ => Ok(Some(put(*through))),
        },
        SyncEvent::SyncReopened { complete_through, .. } => match held {
            Some(held) if *complete_through == held => Ok(Some(ClaimEffect::Keep)),
            Some(held) if *complete_through < held => Ok(Some(put(*complete_through))),
            _ => Err(CommandError::NotCompleteThrough { through: held }),
        },
        SyncEvent::SyncCompleted { .. } | SyncEvent::SyncStarted { .. } | SyncEvent::SyncFailed { .. } => Ok(None),
    }
}
