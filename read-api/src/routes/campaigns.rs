//! Many campaigns: filtered, sorted, a page at a time.

use axum::response::Response;
use http_edge::query::{ApiQuery, CommaList};
use queries::Query;
use queries::campaigns::CampaignsRequest;

use super::words;
use crate::context::ReadContext;
use crate::error::ApiError;
use crate::json::CampaignsAnswer;
use crate::params::params;
use crate::problems::ListProblems;

params! {
    /// The parameters of the list of campaigns.
    pub(crate) struct CampaignsParams in pages {
        /// Only campaigns that now have one of these statuses, separated by commas: draft, scheduled, active, paused,
        /// completed, archived.
        #[param(value_type = Option<String>)]
        status: Option<CommaList>,
        /// Only campaigns that run on one of these channels, separated by commas.
        #[param(value_type = Option<String>)]
        channel: Option<CommaList>,
        /// Only campaigns that one of these sources sends numbers for. Names of sources, separated by commas;
        /// a comma of a name is written `%2C`.
        #[param(value_type = Option<String>)]
        source: Option<CommaList>,
        /// Only campaigns whose name contains this text, in upper or lower case.
        q: Option<String>,
        /// `name` (the default), `created_at`, `changed_at` or `starts_on`; with a leading `-`, in descending order.
        sort: Option<String>,
        /// The members of each campaign to return, separated by commas. All when left out.
        #[param(value_type = Option<String>)]
        fields: Option<CommaList>,
    }
}

/// List campaigns, filtered and sorted
#[utoipa::path(
    get,
    path = "/v1/campaigns",
    operation_id = "list_campaigns",
    tag = "campaigns",
    params(CampaignsParams),
    responses(
        (status = 200, description = "A page of campaigns.", content(
            (CampaignsAnswer<'static> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        ListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<CampaignsParams>,
) -> Result<Response, ApiError> {
    let list = |list: &Option<CommaList>| words(list.as_ref()).unwrap_or_default();
    let request = CampaignsRequest {
        status: list(&params.status),
        channel: list(&params.channel),
        source: params.source.as_ref().map(CommaList::names).unwrap_or_default(),
        q: params.q.clone(),
        sort: params.sort.clone(),
        fields: list(&params.fields),
        limit: params.limit,
        cursor: params.cursor.clone(),
    };
    caller.list(Query::Campaigns(request), &params, "campaigns".to_owned()).await
}
