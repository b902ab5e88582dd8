//! The description of an API: `/openapi.json` for programs, `/docs` for people. Neither needs a key.
//!
//! The page is Swagger UI. Its files are part of this binary, and its Content-Security-Policy allows only scripts and
//! styles of this server. `/docs/problems` is the catalogue of problem types.

mod common_responses; // responses that every operation has
mod html; // escaping, and a minimal markup
pub mod names; // members and parameters with a fixed set of values
mod problems; // the catalogue of problem types
mod schemas; // schemas as generated clients read them well

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use utoipa::openapi::external_docs::ExternalDocs;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, Server};

use super::problem::ProblemType;

/// An example of an operation's response body.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// The operation's id.
    pub operation: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// The description of one API.
#[derive(Clone)]
pub struct ApiDocs {
    document: Arc<OpenApi>,
    problems: Arc<[&'static ProblemType]>,
}

impl ApiDocs {
    /// Completes the document of the handlers with the responses of the edge and with examples. `problems` are the
    /// types that only this API has.
    pub fn new(mut document: OpenApi, problems: &[&'static ProblemType], examples: &[Example]) -> Self {
        common_responses::describe(&mut document, examples);
        schemas::describe(&mut document);
        // Each process serves its own document, wherever it runs.
        document.servers = Some(vec![Server::new("/")]);
        let mut catalogue = ExternalDocs::new("/docs/problems");
        catalogue.description = Some("Problem types, with what each means".to_owned());
        document.external_docs = Some(catalogue);
        let problems = super::problem::kinds::ALL.iter().chain(problems).copied().collect();
        Self { document: Arc::new(document), problems }
    }

    /// The OpenAPI document.
    pub fn document(&self) -> &OpenApi {
        &self.document
    }

    /// Every problem type that the API answers with.
    pub fn problems(&self) -> &[&'static ProblemType] {
        &self.problems
    }

    /// The page of the problem types.
    pub fn problems_page(&self) -> String {
        let document = serde_json::to_value(&*self.document).unwrap_or_default();
        problems::render(&document, &self.problems)
    }

    /// `/openapi.json`, `/docs` and the files of the page. Each is rendered on the first request.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let page = format!(include_str!("page.html"), title = html::escape(&self.document.info.title));
        let (of_json, of_problems) = (self.clone(), self);
        let of_swagger_ui = SWAGGER_UI.map(|(path, file)| (path, serve(move || StaticDocument::of_swagger_ui(file))));
        let router = Router::new()
            .route("/docs", serve(|| StaticDocument::new(HTML, page)))
            .route("/docs/page.js", serve(|| StaticDocument::new("text/javascript", include_str!("page.js"))))
            .route("/docs/problems", serve(move || StaticDocument::new(HTML, of_problems.problems_page())))
            .route("/docs/problems.css", serve(|| StaticDocument::new("text/css", include_str!("problems.css"))))
            .route("/openapi.json", serve(move || of_json.json()));
        of_swagger_ui.into_iter().fold(router, |router, (path, file)| router.route(path, file))
    }

    fn json(&self) -> StaticDocument {
        StaticDocument::new("application/json", self.document.to_json().unwrap_or_default())
    }
}

/// The operations of a document.
pub fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|PathItem { get, put, post, delete, patch, .. }| {
        [get, put, post, delete, patch].into_iter().flatten()
    })
}

const HTML: &str = "text/html; charset=utf-8";

/// The files of Swagger UI that the page needs, by path and by name.
const SWAGGER_UI: [(&str, &str); 3] = [
    ("/docs/swagger-ui.css", "swagger-ui.css"),
    ("/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js"),
    ("/docs/favicon-32x32.png", "favicon-32x32.png"),
];

/// Serves a document that is rendered on the first request.
fn serve<S: Clone + Send + Sync + 'static>(
    make: impl FnOnce() -> StaticDocument + Send + Sync + 'static,
) -> MethodRouter<S> {
    let document = Arc::new(LazyLock::new(make));
    get(move |headers: HeaderMap| async move { document.answer(&headers) })
}

/// Content that does not change while this process runs.
struct StaticDocument {
    media_type: &'static str,
    /// Whether it is compressed with gzip already, like the files of Swagger UI. Every browser accepts gzip.
    is_gzip: bool,
    content: Bytes,
    tag: HeaderValue,
}

impl StaticDocument {
    fn new(media_type: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let tag = format!("W/\"{}\"", STANDARD.encode(Sha256::digest(&content)));
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { media_type, is_gzip: false, content, tag }
    }

    fn of_swagger_ui(file: &'static str) -> Self {
        let media_type = match file.rsplit_once('.') {
            Some((_, "css")) => "text/css",
            Some((_, "js")) => "text/javascript",
            Some(_) | None => "image/png",
        };
        let found = utoipa_swagger_ui::serve(file, Arc::default()).ok().flatten();
        let is_gzip = found.as_ref().is_some_and(|found| found.gzpipped);
        let content = found.map(|found| found.bytes.into_owned()).unwrap_or_default();
        Self { is_gzip, ..Self::new(media_type, content) }
    }

    fn answer(&self, headers: &HeaderMap) -> Response {
        let frame = [
            (ETAG, self.tag.clone()),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        if headers.get(IF_NONE_MATCH) == Some(&self.tag) {
            return (StatusCode::NOT_MODIFIED, frame).into_response();
        }
        let media_type: [(HeaderName, HeaderValue); 1] = [(CONTENT_TYPE, HeaderValue::from_static(self.media_type))];
        let coding = self.is_gzip.then(|| [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        (media_type, coding, frame, self.content.clone()).into_response()
    }
}

/// The Content-Security-Policy: only scripts and styles of this server, none inline. Swagger UI's style sheet embeds
/// small images as `data:`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests;
