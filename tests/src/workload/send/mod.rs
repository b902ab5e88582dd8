//! A request over HTTP, and the outcome of its answer.

mod lines; // newline-delimited JSON

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::measure::{Measure, Unit};
use domain::observation::ObservationType;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::history::{
    Acknowledged, Change, Form, ItemOutcome, Observation, ObservationOp, Operation, Outcome, Refusal, Reply, Statement,
    Trace,
};

/// Longer than the server takes, with a dead database, to answer that the outcome is unknown.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub(super) struct Sender {
    client: Client,
    targets: Vec<String>,
    key: String,
    /// The tags of the versions of campaigns that were answered.
    tags: Arc<Mutex<HashMap<(Uuid, i64), String>>>,
}

impl Sender {
    pub(super) fn new(targets: Vec<String>, key: &str) -> Self {
        Self { client: crate::client(ANSWERED_WITHIN), targets, key: key.to_owned(), tags: Arc::default() }
    }

    fn request(&self, target: usize, method: Method, path: &str) -> RequestBuilder {
        let base = &self.targets[target % self.targets.len()];
        self.client.request(method, format!("{base}{path}")).bearer_auth(&self.key)
    }

    /// Posts a body outside any history.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self.request(0, Method::POST, path).json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// One attempt.
    pub(super) async fn send(&self, target: usize, operation: &Operation, key: Option<&str>, trace: &Trace) -> Outcome {
        let (method, path, body) = wire(operation);
        let mut request =
            self.request(target, method, &path).header("traceparent", format!("00-{}-00000000000000a1-01", trace.id));
        request = match body {
            Body::None => request,
            Body::Json(body) => request.json(&body),
            Body::Lines(lines) => request.header("content-type", LINES).body(lines),
        };
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Operation::Change { campaign, if_match: Some(version), .. } = operation {
            request = request.header("if-match", self.tag(*campaign, *version));
        }
        let Ok(response) = request.send().await else { return Outcome::Unknown };
        let status = response.status().as_u16();
        if let (200, Operation::Observe { form: Form::Lines, items, .. }) = (status, operation) {
            return lines::outcome(response, items.len()).await;
        }
        let replayed = response.headers().contains_key("idempotency-replayed");
        // An answer that breaks off counts as none.
        let Ok(body) = response.bytes().await else { return Outcome::Unknown };
        let Ok(body) = serde_json::from_slice::<Value>(&body) else { return Outcome::Unknown };
        self.learn(&body);
        outcome(status, replayed, body)
    }

    /// The tag of a campaign's version. One that was never answered, because its answer was lost, matches nothing.
    fn tag(&self, campaign: Uuid, version: i64) -> String {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.get(&(campaign, version)).cloned().unwrap_or_else(|| format!("\"{version}.0\""))
    }

    fn learn(&self, body: &Value) {
        let campaign = body["campaign_id"].as_str().and_then(|id| id.parse().ok());
        let (Some(campaign), Some(version), Some(etag)) = (campaign, body["version"].as_i64(), body["etag"].as_str())
        else {
            return;
        };
        self.tags.lock().unwrap_or_else(PoisonError::into_inner).insert((campaign, version), etag.to_owned());
    }
}

fn outcome(status: u16, replayed: bool, body: Value) -> Outcome {
    let overloaded = || body["type"].as_str().is_some_and(|kind| kind.ends_with("/overloaded"));
    if (200..300).contains(&status) {
        return match (acknowledged(&body), body["position"].as_i64()) {
            (Some(content), Some(position)) => Outcome::Done(Reply { content, position, replayed, body }),
            _ => Outcome::Refused(Refusal { status, version: None, body }),
        };
    }
    if status >= 500 && !(status == 503 && overloaded()) {
        return Outcome::Unknown;
    }
    Outcome::Refused(Refusal { status, version: body["version"].as_i64(), body })
}

fn acknowledged(body: &Value) -> Option<Acknowledged> {
    if let Some(campaign) = body["campaign_id"].as_str() {
        let campaign = campaign.parse().ok()?;
        return Some(Acknowledged::Campaign { campaign, version: body["version"].as_i64()? });
    }
    body["results"].as_array()?.iter().map(fate).collect::<Option<_>>().map(Acknowledged::Batch)
}

