//! The current state of projections and sources: the applied positions, and the runs of each source.

use axum::response::Response;
use http_edge::query::ApiQuery;
use queries::freshness::FreshnessBody;
use serde::Serialize;
use utoipa::ToSchema;

use super::NoParams;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::format::require_json;
use crate::problems::WorkspaceProblems;
use crate::response::uncacheable;

/// The workspace's freshness at this moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FreshnessAnswer {
    data: FreshnessBody,
}

/// Get the current freshness of all projections and sources
///
/// The answer changes with the clock, so it has no ETag and is never cached.
#[utoipa::path(
    get,
    path = "/v1/freshness",
    operation_id = "get_freshness",
    tag = "workspace",
    responses(
        (status = 200, description = "Every projection and source of the workspace.", body = FreshnessAnswer),
        WorkspaceProblems,
    )
)]
pub(crate) async fn show(caller: ReadContext, ApiQuery(NoParams {}): ApiQuery<NoParams>) -> Result<Response, ApiError> {
    require_json(&caller.headers)?;
    let (data, status) = caller.state.model.freshness(caller.access()).await?;
    Ok(uncacheable(&status, &FreshnessAnswer { data })?)
}
