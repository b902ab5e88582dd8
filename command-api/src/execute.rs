//! Carries a command out: load, decide, append, and again when a race was lost.

use std::time::Duration;

use domain::campaign::{Campaign, CampaignCommand, decide};
use domain::ids::{CampaignId, SourceId};
use event_store::{Alongside, AppendError, AppendRequest, Appended, Loaded, find_receipt};

use crate::claims::{self, EXTERNAL_CAMPAIGN, Freshness, Lookup};
use crate::command::Caller;
use crate::failure::Failure;
use crate::idempotency::Turn;
use crate::outcome::{Done, Outcome};
use crate::precondition::IfMatch;
use crate::state::ApiState;

/// How often a command is tried. Each round of a race has a winner, so this many callers at once all get through.
pub(crate) const ATTEMPTS: u32 = 24;

/// Begins to carry out a command: not while its twin is carried out, and not when the log has more to write than it can.
/// Asked before anything is looked up, so that what is refused for load does not add to it.
pub(crate) fn begin(state: &ApiState, caller: &Caller) -> Result<Turn, Failure> {
    state.appender.check_room(caller.principal.workspace)?;
    state.in_flight.begin(caller)
}

/// The first answer to a caller's key, if there was one. Only spares the work: the append looks again, under the lock.
pub(crate) async fn earlier(state: &ApiState, caller: &Caller) -> Result<Option<Done>, Failure> {
    let Some(idempotency) = &caller.idempotency else { return Ok(None) };
    let today = caller.received_at.date_naive();
    let found = find_receipt(&state.pool, caller.principal.workspace, &idempotency.key, today).await?;
    match found {
        Some(receipt) if receipt.digest == idempotency.digest => Done::found(receipt, &idempotency.key).map(Some),
        Some(_) => Err(Failure::KeyReused),
        None => Ok(None),
    }
}

/// Refuses a source that sends too much. Trying again after a lost race costs nothing.
pub(crate) fn spend(
    state: &ApiState,
    caller: &Caller,
    source: SourceId,
    items: usize,
    attempt: u32,
) -> Result<(), Failure> {
    if attempt > 0 {
        return Ok(());
    }
    state.source_rate.spend(caller.principal.workspace, source.0, items).map_err(Failure::Limited)
}

/// Claims as a command's first or later try sees them.
pub(crate) fn lookup<'a>(state: &'a ApiState, caller: &Caller, attempt: u32) -> Lookup<'a> {
    let freshness = if attempt == 0 { Freshness::Remembered } else { Freshness::Read };
    Lookup::new(&state.pool, &state.claims, caller.principal.workspace, freshness)
}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Race {
    Won(Appended),
    /// Something that the decision rests on has changed since it was read.
    Lost(AppendError),
}

/// Tells a race that was lost from what cannot be helped by trying again.
pub(crate) fn race(result: Result<Appended, AppendError>) -> Result<Race, Failure> {
    match result {
        Ok(appended) => Ok(Race::Won(appended)),
        Err(error @ (AppendError::Version { .. } | AppendError::Claim { .. } | AppendError::Item)) => {
            Ok(Race::Lost(error))
        }
        Err(
            error @ (AppendError::ReceiptMismatch
            | AppendError::Invalid(_)
            | AppendError::Overloaded
            | AppendError::ShuttingDown
            | AppendError::Unavailable(_)),
        ) => Err(error.into()),
    }
}

/// Appends without a version: for batches, whose order does not matter.
pub(crate) async fn append(state: &ApiState, request: AppendRequest) -> Result<Race, Failure> {
    race(state.appender.append(request).await)
}

/// Lets others go first before a race is run again: longer each time, and never two callers for equally long.
pub(crate) async fn pause(attempt: u32) {
    if attempt > 0 {
        let longest = (1_u64 << attempt.min(5)) * 1_000;
        let wait = rand::random_range(0..=longest);
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
}

/// Carries out a command on a campaign.
#[tracing::instrument(
    skip_all,
    fields(workspace = %caller.workspace(), campaign.id = %id, correlation_id = caller.correlation_id())
)]
pub(crate) async fn campaign(
    state: &ApiState,
    caller: &Caller,
    id: CampaignId,
    if_match: &IfMatch,
    command: CampaignCommand,
) -> Result<Done, Failure> {
    let _turn = begin(state, caller)?;
    let mut may_recall = true;
    for attempt in 0..ATTEMPTS {
        pause(attempt).await;
        let (loaded, is_recalled) = load(state, caller, id, &command, may_recall).await?;
        may_recall = false;
        if !if_match.accepts(loaded.version) {
            if is_recalled {
                continue;
            }
            // The command itself, sent before under the same key, may be what moved the version meanwhile.
            if let Some(done) = earlier(state, caller).await? {
                return Ok(done);
            }
            return Err(Failure::VersionMismatch { actual: loaded.version });
        }
        let (outcome, events) = match decide(&loaded.aggregate, command.clone()) {
            Ok(events) if is_creation(&command) => (Outcome::Created(id), events),
            Ok(events) => (Outcome::Changed(id), events),
            Err(error) => (Outcome::Refused(error.into()), Vec::new()),
        };
        if matches!(outcome, Outcome::Refused(_)) && caller.idempotency.is_none() {
            if is_recalled {
                continue;
            }
            return Ok(Done::nothing(outcome, loaded.version));
        }
        let external_ids = loaded.aggregate.details.as_ref().map_or(&[][..], |details| &details.external_ids);
        let alongside = Alongside {
            metadata: caller.metadata(),
            claims: claims::of_campaign(id, external_ids, &events),
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match race(state.campaigns.append(&loaded, &events, alongside).await)? {
            Race::Won(appended) => return Done::appended(outcome, appended, caller.key()),
            Race::Lost(error) => lost(&error, id, if_match)?,
        }
    }
    Err(Failure::Contended)
}

/// A campaign of the caller's workspace, and whether it is only recalled: what rests on that must be asserted by an append.
/// One that is being created has no stream to read.
async fn load(
    state: &ApiState,
    caller: &Caller,
    id: CampaignId,
    command: &CampaignCommand,
    may_recall: bool,
) -> Result<(Loaded<Campaign>, bool), Failure> {
    let stream_id = id.stream(caller.workspace());
    if is_creation(command) {
        return Ok((Loaded::new_stream(stream_id), false));
    }
    if may_recall && let Some(recalled) = state.campaigns.recall(&stream_id) {
        return Ok((recalled, true));
    }
    let loaded = state.campaigns.load(&stream_id).await?;
    if loaded.aggregate.details.is_none() { Err(Failure::NotFound) } else { Ok((loaded, false)) }
}

fn is_creation(command: &CampaignCommand) -> bool {
    matches!(command, CampaignCommand::Create { .. })
}

/// Whether a lost race may be run again.
fn lost(error: &AppendError, id: CampaignId, if_match: &IfMatch) -> Result<(), Failure> {
    match (error, if_match) {
        (AppendError::Version { actual }, IfMatch::Versions(_)) => Err(Failure::VersionMismatch { actual: *actual }),
        (AppendError::Claim { kind, key, found: Some(found) }, _)
            if *kind == EXTERNAL_CAMPAIGN && found.owner != id.to_string() =>
        {
            Err(Failure::ExternalIdTaken { id: claims::external_id(key).to_owned() })
        }
        _ => Ok(()),
    }
}
