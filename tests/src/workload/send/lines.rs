//! Observations as lines, recorded and answered chunk by chunk. An answer that breaks off still acknowledges its lines.

use reqwest::Response;
use serde_json::{Value, json};

use super::fate;
use crate::history::{Acknowledged, ItemOutcome, Outcome, Reply};

/// The length of a line. A chunk ends at half a MiB, so few lines of this length make several chunks.
const LENGTH: usize = 60_000;

/// A body of one observation a line, padded with white space.
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

/// The outcome of this many lines.
pub(super) async fn outcome(mut response: Response, count: usize) -> Outcome {
    let mut answer = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        answer.extend_from_slice(&piece);
    }
    let mut fates = vec![ItemOutcome::Doubtful; count];
    let (mut position, mut replayed) = (0, false);
    // An incomplete line is ignored.
    for line in answer.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return Outcome::Unknown };
        let Some(results) = line["results"].as_array() else { continue };
        position = line["position"].as_i64().map_or(position, |covers| covers.max(position));
        replayed |= line["replayed"] == json!(true);
        for result in results {
            let place = result["line"].as_u64().and_then(|line| usize::try_from(line).ok()?.checked_sub(1));
            if let (Some(outcome), Some(fate)) = (place.and_then(|place| fates.get_mut(place)), fate(result)) {
                *outcome = fate;
            }
        }
    }
    if position == 0 {
        return Outcome::Unknown;
    }
    let body = json!(String::from_utf8_lossy(&answer));
    Outcome::Done(Reply { content: Acknowledged::Batch(fates), position, replayed, body })
}
