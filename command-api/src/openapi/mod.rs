//! The OpenAPI document: the operations of the handlers, and the headers of all commands.

mod names; // members and parameters with a fixed set of values

use axum::Router;
use http_edge::docs::{ApiDocs, names as fixed_names, operations};
use http_edge::problem::Problem;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{IntoParams, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::problems::{kinds, rules};
use crate::state::ApiState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater command API",
        description = "Takes commands and records events. Every request carries `Authorization: Bearer <key>`; the \
                       key decides the workspace. Errors are problem details (RFC 9457) with a stable `type`. A \
                       request that got 409, 429 or 503 with `Retry-After` may be sent again, with the same \
                       `Idempotency-Key`."
    ),
    components(schemas(Problem)),
    security(("key" = [])),
    tags(
        (name = "campaigns", description = "Plan campaigns and change their state"),
        (name = "sources", description = "Register connectors' feeds and report their runs"),
        (name = "activity", description = "Record what sources report"),
    )
)]
struct OpenApiDoc;

/// The router and its description.
pub(crate) fn described(routes: OpenApiRouter<ApiState>) -> (Router<ApiState>, ApiDocs) {
    let (router, paths) = routes.split_for_parts();
    let mut document = OpenApiDoc::openapi();
    document.merge(paths);
    operations(&mut document).for_each(describe_headers);
    fixed_names::describe(&mut document, &names::sets());
    let key = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    document.components.get_or_insert_default().add_security_scheme("key", key);
    let problems = [kinds::ALL, rules::ALL].concat();
    (router, ApiDocs::new(document, &problems, &[]))
}

/// The request headers of every command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers, which are read by `idempotency`")]
struct CommandHeaders {
    /// Makes the request safe to repeat: 1 to 255 visible ASCII characters.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

/// The request headers of a command on a campaign that exists.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers, which are read by `precondition`")]
pub(crate) struct CampaignHeaders {
    /// The version that the change is meant for, as `ETag` had it. `*` or no header: any version.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// The response headers of every successful command.
const RESPONSE_HEADERS: [(&str, &str); 2] = [
    ("Consistency-Token", "Makes a read wait for this command"),
    ("Idempotency-Replayed", "`true`, if the request was carried out before"),
];

/// Adds the headers that all commands have to an operation and its successful responses.
fn describe_headers(operation: &mut Operation) {
    let parameters = CommandHeaders::into_params(|| None);
    operation.parameters.get_or_insert_default().extend(parameters.into_iter().map(RefOr::from));
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        for (name, description) in RESPONSE_HEADERS.iter().filter(|_| status.starts_with('2')) {
            let schema = ObjectBuilder::new().schema_type(Type::String);
            let header = HeaderBuilder::new().schema(Some(schema)).description(Some(*description)).build();
            response.headers.insert((*name).to_owned(), header.into());
        }
    }
}
