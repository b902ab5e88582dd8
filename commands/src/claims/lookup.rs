//! Finds claims, and caches those that every batch asks for again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use event_store::{Claim, ClaimEffect, ClaimPrecondition, ItemQuery, StoredEvent, StoredItem};
use sqlx::PgPool;

use super::{CAMPAIGN, CORRECTION, EXTERNAL_CAMPAIGN, SOURCE_NAME, STATEMENT, STATEMENT_GRAIN};

/// A claim's owner and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimValue {
    pub(crate) owner: String,
    pub(crate) state: String,
}

/// Whether a look-up may use the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CachePolicy {
    /// It may.
    Cached,
    /// An append found a cached claim to be stale: read the database.
    Read,
}

/// A claim's kind and key.
pub(crate) type Key = (&'static str, String);

/// Claims that were found lately, by workspace.
///
/// An entry may be out of date and do no harm: whatever a request relies on is asserted again by its append, which a
/// stale entry makes fail, and then it is read anew. Only held claims are kept: nothing would assert that one is absent
/// for as long as it is remembered.
#[derive(Debug, Default)]
pub(crate) struct ClaimCache(Mutex<Generations>);

/// Two halves. When the young one is full it becomes the old one, whose entries are forgotten unless they are used.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<(i32, Key), ClaimValue>,
    old: HashMap<(i32, Key), ClaimValue>,
}

/// Of each half. An entry takes about 300 bytes.
const CAPACITY: usize = 50_000;

impl ClaimCache {
    fn get(&self, workspace: i32, key: &Key) -> Option<ClaimValue> {
        let full_key = (workspace, key.clone());
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = generations.young.get(&full_key) {
            return Some(held.clone());
        }
        let held = generations.old.remove(&full_key)?;
        generations.put(full_key, held.clone());
        Some(held)
    }

    fn put(&self, workspace: i32, key: Key, held: ClaimValue) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put((workspace, key), held);
    }

    fn forget(&self, workspace: i32, key: Key) {
        let full_key = (workspace, key);
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(&full_key);
        generations.old.remove(&full_key);
    }
}

impl Generations {
    fn put(&mut self, key: (i32, Key), held: ClaimValue) {
        if self.young.len() >= CAPACITY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, held);
    }
}

/// The claims that one request has looked at. All of them can be asserted as they were seen.
#[derive(Debug)]
pub(crate) struct ClaimReader<'a> {
    pool: &'a PgPool,
    cache: &'a ClaimCache,
    workspace: i32,
    freshness: CachePolicy,
    seen: HashMap<&'static str, HashMap<String, Option<ClaimValue>>>,
}

impl<'a> ClaimReader<'a> {
    pub(crate) fn new(pool: &'a PgPool, cache: &'a ClaimCache, workspace: i32, freshness: CachePolicy) -> Self {
        Self { pool, cache, workspace, freshness, seen: HashMap::new() }
    }

    /// Finds steady claims: those that change seldom, and so are worth remembering.
    pub(crate) async fn find_cached(&mut self, wanted: impl IntoIterator<Item = Key>) -> Result<(), sqlx::Error> {
        let mut missing = Vec::new();
        for key in wanted {
            if !self.has_seen(&key) && !self.recall(&key) {
                missing.push(key);
            }
        }
        self.read(&missing).await?;
        for (kind, key) in missing {
            match self.held(kind, &key).cloned() {
                Some(held) => self.cache.put(self.workspace, (kind, key), held),
                None => self.cache.forget(self.workspace, (kind, key)),
            }
        }
        Ok(())
    }

    /// Whether a steady claim is remembered as held.
    pub(crate) fn recall(&mut self, key: &Key) -> bool {
        let remembered = match self.freshness {
            CachePolicy::Cached => self.cache.get(self.workspace, key),
            CachePolicy::Read => None,
        };
        let recalled = remembered.is_some();
        if recalled {
            self.record_seen(key.clone(), remembered);
        }
        recalled
    }

    /// Finds claims that change with every request.
    pub(crate) async fn find(&mut self, wanted: impl IntoIterator<Item = Key>) -> Result<(), sqlx::Error> {
        let missing: Vec<Key> = wanted.into_iter().filter(|key| !self.has_seen(key)).collect();
        self.read(&missing).await
    }

    /// Finds recorded items.
    pub(crate) async fn find_items(&self, wanted: &[ItemQuery]) -> Result<Vec<StoredItem>, sqlx::Error> {
        event_store::find_items(self.pool, self.workspace, wanted).await
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
        let kinds = [SOURCE_NAME, CAMPAIGN, EXTERNAL_CAMPAIGN, STATEMENT, STATEMENT_GRAIN, CORRECTION];
        for claim in found {
            if let Some(kind) = kinds.into_iter().find(|kind| *kind == claim.kind) {
                self.record_seen((kind, claim.key), Some(ClaimValue { owner: claim.owner, state: claim.state }));
            }
        }
        Ok(())
    }

    fn record_seen(&mut self, (kind, key): Key, held: Option<ClaimValue>) {
        self.seen.entry(kind).or_default().insert(key, held);
    }

    fn has_seen(&self, (kind, key): &Key) -> bool {
        self.seen.get(kind).is_some_and(|keys| keys.contains_key(key))
    }

    /// A claim that was looked for, if anyone holds it.
    pub(crate) fn held(&self, kind: &'static str, key: &str) -> Option<&ClaimValue> {
        self.seen.get(kind)?.get(key)?.as_ref()
    }

    /// Asserts that a claim is still as it was seen, and makes it `then`.
    pub(crate) fn assert(&self, kind: &'static str, key: &str, then: ClaimEffect) -> Claim {
        let expect = match self.held(kind, key) {
            Some(held) => ClaimPrecondition::Held { owner: held.owner.clone(), state: held.state.clone() },
            None => ClaimPrecondition::Absent,
        };
        Claim { kind, key: key.to_owned(), expect, then }
    }
}