fn fate(result: &Value) -> Option<ItemOutcome> {
    Some(match result["status"].as_str()? {
        "accepted" => ItemOutcome::Accepted,
        "duplicate" => ItemOutcome::Duplicate,
        "conflict" => ItemOutcome::Conflict,
        _ => ItemOutcome::Rejected(result["reason"].as_str().unwrap_or_default().to_owned()),
    })
}

/// The media type of newline-delimited JSON.
const LINES: &str = "application/x-ndjson";

enum Body {
    None,
    Json(Value),
    Lines(String),
}

fn wire(operation: &Operation) -> (Method, String, Body) {
    match operation {
        Operation::Create { name } => {
            let body = json!({
                "name": name, "channels": ["paid_search"], "currency": "EUR", "time_zone": "UTC",
                "starts_on": "2026-11-01"
            });
            (Method::POST, "/v1/campaigns".to_owned(), Body::Json(body))
        }
        Operation::Change { campaign, change, .. } => {
            let path = format!("/v1/campaigns/{campaign}");
            match change {
                Change::Rename(name) => (Method::PATCH, path, Body::Json(json!({ "name": name }))),
                Change::Launch => (Method::POST, format!("{path}/launch"), Body::None),
                Change::Pause => (Method::POST, format!("{path}/pause"), Body::None),
                Change::Resume => (Method::POST, format!("{path}/resume"), Body::None),
            }
        }
        Operation::Observe { source, form: Form::Batch, items } => {
            let items: Vec<Value> = items.iter().map(observation).collect();
            let body = json!({ "source": source.name, "observations": items });
            (Method::POST, "/v1/observations?results=all".to_owned(), Body::Json(body))
        }
        Operation::Observe { source, form: Form::Lines, items } => {
            let path = format!("/v1/observations?results=all&source={}", source.name);
            (Method::POST, path, Body::Lines(lines::body(items.iter().map(observation))))
        }
        Operation::State { source, items } => {
            let items: Vec<Value> = items.iter().map(statement).collect();
            let body = json!({ "source": source.name, "grain": "day", "time_zone": "UTC", "statements": items });
            (Method::POST, "/v1/statements?results=all".to_owned(), Body::Json(body))
        }
    }
}

fn observation(item: &Observation) -> Value {
    let mut sent = Map::new();
    sent.insert("id".to_owned(), json!(item.id));
    sent.insert("type".to_owned(), json!(item.kind.name()));
    sent.insert("occurred_at".to_owned(), json!(item.at));
    let (count, value) = match &item.content {
        ObservationOp::Happened { campaign, count, value } => {
            sent.insert("campaign_id".to_owned(), json!(campaign));
            (Some(*count), *value)
        }
        ObservationOp::Corrects { of, day, names_day, count, value } => {
            let adjusts = if *names_day { json!({ "id": of, "day": day }) } else { json!(of) };
            sent.insert("adjusts".to_owned(), adjusts);
            (*count, *value)
        }
    };
    if let Some(count) = count {
        sent.insert("count".to_owned(), quantity(item.kind, item.kind.count_measure(), count));
    }
    if let Some(value) = value {
        sent.insert("value".to_owned(), quantity(item.kind, item.kind.value_measure(), value));
    }
    Value::Object(sent)
}

/// A number in the notation of its measure.
fn quantity(kind: ObservationType, measure: Option<Measure>, number: i64) -> Value {
    let sign = if number < 0 { "-" } else { "" };
    let decimal = format!("{sign}{}.{:06}", (number / 1_000_000).abs(), (number % 1_000_000).abs());
    match measure.map(Measure::unit) {
        Some(Unit::Money) => json!({ "amount": decimal, "currency": "EUR" }),
        Some(Unit::Credit) => json!(decimal),
        Some(Unit::Count) => json!(number),
        Some(Unit::Ratio) | None => panic!("{} has no such measure", kind.name()),
    }
}

fn statement(item: &Statement) -> Value {
    let measures: Map<String, Value> =
        item.measures.iter().map(|(measure, value)| (measure.name().to_owned(), json!(value))).collect();
    json!({ "campaign_id": item.campaign, "bucket": item.day, "stated_at": item.stated_at, "measures": measures })
}
