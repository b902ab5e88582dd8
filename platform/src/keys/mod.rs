//! API keys: who may call, for which workspace, and to do what.
//!
//! A key is random and long, and only its SHA-256 digest is stored, so finding it by digest leaks nothing and needs no slow
//! hash. A key is never logged, printed or kept in clear.

mod registry;
mod scopes;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

use crate::clock::SharedClock;

pub use registry::{KeyRecord, NewKey, Revocation, create_key, insert_key, list_keys, revoke_key};
pub use scopes::{Scope, Scopes, UnknownScope};

/// Who calls. Names the key, never holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    pub key_id: Uuid,
    pub workspace: i32,
    pub scopes: Scopes,
}

impl Principal {
    /// Whether the key has `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// The principal itself, if its key has `scope`.
    pub fn require(&self, scope: Scope) -> Result<&Self, MissingScope> {
        if self.may(scope) { Ok(self) } else { Err(MissingScope(scope)) }
    }
}

/// A scope that a caller's key lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key needs the scope `{}`", .0.name())]
pub struct MissingScope(pub Scope);

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

/// What a bearer token may hold (RFC 6750), so that garbage never costs a query.
fn is_well_formed(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

/// A revoked key stops working within this time.
const TRUSTED_FOR: TimeDelta = TimeDelta::seconds(5);

/// From this age on, one request asks again while the others go on, so that no crowd of callers waits for the database.
const REFRESH_FROM: TimeDelta = TimeDelta::milliseconds(2_500);

/// More keys than this in use at once are looked up again more often.
const REMEMBERED: usize = 10_000;

/// Tells who a key belongs to. Keys found valid are remembered for five seconds; refusals are not, so that a key works as
/// soon as it is made. Clones share what they remember.
#[derive(Clone)]
pub struct ApiKeyVerifier {
    pool: PgPool,
    clock: SharedClock,
    remembered: Arc<RwLock<HashMap<Digest, CachedPrincipal>>>,
}

/// What is known of a key without asking the database.
pub enum CacheLookup {
    Known(Principal),
    /// It cannot be one.
    NoKey,
    Ask(KeyDigest),
}

/// A key that is not remembered, or has to be looked up again.
pub struct KeyDigest(Digest);

struct CachedPrincipal {
    principal: Principal,
    found_at: DateTime<Utc>,
    refreshing: AtomicBool,
}

impl ApiKeyVerifier {
    pub fn new(pool: PgPool, clock: SharedClock) -> Self {
        Self { pool, clock, remembered: Arc::default() }
    }

    /// The owner of `key`, or none if the key is unknown or revoked.
    pub async fn verify(&self, key: &str) -> Result<Option<Principal>, KeyError> {
        match self.lookup_cached(key) {
            CacheLookup::Known(principal) => Ok(Some(principal)),
            CacheLookup::NoKey => Ok(None),
            CacheLookup::Ask(unknown) => self.fetch(unknown).await,
        }
    }

    /// What is known of `key` without asking the database.
    pub fn lookup_cached(&self, key: &str) -> CacheLookup {
        if !is_well_formed(key) {
            return CacheLookup::NoKey;
        }
        let digest = digest(key);
        match self.remembered(&digest, self.clock.now()) {
            Some(principal) => CacheLookup::Known(principal),
            None => CacheLookup::Ask(KeyDigest(digest)),
        }
    }

    /// Asks the database for a key that is not remembered.
    pub async fn fetch(&self, KeyDigest(digest): KeyDigest) -> Result<Option<Principal>, KeyError> {
        let now = self.clock.now();
        let found = registry::find_key(&self.pool, &digest).await;
        let mut remembered = self.remembered.write().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(Some(principal)) => {
                evict(&mut remembered, now);
                let entry = CachedPrincipal { principal, found_at: now, refreshing: AtomicBool::new(false) };
                remembered.insert(digest, entry);
                Ok(Some(principal))
            }
            Ok(None) => {
                remembered.remove(&digest);
                Ok(None)
            }
            Err(error) => {
                if let Some(entry) = remembered.get(&digest) {
                    entry.refreshing.store(false, Ordering::Relaxed);
                }
                Err(error)
            }
        }
    }

    /// None where this caller has to ask: the key is not remembered, or it is this caller's turn to refresh it.
    fn remembered(&self, digest: &Digest, now: DateTime<Utc>) -> Option<Principal> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let entry = remembered.get(digest)?;
        let age = now - entry.found_at;
        // A clock that was set back says nothing about the age.
        if age < TimeDelta::zero() || age >= TRUSTED_FOR {
            return None;
        }
        let my_turn = age >= REFRESH_FROM && !entry.refreshing.swap(true, Ordering::Relaxed);
        (!my_turn).then_some(entry.principal)
    }
}

fn evict(remembered: &mut HashMap<Digest, CachedPrincipal>, now: DateTime<Utc>) {
    if remembered.len() < REMEMBERED {
        return;
    }
    remembered.retain(|_, entry| now - entry.found_at < TRUSTED_FOR);
    if remembered.len() >= REMEMBERED {
        remembered.clear();
    }
}

impl fmt::Debug for ApiKeyVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}
