//! The resources, one module each: request schemas, handlers and OpenAPI operations.

pub(crate) mod campaigns;
pub(crate) mod observations;
pub(crate) mod rejections;
pub(crate) mod sources;
pub(crate) mod statements;
pub(crate) mod syncs;
pub(crate) mod workspace;

mod batch; // the response to a batch
mod campaign_ref; // the campaign of an item
mod dimension; // names of dimensions

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ApiState;

/// Every route of the API, with its operations.
pub(crate) fn all() -> OpenApiRouter<ApiState> {
    OpenApiRouter::default()
        .routes(routes!(campaigns::create))
        .routes(routes!(campaigns::edit))
        .routes(routes!(campaigns::lifecycle::launch))
        .routes(routes!(campaigns::lifecycle::pause))
        .routes(routes!(campaigns::lifecycle::resume))
        .routes(routes!(campaigns::lifecycle::complete))
        .routes(routes!(campaigns::lifecycle::archive))
        .routes(routes!(campaigns::lifecycle::unarchive))
        .routes(routes!(campaigns::set_budget))
        .routes(routes!(sources::register, sources::list))
        .routes(routes!(sources::show, sources::change))
        .routes(routes!(sources::end))
        .routes(routes!(sources::resume))
        .routes(routes!(sources::activity))
        .routes(routes!(observations::record))
        .routes(routes!(observations::record_lines))
        .routes(routes!(observations::record_cloud_event))
        .routes(routes!(observations::record_cloud_events))
        .routes(routes!(statements::record))
        .routes(routes!(syncs::record))
        .routes(routes!(rejections::list, rejections::delete_all))
        .routes(routes!(rejections::retry::retry_all))
        .routes(routes!(rejections::delete))
        .routes(routes!(rejections::retry::retry))
        .routes(routes!(workspace::set_calendar))
        .routes(routes!(workspace::set_money_limit))
}
