//! Pacing: the budgets and the spend of campaigns, compared as the days of their flights pass.

use axum::response::Response;
use http_edge::path::ApiPath;
use http_edge::query::{ApiQuery, CommaList};
use queries::Query;
use queries::pacing::PacingListRequest;

use super::campaign::{CampaignParams, CampaignPath};
use super::words;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::openapi::answers::{PacingAnswer, PacingListAnswer};
use crate::params::params;
use crate::problems::{CampaignProblems, ListProblems};

params! {
    /// The parameters of the pacing of campaigns.
    pub(crate) struct PacingListParams in pages {
        /// Only campaigns that now have one of these statuses, separated by commas: draft, scheduled, active, paused,
        /// completed, archived.
        #[param(value_type = Option<String>, example = json!(["active"]))]
        status: Option<CommaList>,
        /// Only campaigns that run on one of these channels, separated by commas.
        #[param(value_type = Option<String>)]
        channel: Option<CommaList>,
        /// `-index` (the default: those that spend too fast come first), `index`, `name` or `-name`. Campaigns without
        /// an index come last.
        sort: Option<String>,
    }
}

/// Get the pacing of a campaign
///
/// Its spend compared with its budget so far, and the projected spend at its end.
///
/// The answer changes with the campaign's budget and dates, with its spend, and at midnight in its time zone.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/pacing",
    operation_id = "get_pacing",
    tag = "numbers",
    params(CampaignPath, CampaignParams),
    responses(
        (status = 200, description = "The pacing of the campaign.", body = PacingAnswer),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignProblems,
    )
)]
pub(crate) async fn show(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<CampaignParams>,
) -> Result<Response, ApiError> {
    caller.answer(Query::Pacing { id }, &params).await
}

/// List the pacing of campaigns
///
/// The pacing of every campaign as `GET /v1/campaigns/{id}/pacing` answers it, each as of today in its own time zone.
/// The state and the sources of `meta.freshness` are those of all spend of the workspace.
///
/// The answer changes with any campaign, with any spend, and at midnight in the time zone of any campaign.
#[utoipa::path(
    get,
    path = "/v1/pacing",
    operation_id = "list_pacing",
    tag = "numbers",
    params(PacingListParams),
    responses(
        (status = 200, description = "A page of campaigns, with their pacing.", content(
            (PacingListAnswer = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        ListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<PacingListParams>,
) -> Result<Response, ApiError> {
    let list = |list: &Option<CommaList>| words(list.as_ref()).unwrap_or_default();
    let request = PacingListRequest {
        status: list(&params.status),
        channel: list(&params.channel),
        sort: params.sort.clone(),
        limit: params.limit,
        cursor: params.cursor.clone(),
    };
    caller.list(Query::PacingList(request), &params, "pacing".to_owned()).await
}
