//! Senders that repeat a batch until it is acknowledged, as an integrator would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::program::{KEY, Program};

const SENDERS: u64 = 4;
const BATCH: u64 = 50;

pub(crate) struct Load {
    client: Client,
    command: String,
    read: String,
    stop: Arc<AtomicBool>,
    acknowledged: watch::Sender<u64>,
    senders: JoinSet<Vec<String>>,
}

impl Load {
    /// A source and a campaign to observe.
    pub(crate) async fn prepare(program: &Program) -> Self {
        let load = Self {
            client: tests::client(Duration::from_secs(10)),
            command: format!("http://{}", program.command),
            read: format!("http://{}", program.read),
            stop: Arc::default(),
            acknowledged: watch::Sender::new(0),
            senders: JoinSet::new(),
        };
        let source = json!({
            "name": "tracker", "channel": "paid_search", "kind": "push", "role": "primary", "time_zone": "UTC",
            "currency": "EUR", "expected_delay_s": 60, "restatement_horizon_s": 3600
        });
        let campaign = json!({
            "name": "Winter", "channels": ["paid_search"], "currency": "EUR", "time_zone": "UTC", "starts_on": "2026-11-01",
            "external_ids": [{ "id": "winter" }]
        });
        for (path, body) in [("/v1/sources", source), ("/v1/campaigns", campaign)] {
            let answer =
                load.client.post(format!("{}{path}", load.command)).bearer_auth(KEY).json(&body).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::CREATED, "{}", answer.text().await.unwrap());
        }
        load
    }

    pub(crate) fn start(&mut self) {
        // As sent, the ids of one batch are of one moment; repeating it must send that same moment.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        for _ in 0..SENDERS {
            let (client, stop, acknowledged) = (self.client.clone(), self.stop.clone(), self.acknowledged.clone());
            let url = format!("{}/v1/observations", self.command);
            self.senders.spawn(async move {
                let mut sent = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    let first = NEXT.fetch_add(BATCH, Ordering::SeqCst);
                    let ids: Vec<String> = (first..first + BATCH).map(|id| id.to_string()).collect();
                    let body = json!({ "source": "tracker", "observations": observations(&ids) });
                    until_acknowledged(&client, &url, &body).await;
                    sent.extend(ids);
                    acknowledged.send_modify(|count| *count += 1);
                }
                sent
            });
        }
    }

    /// Waits for this many more acknowledged batches.
    pub(crate) async fn acknowledge_more(&self, batches: u64) {
        let mut acknowledged = self.acknowledged.subscribe();
        let goal = *acknowledged.borrow() + batches;
        let reached = acknowledged.wait_for(|count| *count >= goal);
        tokio::time::timeout(Duration::from_mins(2), reached)
            .await
            .expect("no batch is acknowledged any more")
            .unwrap();
    }

    /// Lets every sender finish its batch; gives the ids of all that was acknowledged.
    pub(crate) async fn finish(&mut self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        let mut sent = Vec::new();
        while let Some(ids) = self.senders.join_next().await {
            sent.extend(ids.unwrap());
        }
        sent
    }

    /// The clicks that a report counts, once it has applied the whole log.
    pub(crate) async fn clicks_when_caught_up(&self, within: Duration) -> u64 {
        let today = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).date_naive();
        let report = json!({
            "measures": ["clicks"], "date_from": today - chrono::Days::new(1), "date_to": today, "granularity": "all",
            "time_zone": "UTC", "group_by": []
        });
        let deadline = Instant::now() + within;
        loop {
            let request = self.client.post(format!("{}/v1/reports", self.read)).bearer_auth(KEY).json(&report);
            let answer = request.send().await.unwrap();
            let position = answer.headers()["data-position"].to_str().unwrap().to_owned();
            let body: Value = answer.json().await.unwrap();
            let part = |name| position.split(", ").find_map(|part| part.strip_prefix(name)).map(str::to_owned);
            if part("applied=") == part("head=") {
                return body["data"][0]["clicks"].as_u64().unwrap();
            }
            assert!(Instant::now() < deadline, "the projector does not catch up: {position}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn observations(ids: &[String]) -> Vec<Value> {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    let occurred_at = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    ids.iter()
        .map(|id| json!({ "id": id, "external_campaign_id": "winter", "type": "click", "occurred_at": occurred_at }))
        .collect()
}

/// Sends until the answer is a 200 in which nothing was refused.
async fn until_acknowledged(client: &Client, url: &str, body: &Value) {
    loop {
        if let Ok(answer) = client.post(url).bearer_auth(KEY).json(body).send().await {
            let status = answer.status();
            if let Ok(body) = answer.json::<Value>().await {
                if status == StatusCode::OK {
                    let counts = (body["conflicts"].as_u64(), body["rejected"].as_u64());
                    assert_eq!(counts, (Some(0), Some(0)), "{body}");
                    return;
                }
                assert!(status.is_server_error(), "{status} {body}");
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
