//! Carries a command out: load, decide, append, and again when a race was lost.

use std::time::Duration;

use domain::campaign::{Campaign, CampaignCommand, decide};
use domain::ids::{CampaignId, SourceId};
use event_store::{AppendError, AppendOutcome, AppendRequest, CommitContext, Loaded, find_receipt};

use crate::claims::{self, CachePolicy, ClaimReader, EXTERNAL_CAMPAIGN};
use crate::command::CommandContext;
use crate::error::CommandError;
use crate::idempotency::InFlightGuard;
use crate::outcome::{CommandResult, Outcome};
use crate::precondition::IfMatch;
use crate::state::ApiState;

/// How often a command is tried. Each round of a race has a winner, so this many callers at once all get through.
pub(crate) const ATTEMPTS: u32 = 24;

/// Begins to carry out a command: not while its twin is carried out, and not when the log has more to write than it can.
/// Asked before anything is looked up, so that what is refused for load does not add to it.
pub(crate) fn admit(state: &ApiState, caller: &CommandContext) -> Result<InFlightGuard, CommandError> {
    state.appender.check_capacity(caller.principal.workspace)?;
    state.in_flight.begin(caller)
}

/// The first answer to a caller's key, if there was one. Only spares the work: the append looks again, under the lock.
pub(crate) async fn find_previous_result(
    state: &ApiState,
    caller: &CommandContext,
) -> Result<Option<CommandResult>, CommandError> {
    let Some(idempotency) = &caller.idempotency else { return Ok(None) };
    let today = caller.received_at.date_naive();
    let found = find_receipt(&state.pool, caller.principal.workspace, &idempotency.key, today).await?;
    match found {
        Some(receipt) if receipt.digest == idempotency.digest => {
            CommandResult::found(receipt, &idempotency.key).map(Some)
        }
        Some(_) => Err(CommandError::KeyReused),
        None => Ok(None),
    }
}

/// Refuses a source that sends too much. Trying again after a lost race costs nothing.
pub(crate) fn check_source_rate(
    state: &ApiState,
    caller: &CommandContext,
    source: SourceId,
    items: usize,
    attempt: u32,
) -> Result<(), CommandError> {
    if attempt > 0 {
        return Ok(());
    }
    state.source_rate.check(caller.principal.workspace, source.0, items).map_err(CommandError::Limited)
}

/// Claims as a command's first or later try sees them.
pub(crate) fn lookup<'a>(state: &'a ApiState, caller: &CommandContext, attempt: u32) -> ClaimReader<'a> {
    let freshness = if attempt == 0 { CachePolicy::Remembered } else { CachePolicy::Read };
    ClaimReader::new(&state.pool, &state.claims, caller.principal.workspace, freshness)
}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum AppendAttempt {
    Committed(AppendOutcome),
    /// Something that the decision rests on has changed since it was read.
    Conflicted(AppendError),
}

/// Tells a race that was lost from what cannot be helped by trying again.
pub(crate) fn classify_append(result: Result<AppendOutcome, AppendError>) -> Result<AppendAttempt, CommandError> {
    match result {
        Ok(appended) => Ok(AppendAttempt::Committed(appended)),
        Err(error @ (AppendError::Version { .. } | AppendError::Claim { .. } | AppendError::Item)) => {
            Ok(AppendAttempt::Conflicted(error))
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
pub(crate) async fn append(state: &ApiState, request: AppendRequest) -> Result<AppendAttempt, CommandError> {
    classify_append(state.appender.append(request).await)
}

/// Lets others go first before a race is run again: longer each time, and never two callers for equally long.
pub(crate) async fn backoff(attempt: u32) {
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
pub(crate) async fn execute_campaign_command(
    state: &ApiState,
    caller: &CommandContext,
    id: CampaignId,
    if_match: &IfMatch,
    command: CampaignCommand,
) -> Result<CommandResult, CommandError> {
    let _turn = admit(state, caller)?;
    let mut may_recall = true;
    for attempt in 0..ATTEMPTS {
        backoff(attempt).await;
        let (loaded, is_recalled) = load(state, caller, id, &command, may_recall).await?;
        may_recall = false;
        if !if_match.accepts(loaded.version) {
            if is_recalled {
                continue;
            }
            // The command itself, sent before under the same key, may be what moved the version meanwhile.
            if let Some(done) = find_previous_result(state, caller).await? {
                return Ok(done);
            }
            return Err(CommandError::VersionMismatch { actual: loaded.version });
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
            return Ok(CommandResult::nothing(outcome, loaded.version));
        }
        let external_ids = loaded.aggregate.details.as_ref().map_or(&[][..], |details| &details.external_ids);
        let alongside = CommitContext {
            metadata: caller.metadata(),
            claims: claims::of_campaign(id, external_ids, &events),
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match classify_append(state.campaigns.append(&loaded, &events, alongside).await)? {
            AppendAttempt::Committed(appended) => return CommandResult::appended(outcome, appended, caller.key()),
            AppendAttempt::Conflicted(error) => fail_if_not_retryable(&error, id, if_match)?,
        }
    }
    Err(CommandError::Contended)
}

/// A campaign of the caller's workspace, and whether it is only recalled: what rests on that must be asserted by an append.
/// One that is being created has no stream to read.
async fn load(
    state: &ApiState,
    caller: &CommandContext,
    id: CampaignId,
    command: &CampaignCommand,
    may_recall: bool,
) -> Result<(Loaded<Campaign>, bool), CommandError> {
    let stream_id = id.stream(caller.workspace());
    if is_creation(command) {
        return Ok((Loaded::new_stream(stream_id), false));
    }
    if may_recall && let Some(recalled) = state.campaigns.cached(&stream_id) {
        return Ok((recalled, true));
    }
    let loaded = state.campaigns.load(&stream_id).await?;
    if loaded.aggregate.details.is_none() { Err(CommandError::NotFound) } else { Ok((loaded, false)) }
}

fn is_creation(command: &CampaignCommand) -> bool {
    matches!(command, CampaignCommand::Create { .. })
}

/// Whether a lost race may be run again.
fn fail_if_not_retryable(error: &AppendError, id: CampaignId, if_match: &IfMatch) -> Result<(), CommandError> {
    match (error, if_match) {
        (AppendError::Version { actual }, IfMatch::Versions(_)) => {
            Err(CommandError::VersionMismatch { actual: *actual })
        }
        (AppendError::Claim { kind, key, found: Some(found) }, _)
            if *kind == EXTERNAL_CAMPAIGN && found.owner != id.to_string() =>
        {
            Err(CommandError::ExternalIdTaken { id: claims::external_id(key).to_owned() })
        }
        _ => Ok(()),
    }
}
