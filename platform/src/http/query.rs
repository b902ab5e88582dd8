//! Query strings: an unknown, missing or wrong parameter is refused (400) by name.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::json::shortened;
use super::problem::{Problem, kinds};

#[derive(Debug, Clone, Copy)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Parses a query string as `ApiQuery` does.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let refused = |field: String, detail: String| Err(Problem::new(kinds::INVALID_QUERY).field(field, detail));
    if query.contains("%00") {
        return refused(String::new(), "must not hold the character NUL (%00)".to_owned());
    }
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes()));
    match serde_path_to_error::deserialize(pairs) {
        Ok(value) => Ok(value),
        Err(error) => {
            let path = error.path().to_string();
            let field = if path == "." { String::new() } else { path };
            refused(field, shortened(&error.inner().to_string()))
        }
    }
}
