//! The rules of a campaign: a state and a command give events or a broken rule.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::budget::Budget;
use super::command::{CampaignCommand, CampaignEdit, InitialState};
use super::error::CampaignError;
use super::event::{CampaignEvent, ExternalId};
use super::state::{Campaign, CampaignDetails};
use super::status::{CampaignState, ends_at};
use crate::bucket::is_in_range;
use crate::channel::Channel;
use crate::money::Currency;
use crate::source;
use crate::text::{TextError, check_line};
use crate::zone::Zone;

const MAX_NAME_LENGTH: usize = 200;
const MAX_CHANNELS: usize = 20;
const MAX_EXTERNAL_IDS: usize = 50;
const MAX_EXTERNAL_ID_LENGTH: usize = 200;
const MAX_ATTRIBUTES: usize = 50;
const MAX_ATTRIBUTE_KEY_LENGTH: usize = 40;
const MAX_ATTRIBUTE_LENGTH: usize = 500;

/// Decides on a command. No events means that the campaign already has the requested state.
pub fn decide(campaign: &Campaign, command: CampaignCommand) -> Result<Vec<CampaignEvent>, CampaignError> {
    let current = campaign.details.as_ref();
    match command {
        CampaignCommand::Create {
            campaign,
            name,
            channels,
            currency,
            time_zone,
            starts_on,
            ends_on,
            budget,
            external_ids,
            attributes,
            created_by_source,
            state,
            at,
        } => {
            if current.is_some() {
                return Err(CampaignError::AlreadyCreated);
            }
            let name = name.trim().to_owned();
            check_name(&name).map_err(CampaignError::Name)?;
            check_channels(&channels)?;
            check_dates(starts_on, ends_on)?;
            check_budget(budget, currency)?;
            check_external_ids(&external_ids)?;
            check_attributes(&attributes)?;
            let further = first_steps(state, &channels, ends_on.map(|ends_on| (ends_on, time_zone)), at)?;
            let created = CampaignEvent::CampaignCreated {
                campaign,
                name,
                channels,
                currency,
                time_zone,
                starts_on,
                ends_on,
                budget,
                external_ids,
                attributes,
                created_by_source,
                at,
            };
            Ok(std::iter::once(created).chain(further).collect())
        }
        CampaignCommand::Edit(edit) => decide_edit(changeable(current)?, edit),
        CampaignCommand::SetBudget { budget, at } => {
            decide_edit(changeable(current)?, CampaignEdit { budget: Some(budget), ..CampaignEdit::at(at) })
        }
        CampaignCommand::Launch { at } => launch(changeable(current)?, at),
        CampaignCommand::Pause { at } => {
            let refusal = |state| CampaignError::NotLaunched { state };
            step(changeable(current)?, &[CampaignState::Launched], CampaignEvent::CampaignPaused { at }, refusal)
        }
        CampaignCommand::Resume { at } => {
            let refusal = |state| CampaignError::NotPaused { state };
            step(changeable(current)?, &[CampaignState::Paused], CampaignEvent::CampaignResumed { at }, refusal)
        }
        CampaignCommand::Complete { at } => {
            let from = [CampaignState::Launched, CampaignState::Paused];
            let refusal = |state| CampaignError::NotUnderway { state };
            step(changeable(current)?, &from, CampaignEvent::CampaignCompleted { at }, refusal)
        }
        CampaignCommand::Archive { at } => {
            let from = [CampaignState::Draft, CampaignState::Paused, CampaignState::Completed];
            let refusal = |_| CampaignError::LaunchedCannotBeArchived;
            step(changeable(current)?, &from, CampaignEvent::CampaignArchived { at }, refusal)
        }
        CampaignCommand::Unarchive { at } => {
            let current = current.ok_or(CampaignError::NotFound)?;
            let state = current.archived_from.ok_or(CampaignError::NotArchived { state: current.state })?;
            Ok(vec![CampaignEvent::CampaignUnarchived { state, at }])
        }
    }
}

/// The campaign, if it was created and is not archived.
fn changeable(current: Option<&CampaignDetails>) -> Result<&CampaignDetails, CampaignError> {
    let current = current.ok_or(CampaignError::NotFound)?;
    if current.state == CampaignState::Archived { Err(CampaignError::Archived) } else { Ok(current) }
}

