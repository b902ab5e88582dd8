//! Digests. One identifies an observation, the other distinguishes a duplicate from a conflict. Every part is hashed
//! with its length, so that moving a border between parts changes the digest.

use chrono::{DateTime, Utc};
use domain::ids::{CampaignId, SourceId};
use domain::money::Currency;
use domain::observation::{CorrectionInput, CorrectionTarget, Delivered, Observation, ObservationType};
use domain::source::IdScope;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The digest of an observation's identity within a UTC day, or within its source's window. The two never meet.
pub(super) fn id(scope: IdScope, source: SourceId, kind: ObservationType, id: &str) -> Uuid {
    let mut parts = Parts::default();
    if scope == IdScope::Window {
        parts.put(b"window");
    }
    parts.put(source.0.as_bytes()).put(kind.name().as_bytes()).put(id.as_bytes());
    Uuid::from_bytes(parts.digest())
}

/// The digest of a message and its recipient, of which a source counts the first time.
pub(super) fn first_time(source: SourceId, kind: ObservationType, delivered: &Delivered) -> Uuid {
    let mut parts = Parts::default();
    parts
        .put(b"first time")
        .put(source.0.as_bytes())
        .put(kind.name().as_bytes())
        .put(delivered.message.as_bytes())
        .put(delivered.compared_recipient().as_bytes());
    Uuid::from_bytes(parts.digest())
}

/// The digest of a new observation's content; `at` is its time, where that is a part of it, and `first_time` the digest
/// of its message and recipient, if it names them.
pub(super) fn of_new(
    campaign: CampaignId,
    at: Option<DateTime<Utc>>,
    first_time: Option<Uuid>,
    currency: Currency,
    observation: &Observation,
) -> i64 {
    let mut content = Parts::default();
    content
        .put(campaign.0.as_bytes())
        .put_time(at)
        .put(&observation.count.to_be_bytes())
        .put(value(observation.value_micros, currency).as_bytes());
    for (name, value) in &observation.dimensions {
        content.put(name.as_bytes()).put(value.as_bytes());
    }
    if let Some(first_time) = first_time {
        content.put(first_time.as_bytes());
    }
    i64::from_be_bytes(content.digest())
}

/// The digest of a correction's content, as sent, whatever total results.
pub(super) fn of_correction(
    at: Option<DateTime<Utc>>,
    currency: Currency,
    adjusts: &CorrectionTarget,
    restated: CorrectionInput,
) -> i64 {
    let optional = |part: Option<String>| part.unwrap_or_default();
    let mut content = Parts::default();
    content
        // A campaign's id has another length, so a correction never has the digest of a new observation.
        .put(b"adjusts")
        .put(adjusts.id.as_bytes())
        .put(optional(adjusts.day.map(|day| day.to_string())).as_bytes())
        .put_time(at)
        .put(optional(restated.count.map(|count| count.to_string())).as_bytes())
        .put(value(restated.value_micros, currency).as_bytes());
    if let Some(original) = &adjusts.original {
        content
            .put(&original.occurred_at.timestamp_millis().to_be_bytes())
            .put(optional(original.count.map(|count| count.to_string())).as_bytes())
            .put(value(original.value.map(|value| value.value), currency).as_bytes());
    }
    i64::from_be_bytes(content.digest())
}

fn value(micros: Option<i64>, currency: Currency) -> String {
    micros.map(|micros| format!("{micros} {currency}")).unwrap_or_default()
}

#[derive(Clone, Default)]
struct Parts(Sha256);

impl Parts {
    fn put(&mut self, part: &[u8]) -> &mut Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    fn put_time(&mut self, at: Option<DateTime<Utc>>) -> &mut Self {
        match at {
            Some(at) => self.put(&at.timestamp_millis().to_be_bytes()),
            None => self.put(&[]),
        }
    }

    /// The first bytes of the digest.
    fn digest<const N: usize>(&self) -> [u8; N] {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        let mut first = [0; N];
        first.copy_from_slice(&digest[..N]);
        first
    }
}
