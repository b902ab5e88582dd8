//! The caller's workspace.

use axum::response::Response;
use http_edge::query::ApiQuery;
use queries::Query;
use queries::workspace::WorkspaceQuery;

use crate::context::ReadContext;
use crate::error::ApiError;
use crate::openapi::answers::WorkspaceAnswer;
use crate::params::params;
use crate::problems::CampaignProblems;

params! {
    /// The parameters of the workspace.
    pub(crate) struct WorkspaceParams {}
}

/// Get the workspace
///
/// What its reports mean unless a query says otherwise: time zone, currency and calendar. And where its command API is.
#[utoipa::path(
    get,
    path = "/v1/workspace",
    operation_id = "get_workspace",
    tag = "workspace",
    params(WorkspaceParams),
    responses(
        (status = 200, description = "The workspace.", body = WorkspaceAnswer),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignProblems,
    )
)]
pub(crate) async fn show(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<WorkspaceParams>,
) -> Result<Response, ApiError> {
    let query = WorkspaceQuery { command_api: caller.state.command_api.clone() };
    caller.answer(Query::Workspace(query), &params).await
}
