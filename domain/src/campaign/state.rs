//! The state of a campaign after its events. There are no rules here: an event that happened is applied, whatever it
//! contains.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::event::{CampaignEvent, ExternalId};
use super::status::{CampaignState, CampaignStatus, starts_at, status};
use crate::channel::Channel;
use crate::ids::CampaignId;
use crate::money::Currency;
use crate::zone::Zone;

/// A campaign after its events. The default is one that was never created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// Its details, once it was created.
    pub details: Option<CampaignDetails>,
}

/// The details of a created campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignDetails {
    /// Its id.
    pub campaign: CampaignId,
    /// Its state in its lifecycle.
    pub state: CampaignState,
    /// While it is archived, the state that it had before. Only commands need it, so tables do not keep it.
    pub archived_from: Option<CampaignState>,
    /// Its name.
    pub name: String,
    /// Its channels.
    pub channels: Vec<Channel>,
    /// The currency of its budget.
    pub currency: Currency,
    /// The zone of its days.
    pub time_zone: Zone,
    /// Its first day.
    pub starts_on: NaiveDate,
    /// Its last day, if it has one.
    pub ends_on: Option<NaiveDate>,
    /// Its budget; `None`: no limit.
    pub budget: Option<Budget>,
    /// Its ids in other systems.
    pub external_ids: Vec<ExternalId>,
    /// Its labels.
    pub attributes: BTreeMap<String, String>,
    /// The name of the source whose items named it first, if it was created for them.
    #[serde(default)]
    pub created_by_source: Option<String>,
}

impl Campaign {
    /// Applies an event.
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
            created_by_source,
            at: _,
        } = event
        {
            self.details = Some(CampaignDetails {
                campaign,
                state: CampaignState::Draft,
                archived_from: None,
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

    /// Its status at `now`.
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
            CampaignEvent::CampaignArchived { .. } => {
                self.archived_from = Some(self.state);
                self.state = CampaignState::Archived;
            }
            CampaignEvent::CampaignUnarchived { state, .. } => {
                self.archived_from = None;
                self.state = state;
            }
        }
    }
}
