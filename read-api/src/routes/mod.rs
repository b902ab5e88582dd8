//! The resources, one file each: its parameters, its handler, its wire shapes and its OpenAPI description.

mod activity; // who did what to one campaign
mod campaign; // one campaign
mod campaigns; // many of them
mod corrections; // what corrections did to one campaign
mod dashboards; // many reports at one position
mod freshness; // projections and sources, as they are now
mod leaderboard; // campaigns, ranked
mod measures; // the catalogue
mod metrics; // the numbers of one campaign
mod pacing; // whether one campaign spends its budget as its days pass
mod reports; // the numbers of many

use axum::Router;
use platform::http::docs::Description;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{ApiState, problems};

/// What the document says beside the operations.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater read API",
        description = "Campaigns, their numbers, and how fresh, how complete and how final these are.\n\nAnswers from the \
                       read model carry `Data-Position`, `Data-Freshness` and `Consistency-Token`; an `ETag` never stays the same \
                       when the answer changed."
    ),
    modifiers(&BearerKey),
    security(("api_key" = []))
)]
struct Document;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// Where the API listens unless it is told otherwise.
const ADDRESS: &str = "127.0.0.1:8082";

pub(crate) fn router(state: ApiState) -> Router {
    let (router, description) = described();
    router.merge(description.router()).with_state(state)
}

/// The router, and what describes it.
pub(crate) fn described() -> (Router<ApiState>, Description) {
    let (router, document) = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(campaigns::list))
        .routes(routes!(campaign::show))
        .routes(routes!(activity::list))
        .routes(routes!(metrics::show))
        .routes(routes!(corrections::list))
        .routes(routes!(pacing::show))
        .routes(routes!(reports::post, reports::get))
        .routes(routes!(dashboards::post))
        .routes(routes!(leaderboard::list))
        .routes(routes!(freshness::show))
        .routes(routes!(measures::list))
        .split_for_parts();
    (router, Description::new(document, problems::ALL, &[], ADDRESS))
}

/// The values of a parameter that takes several, separated by commas.
fn list(text: Option<&str>) -> Option<Vec<String>> {
    text.map(|text| text.split(',').map(|value| value.trim().to_owned()).collect())
}
