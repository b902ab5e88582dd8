//! The next request of a client, chosen at random from the common knowledge of all clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Days, TimeDelta, Utc};
use domain::measure::Measure;
use domain::observation::ObservationType;
use rand::RngExt;
use rand::rngs::StdRng;
use uuid::Uuid;

use crate::history::{
    Acknowledged, Change, Form, ItemOutcome, Observation, ObservationOp, Operation, Reply, Source, Statement,
};

/// The most campaigns that are remembered, so that clients share them.
const CAMPAIGNS: usize = 12;
const OBSERVATIONS: usize = 400;
/// The number of days that are restated.
const DAYS: u64 = 5;

/// The common knowledge of the clients.
#[derive(Debug, Clone)]
pub(super) struct World {
    push: Vec<Source>,
    pull: Source,
    now: DateTime<Utc>,
    learnt: Arc<Mutex<Learnt>>,
}

#[derive(Debug, Default)]
struct Learnt {
    /// The campaigns, with the last answered version.
    campaigns: Vec<(Uuid, i64)>,
    /// The recorded observations, with their sources.
    observed: Vec<(usize, Observation)>,
    statements: i64,
    races: u64,
}

impl World {
    pub(super) fn new(push: Vec<Source>, pull: Source, now: DateTime<Utc>) -> Self {
        // The log has a precision of milliseconds.
        let now = DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now);
        Self { push, pull, now, learnt: Arc::default() }
    }

    fn with<T>(&self, read: impl FnOnce(&mut Learnt) -> T) -> T {
        read(&mut self.learnt.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an acknowledged operation.
    pub(super) fn learn(&self, operation: &Operation, reply: &Reply) {
        self.with(|learnt| match (operation, &reply.content) {
            (_, Acknowledged::Campaign { campaign, version }) => {
                let known = learnt.campaigns.iter().position(|(known, _)| known == campaign);
                match known {
                    Some(known) => learnt.campaigns[known].1 = learnt.campaigns[known].1.max(*version),
                    None if learnt.campaigns.len() < CAMPAIGNS => learnt.campaigns.push((*campaign, *version)),
                    None => {}
                }
            }
            (Operation::Observe { source, items, .. }, Acknowledged::Batch(fates)) => {
                let Some(source) = self.push.iter().position(|known| known == source) else { return };
                for (item, fate) in items.iter().zip(fates) {
                    let original = matches!(item.content, ObservationOp::Happened { .. });
                    if *fate == ItemOutcome::Accepted && original && !reply.replayed {
                        // An old one is dropped; which one does not matter.
                        if learnt.observed.len() == OBSERVATIONS {
                            learnt.observed.remove(0);
                        }
                        learnt.observed.push((source, item.clone()));
                    }
                }
            }
            (Operation::Create { .. } | Operation::Change { .. } | Operation::State { .. }, Acknowledged::Batch(_)) => {
            }
        });
    }
}

/// The generator of a client's names and numbers.
#[derive(Debug)]
pub(super) struct Planner {
    client: usize,
    name: String,
    next: u64,
}

impl Planner {
    pub(super) fn new(client: usize, seed: u64) -> Self {
        Self { client, name: format!("{seed:x}-c{client}"), next: 0 }
    }

    /// A unique text, with gaps between the numbers.
    fn unique(&mut self, random: &mut StdRng) -> String {
        self.next += random.random_range(1..=3);
        format!("{}-{}", self.name, self.next)
    }

    /// The next operation, with its idempotency key, if any.
    pub(super) fn next(&mut self, world: &World, random: &mut StdRng) -> (Option<String>, Operation) {
        let (campaigns, observed) = world.with(|learnt| (learnt.campaigns.clone(), learnt.observed.len()));
        let what = if campaigns.len() < 2 { 0 } else { random.random_range(0..100) };
        let operation = match what {
            0..8 => Operation::Create { name: format!("created {}", self.unique(random)) },
            8..36 => self.change(&campaigns, random),
            36..72 => self.observe(world, &campaigns, random),
            72..84 if observed > 0 => self.correct(world, random),
            _ => restatement(world, &campaigns, random),
        };
        let keyed = match operation {
            Operation::Create { .. } => 0.95,
            Operation::Change { .. } => 0.75,
            Operation::Observe { .. } | Operation::State { .. } => 0.5,
        };
        (random.random_bool(keyed).then(|| format!("key-{}", self.unique(random))), operation)
    }

    fn change(&mut self, campaigns: &[(Uuid, i64)], random: &mut StdRng) -> Operation {
        let (campaign, version) = campaigns[random.random_range(0..campaigns.len())];
        let change = match random.random_range(0..100) {
            0..50 => Change::Rename(format!("renamed {}", self.unique(random))),
            50..65 => Change::Launch,
            65..83 => Change::Pause,
            _ => Change::Resume,
        };
        let if_match = match random.random_range(0..100) {
            0..45 => None,
            45..90 => Some(version),
            // A version read a while ago.
            _ => Some((version - 1).max(1)),
        };
        Operation::Change { campaign, change, if_match }
    }

    fn observe(&mut self, world: &World, campaigns: &[(Uuid, i64)], random: &mut StdRng) -> Operation {
        let source = random.random_range(0..world.push.len());
        let mut items: Vec<Observation> = Vec::new();
        for _ in 0..random.random_range(1..=20) {
            let item = match random.random_range(0..100) {
                0..66 => Some(self.fresh(world, campaigns, random)),
                66..72 => Some(self.race(world, campaigns)),
                72..86 => known(world, source, random)
                    .map(|known| if random.random_bool(0.6) { known } else { otherwise(known) }),
                // A duplicate of the item before it.
                86..94 => {
                    items.last().cloned().map(|twin| if random.random_bool(0.5) { twin } else { otherwise(twin) })
                }
                // An invalid item.
                _ => {
                    let original =
                        items.last().filter(|last| matches!(last.content, ObservationOp::Happened { .. })).cloned();
                    original.map(|original| self.correction(world, original, random))
                }
            };
            items.extend(item);
        }
        if items.is_empty() {
            items.push(self.fresh(world, campaigns, random));
        }
        Operation::Observe { source: world.push[source].clone(), form: form(random), items }
    }

    fn fresh(&mut self, world: &World, campaigns: &[(Uuid, i64)], random: &mut StdRng) -> Observation {
        let (campaign, _) = campaigns[random.random_range(0..campaigns.len())];
        let at = world.now - TimeDelta::milliseconds(random.random_range(0..36 * 3_600_000));
        let (kind, count, value) = match random.random_range(0..3) {
            0 => (ObservationType::Impression, random.random_range(1..1_000), None),
            1 => (ObservationType::Click, random.random_range(1..4), Some(random.random_range(0..2_000_000))),
            _ => (
                ObservationType::Conversion,
                random.random_range(1..3_000_000),
                Some(random.random_range(0..90_000_000)),
            ),
        };
        Observation { id: self.unique(random), kind, at, content: ObservationOp::Happened { campaign, count, value } }
    }

    /// An observation with an id that other clients send at about the same time, half of them with other content.
    fn race(&self, world: &World, campaigns: &[(Uuid, i64)]) -> Observation {
        let race = world.with(|learnt| {
            learnt.races += 1;
            learnt.races / 6
        });
        let count = if self.client.is_multiple_of(2) { 1 } else { 2 };
        Observation {
            id: format!("race-{race}"),
            kind: ObservationType::Click,
            at: world.now - TimeDelta::hours(1),
            content: ObservationOp::Happened { campaign: campaigns[0].0, count, value: None },
        }
    }

    fn correct(&mut self, world: &World, random: &mut StdRng) -> Operation {
        let source = random.random_range(0..world.push.len());
        let mut items = Vec::new();
        for _ in 0..random.random_range(1..=4) {
            let Some(mut original) = known(world, source, random) else { break };
            if random.random_bool(0.05) {
                original.id = format!("never-{}", self.unique(random));
            }
            items.push(self.correction(world, original, random));
        }
        if items.is_empty() {
            return Operation::Create { name: format!("instead {}", self.unique(random)) };
        }
        Operation::Observe { source: world.push[source].clone(), form: form(random), items }
    }

    fn correction(&mut self, world: &World, original: Observation, random: &mut StdRng) -> Observation {
        let (count, value) = match random.random_range(0..4) {
            0 => (None, None),
            1 => (Some(random.random_range(0..5)), None),
            2 if original.kind.value_measure().is_some() => (None, Some(random.random_range(0..2_000_000))),
            _ => (Some(random.random_range(1..2_000)), None),
        };
        let (day, names_day) = (original.at.date_naive(), random.random_bool(0.7));
        Observation {
            id: format!("fix-{}", self.unique(random)),
            kind: original.kind,
            at: world.now,
            content: ObservationOp::Corrects { of: original.id, day, names_day, count, value },
        }
    }
}

fn form(random: &mut StdRng) -> Form {
    if random.random_bool(0.15) { Form::Lines } else { Form::Batch }
}

/// Totals of some days.
fn restatement(world: &World, campaigns: &[(Uuid, i64)], random: &mut StdRng) -> Operation {
    let mut items = Vec::new();
    for _ in 0..random.random_range(1..=6) {
        let (campaign, _) = campaigns[random.random_range(0..campaigns.len())];
        let day = world.now.date_naive() - Days::new(2 + random.random_range(0..DAYS));
        // Few different values, so that some statements change nothing.
        let mut measures = BTreeMap::from([(Measure::Clicks, random.random_range(0..3))]);
        if random.random_bool(0.5) {
            measures.insert(Measure::Impressions, random.random_range(0..3));
        }
        let number = world.with(|learnt| {
            learnt.statements += 1;
            learnt.statements
        });
        // Some arrive late; each has its own time.
        let late = if random.random_bool(0.25) { random.random_range(1..40) } else { 0 };
        let millis = (number - late) * 1_000 + if late == 0 { 0 } else { 1 + number % 997 };
        let stated_at = world.now - TimeDelta::days(5) + TimeDelta::milliseconds(millis);
        items.push(Statement { campaign, day, measures, stated_at });
    }
    Operation::State { source: world.pull.clone(), items }
}

/// A recorded observation of a source.
fn known(world: &World, source: usize, random: &mut StdRng) -> Option<Observation> {
    world.with(|learnt| {
        let of_source: Vec<&Observation> =
            learnt.observed.iter().filter(|(of, _)| *of == source).map(|(_, item)| item).collect();
        (!of_source.is_empty()).then(|| of_source[random.random_range(0..of_source.len())].clone())
    })
}

/// The same id with other content.
fn otherwise(mut item: Observation) -> Observation {
    if let ObservationOp::Happened { count, .. } = &mut item.content {
        *count += 1;
    }
    item
}
