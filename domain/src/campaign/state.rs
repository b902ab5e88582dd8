//! What a campaign is after its events. No rules here: an event that happened is applied, whatever it says.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::budget::Budget;
use super::event::{CampaignEvent, ExternalId};
use crate::bucket;
use crate::channel::Channel;
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::zone::Zone;

/// A campaign as its events left it. The default is one that was never created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// What it is, once it was created.
    pub details: Option<CampaignDetails>,
}

/// What a created campaign is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignDetails {
    /// Its id.
    pub campaign: CampaignId,
    /// What was decided of its life.
    pub state: CampaignState,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub channels: Vec<Channel>,
    /// The currency of its budget.
    pub currency: Currency,
    /// The zone of its days.
    pub time_zone: Zone,
    /// Its first day.
    pub starts_on: NaiveDate,
    /// Its last day, if it has one.
    pub ends_on: Option<NaiveDate>,
    /// What it may spend; `None`: no limit.
    pub budget: Option<Budget>,
    /// What others call it.
    pub external_ids: Vec<ExternalId>,
    /// Free labels.
    pub attributes: BTreeMap<String, String>,
}

/// What was decided of a campaign's life. Stored under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignState {
    /// Being prepared.
    Draft,
    /// To run from its first day on.
    Launched,
    /// Held.
    Paused,
    /// Over.
    Completed,
    /// Put away.
    Archived,
}

/// How a campaign stands at some instant: its [`CampaignState`], and whether its first day has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignStatus {
    /// Being prepared.
    Draft,
    /// Launched, before its first day.
    Scheduled,
    /// Launched, from its first day on.
    Active,
    /// Held.
    Paused,
    /// Over.
    Completed,
    /// Put away.
    Archived,
}

/// A name that is no state or status of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a campaign status: draft, scheduled, active, paused, completed or archived")]
pub struct CampaignStatusError;

impl Campaign {
    /// Takes in what happened.
    pub fn apply(&mut self, event: CampaignEvent) {
        if let CampaignEvent::CampaignCreated {
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
            at: _,
        } = event
        {
            self.details = Some(CampaignDetails {
                campaign,
                state: CampaignState::Draft,
                name,
                channels,
                currency,
                time_zone,
                starts_on,
                ends_on,
                budget,
                external_ids,
                attributes,
            });
        } else if let Some(details) = &mut self.details {
            details.apply_change(event);
        }
    }
}

impl CampaignDetails {
    /// The first instant of its first day.
    pub fn starts_at(&self) -> DateTime<Utc> {
        starts_at(self.starts_on, self.time_zone)
    }

    /// How it stands at `now`.
    pub fn status(&self, now: DateTime<Utc>) -> CampaignStatus {
        status(self.state, self.starts_at(), now)
    }

    fn apply_change(&mut self, event: CampaignEvent) {
        match event {
            // A second creation is never decided.
            CampaignEvent::CampaignCreated { .. } => {}
            CampaignEvent::CampaignRenamed { name, .. } => self.name = name,
            CampaignEvent::CampaignRescheduled { starts_on, ends_on, .. } => {
                self.starts_on = starts_on;
                self.ends_on = ends_on;
            }
            CampaignEvent::CampaignTimeZoneChanged { time_zone, .. } => self.time_zone = time_zone,
            CampaignEvent::CampaignCurrencyChanged { currency, .. } => self.currency = currency,
            CampaignEvent::CampaignChannelsSet { channels, .. } => self.channels = channels,
            CampaignEvent::CampaignBudgetSet { budget, .. } => self.budget = budget,
            CampaignEvent::CampaignExternalIdsSet { external_ids, .. } => self.external_ids = external_ids,
            CampaignEvent::CampaignAttributesSet { attributes, .. } => self.attributes = attributes,
            CampaignEvent::CampaignLaunched { .. } | CampaignEvent::CampaignResumed { .. } => {
                self.state = CampaignState::Launched;
            }
            CampaignEvent::CampaignPaused { .. } => self.state = CampaignState::Paused,
            CampaignEvent::CampaignCompleted { .. } => self.state = CampaignState::Completed,
            CampaignEvent::CampaignArchived { .. } => self.state = CampaignState::Archived,
        }
    }
}

/// The first instant of a campaign's first day.
pub fn starts_at(starts_on: NaiveDate, zone: Zone) -> DateTime<Utc> {
    bucket::day_start(starts_on, zone)
}

/// The first instant after a campaign's last day.
pub fn ends_at(ends_on: NaiveDate, zone: Zone) -> DateTime<Utc> {
    bucket::day_end(ends_on, zone)
}

/// How a campaign in this state, with this first instant, stands at `now`.
pub fn status(state: CampaignState, starts_at: DateTime<Utc>, now: DateTime<Utc>) -> CampaignStatus {
    match state {
        CampaignState::Draft => CampaignStatus::Draft,
        CampaignState::Launched if now < starts_at => CampaignStatus::Scheduled,
        CampaignState::Launched => CampaignStatus::Active,
        CampaignState::Paused => CampaignStatus::Paused,
        CampaignState::Completed => CampaignStatus::Completed,
        CampaignState::Archived => CampaignStatus::Archived,
    }
}

impl CampaignState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Launched, Self::Paused, Self::Completed, Self::Archived];

    /// The name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Launched => "launched",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Archived => "archived",
        }
    }
}

impl CampaignStatus {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::Scheduled, Self::Active, Self::Paused, Self::Completed, Self::Archived];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for CampaignState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for CampaignStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CampaignState {
    type Err = CampaignStatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or(CampaignStatusError)
    }
}

impl FromStr for CampaignStatus {
    type Err = CampaignStatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.name() == text).ok_or(CampaignStatusError)
    }
}