fn step(
    current: &CampaignDetails,
    from: &[CampaignState],
    event: CampaignEvent,
    refusal: impl Fn(CampaignState) -> CampaignError,
) -> Result<Vec<CampaignEvent>, CampaignError> {
    if from.contains(&current.state) { Ok(vec![event]) } else { Err(refusal(current.state)) }
}

/// The steps that bring a new campaign into its state.
fn first_steps(
    state: InitialState,
    channels: &[Channel],
    ends_on: Option<(NaiveDate, Zone)>,
    at: DateTime<Utc>,
) -> Result<Vec<CampaignEvent>, CampaignError> {
    let launched = CampaignEvent::CampaignLaunched { at };
    match state {
        InitialState::Draft => Ok(Vec::new()),
        InitialState::Active => check_launch(channels, ends_on, at).map(|()| vec![launched]),
        // It is over, so its last day may have passed.
        InitialState::Completed => {
            check_launch(channels, None, at).map(|()| vec![launched, CampaignEvent::CampaignCompleted { at }])
        }
    }
}

fn check_launch(
    channels: &[Channel],
    ends_on: Option<(NaiveDate, Zone)>,
    at: DateTime<Utc>,
) -> Result<(), CampaignError> {
    if channels.is_empty() {
        return Err(CampaignError::ChannelRequired);
    }
    match ends_on {
        Some((ends_on, zone)) if at >= ends_at(ends_on, zone) => Err(CampaignError::EndDateInPast { ends_on }),
        Some(_) | None => Ok(()),
    }
}

fn launch(current: &CampaignDetails, at: DateTime<Utc>) -> Result<Vec<CampaignEvent>, CampaignError> {
    if current.state != CampaignState::Draft {
        return Err(CampaignError::AlreadyLaunched { state: current.state });
    }
    check_launch(&current.channels, current.ends_on.map(|ends_on| (ends_on, current.time_zone)), at)?;
    Ok(vec![CampaignEvent::CampaignLaunched { at }])
}

/// Checks only actual changes, so that sending the whole campaign back is always allowed.
fn decide_edit(current: &CampaignDetails, edit: CampaignEdit) -> Result<Vec<CampaignEvent>, CampaignError> {
    let at = edit.at;
    let launched = current.state != CampaignState::Draft;
    let completed = current.state == CampaignState::Completed;
    let mut events = Vec::new();

    let name = edit.name.map(|name| name.trim().to_owned());
    if let Some(name) = changed(name, &current.name) {
        check_name(&name).map_err(CampaignError::Name)?;
        events.push(CampaignEvent::CampaignRenamed { name, at });
    }
    if let Some(time_zone) = changed(edit.time_zone, &current.time_zone) {
        if launched {
            return Err(CampaignError::TimeZoneFixed);
        }
        events.push(CampaignEvent::CampaignTimeZoneChanged { time_zone, at });
    }
    let new_start = changed(edit.starts_on, &current.starts_on);
    let new_end = changed(edit.ends_on, &current.ends_on);
    if new_start.is_some() || new_end.is_some() {
        if completed {
            return Err(CampaignError::Completed { field: if new_start.is_some() { "starts_on" } else { "ends_on" } });
        }
        if new_start.is_some() && launched && at >= current.starts_at() {
            return Err(CampaignError::StartFixed { starts_on: current.starts_on });
        }
        let starts_on = new_start.unwrap_or(current.starts_on);
        let ends_on = new_end.unwrap_or(current.ends_on);
        check_dates(starts_on, ends_on)?;
        events.push(CampaignEvent::CampaignRescheduled { starts_on, ends_on, at });
    }
    if let Some(channels) = changed(edit.channels, &current.channels) {
        if completed {
            return Err(CampaignError::Completed { field: "channels" });
        }
        if launched && channels.is_empty() {
            return Err(CampaignError::ChannelRequired);
        }
        check_channels(&channels)?;
        events.push(CampaignEvent::CampaignChannelsSet { channels, at });
    }
    let new_currency = changed(edit.currency, &current.currency);
    let new_budget = changed(edit.budget, &current.budget);
    if let Some(currency) = new_currency {
        if launched {
            return Err(CampaignError::CurrencyFixed { currency: current.currency });
        }
        events.push(CampaignEvent::CampaignCurrencyChanged { currency, at });
    }
    if let Some(budget) = new_budget {
        if completed {
            return Err(CampaignError::BudgetFixed);
        }
        events.push(CampaignEvent::CampaignBudgetSet { budget, at });
    }
    // Also without a new budget: the current one must not be left in another currency.
    check_budget(new_budget.unwrap_or(current.budget), new_currency.unwrap_or(current.currency))?;
    if let Some(external_ids) = changed(edit.external_ids, &current.external_ids) {
        check_external_ids(&external_ids)?;
        events.push(CampaignEvent::CampaignExternalIdsSet { external_ids, at });
    }
    if let Some(attributes) = changed(edit.attributes, &current.attributes) {
        check_attributes(&attributes)?;
        events.push(CampaignEvent::CampaignAttributesSet { attributes, at });
    }
    Ok(events)
}

