//! What a batch of observations names: its campaigns, and the months in which each is named.

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use domain::ids::CampaignId;
use domain::observation::{Observation, ObservationsRecorded};

use crate::engine::ApplyError;

/// A month in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Month {
    year: i32,
    month: u32,
}

impl Month {
    pub(super) fn of(instant: DateTime<Utc>) -> Self {
        Self { year: instant.year(), month: instant.month() }
    }

    /// Its instants; `None` where the calendar ends.
    fn instants(self) -> Option<Range<DateTime<Utc>>> {
        let first = NaiveDate::from_ymd_opt(self.year, self.month, 1)?;
        let next = first.checked_add_months(Months::new(1))?;
        Some(first.and_time(NaiveTime::MIN).and_utc()..next.and_time(NaiveTime::MIN).and_utc())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The campaign that an observation of a batch names.
pub(super) fn observed_campaign(
    batch: &ObservationsRecorded,
    observation: &Observation,
) -> Result<CampaignId, ApplyError> {
    let named = batch.campaigns.get(observation.campaign).copied();
    named.ok_or(ApplyError::CampaignIndex { index: observation.campaign, campaigns: batch.campaigns.len() })
}

/// Finds the campaigns that a batch's observations name, with the months of what they report. Each pair comes once: what is
/// noted by campaign and month need not be noted by observation.
#[derive(Debug, Default)]
pub(super) struct ObservedMonths {
    /// The month that was met last, with its instants: nearly always the next one's, too.
    met: Option<(Month, Range<DateTime<Utc>>)>,
    /// By campaign of the batch: the month of its last observation.
    last: Vec<Option<Month>>,
    found: Vec<(CampaignId, Month)>,
}

impl ObservedMonths {
    pub(super) fn of(&mut self, batch: &ObservationsRecorded) -> Result<&[(CampaignId, Month)], ApplyError> {
        self.found.clear();
        self.last.clear();
        self.last.resize(batch.campaigns.len(), None);
        for observation in &batch.observations {
            let campaign = observed_campaign(batch, observation)?;
            let month = self.month_of(observation.occurred_at);
            let before = self.last[observation.campaign].replace(month);
            if before == Some(month) {
                continue;
            }
            if before.is_none() || !self.found.contains(&(campaign, month)) {
                self.found.push((campaign, month));
            }
        }
        Ok(&self.found)
    }

    fn month_of(&mut self, instant: DateTime<Utc>) -> Month {
        match &self.met {
            Some((month, instants)) if instants.contains(&instant) => *month,
            _ => {
                let month = Month::of(instant);
                self.met = month.instants().map(|instants| (month, instants));
                month
            }
        }
    }
}
