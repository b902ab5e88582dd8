//! Authentication of bearer tokens.

use sqlx::PgPool;

use crate::clock::SharedClock;
use crate::keys::{ApiKeyVerifier, KeyError};
use crate::principal::Principal;

/// Authenticator of bearer tokens. API keys are the only kind of token. Clones share one cache.
#[derive(Debug, Clone)]
pub struct Authenticator {
    keys: ApiKeyVerifier,
}

impl Authenticator {
    pub fn new(pool: PgPool, clock: SharedClock) -> Self {
        Self { keys: ApiKeyVerifier::new(pool, clock) }
    }

    /// The principal of `token`, or none if the token is unknown or revoked.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Principal>, KeyError> {
        self.authenticate_limited(token, || Ok(())).await
    }

    /// Like `authenticate`, for tokens of unknown callers. `admit` runs before the database query and may refuse, so
    /// that guesses can be limited.
    pub async fn authenticate_limited<E: From<KeyError>>(
        &self,
        token: &str,
        admit: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<Principal>, E> {
        self.keys.verify(token, admit).await
    }
}
