//! What was decided of a campaign's life, and how it stands at an instant.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bucket;
use crate::zone::Zone;

/// What was decided of a campaign's life. Stored under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
