//! The caller of a request. Every API request carries `Authorization: Bearer <key>`, and the key decides the workspace
//! and the scopes.

use std::ops::Deref;

use axum::extract::{FromRef, FromRequestParts};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use tracing::Span;
use tracing::field::display;

use super::limit::RequestPermit;
use super::problem::{Problem, kinds};
use platform::authenticator::Authenticator;
use platform::keys::KeyError;
use platform::principal::{MissingScope, Principal};

/// The principal of a request whose token is valid. A router's state provides the authenticator: `impl
/// FromRef<ApiState> for Authenticator`.
///
/// A handler must still require its scope: `caller.require(Scope::Read)?`.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Principal);

impl From<MissingScope> for Problem {
    fn from(MissingScope(scope): MissingScope) -> Self {
        Self::new(kinds::FORBIDDEN)
            .detail(format!("The key needs the scope `{}`.", scope.name()))
            .extension("scope", scope.name())
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        Self::unavailable(error)
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
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let permit = parts.extensions.get::<RequestPermit>();
        let unauthorized = || {
            permit.inspect(|permit| permit.bad_key());
            Problem::unauthorized()
        };
        let token = bearer(&parts.headers).ok_or_else(unauthorized)?;
        let principal = Authenticator::from_ref(state)
            .authenticate_limited(token, || permit.map_or(Ok(()), RequestPermit::may_try_key))
            .await?
            .ok_or_else(unauthorized)?;
        permit.map_or(Ok(()), |permit| permit.actor(&principal.actor))?;
        let span = Span::current();
        span.record("workspace", principal.workspace);
        span.record("actor", display(&principal.actor));
        Ok(Self(principal))
    }
}

/// Authenticates the caller of a long request again, because its key may have been revoked meanwhile.
pub async fn authenticate_again(authenticator: &Authenticator, token: &str) -> Result<Principal, Problem> {
    authenticator.authenticate(token).await?.ok_or_else(Problem::unauthorized)
}

/// The token of a bearer authorization. The scheme's name is case-insensitive (RFC 9110).
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
