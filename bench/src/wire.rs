//! Observations as an integration sends them.

use bytes::Bytes;
use domain::observation::{Observation, ObservationsRecorded};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::workspace::SOURCE;

/// The part of an answer that says how a batch fared.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct BatchAnswer {
    pub(crate) accepted: usize,
    pub(crate) position: i64,
}

/// The part of the last line of an answer to NDJSON that says how all lines fared.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct StreamEnd {
    pub(crate) done: bool,
    pub(crate) accepted: usize,
}

/// A JSON batch.
pub(crate) fn batch(batch: &ObservationsRecorded) -> Bytes {
    let observations: Vec<_> = batch.observations.iter().map(|observation| item(batch, observation)).collect();
    json!({ "source": SOURCE, "observations": observations }).to_string().into()
}

/// One item of it.
pub(crate) fn item(batch: &ObservationsRecorded, observation: &Observation) -> Value {
    let mut item = json!({
        "id": observation.id,
        "campaign_id": batch.campaigns[observation.campaign],
        "type": observation.kind,
        "occurred_at": observation.occurred_at,
    });
    if let Some(micros) = observation.value_micros {
        let amount = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        item["value"] = json!({ "amount": amount, "currency": batch.currency });
    }
    item
}

/// NDJSON: a line for each item.
pub(crate) fn lines(batch: &ObservationsRecorded) -> Bytes {
    let lines = batch.observations.iter().map(|observation| format!("{}\n", item(batch, observation)));
    lines.collect::<String>().into()
}
