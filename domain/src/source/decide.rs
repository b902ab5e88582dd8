//! The rules of a source: a state and a command give events or the rule that was broken.

use super::command::SourceCommand;
use super::error::SourceError;
use super::event::{SourceDefinition, SourceEvent};
use super::state::Source;
use crate::text::{TextError, check_line};

const DAY_S: i64 = 86_400;
const MAX_NAME_LENGTH: usize = 100;
const MAX_EXPECTED_DELAY_S: i64 = 31 * DAY_S;
const MAX_RESTATEMENT_HORIZON_S: i64 = 400 * DAY_S;
const MIN_OBSERVATION_WINDOW_S: i64 = 7 * DAY_S;
/// The longest that any source may send observations late, in days. Their ids are kept for as long.
pub const MAX_OBSERVATION_WINDOW_DAYS: u32 = 90;

/// Decides a command. No events: it asks for what is so already.
pub fn decide(source: &Source, command: SourceCommand) -> Result<Vec<SourceEvent>, SourceError> {
    let SourceCommand::Register { source: id, definition, at } = command;
    let definition = normalise(definition);
    check(&definition)?;
    match &source.details {
        None => Ok(vec![SourceEvent::SourceRegistered { source: id, definition, at }]),
        Some(details) => match difference(&details.definition, &definition) {
            None => Ok(Vec::new()),
            Some(field) => Err(SourceError::ConflictingDefinition { field }),
        },
    }
}

/// How far back, in seconds, the source may send observations: its horizon, but no less than 7 days, which is what late
/// deliveries need, and no more than [`MAX_OBSERVATION_WINDOW_DAYS`].
pub fn observation_window_s(definition: &SourceDefinition) -> i64 {
    definition.restatement_horizon_s.clamp(MIN_OBSERVATION_WINDOW_S, i64::from(MAX_OBSERVATION_WINDOW_DAYS) * DAY_S)
}

/// Takes a name that a source may have: one line of 1 to 100 characters, and none of the names that mean something else
/// where sources are named: every source (`*`) and the steps of a path.
pub fn check_name(name: &str) -> Result<(), TextError> {
    check_line(name, MAX_NAME_LENGTH)?;
    if matches!(name, "*" | "." | "..") { Err(TextError::Reserved) } else { Ok(()) }
}

/// Two definitions that say the same are made equal: no white space around the name, no role that holds anyway.
fn normalise(definition: SourceDefinition) -> SourceDefinition {
    let mut normal = SourceDefinition { name: definition.name.trim().to_owned(), ..definition };
    normal.measure_roles.retain(|_, role| *role != normal.role);
    normal
}

fn check(definition: &SourceDefinition) -> Result<(), SourceError> {
    check_name(&definition.name).map_err(SourceError::Name)?;
    if !(0..=MAX_EXPECTED_DELAY_S).contains(&definition.expected_delay_s) {
        return Err(SourceError::ExpectedDelay { seconds: definition.expected_delay_s });
    }
    if !(0..=MAX_RESTATEMENT_HORIZON_S).contains(&definition.restatement_horizon_s) {
        return Err(SourceError::RestatementHorizon { seconds: definition.restatement_horizon_s });
    }
    Ok(())
}

/// The first part in which two definitions differ.
fn difference(registered: &SourceDefinition, asked: &SourceDefinition) -> Option<&'static str> {
    let parts = [
        ("name", registered.name == asked.name),
        ("channel", registered.channel == asked.channel),
        ("kind", registered.kind == asked.kind),
        ("role", registered.role == asked.role),
        ("measure_roles", registered.measure_roles == asked.measure_roles),
        ("time_zone", registered.time_zone == asked.time_zone),
        ("currency", registered.currency == asked.currency),
        ("expected_delay_s", registered.expected_delay_s == asked.expected_delay_s),
        ("restatement_horizon_s", registered.restatement_horizon_s == asked.restatement_horizon_s),
    ];
    parts.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}
