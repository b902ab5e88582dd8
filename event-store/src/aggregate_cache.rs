//! The cache of aggregates that were loaded or appended lately.
//!
//! An entry may be out of date, because other processes write the same streams. So it is used only for a decision whose
//! append asserts the version: a stale entry makes the append fail. An answer without an append needs a load. An entry
//! holds only while the database server runs from which it was read: after a restore, the same version may be another
//! state.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::server_start::ServerStart;

/// The number of cached aggregates. One takes about 2 kB.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The last known version of a stream.
#[derive(Clone)]
pub(crate) struct Entry<A> {
    pub(crate) version: i64,
    pub(crate) aggregate: A,
    /// The server from which it was read.
    pub(crate) server: ServerStart,
}

/// The last known version of each stream.
pub(crate) struct AggregateCache<A>(Mutex<LruCache<String, Entry<A>>>);

impl<A: Clone> AggregateCache<A> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }

    /// The entry of a stream, if it was read from this server.
    pub(crate) fn get(&self, stream_id: &str, server: ServerStart) -> Option<Entry<A>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(stream_id).filter(|entry| entry.server == server).cloned()
    }

    /// Keeps the newer version, because a load may end after a later append.
    pub(crate) fn put(&self, stream_id: &str, entry: Entry<A>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_newer = |kept: &Entry<A>| kept.server != entry.server || kept.version < entry.version;
        if known.peek(stream_id).is_none_or(is_newer) {
            known.put(stream_id.to_owned(), entry);
        }
    }

    /// Removes a version that is out of date.
    pub(crate) fn forget(&self, stream_id: &str, version: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peek(stream_id).is_some_and(|kept| kept.version == version) {
            known.pop(stream_id);
        }
    }
}
