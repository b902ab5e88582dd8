//! One chunk of observations, whatever form they were sent in: looked up, judged, and appended as one event.

use domain::event::catalogue::OBSERVATIONS_RECORDED;
use domain::observation::STREAM_TYPE;
use domain::source::SourceKind;
use event_store::{AppendRequest, ExpectedVersion, NewEvent};

use super::recorded::RecordedItems;
use super::validate::ObservationBatch;
use crate::command::CommandContext;
use crate::error::CommandError;
use crate::execute::{self, ATTEMPTS, AppendAttempt};
use crate::outcome::{CommandResult, Outcome};
use crate::routes::resolved_refs::ResolvedRefs;
use crate::state::ApiState;

/// Records a chunk. One that was sent before under the same key is judged again and then answered by its receipt, which the
/// append looks at first: asking before would cost every new chunk a round trip.
#[tracing::instrument(
    skip_all,
    fields(workspace = %caller.workspace(), source.name = source, correlation_id = caller.correlation_id())
)]
pub(super) async fn record(
    state: &ApiState,
    caller: &CommandContext,
    source: &str,
    batch: &ObservationBatch<'_>,
) -> Result<CommandResult, CommandError> {
    let _turn = execute::admit(state, caller)?;
    for attempt in 0..ATTEMPTS {
        execute::backoff(attempt).await;
        let mut lookup = execute::lookup(state, caller, attempt);
        let past = RecordedItems::find(&mut lookup, source, batch).await?;
        let known = ResolvedRefs::find(&mut lookup, source, batch.campaigns().chain(past.campaigns())).await?;
        let known = known.ok_or_else(|| CommandError::UnknownSource { name: source.to_owned() })?;
        known.source.require(SourceKind::Push)?;
        execute::check_source_rate(state, caller, known.source.id, batch.len(), attempt)?;
        let judged = batch.validate(&known, &past)?;
        let event = |payload| NewEvent {
            event_type: OBSERVATIONS_RECORDED.name.to_owned(),
            event_version: OBSERVATIONS_RECORDED.version().to_string(),
            payload,
        };
        let outcome = Outcome::BatchProcessed(judged.settled);
        let request = AppendRequest {
            workspace: caller.principal.workspace,
            stream_type: STREAM_TYPE,
            stream_id: known.source.id.stream(caller.workspace()),
            expected: ExpectedVersion::Any,
            events: judged.payload.map(event).into_iter().collect(),
            metadata: caller.metadata(),
            claims: known.assertions(&lookup).into_iter().chain(judged.claims).collect(),
            item_preconditions: judged.seen,
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match execute::append(state, request).await? {
            AppendAttempt::Committed(appended) => return CommandResult::appended(outcome, appended, caller.key()),
            AppendAttempt::Conflicted(_) => {}
        }
    }
    Err(CommandError::Contended)
}
