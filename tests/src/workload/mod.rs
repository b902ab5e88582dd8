//! Clients of the command API that act like integrations. They create and change campaigns, push observations with
//! gaps, duplicates and conflicts, correct them, and restate totals. They repeat unanswered requests with the same keys
//! and ids.

mod client; // one client
mod plan; // the next request of a client
mod send; // a request over HTTP, and the outcome of its answer

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::history::{History, Outcome, Recorder, Source};
use client::Client;
use plan::World;
use send::Sender;

const CLIENTS: usize = 6;

/// The longest wait for progress. After it, the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// A workload on one workspace.
pub struct Workload {
    /// The probability that a client repeats an answered request, from 0 to 1.
    pub repeats: f64,
    recorder: Recorder,
    world: World,
    sender: Sender,
    clients: JoinSet<()>,
    stop: CancellationToken,
    /// A lock that each request holds from its first attempt to its last.
    at_work: Arc<RwLock<()>>,
}

impl Workload {
    /// Registers the sources. `targets` are the URLs of the command API, `now` is the time of its clock.
    pub async fn prepare(targets: Vec<String>, key: &str, now: DateTime<Utc>) -> Self {
        let sender = Sender::new(targets, key);
        let tracker = register(&sender, "tracker", "push").await;
        let shop = register(&sender, "shop", "push").await;
        let ads = register(&sender, "ads", "pull").await;
        Self {
            repeats: 0.15,
            recorder: Recorder::default(),
            world: World::new(vec![tracker, shop], ads, now),
            sender,
            clients: JoinSet::new(),
            stop: CancellationToken::new(),
            at_work: Arc::default(),
        }
    }

    /// Starts clients whose decisions follow from `seed`.
    pub fn start(&mut self, seed: u64) {
        self.stop = CancellationToken::new();
        for number in 0..CLIENTS {
            let client = Client::new(number, seed, self.repeats, &self.recorder, &self.world, &self.sender);
            self.clients.spawn(client.run(self.stop.clone(), Arc::clone(&self.at_work)));
        }
    }

    /// Waits for this many more acknowledgements.
    pub async fn acknowledge_more(&mut self, count: u64) {
        let mut counts = self.recorder.counts();
        let goal = counts.borrow().done + count;
        self.wait(async move { counts.wait_for(|counts| counts.done >= goal).await.is_ok() }, "is acknowledged").await;
    }

    /// Waits for this many more attempts with an unknown outcome.
    pub async fn doubt_more(&mut self, count: u64) {
        let mut counts = self.recorder.counts();
        let goal = counts.borrow().unknown + count;
        self.wait(async move { counts.wait_for(|counts| counts.unknown >= goal).await.is_ok() }, "fails").await;
    }

    /// Waits for progress, and fails with the error of a client that ends.
    async fn wait(&mut self, progress: impl Future<Output = bool>, what: &str) {
        tokio::select! {
            waited = tokio::time::timeout(PATIENCE, progress) => {
                assert!(waited == Ok(true), "nothing {what} any more; the last answers: {:?}", self.last_answers());
            }
            Some(ended) = self.clients.join_next() => {
                ended.unwrap();
                panic!("a client stopped");
            }
        }
    }

    /// The last outcomes of the latest requests.
    fn last_answers(&self) -> Vec<(String, Option<Outcome>)> {
        let history = self.history();
        let last = history.requests.iter().rev().take(CLIENTS);
        last.map(|request| (request.name(), request.attempts.last().map(|attempt| attempt.outcome.clone()))).collect()
    }

    /// Waits until no request is in flight, and pauses the clients until the guard is dropped.
    pub async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.at_work).write_owned().await
    }

    /// Lets every client finish its request, including retries.
    pub async fn finish(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
    }

    /// The history so far.
    pub fn history(&self) -> History {
        self.recorder.history()
    }
}

async fn register(sender: &Sender, name: &str, kind: &str) -> Source {
    let body = json!({
        "name": name, "channel": "paid_search", "kind": kind, "role": "primary", "time_zone": "UTC", "currency": "EUR",
        "expected_delay_s": 60, "restatement_horizon_s": 14 * 86_400
    });
    let answer = sender.post("/v1/sources", &body).await;
    let id = answer.get("source_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    Source { id: id.unwrap_or_else(|| panic!("{answer}")), name: name.to_owned() }
}
