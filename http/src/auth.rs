//! Who calls: every API request carries `Authorization: Bearer <key>`, and the key decides the workspace and the scopes.

use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tracing::Span;
use tracing::field::display;

use super::limit::RequestPermit;
use super::problem::{Problem, kinds};
use platform::keys::{ApiKeyVerifier, CacheLookup, MissingScope, Principal};

/// The caller, once its key was found valid. A router's state gives the keys: `impl FromRef<ApiState> for Keys`.
///
/// A handler still has to say which scope it needs: `caller.require(Scope::Read)?`.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Principal);

impl From<MissingScope> for Problem {
    fn from(MissingScope(scope): MissingScope) -> Self {
        Self::new(kinds::FORBIDDEN)
            .detail(format!("The key needs the scope `{}`.", scope.name()))
            .extension("scope", scope.name())
    }
}

impl Deref for Authenticated {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S> FromRequestParts<S> for Authenticated
where
    S: Send + Sync,
    ApiKeyVerifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let admission = parts.extensions.get::<RequestPermit>();
        let refused = |admission: Option<&RequestPermit>| {
            admission.inspect(|admission| admission.bad_key());
            Problem::unauthorized()
        };
        let key = bearer(&parts.headers).ok_or_else(|| refused(admission))?;
        let keys = ApiKeyVerifier::from_ref(state);
        let principal = match keys.lookup_cached(key) {
            CacheLookup::Known(principal) => Some(principal),
            CacheLookup::NoKey => None,
            CacheLookup::Ask(unknown) => {
                admission.map_or(Ok(()), RequestPermit::may_try_key)?;
                keys.fetch(unknown).await.map_err(Problem::unavailable)?
            }
        };
        let principal = principal.ok_or_else(|| refused(admission))?;
        admission.map_or(Ok(()), |admission| admission.key(principal.key_id))?;
        Ok(recognise(principal))
    }
}

/// The caller of a request that takes long, once more: its key may be revoked meanwhile. The log lines say already who it is.
pub async fn authenticate_again(keys: &ApiKeyVerifier, key: &str) -> Result<Principal, Problem> {
    keys.verify(key).await.map_err(Problem::unavailable)?.ok_or_else(Problem::unauthorized)
}

/// The log lines of this request say from now on who sent it.
fn recognise(principal: Principal) -> Authenticated {
    let span = Span::current();
    span.record("workspace", principal.workspace);
    span.record("key_id", display(principal.key_id));
    Authenticated(principal)
}

/// The key of a bearer authorization. The scheme's name is compared without regard to case, as RFC 9110 says.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
