//! Corrections of one campaign's numbers: retracted and restated observations, with the changed buckets.

use axum::response::Response;
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use queries::Query;
use queries::corrections::CorrectionsRequest;

use super::campaign::CampaignPath;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::openapi::answers::CorrectionsAnswer;
use crate::params::params;
use crate::problems::CampaignListProblems;

params! {
    /// The parameters of a campaign's corrections.
    pub(crate) struct CorrectionsParams in pages pinning dates {
        /// The first local day of the corrected observations. Default: 29 days before `date_to`.
        #[param(example = "2026-10-24")]
        date_from: Option<String>,
        /// The last local day, inclusive. Default: today.
        #[param(example = "2026-11-22")]
        date_to: Option<String>,
        /// The IANA time zone of the days. Default: the workspace's.
        time_zone: Option<String>,
    }
}

/// List the corrections of a campaign's numbers
///
/// The observations that its sources retracted or restated. Sorted by the bucket that changed, then by position.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/corrections",
    operation_id = "list_corrections",
    tag = "numbers",
    params(CampaignPath, CorrectionsParams),
    responses(
        (status = 200, description = "A page of corrections.", content(
            (CorrectionsAnswer = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<CorrectionsParams>,
) -> Result<Response, ApiError> {
    let request = CorrectionsRequest {
        id,
        date_from: params.date_from.clone(),
        date_to: params.date_to.clone(),
        time_zone: params.time_zone.clone(),
        limit: params.limit,
        cursor: params.cursor.clone(),
    };
    caller.list(Query::Corrections(request), &params, format!("campaign-{id}-corrections")).await
}
