//! The campaigns and months of a batch of observations.

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

    /// The month's instants; `None` at the end of the calendar.
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

/// The campaign of an observation in a batch.
pub(super) fn observed_campaign(
    batch: &ObservationsRecorded,
    observation: &Observation,
) -> Result<CampaignId, ApplyError> {
    let named = batch.campaigns.get(observation.campaign).copied();
    named.ok_or(ApplyError::CampaignIndex { index: observation.campaign, campaigns: batch.campaigns.len() })
}

/// Finds the campaigns of a batch's observations, and the months in which they were observed. Each pair comes once, so
/// that callers need not handle every observation.
#[derive(Debug, Default)]
pub(super) struct ObservedMonths {
    /// The month of the last observation, with its instants: nearly always also the next one's.
    met: Option<(Month, Range<DateTime<Utc>>)>,
    /// The month of the last observation, by campaign of the batch.
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
