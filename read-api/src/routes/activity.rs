//! The activity of one campaign: its changes, with actor and time.

use axum::response::Response;
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use queries::Query;
use queries::activity::ActivityRequest;

use super::campaign::CampaignPath;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::openapi::answers::ActivityAnswer;
use crate::params::params;
use crate::problems::CampaignListProblems;

params! {
    /// The parameters of a campaign's activity.
    pub(crate) struct ActivityParams in pages {}
}

/// List the activity of a campaign
///
/// Who changed it, how and when, newest first.
/// It contains decisions, corrections of its sources' observations, and the first numbers of each source. It does not
/// contain observations, statements and runs of sources: metrics and freshness have those.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/activity",
    operation_id = "list_activity",
    tag = "campaigns",
    params(CampaignPath, ActivityParams),
    responses(
        (status = 200, description = "A page of activity entries.", content(
            (ActivityAnswer = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<ActivityParams>,
) -> Result<Response, ApiError> {
    let request = ActivityRequest { id, limit: params.limit, cursor: params.cursor.clone() };
    caller.list(Query::Activity(request), &params, format!("campaign-{id}-activity")).await
}
