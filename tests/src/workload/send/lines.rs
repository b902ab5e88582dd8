//! Observations as lines: recorded and answered chunk by chunk, so an answer that breaks off still acknowledges what it
//! says.

use reqwest::Response;
use serde_json::{Value, json};

use super::fate;
use crate::history::{Acknowledged, ItemOutcome, Outcome, Reply};

/// A chunk ends with so many bytes, half a MiB: lines of this length make several of few.
const LENGTH: usize = 60_000;

/// One observation a line, each filled up with white space.
pub(super) fn body(items: impl Iterator<Item = Value>) -> String {
    let mut body = String::new();
    for item in items {
        let line = item.to_string();
        body.push_str(&line);
        body.extend(std::iter::repeat_n(' ', LENGTH.saturating_sub(line.len())));
        body.push('\n');
    }
    body
}

/// What came of so many lines.
pub(super) async fn outcome(mut response: Response, count: usize) -> Outcome {
    let mut answer = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        answer.extend_from_slice(&piece);
    }
    let mut fates = vec![ItemOutcome::Doubtful; count];
    let (mut position, mut replayed) = (0, false);
    // A line that broke off says nothing.
    for line in answer.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return Outcome::Unknown };
        let Some(results) = line["results"].as_array() else { continue };
        position = line["position"].as_i64().map_or(position, |covers| covers.max(position));
        replayed |= line["replayed"] == json!(true);
        for result in results {
            let place = result["line"].as_u64().and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
            if let (Some(told), Some(fate)) = (place.and_then(|place| fates.get_mut(place)), fate(result)) {
                *told = fate;
            }
        }
    }
    if position == 0 {
        return Outcome::Unknown;
    }
    let body = json!(String::from_utf8_lossy(&answer));
    Outcome::Done(Reply { says: Acknowledged::Batch(fates), position, replayed, body })
}
