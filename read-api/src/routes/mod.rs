//! The resources, one file each: its parameters, its handler and its OpenAPI description.

mod activity; // activity of one campaign
mod campaign; // one campaign
mod campaigns; // many campaigns
mod corrections; // corrections of one campaign
mod dashboards; // many reports at one position
mod freshness; // projections and sources
mod leaderboard; // ranked campaigns
mod measures; // the catalogue of measures
mod metrics; // the numbers of one campaign
mod pacing; // pacing of one campaign
mod post_or_get; // reports by POST or by GET
mod reports; // reports over many campaigns
mod workspace; // the defaults of the workspace

use http_edge::query::CommaList;
use queries::report::query::{DataState, UnknownDataState};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;
use crate::error::ApiError;

/// Every route of the API, with its operations.
pub(crate) fn all() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(campaigns::list))
        .routes(routes!(campaign::show))
        .routes(routes!(activity::list))
        .routes(routes!(metrics::show))
        .routes(routes!(corrections::list))
        .routes(routes!(pacing::show))
        .routes(routes!(pacing::list))
        .routes(routes!(reports::post, reports::get))
        .routes(routes!(dashboards::post, dashboards::get))
        .routes(routes!(leaderboard::list))
        .routes(routes!(freshness::show))
        .routes(routes!(measures::list))
        .routes(routes!(workspace::show))
}

/// The parameters of a route without any: each one is rejected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParams {}

/// The words of a list.
fn words(list: Option<&CommaList>) -> Option<Vec<String>> {
    list.map(CommaList::words)
}

/// Parses the parameter `data_state`.
fn data_state(text: Option<&str>) -> Result<DataState, ApiError> {
    let parsed = text.map(str::parse).transpose();
    parsed
        .map(Option::unwrap_or_default)
        .map_err(|error: UnknownDataState| ApiError::field("data_state", error.to_string()))
}
