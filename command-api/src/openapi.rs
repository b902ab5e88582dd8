//! The OpenAPI document, from the handlers themselves.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use platform::http::limit;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::state::ApiState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater command API",
        description = "Commands in, events out. Every request carries `Authorization: Bearer <key>`; the key decides the \
                       workspace. What is refused is answered with problem details (RFC 9457) whose `type` is stable. A 409, 429 or 503 \
                       with `Retry-After` may be sent again, with the same `Idempotency-Key`."
    ),
    tags(
        (name = "campaigns", description = "What a team decided to run"),
        (name = "sources", description = "Connectors' feeds, and how their runs go"),
        (name = "activity", description = "What sources report"),
    )
)]
struct Described;

/// The router and the document that describes it.
pub(crate) fn document(routes: OpenApiRouter<ApiState>) -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    let (router, paths) = routes.split_for_parts();
    let mut document = Described::openapi();
    document.merge(paths);
    limit::describe(&mut document);
    let key = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("key", key);
    (router, document)
}

/// Serves the document, which needs no key. It is written once.
pub(crate) fn route(document: &utoipa::openapi::OpenApi) -> Router<ApiState> {
    let json = Bytes::from(document.to_json().unwrap_or_default());
    Router::new().route("/openapi.json", get(move || async move { serve(json) }))
}

fn serve(json: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], json).into_response()
}
