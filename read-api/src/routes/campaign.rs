//! One campaign.

use axum::response::Response;
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use queries::Query;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::context::ReadContext;
use crate::error::ApiError;
use crate::openapi::answers::CampaignAnswer;
use crate::params::params;
use crate::problems::CampaignProblems;

/// The campaign in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct CampaignPath {
    /// The campaign
    #[param(example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62")]
    pub(crate) id: Uuid,
}

params! {
    /// The parameters of one campaign.
    pub(crate) struct CampaignParams {}
}

/// Get a campaign
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}",
    operation_id = "get_campaign",
    tag = "campaigns",
    params(CampaignPath, CampaignParams),
    responses(
        (status = 200, description = "The campaign.", body = CampaignAnswer),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignProblems,
    )
)]
pub(crate) async fn show(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<CampaignParams>,
) -> Result<Response, ApiError> {
    caller.answer(Query::Campaign { id }, &params).await
}
