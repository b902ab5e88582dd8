//! Sources: connectors' feeds, known by their names. Registered, changed from a date on, ended and resumed.

use chrono::NaiveDate;
use domain::ids::SourceId;
use domain::money::Currency;
use domain::source::{
    NextSeries, STREAM_TYPE, Source, SourceChange, SourceCommand, SourceDefinition, SourceDetails, SourceError,
    SourceEvent, decide,
};
use domain::zone::Zone;
use event_store::{Claim, ClaimEffect, ExpectedVersion, list_claims};

use crate::Commands;
use crate::append::{Attempts, Proposal, new_json_event};
use crate::claims::{self, CachePolicy, ClaimReader, SOURCE_NAME};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::ids;
use crate::ingest::{ResolvedSource, SourceState};
use crate::outcome::{CommandResult, Completed, Outcome};

/// A registered source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredSource {
    /// Its id.
    pub id: SourceId,
    /// Its name, without surrounding white space.
    pub name: String,
    /// Whether the command registered it; otherwise the same definition was registered before.
    pub is_new: bool,
}

/// A source as commands see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSnapshot {
    /// The number of its events.
    pub version: i64,
    /// Its definition, and how that changes.
    pub details: SourceDetails,
}

impl Commands {
    /// Registers a source, or finds the one with the same definition.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = definition.name, correlation_id = context.correlation_id)
    )]
    pub async fn register_source(
        &self,
        context: &CommandContext,
        mut definition: SourceDefinition,
    ) -> Result<Completed<RegisteredSource>, CommandError> {
        // The domain trims a name, but its claim is looked up before the domain decides.
        definition.name = definition.name.trim().to_owned();
        let name = definition.name.clone();
        let source = SourceId(ids::new_id(context.received_at));
        let command = SourceCommand::Register { source, definition, at: context.received_at };
        self.execute_on_source(context, &name, command).await?.complete(context.key(), |outcome| match outcome {
            Outcome::Registered(id) => Some(RegisteredSource { id, name, is_new: true }),
            Outcome::AlreadyRegistered(id) => Some(RegisteredSource { id, name, is_new: false }),
            _ => None,
        })
    }

    /// Changes settings of the source of a name from a date on. Another time zone or currency begins a series.
    pub async fn change_source(
        &self,
        context: &CommandContext,
        name: &str,
        change: SourceChange,
        (time_zone, currency): (Option<Zone>, Option<Currency>),
        from: Option<NaiveDate>,
    ) -> Result<Completed<SourceId>, CommandError> {
        let series = NextSeries { id: SourceId(ids::new_id(context.received_at)), time_zone, currency };
        let command = SourceCommand::Change { change, series, from, at: context.received_at };
        self.execute_source_command(context, name, command).await
    }

    /// Carries out a command on the source of a name: change, end, resume.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = name, correlation_id = context.correlation_id)
    )]
    pub async fn execute_source_command(
        &self,
        context: &CommandContext,
        name: &str,
        command: SourceCommand,
    ) -> Result<Completed<SourceId>, CommandError> {
        self.execute_on_source(context, name, command).await?.complete(context.key(), |outcome| match outcome {
            Outcome::SourceChanged(id) => Some(id),
            _ => None,
        })
    }

    async fn execute_on_source(
        &self,
        context: &CommandContext,
        name: &str,
        command: SourceCommand,
    ) -> Result<CommandResult, CommandError> {
        let mut attempts = Attempts::begin(self, context)?;
        loop {
            let mut attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                return Ok(result);
            }
            let known = ResolvedSource::find(&mut attempt.claims, name).await?;
            let version = known.as_ref().map_or(0, |known| known.version);
            let source = Source { details: known.map(|known| known.details) };
            let (outcome, events) = match decide(&source, command.clone()) {
                Ok(events) => (outcome(&source, &command, &events)?, events),
                // A claim from the cache may be stale: nothing is refused because of it.
                Err(_) if attempt.is_first && version > 0 => continue,
                Err(SourceError::ConflictingDefinition { field }) => {
                    return Err(CommandError::SourceNameTaken { name: name.to_owned(), field });
                }
                Err(SourceError::NotRegistered) => return Err(CommandError::NotFound),
                Err(error) => (Outcome::Refused(error.into()), Vec::new()),
            };
            if matches!(outcome, Outcome::Refused(_)) && context.idempotency.is_none() {
                return Ok(CommandResult::without_append(outcome, version));
            }
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: stream(&source, &events, &command, context),
                expected: ExpectedVersion::Exact(version),
                claims: claim(&attempt.claims, name, source, version, &events)?.into_iter().collect(),
                events: events
                    .iter()
                    .map(|event| new_json_event(event.kind(), event))
                    .collect::<Result<_, CommandError>>()?,
                item_preconditions: Vec::new(),
                outcome,
            };
            if let Some(result) = attempt.append(proposal).await? {
                return Ok(result);
            }
        }
    }

    /// The source of a name.
    pub async fn source(&self, context: &CommandContext, name: &str) -> Result<SourceSnapshot, CommandError> {
        let mut claims = self.claim_reader(context, CachePolicy::Read);
        let known = ResolvedSource::find(&mut claims, name).await?.ok_or(CommandError::NotFound)?;
        Ok(SourceSnapshot { version: known.version, details: known.details })
    }

    /// Every source of the workspace, by name.
    pub async fn sources(&self, context: &CommandContext) -> Result<Vec<SourceSnapshot>, CommandError> {
        let claims = list_claims(&self.pool, context.workspace().0, SOURCE_NAME).await?;
        let snapshot = |claim: event_store::StoredClaim| {
            let state = serde_json::from_str::<SourceState>(&claim.state);
            let SourceState { version, details } =
                state.map_err(|_| CommandError::bad_claim(SOURCE_NAME, &claim.key))?;
            Ok(SourceSnapshot { version, details })
        };
        claims.into_iter().map(snapshot).collect()
    }
}

