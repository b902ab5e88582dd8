//! What can have happened to a campaign.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use crate::channel::Channel;
use crate::event::{EventType, catalogue};
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::zone::Zone;

/// A campaign's name in another system.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExternalId {
    /// The source that uses it; `None` when every source of the workspace does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The id as that system writes it.
    pub id: String,
}

/// An event of a campaign, stored under its variant's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CampaignEvent {
    /// Drafted, with everything that it starts out with.
    CampaignCreated {
        /// Its id.
        campaign: CampaignId,
        /// Its name.
        name: String,
        /// Where it runs.
        channels: Vec<Channel>,
        /// The currency of its budget.
        currency: Currency,
        /// The zone of its days.
        time_zone: Zone,
        /// Its first day.
        starts_on: NaiveDate,
        /// Its last day.
        ends_on: Option<NaiveDate>,
        /// What it may spend; null: no limit.
        budget: Option<Budget>,
        /// What others call it.
        external_ids: Vec<ExternalId>,
        /// Free labels.
        attributes: BTreeMap<String, String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Given another name.
    CampaignRenamed {
        /// The new name.
        name: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Given other dates.
    CampaignRescheduled {
        /// The new first day.
        starts_on: NaiveDate,
        /// The new last day.
        ends_on: Option<NaiveDate>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Its days are now those of another zone.
    CampaignTimeZoneChanged {
        /// The new zone.
        time_zone: Zone,
        /// When.
        at: DateTime<Utc>,
    },
    /// Its currency changed, before launch.
    CampaignCurrencyChanged {
        /// The new currency.
        currency: Currency,
        /// When.
        at: DateTime<Utc>,
    },
    /// Runs on other channels.
    CampaignChannelsSet {
        /// All of them.
        channels: Vec<Channel>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Given a budget, or none.
    CampaignBudgetSet {
        /// What it may spend; null: no limit.
        budget: Option<Budget>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Known by other ids.
    CampaignExternalIdsSet {
        /// All of them.
        external_ids: Vec<ExternalId>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Labelled otherwise.
    CampaignAttributesSet {
        /// All of them.
        attributes: BTreeMap<String, String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Launched: active from its first day on, scheduled until then.
    CampaignLaunched {
        /// When.
        at: DateTime<Utc>,
    },
    /// Held.
    CampaignPaused {
        /// When.
        at: DateTime<Utc>,
    },
    /// Let go on.
    CampaignResumed {
        /// When.
        at: DateTime<Utc>,
    },
    /// Over.
    CampaignCompleted {
        /// When.
        at: DateTime<Utc>,
    },
    /// Put away: takes no activity that occurred later.
    CampaignArchived {
        /// When.
        at: DateTime<Utc>,
    },
}

impl CampaignEvent {
    /// What type of event it is.
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
