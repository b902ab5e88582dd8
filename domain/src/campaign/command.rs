//! What a campaign can be asked to do.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::budget::Budget;
use super::event::ExternalId;
use crate::channel::Channel;
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::zone::Zone;

/// A command to a campaign. `at` is when it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignCommand {
    /// Draft it.
    Create {
        /// Its id.
        campaign: CampaignId,
        /// Its name.
        name: String,
        /// Where it is to run; may still be open.
        channels: Vec<Channel>,
        /// The currency of its budget.
        currency: Currency,
        /// The zone of its days.
        time_zone: Zone,
        /// Its first day.
        starts_on: NaiveDate,
        /// Its last day, if it has one.
        ends_on: Option<NaiveDate>,
        /// What it may spend; `None`: no limit.
        budget: Option<Budget>,
        /// What others call it.
        external_ids: Vec<ExternalId>,
        /// Free labels.
        attributes: BTreeMap<String, String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Change some of what it is.
    Edit(CampaignEdit),
    /// Start it on its first day.
    Launch {
        /// When.
        at: DateTime<Utc>,
    },
    /// Hold it.
    Pause {
        /// When.
        at: DateTime<Utc>,
    },
    /// Let it go on.
    Resume {
        /// When.
        at: DateTime<Utc>,
    },
    /// End it.
    Complete {
        /// When.
        at: DateTime<Utc>,
    },
    /// Put it away.
    Archive {
        /// When.
        at: DateTime<Utc>,
    },
    /// Bring it back from the archive.
    Unarchive {
        /// When.
        at: DateTime<Utc>,
    },
    /// Give it a budget, or none.
    SetBudget {
        /// What it may spend; `None`: no limit.
        budget: Option<Budget>,
        /// When.
        at: DateTime<Utc>,
    },
}

/// What to change of a campaign. `None` leaves a part as it is; for a part that it may lack, `Some(None)` takes it
/// away.
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
    /// When.
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
