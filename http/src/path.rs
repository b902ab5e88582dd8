//! Path parameters. A text that cannot be an id names nothing, so the answer is 404.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;

#[derive(Debug, Clone, Copy)]
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.path().contains("%00") {
            return Err(Problem::not_found());
        }
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            // A handler with more parameters than its route is a programming error.
            Err(rejection) if rejection.status().is_server_error() => Err(Problem::internal(rejection)),
            Err(_not_an_id) => Err(Problem::not_found()),
        }
    }
}
