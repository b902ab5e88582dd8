//! Lookup of claims, with a cache of those that every batch needs.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use event_store::{Claim, ClaimEffect, ClaimPrecondition, ClaimRange, ItemQuery, ServerStart, StoredEvent, StoredItem};
use lru::LruCache;
use sqlx::PgPool;
use uuid::Uuid;

use super::KINDS;

/// A claim's owner and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimValue {
    pub(crate) owner: String,
    pub(crate) state: String,
}

/// Whether a look-up may use the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// It may use the cache.
    Cached,
    /// It must read the database, because an append found a cached claim to be stale.
    Read,
}

/// A claim's kind and key.
pub(crate) type Key = (&'static str, String);

/// How many claims are cached. One takes about 300 bytes.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

/// The claims that were used last, by workspace.
///
/// A stale entry is harmless. The append asserts every claim that a command relies on. So a stale entry makes the
/// append fail, and then the claim is read. Only claims with an owner are cached, because the absence of an owner is
/// not asserted. A claim is cached with the database server from which it was read, and holds there alone.
#[derive(Debug)]
pub(crate) struct ClaimCache(Mutex<LruCache<(i32, Key), (ServerStart, ClaimValue)>>);

impl Default for ClaimCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(CAPACITY)))
    }
}

impl ClaimCache {
    fn get(&self, workspace: i32, key: &Key, server: ServerStart) -> Option<ClaimValue> {
        let mut cached = self.lock();
        cached.get(&(workspace, key.clone())).filter(|(from, _)| *from == server).map(|(_, held)| held.clone())
    }

    fn put(&self, workspace: i32, key: Key, server: ServerStart, held: ClaimValue) {
        self.lock().put((workspace, key), (server, held));
    }

    fn remove(&self, workspace: i32, key: Key) {
        self.lock().pop(&(workspace, key));
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<(i32, Key), (ServerStart, ClaimValue)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader of claims for one attempt at a command. It keeps what it read, so that all of it can be asserted.
#[derive(Debug)]
pub(crate) struct ClaimReader<'a> {
    pool: &'a PgPool,
    cache: &'a ClaimCache,
    workspace: i32,
    /// The database server that was there before it read anything.
    server: ServerStart,
    policy: CachePolicy,
    seen: HashMap<&'static str, HashMap<String, Option<ClaimValue>>>,
}

impl<'a> ClaimReader<'a> {
    pub(crate) fn new(
        pool: &'a PgPool,
        cache: &'a ClaimCache,
        workspace: i32,
        server: ServerStart,
        policy: CachePolicy,
    ) -> Self {
        Self { pool, cache, workspace, server, policy, seen: HashMap::new() }
    }

    /// The database server from which it reads.
    pub(crate) fn server(&self) -> ServerStart {
        self.server
    }

    /// Finds claims that change seldom, so that they are worth caching.
    pub(crate) async fn find_cached(&mut self, wanted: impl IntoIterator<Item = Key>) -> Result<(), sqlx::Error> {
        let mut missing = Vec::new();
        for key in wanted {
            if !self.has_seen(&key) && !self.take_cached(&key) {
                missing.push(key);
            }
        }
        self.read(&missing).await?;
        for (kind, key) in missing {
            match self.held(kind, &key).cloned() {
                Some(held) => self.cache.put(self.workspace, (kind, key), self.server, held),
                None => self.cache.remove(self.workspace, (kind, key)),
            }
        }
        Ok(())
    }

    /// Takes a claim from the cache. False if it is not cached.
    pub(crate) fn take_cached(&mut self, key: &Key) -> bool {
        let cached = match self.policy {
            CachePolicy::Cached => self.cache.get(self.workspace, key, self.server),
            CachePolicy::Read => None,
        };
        let is_cached = cached.is_some();
        if is_cached {
            self.record_seen(key.clone(), cached);
        }
        is_cached
    }

    /// Finds claims that change with every request.
    pub(crate) async fn find(&mut self, wanted: impl IntoIterator<Item = Key>) -> Result<(), sqlx::Error> {
        let missing: Vec<Key> = wanted.into_iter().filter(|key| !self.has_seen(key)).collect();
        self.read(&missing).await
    }

    /// Finds the claims of a range of keys, and gives their keys.
    pub(crate) async fn find_between(
        &mut self,
        kind: &'static str,
        range: ClaimRange<'_>,
    ) -> Result<Vec<String>, sqlx::Error> {
        let found = event_store::find_claims_between(self.pool, self.workspace, kind, range).await?;
        let keys = found.iter().map(|claim| claim.key.clone()).collect();
        for claim in found {
            self.record_seen((kind, claim.key), Some(ClaimValue { owner: claim.owner, state: claim.state }));
        }
        Ok(keys)
    }

    /// Reads how many events a stream has.
    pub(crate) async fn stream_version(&self, stream_type: &str, stream_id: &str) -> Result<i64, sqlx::Error> {
        event_store::stream_version(self.pool, self.workspace, stream_type, stream_id).await
    }

    /// Finds recorded items.
    pub(crate) async fn find_items(&self, wanted: &[ItemQuery]) -> Result<Vec<StoredItem>, sqlx::Error> {
        event_store::find_items(self.pool, self.workspace, wanted).await
    }

    /// Finds recorded items that are kept under some days.
    pub(crate) async fn find_items_under(
        &self,
        ids: &[Uuid],
        days: &[NaiveDate],
    ) -> Result<Vec<StoredItem>, sqlx::Error> {
        event_store::find_items_under(self.pool, self.workspace, ids, days).await
    }

    /// Reads an event.
    pub(crate) async fn event(&self, position: i64) -> Result<Option<StoredEvent>, sqlx::Error> {
        event_store::read_event(self.pool, self.workspace, position).await
    }

    async fn read(&mut self, missing: &[Key]) -> Result<(), sqlx::Error> {
        if missing.is_empty() {
            return Ok(());
        }
        let wanted: Vec<(&str, &str)> = missing.iter().map(|(kind, key)| (*kind, key.as_str())).collect();
        let found = event_store::find_claims(self.pool, self.workspace, &wanted).await?;
        for key in missing {
            self.record_seen(key.clone(), None);
        }
        for claim in found {
            if let Some(kind) = KINDS.into_iter().find(|kind| *kind == claim.kind) {
                self.record_seen((kind, claim.key), Some(ClaimValue { owner: claim.owner, state: claim.state }));
            }
        }
        Ok(())
    }

    fn record_seen(&mut self, (kind, key): Key, held: Option<ClaimValue>) {
        self.seen.entry(kind).or_default().insert(key, held);
    }

    /// Forgets a claim, so that it is read again.
    pub(crate) fn forget(&mut self, kind: &'static str, key: &str) {
        if let Some(keys) = self.seen.get_mut(kind) {
            keys.remove(key);
        }
    }

    fn has_seen(&self, (kind, key): &Key) -> bool {
        self.seen.get(kind).is_some_and(|keys| keys.contains_key(key))
    }

    /// A claim that was looked up, if it has an owner.
    pub(crate) fn held(&self, kind: &'static str, key: &str) -> Option<&ClaimValue> {
        self.seen.get(kind)?.get(key)?.as_ref()
    }

    /// Asserts that a claim is unchanged, and sets it to `then`.
    pub(crate) fn assert(&self, kind: &'static str, key: &str, then: ClaimEffect) -> Claim {
        let expect = match self.held(kind, key) {
            Some(held) => ClaimPrecondition::Held { owner: held.owner.clone(), state: held.state.clone() },
            None => ClaimPrecondition::Absent,
        };
        Claim { kind, key: key.to_owned(), expect, then }
    }
}
