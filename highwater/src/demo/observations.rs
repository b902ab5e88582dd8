//! The observations of a push source: live ones, and hourly ones for the days before the workspace was opened.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use domain::observation::ObservationType;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::scenario::{DemoSource, Push};
use super::volume::{Pace, WHOLE, all_parts, hourly, rhythm};

/// The number of sent observations that a source remembers, to repeat some of them.
const REMEMBERED: usize = 256;
/// One observation in this many is sent twice, as by a retrying integrator.
const SENT_TWICE_IN: u32 = 150;
/// One observation in this many arrives minutes after it happened.
const STRAGGLER_IN: u32 = 100;
/// One observation in this many is followed by the retraction of an earlier one: an invalid click, a refund.
const RETRACTED_IN: u32 = 500;

/// An observation about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its id at the sender.
    pub id: String,
    /// The campaign's external id.
    pub campaign: &'static str,
    /// Its type.
    pub kind: ObservationType,
    /// Its time.
    pub occurred_at: DateTime<Utc>,
    /// Its count.
    pub count: u64,
    /// Its value or cost.
    pub value_micros: Option<u64>,
    /// Its dimensions.
    pub dimensions: BTreeMap<&'static str, &'static str>,
    /// The id of the observation that it retracts. Besides it, only the time is set.
    pub retracts: Option<String>,
}

/// The live traffic of a push source.
pub struct Pusher {
    source: &'static DemoSource,
    rate: u64,
    rng: StdRng,
    /// Distinguishes the ids of this run from those of others.
    run: u64,
    sent: u64,
    remembered: VecDeque<Draft>,
}

impl Pusher {
    /// A source's share of `rate` observations a second over all sources.
    pub fn new(source: &'static DemoSource, rate: u32, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let run = rng.random();
        Self { source, rate: rate.into(), rng, run, sent: 0, remembered: VecDeque::new() }
    }

    /// The observations from `from` until `until`.
    pub fn between(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<Draft> {
        let millis = u64::try_from((until - from).num_milliseconds()).unwrap_or_default();
        let mut drafts = Vec::new();
        for push in self.source.pushes {
            let pace = Pace::at(push.kind, rhythm(from));
            let varied = self.rate * push.parts * pace.per_part * self.rng.random_range(600..=1_400) / WHOLE;
            for _ in 0..self.about(varied * millis / 1_000) {
                let occurred_at = self.moment(from, until);
                drafts.extend(self.draft(push, pace, occurred_at));
                if self.rng.random_ratio(1, SENT_TWICE_IN) && !self.remembered.is_empty() {
                    let again = self.rng.random_range(0..self.remembered.len());
                    drafts.push(self.remembered[again].clone());
                }
                drafts.extend(self.retraction(until));
            }
        }
        drafts
    }

    /// A whole number that is `millionths` on average.
    fn about(&mut self, millionths: u64) -> u64 {
        let more = self.rng.random_range(0..1_000_000) < millionths % 1_000_000;
        millionths / 1_000_000 + u64::from(more)
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

    fn draft(&mut self, push: &Push, pace: Pace, occurred_at: DateTime<Utc>) -> Option<Draft> {
        let sizes: u64 = self.source.campaigns().map(|campaign| campaign.size).sum();
        let mut drawn = self.rng.random_range(0..sizes.max(1));
        let campaign = self.source.campaigns().find(|campaign| {
            let here = drawn < campaign.size;
            drawn = drawn.saturating_sub(campaign.size);
            here
        })?;
        let count = self.rng.random_range(push.count.0..=push.count.1) * pace.counts;
        let draft = Draft {
            id: format!("{:016x}-{}", self.run, self.sent),
            campaign: campaign.external_id,
            kind: push.kind,
            occurred_at,
            count: self.about(count * 1_000).max(1),
            value_micros: push.value_micros.map(|(least, most)| cents(self.rng.random_range(least..=most))),
            dimensions: self.dimensions(push.kind),
            retracts: None,
        };
        self.sent += 1;
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(draft.clone());
        Some(draft)
    }

    /// Retracts an earlier observation now and then. It is forgotten, so that it is retracted once.
    fn retraction(&mut self, at: DateTime<Utc>) -> Option<Draft> {
        if !self.rng.random_ratio(1, RETRACTED_IN) {
            return None;
        }
        let original = self.remembered.remove(self.rng.random_range(0..self.remembered.len().max(1)))?;
        let id = format!("{}-retracted", original.id);
        let occurred_at = at - TimeDelta::milliseconds(1);
        Some(Draft { id, occurred_at, retracts: Some(original.id.clone()), ..original })
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

/// The observations of a push source for one past hour: one for each kind and campaign, with the volume of live traffic
/// at that time of day. The same hour always gives the same ones.
pub fn of_past_hour(source: &DemoSource, hour: DateTime<Utc>, rate: u32) -> Vec<Draft> {
    let sizes: u64 = source.campaigns().map(|campaign| campaign.size).sum();
    let mut drafts = Vec::new();
    for campaign in source.campaigns() {
        for push in source.pushes {
            let all = u64::from(rate) * 3_600 * push.parts * campaign.size;
            let of = |each: u64| all * each / all_parts() / sizes.max(1);
            let words = [source.name, campaign.external_id, push.kind.name()];
            let count = hourly(of(push.count.0 + push.count.1), &words, hour) / 2;
            if count > 0 {
                drafts.push(Draft {
                    id: format!("past-{}-{}-{}", hour.timestamp(), campaign.external_id, push.kind.name()),
                    campaign: campaign.external_id,
                    kind: push.kind,
                    occurred_at: hour + TimeDelta::minutes(30),
                    count,
                    value_micros: push
                        .value_micros
                        .map(|(least, most)| cents(hourly(of(least + most), &words, hour) / 2)),
                    dimensions: BTreeMap::new(),
                    retracts: None,
                });
            }
        }
    }
    drafts
}

/// Whole cents, the smallest unit of a bill.
fn cents(micros: u64) -> u64 {
    micros / 10_000 * 10_000
}
