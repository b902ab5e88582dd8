//! What a push source sends: live observations, and hourly ones for the days before the workspace was opened.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use domain::observation::ObservationType;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::scenario::{DemoCampaign, DemoSource, Push, all_parts};
use super::volume::{WHOLE, hourly, rhythm};

/// How many sent observations a source remembers, to send some of them again.
const REMEMBERED: usize = 256;
/// One observation in so many is sent again, as a retrying integrator would.
const SENT_TWICE_IN: u32 = 150;
/// One observation in so many arrives minutes after it happened.
const STRAGGLER_IN: u32 = 100;

/// An observation about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The sender's id of it.
    pub id: String,
    /// The campaign's external id.
    pub campaign: &'static str,
    /// What happened.
    pub kind: ObservationType,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// How many.
    pub count: u64,
    /// What it was worth or cost.
    pub value_micros: Option<u64>,
    /// What else is known of it.
    pub dimensions: BTreeMap<&'static str, &'static str>,
}

/// A push source's live traffic.
pub struct Pusher {
    rng: StdRng,
    /// Tells this run's ids from those of another.
    run: u64,
    sent: u64,
    per_second_thousandths: u64,
    /// Thousandths of an observation that no tick has sent yet.
    owed: u64,
    choices: Vec<(u64, &'static DemoCampaign, Push)>,
    all_weights: u64,
    remembered: VecDeque<Draft>,
}

impl Pusher {
    /// A source's share of `rate` observations a second over all sources.
    pub fn new(source: &DemoSource, rate: u32, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let parts: u64 = source.pushes.iter().map(|push| push.parts).sum();
        let mut choices = Vec::new();
        for push in source.pushes {
            for campaign in source.campaigns() {
                choices.push((push.parts * campaign.size, campaign, *push));
            }
        }
        Self {
            run: rng.random(),
            rng,
            sent: 0,
            per_second_thousandths: u64::from(rate) * WHOLE * parts / all_parts(),
            owed: 0,
            all_weights: choices.iter().map(|(weight, ..)| *weight).sum(),
            choices,
            remembered: VecDeque::new(),
        }
    }

    /// What happened from `from` until `until`.
    pub fn between(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Draft> {
        let millis = u64::try_from((until - from).num_milliseconds()).unwrap_or_default();
        // A minute varies by a quarter around what was asked for and keeps the rate on average.
        let varied = self.per_second_thousandths * self.rng.random_range(750..=1_250) / WHOLE;
        self.owed += varied * millis / 1_000;
        let due = self.owed / WHOLE;
        self.owed %= WHOLE;
        let mut drafts = Vec::new();
        for _ in 0..due {
            let occurred_at = self.moment(from, until);
            if let Some(draft) = self.draft(occurred_at) {
                drafts.push(draft);
            }
            if self.rng.random_ratio(1, SENT_TWICE_IN) && !self.remembered.is_empty() {
                let again = self.rng.random_range(0..self.remembered.len());
                drafts.push(self.remembered[again].clone());
            }
        }
        drafts
    }

    fn moment(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) -> DateTime<Utc> {
        let span = (until - from).num_milliseconds().max(1);
        let at = from + TimeDelta::milliseconds(self.rng.random_range(0..span));
        if self.rng.random_ratio(1, STRAGGLER_IN) {
            at - TimeDelta::seconds(self.rng.random_range(60..900))
        } else {
            at
        }
    }

    fn draft(&mut self, occurred_at: DateTime<Utc>) -> Option<Draft> {
        if self.all_weights == 0 {
            return None;
        }
        let mut drawn = self.rng.random_range(0..self.all_weights);
        let (_, campaign, push) = *self.choices.iter().find(|(weight, ..)| {
            let here = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            here
        })?;
        let average = self.rng.random_range(push.count.0..=push.count.1);
        let draft = Draft {
            id: format!("{:016x}-{}", self.run, self.sent),
            campaign: campaign.external_id,
            kind: push.kind,
            occurred_at,
            count: if push.count.1 > 1 { (average * rhythm(occurred_at) / WHOLE).max(1) } else { 1 },
            value_micros: push.value_micros.map(|(least, most)| cents(self.rng.random_range(least..=most))),
            dimensions: self.dimensions(push.kind),
        };
        self.sent += 1;
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(draft.clone());
        Some(draft)
    }

    fn dimensions(&mut self, kind: ObservationType) -> BTreeMap<&'static str, &'static str> {
        let country = ["DE", "DE", "DE", "AT", "CH"][self.rng.random_range(0..5)];
        let device = ["mobile", "mobile", "desktop", "tablet"][self.rng.random_range(0..4)];
        match kind {
            ObservationType::Spend => BTreeMap::new(),
            _ => BTreeMap::from([("country", country), ("device", device)]),
        }
    }
}

/// What a push source would have sent for one hour of the past: one observation for each kind and campaign.
/// The same hour always gives the same ones.
pub fn of_past_hour(source: &DemoSource, hour: DateTime<Utc>, rate: u32) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for campaign in source.campaigns() {
        let sizes: u64 = source.campaigns().map(|campaign| campaign.size).sum();
        for push in source.pushes {
            let times = u64::from(rate) * 3_600 * push.parts * campaign.size / all_parts() / sizes.max(1);
            let words = [source.name, campaign.external_id, push.kind.name()];
            let count = hourly(times * u64::midpoint(push.count.0, push.count.1), &words, hour);
            if count == 0 {
                continue;
            }
            drafts.push(Draft {
                id: format!("past-{}-{}-{}", hour.timestamp(), campaign.external_id, push.kind.name()),
                campaign: campaign.external_id,
                kind: push.kind,
                occurred_at: hour + TimeDelta::minutes(30),
                count,
                value_micros: push
                    .value_micros
                    .map(|(least, most)| cents(hourly(times * u64::midpoint(least, most), &words, hour))),
                dimensions: BTreeMap::new(),
            });
        }
    }
    drafts
}

/// Whole cents: nobody is billed in millionths.
fn cents(micros: u64) -> u64 {
    micros / 10_000 * 10_000
}
