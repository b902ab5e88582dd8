//! Results that this process keeps, for as long as nothing that they show can have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use lru::LruCache;
use metrics::{Counter, Gauge};

use super::Validity;
use super::trace::CacheStatus;
use crate::model_head::ModelHead;
use crate::report::query::Paging;
use crate::response::{ETag, FreshnessHeaders, QueryHash};
use crate::snapshot::Snapshot;

/// What a kept result takes beside its body: keys, headers, the places in the maps.
const OVERHEAD: usize = 512;
/// A result that would take more than this share of the room is not kept: few would fit.
const LARGEST_SHARE: usize = 8;
/// From so many on, flights are cleared of those that are over.
const MANY_FLIGHTS: usize = 256;

/// A page of a query of one caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    workspace: i32,
    model: &'static str,
    /// Of the caller's scopes and the query.
    digest: [u8; 32],
    limit: usize,
    cursor: Option<String>,
}

impl Key {
    pub(crate) fn new(workspace: i32, model: &'static str, canonical: &QueryHash, paging: Option<&Paging>) -> Self {
        let (limit, cursor) = paging.map_or((0, None), |paging| (paging.limit, paging.cursor.clone()));
        Self { workspace, model, digest: canonical.digest, limit, cursor }
    }
}

/// A result, and when it holds.
#[derive(Debug)]
pub(crate) struct CachedResult {
    pub(crate) taken: SnapshotStamp,
    pub(crate) lasting: Validity,
    pub(crate) standing: FreshnessHeaders,
    pub(crate) tag: ETag,
    /// `None`: whoever asked had it.
    pub(crate) body: Option<Bytes>,
    pub(crate) next_cursor: Option<String>,
}

/// The rows that a result was read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotStamp {
    pub(crate) epoch: i32,
    /// Up to where the log was applied in them.
    pub(crate) applied: i64,
    pub(crate) retained_at: Option<DateTime<Utc>>,
    /// Their snapshot was not taken before this.
    pub(crate) after: Instant,
    /// When their snapshot was taken.
    pub(crate) now: DateTime<Utc>,
}

impl SnapshotStamp {
    /// Those of a snapshot.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { epoch, applied, retained_at, taken_after, now, .. } = *snapshot;
        Self { epoch, applied, retained_at, after: taken_after, now }
    }

    /// Those that are so far.
    pub(crate) fn at(tip: &ModelHead, after: Instant, now: DateTime<Utc>) -> Self {
        let ModelHead { epoch, applied, retained_at, .. } = *tip;
        Self { epoch, applied, retained_at, after, now }
    }
}

impl CachedResult {
    /// Whether rows at this tip, at this instant, give the same result.
    pub(crate) fn is_valid_at(&self, tip: &ModelHead, now: DateTime<Utc>) -> bool {
        let in_time = match self.lasting {
            Validity::Unknown => false,
            Validity::Until(end) => self.taken.now <= now && end.is_none_or(|end| now < end),
        };
        let SnapshotStamp { epoch, applied, retained_at, .. } = self.taken;
        in_time && (epoch, applied, retained_at) == (tip.epoch, tip.applied, tip.retained_at)
    }

    fn weight(&self) -> usize {
        OVERHEAD + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// The results that were asked for last, in so many bytes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ResultCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    results: Mutex<WeightedLru>,
    flights: Mutex<HashMap<Key, Weak<ComputeLock>>>,
    counted: CacheMetrics,
}

/// Where results came from, and what the kept ones take.
#[derive(Debug)]
struct CacheMetrics {
    kept: Counter,
    same_version: Counter,
    computed: Counter,
    bytes: Gauge,
}

/// Whoever holds it reads from the database; those who ask the same wait for their turn.
type ComputeLock = tokio::sync::Mutex<()>;

#[derive(Debug)]
struct WeightedLru {
    by_key: LruCache<Key, Arc<CachedResult>, foldhash::fast::RandomState>,
    bytes: usize,
}

impl CacheMetrics {
    fn new() -> Self {
        metrics::describe_counter!(
            "highwater_read_results_total",
            "Answers by where their result came from: kept, of the same version, or computed."
        );
        metrics::describe_gauge!("highwater_read_results_bytes", metrics::Unit::Bytes, "What kept results take.");
        let from = |origin: CacheStatus| metrics::counter!("highwater_read_results_total", "from" => origin.name());
        Self {
            kept: from(CacheStatus::Kept),
            same_version: from(CacheStatus::SameVersion),
            computed: from(CacheStatus::Computed),
            bytes: metrics::gauge!("highwater_read_results_bytes"),
        }
    }
}

impl ResultCache {
    /// Keeps no more than these bytes; 0: nothing.
    pub(crate) fn new(capacity: usize) -> Self {
        let by_key = LruCache::unbounded_with_hasher(foldhash::fast::RandomState::default());
        let results = Mutex::new(WeightedLru { by_key, bytes: 0 });
        Self(Arc::new(Shared { capacity, results, flights: Mutex::default(), counted: CacheMetrics::new() }))
    }

    /// Counts an answer.
    pub(super) fn count(&self, origin: CacheStatus) {
        let counted = &self.0.counted;
        match origin {
            CacheStatus::Kept => counted.kept.increment(1),
            CacheStatus::SameVersion => counted.same_version.increment(1),
            CacheStatus::Computed => counted.computed.increment(1),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedResult>> {
        self.lock().by_key.get(key).cloned()
    }

    pub(crate) fn insert(&self, key: Key, kept: CachedResult) {
        let weight = kept.weight();
        if weight > self.0.capacity / LARGEST_SHARE {
            return;
        }
        let mut results = self.lock();
        // Of two that were read at once, the later one stays.
        if results.by_key.peek(&key).is_some_and(|other| other.taken.after > kept.taken.after) {
            return;
        }
        results.bytes += weight;
        if let Some(before) = results.by_key.put(key, Arc::new(kept)) {
            results.bytes -= before.weight();
        }
        while results.bytes > self.0.capacity {
            let Some((_, oldest)) = results.by_key.pop_lru() else { break };
            results.bytes -= oldest.weight();
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge shows; up to 2^53 it is exact")]
        self.0.counted.bytes.set(results.bytes as f64);
    }

    /// The turn of those who ask this.
    pub(crate) fn compute_lock(&self, key: &Key) -> Arc<ComputeLock> {
        let mut flights = self.0.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(key).and_then(Weak::upgrade) {
            return flight;
        }
        // Those that nobody waits for any more.
        if flights.len() >= MANY_FLIGHTS {
            flights.retain(|_, flight| flight.strong_count() > 0);
        }
        let flight = Arc::<ComputeLock>::default();
        flights.insert(key.clone(), Arc::downgrade(&flight));
        flight
    }

    fn lock(&self) -> MutexGuard<'_, WeightedLru> {
        self.0.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
