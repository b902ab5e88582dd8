//! The commands of a campaign.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use super::budget::Budget;
use super::event::ExternalId;
use crate::channel::Channel;
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::zone::Zone;

/// A command to a campaign. `at` is the time of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignCommand {
    /// Create it, as a draft or already underway.
    Create {
        /// Its id.
        campaign: CampaignId,
        /// Its name.
        name: String,
        /// Its channels; may be empty.
        channels: Vec<Channel>,
        /// The currency of its budget.
        currency: Currency,
        /// The zone of its days.
        time_zone: Zone,
        /// Its first day.
        starts_on: NaiveDate,
        /// Its last day, if it has one.
        ends_on: Option<NaiveDate>,
        /// Its budget; `None`: no limit.
        budget: Option<Budget>,
        /// Its ids in other systems.
        external_ids: Vec<ExternalId>,
        /// Its labels.
        attributes: BTreeMap<String, String>,
        /// The name of the source whose items named it first, if it is created for them.
        created_by_source: Option<String>,
        /// The state that it begins in.
        state: InitialState,
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Change some of its details.
    Edit(CampaignEdit),
    /// Start it on its first day.
    Launch {
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Pause it.
    Pause {
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Resume it.
    Resume {
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// End it.
    Complete {
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Archive it.
    Archive {
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Bring it back from the archive.
    Unarchive {
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Set or remove its budget.
    SetBudget {
        /// The budget; `None`: no limit.
        budget: Option<Budget>,
        /// The time of the command.
        at: DateTime<Utc>,
    },
}

/// The state that a campaign is created in. History brings campaigns that run or are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InitialState {
    /// Being prepared.
    #[default]
    Draft,
    /// Launched at once.
    Active,
    /// Launched, and over.
    Completed,
}

/// The changes of an edit. `None` leaves a detail unchanged; for an optional detail, `Some(None)` removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignEdit {
    /// Another name.
    pub name: Option<String>,
    /// Other channels, all of them.
    pub channels: Option<Vec<Channel>>,
    /// Another currency.
    pub currency: Option<Currency>,
    /// Another zone.
    pub time_zone: Option<Zone>,
    /// Another first day.
    pub starts_on: Option<NaiveDate>,
    /// Another last day, or none.
    pub ends_on: Option<Option<NaiveDate>>,
    /// Another budget, or none.
    pub budget: Option<Option<Budget>>,
    /// Other external ids, all of them.
    pub external_ids: Option<Vec<ExternalId>>,
    /// Other labels, all of them.
    pub attributes: Option<BTreeMap<String, String>>,
    /// The time of the command.
    pub at: DateTime<Utc>,
}

impl CampaignEdit {
    /// An edit that changes nothing yet.
    pub fn at(at: DateTime<Utc>) -> Self {
        Self {
            name: None,
            channels: None,
            currency: None,
            time_zone: None,
            starts_on: None,
            ends_on: None,
            budget: None,
            external_ids: None,
            attributes: None,
            at,
        }
    }
}
