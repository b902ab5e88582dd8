//! The observations that scenarios record: the same mix everywhere, and each number is always the same observation.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use domain::ids::{CampaignId, SourceId};
use domain::money::Currency;
use domain::observation::{Observation, ObservationType, ObservationsRecorded};
use platform::clock::{Clock, SystemClock};
use uuid::Uuid;

/// Observations of one source, spread over campaigns and over a span of time.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) source: SourceId,
    pub(crate) currency: Currency,
    pub(crate) campaigns: Vec<CampaignId>,
    /// When the first one happened.
    pub(crate) start: DateTime<Utc>,
    /// How long it takes until they begin again at `start`, and how many happen until then.
    pub(crate) span: TimeDelta,
    pub(crate) in_span: u32,
}

impl Load {
    /// What happened within the last minutes, as a live feed tells it.
    pub(crate) fn live(source: SourceId, currency: Currency, campaigns: Vec<CampaignId>) -> Self {
        let span = TimeDelta::minutes(10);
        Self { source, currency, campaigns, start: SystemClock.now() - span, span, in_span: 100_000 }
    }

    pub(crate) fn batch(&self, numbers: impl Iterator<Item = u32>) -> ObservationsRecorded {
        let mut campaigns: Vec<CampaignId> = Vec::new();
        let mut index_of = HashMap::new();
        let observations = numbers
            .map(|number| {
                let id = self.campaigns[scattered(number) as usize % self.campaigns.len()];
                let index = *index_of.entry(id).or_insert_with(|| {
                    campaigns.push(id);
                    campaigns.len() - 1
                });
                self.observation(number, index)
            })
            .collect();
        ObservationsRecorded::new(self.source, self.currency, campaigns, observations)
    }

    /// Of a hundred: 80 impressions, 15 clicks that cost, 3 visits, 2 conversions.
    fn observation(&self, number: u32, campaign: usize) -> Observation {
        let (kind, value_micros) = match scattered(number) / 100 % 100 {
            0..80 => (ObservationType::Impression, None),
            80..95 => (ObservationType::Click, Some(410_000)),
            95..98 => (ObservationType::Visit, None),
            _ => (ObservationType::Conversion, Some(59_900_000)),
        };
        let moment = i64::from(number % self.in_span) * self.span.num_milliseconds() / i64::from(self.in_span);
        Observation {
            id: format!("observation-{number:08}"),
            campaign,
            kind,
            occurred_at: self.start + TimeDelta::milliseconds(moment),
            count: kind.unit_count(),
            value_micros,
            dimensions: BTreeMap::new(),
            correction: None,
            sealed: None,
        }
    }
}

/// The number of an observation, far from those of its neighbours: so that campaigns and types alternate without order.
fn scattered(number: u32) -> u32 {
    let mixed = number.wrapping_mul(0x9e37_79b9);
    (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b) >> 8
}

/// What is stored beside an event: as much of it as a request over HTTP leaves behind.
pub(crate) fn metadata(at: DateTime<Utc>) -> BTreeMap<String, String> {
    BTreeMap::from(
        [
            ("actor", "key:01939f2e-7c1a-7d3b-9a55-3f0e6c1b2a44".to_owned()),
            ("correlation_id", Uuid::now_v7().to_string()),
            ("received_at", at.to_rfc3339()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}
