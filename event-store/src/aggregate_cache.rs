//! The cache of aggregates that were loaded or appended lately.
//!
//! An entry may be out of date, because other processes write the same streams. So it is used only for a decision whose
//! append asserts the version: a stale entry makes the append fail. An answer without an append needs a load.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

/// The number of cached aggregates. One takes about 2 kB.
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

    /// Keeps the newer version, because a load may end after a later append.
    pub(crate) fn put(&self, stream_id: &str, version: i64, aggregate: A) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peek(stream_id).is_none_or(|(kept, _)| *kept < version) {
            known.put(stream_id.to_owned(), (version, aggregate));
        }
    }

    /// Removes a version that is out of date.
    pub(crate) fn forget(&self, stream_id: &str, version: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peek(stream_id).is_some_and(|(kept, _)| *kept == version) {
            known.pop(stream_id);
        }
    }
}
