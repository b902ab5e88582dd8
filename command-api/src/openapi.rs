//! The OpenAPI document, from the handlers themselves.

use axum::Router;
use http_edge::docs::ApiDocs;
use http_edge::problem::Problem;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::problems::{kinds, rules};
use crate::state::ApiState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater command API",
        description = "Commands in, events out. Every request carries `Authorization: Bearer <key>`; the key decides the \
                       workspace. What is refused is answered with problem details (RFC 9457) whose `type` is stable. A 409, 429 or 503 \
                       with `Retry-After` may be sent again, with the same `Idempotency-Key`."
    ),
    components(schemas(Problem)),
    tags(
        (name = "campaigns", description = "What a team decided to run"),
        (name = "sources", description = "Connectors' feeds, and how their runs go"),
        (name = "activity", description = "What sources report"),
    )
)]
struct OpenApiDoc;

/// Where the API listens unless it is told otherwise.
const ADDRESS: &str = "127.0.0.1:8081";

/// The router, and what describes it.
pub(crate) fn described(routes: OpenApiRouter<ApiState>) -> (Router<ApiState>, ApiDocs) {
    let (router, paths) = routes.split_for_parts();
    let mut document = OpenApiDoc::openapi();
    document.merge(paths);
    let key = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("key", key);
    let problems = [kinds::ALL, rules::ALL].concat();
    (router, ApiDocs::new(document, &problems, &[], ADDRESS))
}
