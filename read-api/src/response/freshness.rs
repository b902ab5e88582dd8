//! The status of an answer in its headers, which are structured fields (RFC 9651): the epoch and position of the read,
//! and its freshness.

use std::fmt::Write as _;

use http::header::{HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use http_edge::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};
use queries::ReadStatus;

use super::VARIES;

const DATA_POSITION: HeaderName = HeaderName::from_static("data-position");
const DATA_FRESHNESS: HeaderName = HeaderName::from_static("data-freshness");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Writes the headers.
pub(crate) fn write_status(status: &ReadStatus, headers: &mut HeaderMap) {
    let ReadStatus { workspace, epoch, applied, applied_at, head, .. } = *status;
    let recorded_at = applied_at.map_or(0, |recorded_at| recorded_at.timestamp_micros());
    let token = ConsistencyToken { workspace, position: applied, recorded_at };
    headers.insert(DATA_POSITION, header(format!("epoch={epoch}, applied={applied}, head={head}")));
    headers.insert(DATA_FRESHNESS, freshness(status));
    headers.insert(CONSISTENCY_TOKEN, token.header_value());
    if let Some(wait_s) = status.waited_s {
        headers.insert(PREFERENCE_APPLIED, header(format!("wait={wait_s}")));
    }
    headers.insert(VARY, VARIES);
}

fn freshness(status: &ReadStatus) -> HeaderValue {
    if let ReadStatus { satisfied: None, parked: 0, numbers: None, .. } = status
        && status.lag.is_zero()
    {
        // The usual value of answers without numbers.
        return HeaderValue::from_static("lag=0.000");
    }
    // More than the longest text, so that it never grows.
    let mut text = String::with_capacity(128);
    if let Some((state, _)) = status.numbers {
        let _ = write!(text, "state={}, ", state.name());
    }
    let millis = status.lag.num_milliseconds();
    let _ = write!(text, "lag={}.{:03}", millis / 1_000, millis % 1_000);
    if let Some(satisfied) = status.satisfied {
        let _ = write!(text, ", satisfied=?{}", u8::from(satisfied));
    }
    if let Some((_, Some(complete_through))) = status.numbers {
        let _ = write!(text, ", complete_through=@{}", complete_through.timestamp());
    }
    if status.parked > 0 {
        let _ = write!(text, ", parked={}", status.parked);
    }
    header(text)
}

/// The text consists of names, digits and signs, which are valid in a header.
fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}
