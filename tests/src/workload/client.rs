//! One client: sends one request after another, and repeats those without an answer.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use super::plan::{Planner, World};
use super::send::Sender;
use crate::history::{Operation, Outcome, Recorder};

/// The longest pause before a request is repeated.
const LONGEST_PAUSE: u64 = 200;

pub(super) struct Client {
    number: usize,
    random: StdRng,
    repeats: f64,
    recorder: Recorder,
    world: World,
    planner: Planner,
    sender: Sender,
}

impl Client {
    pub(super) fn new(
        number: usize,
        seed: u64,
        repeats: f64,
        recorder: &Recorder,
        world: &World,
        sender: &Sender,
    ) -> Self {
        Self {
            number,
            random: StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(number as u64)),
            repeats,
            recorder: recorder.clone(),
            world: world.clone(),
            planner: Planner::new(number, seed),
            sender: sender.clone(),
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken, at_work: Arc<RwLock<()>>) {
        while !stop.is_cancelled() {
            let working = at_work.read().await;
            self.request().await;
            drop(working);
        }
    }

    /// Sends one request until it is answered or given up.
    async fn request(&mut self) {
        let (key, operation) = self.planner.next(&self.world, &mut self.random);
        let number = self.recorder.add_request(key.clone(), operation.clone());
        let mut attempt = 0;
        loop {
            let target = self.number + attempt;
            let trace = self.recorder.begin(number);
            let outcome = self.sender.send(target, &operation, key.as_deref(), &trace).await;
            self.recorder.end(number, &trace, outcome.clone());
            if let Outcome::Done(reply) = &outcome {
                self.world.learn(&operation, reply);
            }
            attempt += 1;
            if !self.tries_again(&operation, key.is_some(), &outcome) {
                return;
            }
            if !matches!(outcome, Outcome::Done(_)) {
                let pause = (10 << attempt.min(5)).min(LONGEST_PAUSE);
                tokio::time::sleep(Duration::from_millis(self.random.random_range(pause / 2..=pause))).await;
            }
        }
    }

    /// Whether to repeat a request. Most integrators repeat what was not answered or postponed; some also repeat what
    /// was answered.
    fn tries_again(&mut self, operation: &Operation, keyed: bool, outcome: &Outcome) -> bool {
        // Without a key, a repeated creation would create a second campaign.
        let safe = keyed || !matches!(operation, Operation::Create { .. });
        safe && match outcome {
            Outcome::Done(reply) if reply.is_whole() => self.random.random_bool(self.repeats),
            Outcome::Refused(refusal) => matches!(refusal.status, 409 | 429 | 503) && self.random.random_bool(0.7),
            Outcome::Done(_) | Outcome::Unknown => self.random.random_bool(0.95),
        }
    }
}
