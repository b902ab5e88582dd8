//! Results that this process keeps, for as long as nothing that they show can have changed.

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

/// What a cached result takes beside its data: its key, its status and the places in the maps.
const OVERHEAD: usize = 512;
/// A result that would take more than this share of the room is not kept: few would fit.
const LARGEST_SHARE: usize = 8;
/// From so many on, compute locks are cleared of those that nobody waits for.
const MANY_LOCKS: usize = 256;

/// The key of a result: a page of a query, as one access sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    access: Access,
    /// Of the model and the canonical query.
    digest: [u8; 32],
    page: Option<Paging>,
}

impl Key {
    pub(crate) fn new<Q>(access: Access, query: &Resolved<Q>) -> Self {
        Self { access, digest: query.hash().digest, page: query.paging.clone() }
    }
}

/// A result, and when it holds.
#[derive(Debug)]
pub(crate) struct CachedResult {
    pub(crate) stamp: SnapshotStamp,
    pub(crate) validity: Validity,
    pub(crate) status: ReadStatus,
    pub(crate) id: ResultId,
    /// `None`: the caller had it, so that only its id was found out.
    pub(crate) encoded: Option<Arc<EncodedResult>>,
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
    pub(crate) fn at_head(head: &ModelHead, after: Instant, now: DateTime<Utc>) -> Self {
        let ModelHead { epoch, applied, retained_at, .. } = *head;
        Self { epoch, applied, retained_at, after, now }
    }
}

impl CachedResult {
    /// Whether rows at this head, at this instant, give the same result.
    pub(crate) fn is_valid_at(&self, head: &ModelHead, now: DateTime<Utc>) -> bool {
        let in_time = match self.validity {
            Validity::AlwaysProbe => false,
            Validity::Until(end) => self.stamp.now <= now && end.is_none_or(|end| now < end),
        };
        let SnapshotStamp { epoch, applied, retained_at, .. } = self.stamp;
        in_time && (epoch, applied, retained_at) == (head.epoch, head.applied, head.retained_at)
    }

    fn weight(&self) -> usize {
        OVERHEAD + self.encoded.as_ref().map_or(0, |encoded| encoded.weight())
    }
}

/// The results that were asked for last, in so many bytes. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct ResultCache(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    capacity: usize,
    results: Mutex<WeightedLru>,
    locks: Mutex<HashMap<Key, Weak<ComputeLock>>>,
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
    /// Each with the weight that it was taken in with.
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
    /// Keeps no more than these bytes; 0: nothing.
    pub(crate) fn new(capacity: usize) -> Self {
        let by_key = LruCache::unbounded_with_hasher(foldhash::fast::RandomState::default());
        let results = Mutex::new(WeightedLru { by_key, bytes: 0 });
        Self(Arc::new(Shared { capacity, results, locks: Mutex::default(), counted: CacheMetrics::new() }))
    }

    /// Counts an answer.
    pub(crate) fn count(&self, origin: CacheStatus) {
        let counted = &self.0.counted;
        match origin {
            CacheStatus::Hit => counted.kept.increment(1),
            CacheStatus::SameVersion => counted.same_version.increment(1),
            CacheStatus::Computed => counted.computed.increment(1),
        }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedResult>> {
        self.lock().by_key.get(key).map(|(kept, _)| Arc::clone(kept))
    }

    pub(crate) fn insert(&self, key: Key, kept: Arc<CachedResult>) {
        let mut results = self.lock();
        // Of two that were read at once, the later one stays.
        if results.by_key.peek(&key).is_some_and(|(other, _)| other.stamp.after > kept.stamp.after) {
            return;
        }
        self.put(&mut results, key, kept);
    }

    /// Weighs a result anew, because an encoding was added to it.
    pub(crate) fn reweigh(&self, key: &Key, encoded: &Arc<EncodedResult>) {
        let mut results = self.lock();
        let is_same = |kept: &CachedResult| kept.encoded.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, encoded));
        if let Some((kept, _)) = results.by_key.peek(key).filter(|(kept, _)| is_same(kept)) {
            let kept = Arc::clone(kept);
            self.put(&mut results, key.clone(), kept);
        }
    }

    /// Puts a result in the place of the one before, and lets go of the least used ones that there is no room for.
    fn put(&self, results: &mut WeightedLru, key: Key, kept: Arc<CachedResult>) {
        let weight = kept.weight();
        let before = if weight > self.0.capacity / LARGEST_SHARE {
            // One of an older version goes: it would have been replaced.
            results.by_key.pop(&key)
        } else {
            results.bytes += weight;
            results.by_key.put(key, (kept, weight))
        };
        results.bytes -= before.map_or(0, |(_, weight)| weight);
        while results.bytes > self.0.capacity {
            let Some((_, (_, weight))) = results.by_key.pop_lru() else { break };
            results.bytes -= weight;
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge shows; up to 2^53 it is exact")]
        self.0.counted.bytes.set(results.bytes as f64);
    }

    /// The lock of those who want this result: whoever holds it computes.
    pub(crate) fn compute_lock(&self, key: &Key) -> Arc<ComputeLock> {
        let mut locks = self.0.locks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        // Those that nobody waits for.
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
