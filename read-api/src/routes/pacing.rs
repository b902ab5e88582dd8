//! Pacing: whether one campaign spends its budget evenly over its days.

use axum::response::Response;
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use queries::Query;
use queries::pacing::PacingBody;

use super::campaign::{CampaignParams, CampaignPath};
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::json::Envelope;
use crate::problems::CampaignProblems;

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
        (status = 200, description = "The pacing of the campaign.", body = Envelope<'static, PacingBody>),
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
