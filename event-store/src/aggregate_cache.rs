//! Aggregates that were loaded or appended to lately.
//!
//! One may be out of date: another process writes the same streams. So it is good for a decision whose append asserts
//! the version that it rests on, which a stale one makes fail; an answer that comes without an append needs a load.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

/// How many. One takes about 2 kB.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The last known version of each stream.
pub(crate) struct AggregateCache<A>(Mutex<LruCache<String, (i64, A)>>);

impl<A: Clone> AggregateCache<A> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }

    pub(crate) fn get(&self, stream_id: &str) -> Option<(i64, A)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream_id).cloned()
    }

    /// Keeps the newer one: a load may end after the append that followed it.
    pub(crate) fn put(&self, stream_id: &str, version: i64, aggregate: A) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peek(stream_id).is_none_or(|(kept, _)| *kept < version) {
            known.put(stream_id.to_owned(), (version, aggregate));
        }
    }

    /// Forgets a version that turned out to be out of date.
    pub(crate) fn forget(&self, stream_id: &str, version: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peek(stream_id).is_some_and(|(kept, _)| *kept == version) {
            known.pop(stream_id);
        }
    }
}
