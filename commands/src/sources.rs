//! Registration of sources: feeds of connectors, identified by name.

use domain::ids::SourceId;
use domain::source::{
    STREAM_TYPE, Source, SourceCommand, SourceDefinition, SourceDetails, SourceError, SourceEvent, decide,
};
use event_store::{Claim, ClaimEffect, ExpectedVersion};

use crate::Commands;
use crate::append::{Attempts, Proposal, new_json_event};
use crate::claims::{self, ClaimReader, SOURCE_NAME};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::ids;
use crate::ingest::ResolvedSource;
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
        let new_id = SourceId(ids::new_id(context.received_at));
        let mut attempts = Attempts::begin(self, context)?;
        let result = loop {
            let mut attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                break result;
            }
            let registered = ResolvedSource::find(&mut attempt.claims, &definition.name).await?;
            let id = registered.as_ref().map_or(new_id, |known| known.id);
            let source = Source {
                details: registered.map(|known| SourceDetails { source: known.id, definition: known.definition }),
            };
            let version = i64::from(source.details.is_some());
            let command =
                SourceCommand::Register { source: id, definition: definition.clone(), at: context.received_at };
            let (outcome, events) = match decide(&source, command) {
                Ok(events) if events.is_empty() => (Outcome::AlreadyRegistered(id), events),
                Ok(events) => (Outcome::Registered(id), events),
                Err(SourceError::ConflictingDefinition { field }) => {
                    return Err(CommandError::SourceNameTaken { name: definition.name.clone(), field });
                }
                Err(
                    error @ (SourceError::Name(_)
                    | SourceError::ExpectedDelay { .. }
                    | SourceError::RestatementHorizon { .. }),
                ) => (Outcome::Refused(error.into()), Vec::new()),
            };
            if matches!(outcome, Outcome::Refused(_)) && context.idempotency.is_none() {
                break CommandResult::without_append(outcome, version);
            }
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id: id.stream(context.workspace()),
                expected: ExpectedVersion::Exact(version),
                claims: claims(&attempt.claims, id, &definition.name, &events)?,
                events: events
                    .iter()
                    .map(|event| new_json_event(event.kind(), event))
                    .collect::<Result<_, CommandError>>()?,
                item_preconditions: Vec::new(),
                outcome,
            };
            if let Some(result) = attempt.append(proposal).await? {
                break result;
            }
        };
        let name = definition.name;
        result.complete(context.key(), |outcome| match outcome {
            Outcome::Registered(id) => Some(RegisteredSource { id, name, is_new: true }),
            Outcome::AlreadyRegistered(id) => Some(RegisteredSource { id, name, is_new: false }),
            _ => None,
        })
    }
}

/// Takes the name of a new source, or asserts that of a known source.
fn claims(
    claims: &ClaimReader<'_>,
    id: SourceId,
    name: &str,
    events: &[SourceEvent],
) -> Result<Vec<Claim>, CommandError> {
    let mut wanted = Vec::new();
    for event in events {
        let SourceEvent::SourceRegistered { definition, .. } = event;
        let state = serde_json::to_string(definition).map_err(CommandError::Encoding)?;
        wanted.push(claims::take(SOURCE_NAME, definition.name.clone(), &id.to_string(), &state));
    }
    if events.is_empty() && claims.held(SOURCE_NAME, name).is_some() {
        wanted.push(claims.assert(SOURCE_NAME, name, ClaimEffect::Keep));
    }
    Ok(wanted)
}
