//! The OpenAPI document: its general description, and an example of each response.

pub(crate) mod answers; // the schemas of answers
mod conventions; // the common headers of reads
mod get_variants; // examples of bodies that are parameters
mod names; // members and parameters with a fixed set of values

use axum::Router;
use http_edge::docs::{ApiDocs, Example, names as fixed_names};
use http_edge::problem::Problem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::format::{CSV, JSON};
use crate::{ApiState, problems};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Highwater read API",
        description = "Campaigns, their numbers, and how fresh, how complete and how final these are. Every request \
                       carries `Authorization: Bearer <key>`; the key decides the workspace.\n\nAnswers from the read \
                       model carry `Data-Position`, `Data-Freshness` and `Consistency-Token`. The `ETag` changes \
                       whenever the answer changes.\n\n\
                       Lists are returned as paged JSON, or complete as CSV (`Accept: text/csv`)."
    ),
    components(schemas(Problem)),
    modifiers(&BearerKey),
    security(("key" = [])),
    tags(
        (name = "campaigns", description = "Campaigns and their activity"),
        (name = "numbers", description = "Sums of what sources report"),
        (name = "workspace", description = "Freshness and the catalogue of measures"),
    )
)]
struct Document;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

macro_rules! examples {
    ($($operation:literal $media_type:ident $file:literal;)+) => {
        &[$(Example {
            operation: $operation,
            media_type: $media_type,
            body: include_str!(concat!("examples/", $file)),
        }),+]
    };
}

/// An example of each operation's response.
const EXAMPLES: &[Example] = examples! {
    "list_campaigns" JSON "list_campaigns.json";
    "list_campaigns" CSV "list_campaigns.csv";
    "get_campaign" JSON "get_campaign.json";
    "list_activity" JSON "list_activity.json";
    "list_activity" CSV "list_activity.csv";
    "get_metrics" JSON "get_metrics.json";
    "get_metrics" CSV "get_metrics.csv";
    "list_corrections" JSON "list_corrections.json";
    "list_corrections" CSV "list_corrections.csv";
    "get_pacing" JSON "get_pacing.json";
    "list_pacing" JSON "list_pacing.json";
    "list_pacing" CSV "list_pacing.csv";
    "run_report" JSON "report.json";
    "run_report" CSV "report.csv";
    "get_report" JSON "report.json";
    "get_report" CSV "report.csv";
    "run_dashboard" JSON "dashboard.json";
    "get_dashboard" JSON "dashboard.json";
    "get_leaderboard" JSON "get_leaderboard.json";
    "get_leaderboard" CSV "get_leaderboard.csv";
    "get_freshness" JSON "get_freshness.json";
    "list_measures" JSON "list_measures.json";
    "get_workspace" JSON "get_workspace.json";
};

/// The router and its description.
pub(crate) fn described(routes: OpenApiRouter<ApiState>) -> (Router<ApiState>, ApiDocs) {
    let (router, paths) = routes.split_for_parts();
    let mut document = Document::openapi();
    document.merge(paths);
    conventions::describe(&mut document);
    fixed_names::describe(&mut document, &names::sets());
    get_variants::add_examples(&mut document);
    (router, ApiDocs::new(document, problems::ALL, EXAMPLES))
}
