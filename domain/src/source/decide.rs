//! The rules of a source: a state and a command give events or a broken rule.

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
/// The longest window in which any source may send observations, in days. Their ids are kept for as long.
pub const MAX_OBSERVATION_WINDOW_DAYS: u32 = 90;

/// Decides on a command. No events means that the source already has this definition.
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

/// How far back, in seconds, the source may send observations. It is the restatement horizon, at least 7 days, which
/// late deliveries need, and at most [`MAX_OBSERVATION_WINDOW_DAYS`].
pub fn observation_window_s(definition: &SourceDefinition) -> i64 {
    definition.restatement_horizon_s.clamp(MIN_OBSERVATION_WINDOW_S, i64::from(MAX_OBSERVATION_WINDOW_DAYS) * DAY_S)
}

/// Accepts a valid name of a source: one line of 1 to 100 characters. Names with another meaning are invalid: `*` for
/// every source, and the steps of a path.
pub fn check_name(name: &str) -> Result<(), TextError> {
    check_line(name, MAX_NAME_LENGTH)?;
    if matches!(name, "*" | "." | "..") { Err(TextError::Reserved) } else { Ok(()) }
}

/// Makes equivalent definitions equal: removes white space around the name, and roles that equal the default.
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
fn difference(registered: &SourceDefinition, requested: &SourceDefinition) -> Option<&'static str> {
    let parts = [
        ("name", registered.name == requested.name),
        ("channel", registered.channel == requested.channel),
        ("kind", registered.kind == requested.kind),
        ("role", registered.role == requested.role),
        ("measure_roles", registered.measure_roles == requested.measure_roles),
        ("time_zone", registered.time_zone == requested.time_zone),
        ("currency", registered.currency == requested.currency),
        ("expected_delay_s", registered.expected_delay_s == requested.expected_delay_s),
        ("restatement_horizon_s", registered.restatement_horizon_s == requested.restatement_horizon_s),
    ];
    parts.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}