fn stream(source: &Source, events: &[SourceEvent], command: &SourceCommand, context: &CommandContext) -> String {
    let registered = source.details.as_ref().map(|details| details.source);
    let of_event = events.first().map(SourceEvent::source);
    let of_command = match command {
        SourceCommand::Register { source, .. } => Some(*source),
        _ => None,
    };
    let id = registered.or(of_event).or(of_command);
    id.map(|id| id.stream(context.workspace())).unwrap_or_default()
}

fn outcome(source: &Source, command: &SourceCommand, events: &[SourceEvent]) -> Result<Outcome, CommandError> {
    let registered = source.details.as_ref().map(|details| details.source);
    match (command, registered) {
        (SourceCommand::Register { source, .. }, registered) if !events.is_empty() => {
            Ok(Outcome::Registered(registered.unwrap_or(*source)))
        }
        (SourceCommand::Register { .. }, Some(id)) => Ok(Outcome::AlreadyRegistered(id)),
        (_, Some(id)) => Ok(Outcome::SourceChanged(id)),
        (_, None) => Err(CommandError::NotFound),
    }
}

/// Takes the name for a source that is new, keeps what a change makes of it, and asserts that it is still as it was
/// seen where nothing changes.
fn claim(
    claims: &ClaimReader<'_>,
    name: &str,
    mut source: Source,
    version: i64,
    events: &[SourceEvent],
) -> Result<Option<Claim>, CommandError> {
    let was_registered = source.details.is_some();
    events.iter().cloned().for_each(|event| source.apply(event));
    let Some(details) = source.details else { return Ok(None) };
    if events.is_empty() {
        return Ok(Some(claims.assert(SOURCE_NAME, name, ClaimEffect::Keep)));
    }
    let owner = details.source.to_string();
    let version = version + i64::try_from(events.len()).unwrap_or(i64::MAX);
    let state = serde_json::to_string(&SourceState { version, details }).map_err(CommandError::Encoding)?;
    Ok(Some(if was_registered {
        claims.assert(SOURCE_NAME, name, ClaimEffect::Put { owner, state })
    } else {
        claims::take(SOURCE_NAME, name.to_owned(), &owner, &state)
    }))
}
