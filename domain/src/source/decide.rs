//! The rules of a source: a state and a command give events or a broken rule.

use chrono::{DateTime, NaiveDate, Utc};

use super::change::SourceChange;
use super::command::SourceCommand;
use super::definition::{IdScope, SourceDefinition, SourceKind};
use super::error::SourceError;
use super::event::SourceEvent;
use super::platform::Platform;
use super::series::{NextSeries, Series};
use super::state::{DatedChange, Source, SourceDetails};
use crate::breakdown::{MAX_SOURCE_DIMENSIONS, SourceDimension};
use crate::bucket::{day_start, is_in_range, local_date};
use crate::text::{TextError, check_line};

const DAY_S: i64 = 86_400;
const MAX_NAME_LENGTH: usize = 100;
const MAX_EXPECTED_DELAY_S: i64 = 31 * DAY_S;
const MIN_QUIET_AFTER_S: i64 = 900;
const MIN_OBSERVATION_WINDOW_S: i64 = 7 * DAY_S;
/// The longest window in which any source may send observations, in days. Their ids are kept for as long.
pub const MAX_OBSERVATION_WINDOW_DAYS: u32 = 90;
const MAX_OBSERVATION_WINDOW_S: i64 = MAX_OBSERVATION_WINDOW_DAYS as i64 * DAY_S;

/// Decides on a command. No events means that the source already has this definition.
pub fn decide(source: &Source, command: SourceCommand) -> Result<Vec<SourceEvent>, SourceError> {
    match (&source.details, command) {
        (registered, SourceCommand::Register { source, definition, at }) => {
            register(registered.as_ref(), source, definition, at)
        }
        (None, _) => Err(SourceError::NotRegistered),
        (Some(details), SourceCommand::Change { change, series, from, at }) => {
            let zone = || series.time_zone.unwrap_or_else(|| details.definition_at(at).time_zone);
            let begins = from.is_some() && change == SourceChange::default();
            let from = from.unwrap_or_else(|| local_date(at, zone()));
            check_date(from)?;
            let series = begun_series(details, series, begins, from)?;
            self::change(details, SourceChange { series, ..change }, from, at)
        }
        (Some(details), SourceCommand::End { ends_at, at }) => {
            let ends_at = ends_at.unwrap_or(at);
            if !is_in_range(ends_at.date_naive()) {
                return Err(SourceError::EndOutOfRange);
            }
            let is_so = details.ended_at() == Some(ends_at);
            let event = SourceEvent::SourceEnded { source: details.source, ends_at, at };
            Ok(if is_so { Vec::new() } else { vec![event] })
        }
        (Some(details), SourceCommand::Resume { from, at }) => {
            let from = from.unwrap_or_else(|| local_date(at, details.definition_at(at).time_zone));
            check_date(from)?;
            if details.ended_at().is_none() {
                return Err(SourceError::NotEnded);
            }
            let resumes_at = day_start(from, details.series().on(from).time_zone);
            Ok(vec![SourceEvent::SourceResumed { source: details.source, resumes_at, at }])
        }
    }
}

fn register(
    registered: Option<&SourceDetails>,
    source: crate::ids::SourceId,
    mut definition: SourceDefinition,
    at: DateTime<Utc>,
) -> Result<Vec<SourceEvent>, SourceError> {
    definition.normalise();
    check(&definition)?;
    match registered {
        None => Ok(vec![SourceEvent::SourceRegistered { source, definition, at }]),
        // The definition of today, too: whoever registers at each start need not know that it was changed.
        Some(details) if details.definition_at(at) == definition => Ok(Vec::new()),
        Some(details) => match difference(&details.definition, &definition) {
            None => Ok(Vec::new()),
            Some(field) => Err(SourceError::ConflictingDefinition { field }),
        },
    }
}

