//! Callers who send observations: each in turn waiting for its answer, or at a rate whatever is answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::catalogue::OBSERVATIONS_RECORDED;
use domain::event::Event;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Observations of one request.
const BATCH: u64 = 5;

#[derive(Clone)]
pub(crate) struct Load {
    client: Client,
    url: String,
    key: String,
    workspace: i32,
    campaign: String,
    next: Arc<AtomicU64>,
}

/// What became of a phase.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The ids of what was answered with 200.
    pub(crate) acknowledged: BTreeSet<String>,
    /// How many requests were refused.
    pub(crate) refused: usize,
    /// How many were answered with 200 in a second.
    pub(crate) per_second: f64,
    /// The most requests that the API said it had in flight.
    pub(crate) most_in_flight: f64,
}

enum Answer {
    Taken(Vec<String>),
    Refused,
}

impl Load {
    /// A source and a campaign to observe.
    pub(crate) async fn prepare(system: &TestSystem, caller: &Caller) -> Self {
        caller.push_source("tracker").await;
        Self {
            client: tests::client(Duration::from_mins(1)),
            url: system.command_url(),
            key: caller.key().to_owned(),
            workspace: caller.workspace(),
            campaign: caller.campaign("Winter").await,
            next: Arc::default(),
        }
    }

    /// So many requests by so many callers, each of whom waits for an answer before the next.
    pub(crate) async fn in_turn(&self, callers: usize, requests: usize) -> Outcome {
        let began = Instant::now();
        let mut sending = JoinSet::new();
        for _ in 0..callers {
            let load = self.clone();
            sending.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..requests / callers {
                    answers.push(load.send().await);
                }
                answers
            });
        }
        let mut outcome = Outcome::default();
        for answer in sending.join_all().await.into_iter().flatten() {
            outcome.add(answer);
        }
        outcome.over(began.elapsed())
    }

    /// So many requests, each at its time, however many are not answered yet.
    pub(crate) async fn at_a_rate(&self, per_second: f64, requests: u32) -> Outcome {
        let began = Instant::now();
        let mut sending = JoinSet::new();
        let mut outcome = Outcome::default();
        for number in 0..requests {
            tokio::time::sleep_until(began + Duration::from_secs_f64(f64::from(number) / per_second)).await;
            let load = self.clone();
            sending.spawn(async move { load.send().await });
            if number % 100 == 99 {
                // Whoever watches is answered however much there is to do.
                outcome.most_in_flight = outcome.most_in_flight.max(self.in_flight().await);
            }
        }
        for answer in sending.join_all().await {
            outcome.add(answer);
        }
        outcome.over(began.elapsed())
    }

    async fn send(&self) -> Answer {
        let first = self.next.fetch_add(BATCH, Ordering::Relaxed);
        let ids: Vec<String> = (first..first + BATCH).map(|id| format!("o-{id}")).collect();
        let observation =
            |id: &String| json!({ "id": id, "campaign_id": self.campaign, "type": "click", "occurred_at": crate::NOW });
        let body = json!({ "source": "tracker", "observations": ids.iter().map(observation).collect::<Vec<_>>() });
        let request = self.client.post(format!("{}/v1/observations", self.url)).bearer_auth(&self.key).json(&body);
        let answer = request.send().await.unwrap();
        let (status, retry_after) = (answer.status().as_u16(), answer.headers().get("retry-after").cloned());
        let body: Value = answer.json().await.unwrap();
        match status {
            200 => {
                assert_eq!(body["accepted"], BATCH, "{body}");
                Answer::Taken(ids)
            }
            503 => {
                assert_eq!(body["type"], "https://highwater.dev/problems/overloaded");
                assert_eq!(retry_after.unwrap(), "1");
                Answer::Refused
            }
            status => panic!("{status} {body}"),
        }
    }

    async fn in_flight(&self) -> f64 {
        let metrics = self.client.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let line = "highwater_http_requests_in_flight{api=\"command\"} ";
        metrics.lines().find_map(|found| found.strip_prefix(line)).unwrap().parse().unwrap()
    }

    /// The ids of the observations that the log holds. An id that is there twice is a failure.
    pub(crate) async fn recorded(&self, pool: &PgPool) -> BTreeSet<String> {
        let stored: Vec<(String, String, String, String)> = sqlx::query_as(
            "SELECT aggregate_type, event_type, event_version, payload::text FROM log.events
             WHERE workspace = $1 AND event_type = $2",
        )
        .bind(self.workspace)
        .bind(OBSERVATIONS_RECORDED.name)
        .fetch_all(pool)
        .await
        .unwrap();
        let batches = stored.iter().map(|(stream_type, event_type, event_version, payload)| {
            match Event::decode(stream_type, event_type, event_version, payload) {
                Ok(Event::Observations(batch)) => batch,
                other => panic!("no batch of observations: {other:?}"),
            }
        });
        let mut ids = BTreeSet::new();
        for observation in batches.flat_map(|batch| batch.observations) {
            assert!(ids.insert(observation.id.clone()), "{} is recorded twice", observation.id);
        }
        ids
    }
}

impl Outcome {
    fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Taken(ids) => self.acknowledged.extend(ids),
            Answer::Refused => self.refused += 1,
        }
    }

    fn over(mut self, time: Duration) -> Self {
        let taken = u32::try_from(self.acknowledged.len()).unwrap();
        self.per_second = f64::from(taken) / f64::from(u32::try_from(BATCH).unwrap()) / time.as_secs_f64();
        self
    }
}
