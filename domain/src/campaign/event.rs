//! The events of a campaign.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::status::CampaignState;
use crate::catalogue::{self, EventType};
use crate::channel::Channel;
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::zone::Zone;

/// A campaign's name in another system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExternalId {
    /// The name of the source that uses it; left out when every source of the workspace does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The id as that system writes it.
    pub id: String,
}

/// An event of a campaign, stored under its variant's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum CampaignEvent {
    /// A campaign was drafted, with everything that it starts out with.
    CampaignCreated {
        /// Its id.
        campaign: CampaignId,
        /// Its name: one line.
        name: String,
        /// The channels that it runs on.
        channels: Vec<Channel>,
        /// The currency of its budget, as ISO 4217 writes it.
        currency: Currency,
        /// The zone in which its days begin and end.
        time_zone: Zone,
        /// Its first day.
        starts_on: NaiveDate,
        /// Its last day, included; null: none is planned.
        ends_on: Option<NaiveDate>,
        /// What it may spend; null: no limit.
        budget: Option<Budget>,
        /// Its names in other systems, by which observations and statements may name it.
        external_ids: Vec<ExternalId>,
        /// Free labels, by key.
        attributes: BTreeMap<String, String>,
        /// The name of the source whose items named it first, if it was created for them; left out otherwise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_by_source: Option<String>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was given another name.
    CampaignRenamed {
        /// The new name.
        name: String,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was given other days.
    CampaignRescheduled {
        /// The new first day.
        starts_on: NaiveDate,
        /// The new last day, included; null: none is planned.
        ends_on: Option<NaiveDate>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign's days are now those of another zone.
    CampaignTimeZoneChanged {
        /// The new zone.
        time_zone: Zone,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign's currency changed, which is possible until its launch.
    CampaignCurrencyChanged {
        /// The new currency.
        currency: Currency,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign runs on other channels.
    CampaignChannelsSet {
        /// All of them, those that stay included.
        channels: Vec<Channel>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was given a budget, or none.
    CampaignBudgetSet {
        /// What it may spend; null: no limit.
        budget: Option<Budget>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign has other ids in other systems.
    CampaignExternalIdsSet {
        /// All of them, those that stay included.
        external_ids: Vec<ExternalId>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign has other labels.
    CampaignAttributesSet {
        /// All of them, those that stay included.
        attributes: BTreeMap<String, String>,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was launched: active from its first day on, scheduled until then.
    CampaignLaunched {
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was paused.
    CampaignPaused {
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A paused campaign was resumed.
    CampaignResumed {
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was completed.
    CampaignCompleted {
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// A campaign was put away: it takes no command but the one that brings it back.
    CampaignArchived {
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
    /// An archived campaign was brought back.
    CampaignUnarchived {
        /// The state that it had before it was archived, and has again.
        state: CampaignState,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
}

impl CampaignEvent {
    /// The type of the event.
    pub fn kind(&self) -> EventType {
        match self {
            Self::CampaignCreated { .. } => catalogue::CAMPAIGN_CREATED,
            Self::CampaignRenamed { .. } => catalogue::CAMPAIGN_RENAMED,
            Self::CampaignRescheduled { .. } => catalogue::CAMPAIGN_RESCHEDULED,
            Self::CampaignTimeZoneChanged { .. } => catalogue::CAMPAIGN_TIME_ZONE_CHANGED,
            Self::CampaignCurrencyChanged { .. } => catalogue::CAMPAIGN_CURRENCY_CHANGED,
            Self::CampaignChannelsSet { .. } => catalogue::CAMPAIGN_CHANNELS_SET,
            Self::CampaignBudgetSet { .. } => catalogue::CAMPAIGN_BUDGET_SET,
            Self::CampaignExternalIdsSet { .. } => catalogue::CAMPAIGN_EXTERNAL_IDS_SET,
            Self::CampaignAttributesSet { .. } => catalogue::CAMPAIGN_ATTRIBUTES_SET,
            Self::CampaignLaunched { .. } => catalogue::CAMPAIGN_LAUNCHED,
            Self::CampaignPaused { .. } => catalogue::CAMPAIGN_PAUSED,
            Self::CampaignResumed { .. } => catalogue::CAMPAIGN_RESUMED,
            Self::CampaignCompleted { .. } => catalogue::CAMPAIGN_COMPLETED,
            Self::CampaignArchived { .. } => catalogue::CAMPAIGN_ARCHIVED,
            Self::CampaignUnarchived { .. } => catalogue::CAMPAIGN_UNARCHIVED,
        }
    }
}

impl DomainEvent for CampaignEvent {
    fn event_type(&self) -> String {
        self.kind().name.to_owned()
    }

    fn event_version(&self) -> String {
        self.kind().version().to_string()
    }
}