fn change(
    details: &SourceDetails,
    mut change: SourceChange,
    from: NaiveDate,
    at: DateTime<Utc>,
) -> Result<Vec<SourceEvent>, SourceError> {
    if let Some(horizons) = &mut change.horizons {
        horizons.normalise();
    }
    check(&change.apply(&details.definition_on(from)))?;
    let mut after = details.clone();
    after.changes.push(DatedChange { from, change: change.clone() });
    if !after.series().is_in_order() {
        return Err(SourceError::SeriesOutOfOrder);
    }
    let is_so = after.timeline() == details.timeline();
    let event = SourceEvent::SourceChanged { source: details.source, change, from, at };
    Ok(if is_so { Vec::new() } else { vec![event] })
}

/// The series that begins on a date, if one does. `begins`: the command says nothing but the date, and so begins one.
fn begun_series(
    details: &SourceDetails,
    NextSeries { id, time_zone, currency }: NextSeries,
    begins: bool,
    from: NaiveDate,
) -> Result<Option<Series>, SourceError> {
    let series = details.series();
    let before = series.on(from);
    let is_push = details.definition.kind == SourceKind::Push;
    let begins = begins && time_zone.is_none() && currency.is_none();
    // Nothing that is pushed is a total that another one would contradict.
    if begins && is_push || !begins && time_zone.is_none() && currency.is_none() {
        return Ok(None);
    }
    let time_zone_then = time_zone.unwrap_or(before.time_zone);
    let currency_then = currency.unwrap_or(before.currency);
    let is_so = |of: Series| of.time_zone == time_zone_then && of.currency == currency_then;
    let next = series.after(from).map(|(day, _)| day.date).next();
    let stays = if begins { series.begins_on(from) } else { is_so(before) };
    if stays && series.after(from).all(|(_, of)| is_so(of)) {
        return Ok(None);
    }
    if let Some(next) = next.filter(|_| time_zone.is_none() || currency.is_none()) {
        return Err(SourceError::SeriesFollows { next });
    }
    // Where a change is taken back, the series before it goes on. An instant is the same in every zone, so what is
    // pushed goes on in another one, too.
    let goes_on = |of: &Series| !begins && if is_push { of.currency == currency_then } else { is_so(*of) };
    let day_before = from.pred_opt().unwrap_or(from);
    let id = [before, series.on(day_before)].into_iter().find(goes_on).map_or(id, |of| of.id);
    Ok(Some(Series { id, time_zone: time_zone_then, currency: currency_then }))
}

/// How far back, in seconds, the source may send observations: what it says itself, else its longest horizon, within 7
/// days, which is what late deliveries need, and [`MAX_OBSERVATION_WINDOW_DAYS`].
pub fn observation_window_s(definition: &SourceDefinition) -> i64 {
    let wanted = definition.observation_window_s.unwrap_or_else(|| definition.horizons.longest_s());
    wanted.clamp(MIN_OBSERVATION_WINDOW_S, MAX_OBSERVATION_WINDOW_S)
}

/// Accepts a valid name of a source: one line of 1 to 100 characters. Names with another meaning are invalid: `*` for
/// every source, and the steps of a path.
pub fn check_name(name: &str) -> Result<(), TextError> {
    check_line(name, MAX_NAME_LENGTH)?;
    if matches!(name, "*" | "." | "..") { Err(TextError::Reserved) } else { Ok(()) }
}

impl SourceDefinition {
    /// Makes two definitions that say the same equal: no white space around the name, no role or horizon that holds
    /// anyway.
    pub(super) fn normalise(&mut self) {
        self.name = self.name.trim().to_owned();
        let role = self.role;
        self.measure_roles.retain(|_, of| *of != role);
        self.horizons.normalise();
    }
}

fn check_date(date: NaiveDate) -> Result<(), SourceError> {
    if is_in_range(date) { Ok(()) } else { Err(SourceError::FromOutOfRange) }
}

