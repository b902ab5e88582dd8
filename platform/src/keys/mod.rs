//! API keys. Each belongs to one workspace and has scopes.
//!
//! A key is random and long, and only its SHA-256 digest is stored. So a lookup by digest leaks nothing and needs no
//! slow hash. A key is never logged or stored in clear.

mod registry;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::clock::SharedClock;
use crate::principal::{Principal, UnknownScope};

pub use registry::{KeyRecord, NewKey, Revocation, create_key, insert_key, list_keys, revoke_key};

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot look up keys")]
    Database(#[from] sqlx::Error),
    #[error("the stored key {key_id} has a scope that this version does not know")]
    Scope { key_id: Uuid, source: UnknownScope },
    #[error("a key needs at least one scope")]
    NoScope,
    #[error("a key needs a name")]
    NoName,
    #[error("a key has 1 to {LONGEST} characters: letters, digits and -._~+/=")]
    NotAKey,
}

type Digest = [u8; 32];

fn digest(key: &str) -> Digest {
    Sha256::digest(key.as_bytes()).into()
}

const LONGEST: usize = 200;

/// Whether `text` has the form of a bearer token (RFC 6750). Malformed text costs no query.
fn is_well_formed(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

/// How long a cached key is valid. A revoked key stops working within this time.
const TRUSTED_FOR: TimeDelta = TimeDelta::seconds(5);

/// The age from which one request refreshes a cached key while the others use the cache. So many callers never wait for
/// the database at once.
const REFRESH_FROM: TimeDelta = TimeDelta::milliseconds(2_500);

/// The capacity of the cache. If more keys are in use at once, they are looked up more often.
const MAX_CACHED: usize = 10_000;

/// The verifier of API keys. It caches valid keys for five seconds. It does not cache unknown ones, so that a new key
/// works at once. Clones share the cache.
#[derive(Clone)]
pub(crate) struct ApiKeyVerifier {
    pool: PgPool,
    clock: SharedClock,
    cache: Arc<RwLock<HashMap<Digest, CachedPrincipal>>>,
}

struct CachedPrincipal {
    principal: Principal,
    found_at: DateTime<Utc>,
    refreshing: AtomicBool,
}

impl ApiKeyVerifier {
    pub(crate) fn new(pool: PgPool, clock: SharedClock) -> Self {
        Self { pool, clock, cache: Arc::default() }
    }

    /// The principal of `key`, or none if the key is unknown or revoked. `admit` runs before the database query.
    pub(crate) async fn verify<E: From<KeyError>>(
        &self,
        key: &str,
        admit: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<Principal>, E> {
        if !is_well_formed(key) {
            return Ok(None);
        }
        let digest = digest(key);
        if let Some(principal) = self.cached(&digest, self.clock.now()) {
            return Ok(Some(principal));
        }
        admit()?;
        Ok(self.fetch(digest).await?)
    }

    async fn fetch(&self, digest: Digest) -> Result<Option<Principal>, KeyError> {
        let now = self.clock.now();
        let found = registry::find_key(&self.pool, &digest).await;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Ok(Some(principal)) => {
                evict(&mut cache, now);
                let principal = principal.clone();
                cache.insert(digest, CachedPrincipal { principal, found_at: now, refreshing: AtomicBool::new(false) });
            }
            Ok(None) => {
                cache.remove(&digest);
            }
            Err(_) => {
                if let Some(entry) = cache.get(&digest) {
                    entry.refreshing.store(false, Ordering::Relaxed);
                }
            }
        }
        found
    }

    /// The cached principal. None if the caller must query the database: the key is not cached, or this caller
    /// refreshes it.
    fn cached(&self, digest: &Digest, now: DateTime<Utc>) -> Option<Principal> {
        let cache = self.cache.read().unwrap_or_else(PoisonError::into_inner);
        let entry = cache.get(digest)?;
        let age = now - entry.found_at;
        // After the clock was set back, the age is unknown.
        if age < TimeDelta::zero() || age >= TRUSTED_FOR {
            return None;
        }
        let my_turn = age >= REFRESH_FROM && !entry.refreshing.swap(true, Ordering::Relaxed);
        (!my_turn).then(|| entry.principal.clone())
    }
}

fn evict(cache: &mut HashMap<Digest, CachedPrincipal>, now: DateTime<Utc>) {
    if cache.len() < MAX_CACHED {
        return;
    }
    cache.retain(|_, entry| now - entry.found_at < TRUSTED_FOR);
    if cache.len() >= MAX_CACHED {
        cache.clear();
    }
}

impl fmt::Debug for ApiKeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyVerifier")
    }
}