fn changed<T: PartialEq>(requested: Option<T>, current: &T) -> Option<T> {
    requested.filter(|requested| requested != current)
}

/// Accepts a valid name of a campaign: one line of 1 to 200 characters.
pub fn check_name(name: &str) -> Result<(), TextError> {
    check_line(name, MAX_NAME_LENGTH)
}

/// Accepts a valid id of a campaign in another system: one line of 1 to 200 characters.
pub fn check_external_id(id: &str) -> Result<(), TextError> {
    check_line(id, MAX_EXTERNAL_ID_LENGTH)
}

fn check_channels(channels: &[Channel]) -> Result<(), CampaignError> {
    if channels.len() > MAX_CHANNELS {
        return Err(CampaignError::TooManyChannels { count: channels.len() });
    }
    let mut seen = BTreeSet::new();
    match channels.iter().find(|channel| !seen.insert(*channel)) {
        Some(twice) => Err(CampaignError::DuplicateChannel { channel: twice.clone() }),
        None => Ok(()),
    }
}

fn check_dates(starts_on: NaiveDate, ends_on: Option<NaiveDate>) -> Result<(), CampaignError> {
    if !is_in_range(starts_on) {
        return Err(CampaignError::StartOutOfRange { starts_on });
    }
    match ends_on {
        Some(ends_on) if !is_in_range(ends_on) => Err(CampaignError::EndOutOfRange { ends_on }),
        Some(ends_on) if ends_on < starts_on => Err(CampaignError::EndsBeforeStart { starts_on, ends_on }),
        _ => Ok(()),
    }
}

fn check_budget(budget: Option<Budget>, currency: Currency) -> Result<(), CampaignError> {
    match budget.map(|budget| budget.amount) {
        Some(amount) if amount.currency != currency => {
            Err(CampaignError::BudgetCurrency { budget: amount.currency, campaign: currency })
        }
        Some(amount) if amount.micros <= 0 => Err(CampaignError::BudgetNotPositive),
        _ => Ok(()),
    }
}

fn check_external_ids(external_ids: &[ExternalId]) -> Result<(), CampaignError> {
    if external_ids.len() > MAX_EXTERNAL_IDS {
        return Err(CampaignError::TooManyExternalIds { count: external_ids.len() });
    }
    let mut seen = BTreeSet::new();
    for external_id in external_ids {
        check_external_id(&external_id.id).map_err(CampaignError::ExternalId)?;
        if let Some(source) = &external_id.source {
            source::check_name(source).map_err(CampaignError::ExternalIdSource)?;
        }
        if !seen.insert(external_id) {
            return Err(CampaignError::ExternalIdTwice { id: external_id.id.clone() });
        }
    }
    Ok(())
}

fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), CampaignError> {
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(CampaignError::TooManyAttributes { count: attributes.len() });
    }
    for (key, value) in attributes {
        if !is_attribute_key(key) {
            return Err(CampaignError::AttributeKey { key: key.clone() });
        }
        let length = value.chars().count();
        if length > MAX_ATTRIBUTE_LENGTH {
            return Err(CampaignError::AttributeTooLong { key: key.clone(), length });
        }
        if value.contains(|each: char| each.is_control() && each != '\n' && each != '\t') {
            return Err(CampaignError::AttributeControlCharacter { key: key.clone() });
        }
    }
    Ok(())
}

fn is_attribute_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.len() <= MAX_ATTRIBUTE_KEY_LENGTH
        && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
