//! The resources, one file each: its parameters, its handler, its wire shapes and its OpenAPI description.

mod activity; // who did what to one campaign
mod cacheable; // what is asked by POST, asked by GET
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

pub(crate) use campaign::{CampaignAt, CampaignAtTip, campaigns_at_tip};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ApiState;

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

/// The values of a parameter that takes several, separated by commas.
fn list(text: Option<&str>) -> Option<Vec<String>> {
    text.map(|text| text.split(',').map(|value| value.trim().to_owned()).collect())
}