fn check(definition: &SourceDefinition) -> Result<(), SourceError> {
    check_name(&definition.name).map_err(SourceError::Name)?;
    if definition.platform.as_deref().is_some_and(|name| Platform::find(name).is_none()) {
        return Err(SourceError::UnknownPlatform);
    }
    if !(0..=MAX_EXPECTED_DELAY_S).contains(&definition.expected_delay_s) {
        return Err(SourceError::ExpectedDelay { seconds: definition.expected_delay_s });
    }
    if let Some((member, horizon)) = definition.horizons.by_member().find(|(_, horizon)| !horizon.is_in_range()) {
        return Err(SourceError::Horizon { member, horizon });
    }
    if let Some(seconds) = definition.complete_after_s {
        if definition.kind == SourceKind::Pull {
            return Err(SourceError::CompleteAfterOfPull);
        }
        if !(0..=MAX_EXPECTED_DELAY_S).contains(&seconds) {
            return Err(SourceError::CompleteAfter { seconds });
        }
    }
    if let Some(seconds) = definition.quiet_after_s {
        if definition.complete_after_s.is_none() {
            return Err(SourceError::QuietAfterAlone);
        }
        if !(MIN_QUIET_AFTER_S..=MAX_EXPECTED_DELAY_S).contains(&seconds) {
            return Err(SourceError::QuietAfter { seconds });
        }
    }
    if let Some(seconds) = definition.observation_window_s
        && !(MIN_OBSERVATION_WINDOW_S..=MAX_OBSERVATION_WINDOW_S).contains(&seconds)
    {
        return Err(SourceError::ObservationWindow { seconds });
    }
    if definition.id_scope != IdScope::Day && definition.kind == SourceKind::Pull {
        return Err(SourceError::IdScopeOfPull);
    }
    check_dimensions(definition)?;
    if definition.expected_from.is_some_and(|date| !is_in_range(date)) {
        return Err(SourceError::ExpectedFromOutOfRange);
    }
    Ok(())
}

fn check_dimensions(definition: &SourceDefinition) -> Result<(), SourceError> {
    let dimensions = &definition.dimensions;
    if definition.kind == SourceKind::Push && !dimensions.is_empty() {
        return Err(SourceError::DimensionsOfPush);
    }
    if dimensions.len() > MAX_SOURCE_DIMENSIONS {
        return Err(SourceError::TooManyDimensions);
    }
    let is_before =
        |(place, of): &(usize, &SourceDimension)| dimensions.iter().take(*place).any(|one| one.name == of.name);
    match dimensions.iter().enumerate().find(is_before) {
        Some((_, twice)) => Err(SourceError::RepeatedDimension(twice.name)),
        None => Ok(()),
    }
}

/// The first part in which two definitions differ.
fn difference(registered: &SourceDefinition, requested: &SourceDefinition) -> Option<&'static str> {
    let parts = [
        ("name", registered.name == requested.name),
        ("channel", registered.channel == requested.channel),
        ("kind", registered.kind == requested.kind),
        ("role", registered.role == requested.role),
        ("measure_roles", registered.measure_roles == requested.measure_roles),
        ("measures", registered.measures == requested.measures),
        ("platform", registered.platform == requested.platform),
        ("time_zone", registered.time_zone == requested.time_zone),
        ("currency", registered.currency == requested.currency),
        ("expected_delay_s", registered.expected_delay_s == requested.expected_delay_s),
        ("horizons", registered.horizons == requested.horizons),
        ("complete_after_s", registered.complete_after_s == requested.complete_after_s),
        ("quiet_after_s", registered.quiet_after_s == requested.quiet_after_s),
        ("expected_from", registered.expected_from == requested.expected_from),
        ("observation_window_s", registered.observation_window_s == requested.observation_window_s),
        ("id_scope", registered.id_scope == requested.id_scope),
        ("unknown_campaigns", registered.unknown_campaigns == requested.unknown_campaigns),
        ("dimensions", registered.dimensions == requested.dimensions),
    ];
    parts.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
}
