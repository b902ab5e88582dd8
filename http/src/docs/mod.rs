//! An API's description: `/openapi.json` for programs, `/docs` for people. Neither needs a key, and both come from this
//! binary alone: the page holds no script and loads nothing.

mod common_responses; // what every operation has, whichever API it is of
mod page; // the document as a page

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use utoipa::openapi::OpenApi;

use super::problem::ProblemType;

/// What an operation answers, as an example.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The operation's id.
    pub operation: &'static str,
    /// In which of its media types.
    pub media_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// One API, described.
#[derive(Clone)]
pub struct ApiDocs {
    document: Arc<OpenApi>,
    problems: Arc<[&'static ProblemType]>,
    /// Where the API listens unless it is told otherwise.
    address: &'static str,
}

impl ApiDocs {
    /// Completes what the handlers say of themselves by what the edge answers and by examples. `problems` are the types
    /// that only this API has.
    pub fn new(
        mut document: OpenApi,
        problems: &[&'static ProblemType],
        examples: &[Example],
        address: &'static str,
    ) -> Self {
        common_responses::describe(&mut document, examples);
        let problems = super::problem::kinds::ALL.iter().chain(problems).copied().collect();
        Self { document: Arc::new(document), problems, address }
    }

    /// The OpenAPI document.
    pub fn document(&self) -> &OpenApi {
        &self.document
    }

    /// Every problem type that the API answers with.
    pub fn problems(&self) -> &[&'static ProblemType] {
        &self.problems
    }

    /// The page.
    pub fn page(&self) -> String {
        let document = serde_json::to_value(&*self.document).unwrap_or_default();
        page::render(&document, &self.problems, self.address)
    }

    /// `/openapi.json` and `/docs`. Each is written when it is first asked for.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let (of_json, of_page) = (self.clone(), self);
        let json = Arc::new(LazyLock::new(move || {
            StaticDocument::new("application/json", of_json.document.to_json().unwrap_or_default())
        }));
        let page = Arc::new(LazyLock::new(move || StaticDocument::new("text/html; charset=utf-8", of_page.page())));
        Router::new()
            .route("/openapi.json", get(move |headers: HeaderMap| async move { json.answer(&headers) }))
            .route("/docs", get(move |headers: HeaderMap| async move { page.answer(&headers) }))
    }
}

/// A text that stays the same while this process runs.
struct StaticDocument {
    media_type: &'static str,
    text: Bytes,
    tag: HeaderValue,
}

impl StaticDocument {
    fn new(media_type: &'static str, text: String) -> Self {
        let digest = hash(text.as_bytes());
        let tag = HeaderValue::try_from(format!("W/\"{digest}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { media_type, text: text.into(), tag }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let frame = [
            (ETAG, self.tag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (CONTENT_SECURITY_POLICY, policy()),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        if headers.get(IF_NONE_MATCH) == Some(&self.tag) {
            return (StatusCode::NOT_MODIFIED, frame).into_response();
        }
        let media_type: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static(self.media_type))];
        (media_type, frame, self.text.clone()).into_response()
    }
}

/// Nothing but the page's own style.
fn policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let own = hash(page::STYLE.as_bytes());
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{own}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    });
    POLICY.clone()
}

fn hash(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
