//! Given what happened, when commanded, then events or the broken rule.

mod create;
mod edit;
mod life;
mod replay;

use std::collections::BTreeMap;

use ::cqrs_es::test::{AggregateTestExecutor, TestFramework};
use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

use super::*;
use crate::channel::Channel;
use crate::ids::CampaignId;
use crate::money::{Currency, Money};

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Before the campaign's first day, which begins at 2026-11-30T23:00:00Z.
fn early() -> DateTime<Utc> {
    instant("2026-11-21T10:00:00Z")
}

/// Within its days.
fn midway() -> DateTime<Utc> {
    instant("2026-12-10T10:00:00Z")
}

fn channels(names: &[&str]) -> Vec<Channel> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

/// A budget for the whole campaign.
fn in_all(micros: i64, code: &str) -> Budget {
    Budget::total(Money { micros, currency: currency(code) })
}

/// A budget for each of its days.
fn a_day(micros: i64, code: &str) -> Budget {
    Budget { per: BudgetPeriod::Day, ..in_all(micros, code) }
}

fn external_id(source: Option<&str>, id: &str) -> ExternalId {
    ExternalId { source: source.map(str::to_owned), id: id.to_owned() }
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What the campaign of these tests is created with.
#[derive(Clone)]
struct Plan {
    name: String,
    channels: Vec<Channel>,
    currency: Currency,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    budget: Option<Budget>,
    external_ids: Vec<ExternalId>,
    attributes: BTreeMap<String, String>,
}

fn plan() -> Plan {
    Plan {
        name: "Winter sale".to_owned(),
        channels: channels(&["paid_search", "email"]),
        currency: currency("EUR"),
        starts_on: date("2026-12-01"),
        ends_on: Some(date("2026-12-24")),
        budget: Some(in_all(5_000_000_000, "EUR")),
        external_ids: vec![external_id(Some("google_ads"), "123")],
        attributes: attributes(&[("region", "dach")]),
    }
}

fn create(plan: Plan) -> CampaignCommand {
    create_at(early(), plan)
}

fn create_at(at: DateTime<Utc>, plan: Plan) -> CampaignCommand {
    CampaignCommand::Create {
        campaign: CampaignId(Uuid::from_u128(1)),
        name: plan.name,
        channels: plan.channels,
        currency: plan.currency,
        time_zone: "Europe/Berlin".parse().unwrap(),
        starts_on: plan.starts_on,
        ends_on: plan.ends_on,
        budget: plan.budget,
        external_ids: plan.external_ids,
        attributes: plan.attributes,
        created_by_source: None,
        state: InitialState::Draft,
        at,
    }
}

fn created(plan: Plan) -> CampaignEvent {
    CampaignEvent::CampaignCreated {
        campaign: CampaignId(Uuid::from_u128(1)),
        name: plan.name,
        channels: plan.channels,
        currency: plan.currency,
        time_zone: "Europe/Berlin".parse().unwrap(),
        starts_on: plan.starts_on,
        ends_on: plan.ends_on,
        budget: plan.budget,
        external_ids: plan.external_ids,
        attributes: plan.attributes,
        created_by_source: None,
        at: early(),
    }
}

/// Events that bring the campaign into each state, in the order of a life.
fn in_state(state: CampaignState) -> Vec<CampaignEvent> {
    let at = early();
    let mut events = vec![created(plan())];
    match state {
        CampaignState::Draft => {}
        CampaignState::Launched => events.push(CampaignEvent::CampaignLaunched { at }),
        CampaignState::Paused => {
            events.extend([CampaignEvent::CampaignLaunched { at }, CampaignEvent::CampaignPaused { at }]);
        }
        CampaignState::Completed => {
            events.extend([CampaignEvent::CampaignLaunched { at }, CampaignEvent::CampaignCompleted { at }]);
        }
        CampaignState::Archived => events.push(CampaignEvent::CampaignArchived { at }),
    }
    events
}

fn given(events: Vec<CampaignEvent>) -> AggregateTestExecutor<Campaign> {
    TestFramework::<Campaign>::with(()).given(events)
}

#[track_caller]
fn check_events(state: CampaignState, command: CampaignCommand, events: Vec<CampaignEvent>) {
    given(in_state(state)).when(command).then_expect_events(events);
}

#[track_caller]
fn check_refused(state: CampaignState, command: CampaignCommand, error: CampaignError) {
    given(in_state(state)).when(command).then_expect_error(error);
}
