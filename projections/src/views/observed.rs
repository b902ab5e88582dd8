//! What a batch of observations names: its campaigns, and the months in which each is named.

use std::fmt;
use std::ops::Range;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use domain::ids::CampaignId;
use domain::observation::{Observation, ObservationsRecorded};

use crate::engine::Refusal;

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
) -> Result<CampaignId, Refusal> {
    let named = batch.campaigns.get(observation.campaign).copied();
    named.ok_or(Refusal::CampaignIndex { index: observation.campaign, campaigns: batch.campaigns.len() })
}

/// The campaigns that a batch's observations name, with the months of what they report. Each pair comes once: what is noted by
/// campaign and month need not be noted by observation.
pub(super) fn observed_months(batch: &ObservationsRecorded) -> Result<Vec<(CampaignId, Month)>, Refusal> {
    let mut found = Vec::new();
    // The month of each campaign's last observation: nearly always its next one's, too.
    let mut last: Vec<Option<Range<DateTime<Utc>>>> = vec![None; batch.campaigns.len()];
    for observation in &batch.observations {
        let campaign = observed_campaign(batch, observation)?;
        let last = &mut last[observation.campaign];
        if last.as_ref().is_some_and(|month| month.contains(&observation.occurred_at)) {
            continue;
        }
        let pair = (campaign, Month::of(observation.occurred_at));
        if last.is_none() || !found.contains(&pair) {
            found.push(pair);
        }
        *last = pair.1.instants();
    }
    Ok(found)
}
