//! The resources, one file each: its parameters, its handler and its OpenAPI description.

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
mod post_or_get; // what is asked by POST, asked by GET
mod reports; // the numbers of many

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
        .routes(routes!(reports::post, reports::get))
        .routes(routes!(dashboards::post, dashboards::get))
        .routes(routes!(leaderboard::list))
        .routes(routes!(freshness::show))
        .routes(routes!(measures::list))
}

/// Of a route without parameters: any is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoParams {}

/// The values of a parameter that takes several, separated by commas.
fn values(text: Option<&str>) -> Option<Vec<String>> {
    text.map(|text| text.split(',').map(|value| value.trim().to_owned()).collect())
}

/// Which buckets are wanted.
fn data_state(text: Option<&str>) -> Result<DataState, ApiError> {
    let said = text.map(str::parse).transpose();
    said.map(Option::unwrap_or_default)
        .map_err(|error: UnknownDataState| ApiError::field("data_state", error.to_string()))
}
