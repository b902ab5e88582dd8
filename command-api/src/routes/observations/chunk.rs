//! One chunk of observations, whatever form they were sent in: looked up, judged, and appended as one event.

use domain::event::catalogue::OBSERVATIONS_RECORDED;
use domain::observation::STREAM_TYPE;
use domain::source::SourceKind;
use event_store::{AppendRequest, ExpectedVersion, NewEvent};

use super::judge::Batch;
use super::past::Past;
use crate::command::Caller;
use crate::execute::{self, ATTEMPTS, Race};
use crate::failure::Failure;
use crate::outcome::{Done, Outcome};
use crate::routes::known::Known;
use crate::state::ApiState;

/// Records a chunk. One that was sent before under the same key is judged again and then answered by its receipt, which the
/// append looks at first: asking before would cost every new chunk a round trip.
#[tracing::instrument(
    skip_all,
    fields(workspace = %caller.workspace(), source.name = source, correlation_id = caller.correlation_id())
)]
pub(super) async fn record(
    state: &ApiState,
    caller: &Caller,
    source: &str,
    batch: &Batch<'_>,
) -> Result<Done, Failure> {
    let _turn = execute::begin(state, caller)?;
    for attempt in 0..ATTEMPTS {
        execute::pause(attempt).await;
        let mut lookup = execute::lookup(state, caller, attempt);
        let past = Past::find(&mut lookup, source, batch).await?;
        let known = Known::find(&mut lookup, source, batch.campaigns().chain(past.campaigns())).await?;
        let known = known.ok_or_else(|| Failure::UnknownSource { name: source.to_owned() })?;
        known.source.require(SourceKind::Push)?;
        execute::spend(state, caller, known.source.id, batch.len(), attempt)?;
        let judged = batch.judge(&known, &past)?;
        let event = |payload| NewEvent {
            event_type: OBSERVATIONS_RECORDED.name.to_owned(),
            event_version: OBSERVATIONS_RECORDED.version().to_string(),
            payload,
        };
        let outcome = Outcome::Judged(judged.settled);
        let request = AppendRequest {
            workspace: caller.principal.workspace,
            stream_type: STREAM_TYPE,
            stream_id: known.source.id.stream(caller.workspace()),
            expected: ExpectedVersion::Any,
            events: judged.payload.map(event).into_iter().collect(),
            metadata: caller.metadata(),
            claims: known.assertions(&lookup).into_iter().chain(judged.claims).collect(),
            seen: judged.seen,
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match execute::append(state, request).await? {
            Race::Won(appended) => return Done::appended(outcome, appended, caller.key()),
            Race::Lost(_) => {}
        }
    }
    Err(Failure::Contended)
}
