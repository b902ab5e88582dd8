//! Append with retry: the steps of every use case around its decision.

use std::time::Duration;

use domain::catalogue::EventType;
use domain::ids::SourceId;
use event_store::{
    AppendError, AppendOutcome, AppendRequest, Claim, ExpectedVersion, ItemPrecondition, NewEvent, Payload,
    ServerStart, find_receipt, recorded_at,
};
use serde::Serialize;

use crate::Commands;
use crate::claims::{CachePolicy, ClaimReader};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::in_flight::InFlightGuard;
use crate::outcome::{CommandResult, Outcome};

/// The most attempts at a command. Each round of a race has a winner, so this many concurrent callers all succeed.
const MAX_ATTEMPTS: u32 = 24;

/// The events that a decision appends to one stream.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) stream_type: &'static str,
    pub(crate) stream_id: String,
    pub(crate) expected: ExpectedVersion,
    pub(crate) events: Vec<NewEvent>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) item_preconditions: Vec<ItemPrecondition>,
    /// The outcome that the receipt keeps.
    pub(crate) outcome: Outcome,
}

/// One attempt at a command. The first one may use cached claims; the later ones read them.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    commands: &'a Commands,
    context: &'a CommandContext,
    pub(crate) is_first: bool,
    /// The database server from which it reads.
    server: ServerStart,
    pub(crate) claims: ClaimReader<'a>,
}

/// The attempts at one command. In each, a use case looks up, decides and appends. After a lost race it takes the next
/// one.
#[derive(Debug)]
pub(crate) struct Attempts<'a> {
    commands: &'a Commands,
    context: &'a CommandContext,
    started: u32,
    _in_flight: InFlightGuard,
}

impl<'a> Attempts<'a> {
    /// Begins a command. It is rejected at once, without a lookup, while a command under the same key is in flight, and
    /// while the queue of the log is full. A rejection for load must not add load.
    pub(crate) fn begin(commands: &'a Commands, context: &'a CommandContext) -> Result<Self, CommandError> {
        let workspace = context.workspace().0;
        commands.appender.check_capacity(workspace)?;
        let in_flight = commands.in_flight.begin(workspace, context.key())?;
        Ok(Self { commands, context, started: 0, _in_flight: in_flight })
    }

    /// Returns the next attempt, after a growing pause. An error after the last one.
    pub(crate) async fn next(&mut self) -> Result<Attempt<'a>, CommandError> {
        let number = self.started;
        if number == MAX_ATTEMPTS {
            return Err(CommandError::Contended);
        }
        self.started += 1;
        backoff(number).await;
        let is_first = number == 0;
        let policy = if is_first { CachePolicy::Cached } else { CachePolicy::Read };
        let (commands, context) = (self.commands, self.context);
        let claims = commands.claim_reader(context, policy);
        Ok(Attempt { commands, context, is_first, server: claims.server(), claims })
    }
}

/// Pauses before the next attempt. The pause grows, and it is random, so that two callers differ.
async fn backoff(number: u32) {
    if number > 0 {
        let longest = (1_u64 << number.min(5)) * 1_000;
        let wait = rand::random_range(0..=longest);
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
}

impl Attempt<'_> {
    /// The result of the same command, if it was carried out before. Only the first attempt looks for it.
    pub(crate) async fn previous_result(&self) -> Result<Option<CommandResult>, CommandError> {
        if self.is_first { find_previous_result(self.commands, self.context).await } else { Ok(None) }
    }

    /// Whether what it decides on may be older than the request.
    pub(crate) fn rests_on_cache(&self) -> bool {
        self.is_first
    }

    /// Rejects a source above its rate limit. A retry after a lost race is not counted.
    pub(crate) fn check_source_rate(&self, source: SourceId, items: usize) -> Result<(), CommandError> {
        if !self.is_first {
            return Ok(());
        }
        self.commands.source_rate.check(self.context.workspace(), source, items).map_err(CommandError::RateLimited)
    }

    /// Appends the decision. `None` if the attempt lost a race.
    pub(crate) async fn append(&self, proposal: Proposal) -> Result<Option<CommandResult>, CommandError> {
        let Proposal { stream_type, stream_id, expected, events, claims, item_preconditions, outcome } = proposal;
        let request = AppendRequest {
            workspace: self.context.workspace().0,
            stream_type,
            stream_id,
            expected,
            events,
            metadata: self.context.metadata(),
            claims,
            item_preconditions,
            receipt: self.context.receipt(&outcome)?,
            recorded_at: self.commands.clock.now(),
        };
        let appended = self.commands.appender.append_judged(request, self.server).await;
        settle(self.commands, self.context, outcome, appended).await
    }
}

/// The result of an append. `None` if it lost a race. An error if another attempt would fail in the same way.
pub(crate) async fn settle(
    commands: &Commands,
    context: &CommandContext,
    outcome: Outcome,
    appended: Result<AppendOutcome, AppendError>,
) -> Result<Option<CommandResult>, CommandError> {
    match appended {
        Ok(appended) => {
            let recorded_at = match appended.recorded_at {
                Some(recorded_at) => Some(recorded_at),
                None => recorded_at(&commands.pool, context.workspace().0, appended.position).await?,
            };
            CommandResult::appended(outcome, appended, recorded_at, context.key()).map(Some)
        }
        Err(
            AppendError::Version { .. }
            | AppendError::Claim { .. }
            | AppendError::Item
            | AppendError::ServerStartedAnew,
        ) => Ok(None),
        Err(
            error @ (AppendError::ReceiptMismatch
            | AppendError::Invalid(_)
            | AppendError::Overloaded
            | AppendError::ShuttingDown
            | AppendError::Unconfirmed
            | AppendError::Unavailable(_)),
        ) => Err(error.into()),
    }
}

/// The result of the same command, if it was carried out before. This only saves work: the append checks again, under
/// the lock. A receipt that a standby may not have is answered once it has it.
pub(crate) async fn find_previous_result(
    commands: &Commands,
    context: &CommandContext,
) -> Result<Option<CommandResult>, CommandError> {
    let Some(idempotency) = &context.idempotency else { return Ok(None) };
    let today = context.received_at.date_naive();
    match find_receipt(&commands.pool, context.workspace().0, &idempotency.key, today).await? {
        Some(receipt) if receipt.digest == idempotency.digest => {
            if receipt.awaits_standby {
                commands.appender.confirm(context.workspace().0, commands.clock.now()).await?;
            }
            let recorded_at = recorded_at(&commands.pool, context.workspace().0, receipt.position).await?;
            CommandResult::replayed(receipt, recorded_at, &idempotency.key).map(Some)
        }
        Some(_) => Err(CommandError::KeyReused),
        None => Ok(None),
    }
}

/// A new event of a type, with its current version.
pub(crate) fn new_event(kind: EventType, payload: Payload) -> NewEvent {
    NewEvent { event_type: kind.name.to_owned(), event_version: kind.version().to_string(), payload }
}

/// A new event whose payload is `event` as JSON.
pub(crate) fn new_json_event(kind: EventType, event: &impl Serialize) -> Result<NewEvent, CommandError> {
    Ok(new_event(kind, Payload::Json(serde_json::to_string(event).map_err(CommandError::Encoding)?)))
}
