//! The result cache: results that this process keeps as long as nothing that they show can have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use chrono::{DateTime, Utc};
use lru::LruCache;
use metrics::{Counter, Gauge};

use super::encoded::EncodedResult;
use super::trace::CacheStatus;
use crate::access::Access;
use crate::database::model_head::ModelHead;
use crate::database::snapshot::Snapshot;
use crate::paging::Paging;
use crate::probe::Validity;
use crate::resolved::{Resolved, ResultId};
use crate::status::ReadStatus;

/// The bytes of a cached result beside its data: its key, its status and its entries in the maps.
const OVERHEAD: usize = 512;
/// A result above this share of the capacity is not cached, because it would evict most others.
const LARGEST_SHARE: usize = 8;
/// From this number on, compute locks without holders are removed.
const MANY_LOCKS: usize = 256;

/// The key of a result: a page of a query, as one access sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    access: Access,
    /// The hash of the model and the canonical query.
    digest: [u8; 32],
    page: Option<Paging>,
}

impl Key {
    pub(crate) fn new<Q>(access: Access, query: &Resolved<Q>) -> Self {
        Self { access, digest: query.hash().digest, page: query.paging.clone() }
    }
}

/// A result, and how long it holds.
#[derive(Debug)]
pub(crate) struct CachedResult {
    pub(crate) stamp: SnapshotStamp,
    pub(crate) validity: Validity,
    pub(crate) status: ReadStatus,
    pub(crate) id: ResultId,
    /// `None`: the caller had the result, so that only its id was computed.
    pub(crate) encoded: Option<Arc<EncodedResult>>,
}

/// The state of the rows that a result was read from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotStamp {
    pub(crate) epoch: i32,
    /// The position up to which the log was applied.
    pub(crate) applied: i64,
    /// When the event of that position was recorded: after a restore another one may stand there.
    pub(crate) applied_at: Option<DateTime<Utc>>,
    pub(crate) retained_at: Option<DateTime<Utc>>,
    /// The snapshot was not taken before this instant.
    pub(crate) after: Instant,
    /// When the snapshot was taken.
    pub(crate) now: DateTime<Utc>,
}

impl SnapshotStamp {
    /// The state of a snapshot.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let Snapshot { epoch, applied, applied_at, retained_at, taken_after, now, .. } = *snapshot;
        Self { epoch, applied, applied_at, retained_at, after: taken_after, now }
    }

    /// The state at a model head.
    pub(crate) fn at_head(head: &ModelHead, after: Instant, now: DateTime<Utc>) -> Self {
        let ModelHead { epoch, applied, applied_at, retained_at, .. } = *head;
        Self { epoch, applied, applied_at, retained_at, after, now }
    }
}

impl CachedResult {
    /// Whether rows at this head give the same result at this instant.
    pub(crate) fn is_valid_at(&self, head: &ModelHead, now: DateTime<Utc>) -> bool {
        let in_time = match self.validity {
            Validity::AlwaysProbe => false,
            Validity::Until(end) => self.stamp.now <= now && end.is_none_or(|end| now < end),
        };
        let SnapshotStamp { epoch, applied, applied_at, retained_at, .. } = self.stamp;
        let (at, of) = ((epoch, applied, applied_at), (head.epoch, head.applied, head.applied_at));
        in_time && at == of && retained_at == head.retained_at
    }

    fn weight(&self) -> usize {
        OVERHEAD + self.encoded.as_ref().map_or(0, |encoded| encoded.weight())
    }
}

/// The results that were used last, within a number of bytes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ResultCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    results: Mutex<WeightedLru>,
    locks: Mutex<HashMap<Key, Weak<ComputeLock>>>,
    metrics: CacheMetrics,
}

/// The metrics of the cache.
#[derive(Debug)]
struct CacheMetrics {
    kept: Counter,
    same_version: Counter,
    computed: Counter,
    bytes: Gauge,
}

/// Its holder reads from the database. Other requests for the same result wait for it.
type ComputeLock = tokio::sync::Mutex<()>;

#[derive(Debug)]
struct WeightedLru {
    /// Each result with its weight when it was inserted.
    by_key: LruCache<Key, (Arc<CachedResult>, usize), foldhash::fast::RandomState>,
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
            kept: from(CacheStatus::Hit),
            same_version: from(CacheStatus::SameVersion),
            computed: from(CacheStatus::Computed),
            bytes: metrics::gauge!("highwater_read_results_bytes"),
        }
    }
}

impl ResultCache {
    /// A cache of at most these bytes; 0 keeps nothing.
    pub(crate) fn new(capacity: usize) -> Self {
        let by_key = LruCache::unbounded_with_hasher(foldhash::fast::RandomState::default());
        let results = Mutex::new(WeightedLru { by_key, bytes: 0 });
        Self(Arc::new(Shared { capacity, results, locks: Mutex::default(), metrics: CacheMetrics::new() }))
    }

    /// Counts an answer by where its result came from.
    pub(crate) fn count(&self, origin: CacheStatus) {
        let metrics = &self.0.metrics;
        match origin {
            CacheStatus::Hit => metrics.kept.increment(1),
            CacheStatus::SameVersion => metrics.same_version.increment(1),
            CacheStatus::Computed => metrics.computed.increment(1),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedResult>> {
        self.lock().by_key.get(key).map(|(cached, _)| Arc::clone(cached))
    }

    pub(crate) fn insert(&self, key: Key, cached: Arc<CachedResult>) {
        let mut results = self.lock();
        // Of two concurrent reads, the later snapshot stays.
        if results.by_key.peek(&key).is_some_and(|(other, _)| other.stamp.after > cached.stamp.after) {
            return;
        }
        self.put(&mut results, key, cached);
    }

    /// Updates the weight of a result after an encoding was added to it.
    pub(crate) fn reweigh(&self, key: &Key, encoded: &Arc<EncodedResult>) {
        let mut results = self.lock();
        let is_same =
            |cached: &CachedResult| cached.encoded.as_ref().is_some_and(|cached| Arc::ptr_eq(cached, encoded));
        if let Some((cached, _)) = results.by_key.peek(key).filter(|(cached, _)| is_same(cached)) {
            let cached = Arc::clone(cached);
            self.put(&mut results, key.clone(), cached);
        }
    }

    /// Replaces a result, and evicts the least recently used ones beyond the capacity.
    fn put(&self, results: &mut WeightedLru, key: Key, cached: Arc<CachedResult>) {
        let weight = cached.weight();
        let before = if weight > self.0.capacity / LARGEST_SHARE {
            // The older version goes: it would have been replaced.
            results.by_key.pop(&key)
        } else {
            results.bytes += weight;
            results.by_key.put(key, (cached, weight))
        };
        results.bytes -= before.map_or(0, |(_, weight)| weight);
        while results.bytes > self.0.capacity {
            let Some((_, (_, weight))) = results.by_key.pop_lru() else { break };
            results.bytes -= weight;
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge shows; up to 2^53 it is exact")]
        self.0.metrics.bytes.set(results.bytes as f64);
    }

    /// The lock of the computation of a result.
    pub(crate) fn compute_lock(&self, key: &Key) -> Arc<ComputeLock> {
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() >= MANY_LOCKS {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::<ComputeLock>::default();
        locks.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }

    fn lock(&self) -> MutexGuard<'_, WeightedLru> {
        self.0.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
