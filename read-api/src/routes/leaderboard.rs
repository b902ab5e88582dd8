//! The workspace's campaigns, ranked by one measure over its last days.

use axum::response::Response;
use http_edge::query::ApiQuery;
use queries::Query;
use queries::leaderboard::LeaderboardRequest;

use crate::context::ReadContext;
use crate::error::ApiError;
use crate::json::LeaderboardAnswer;
use crate::params::params;
use crate::problems::ListProblems;

params! {
    /// The parameters of the leaderboard.
    pub(crate) struct LeaderboardParams in pages {
        /// What campaigns are ranked by, largest first: a measure of `GET /v1/measures`, additive or derived.
        #[param(required = true, value_type = String, example = "conversions")]
        measure: Option<String>,
        /// `7d` (when left out) or `30d`: the workspace's last local days, today included.
        #[param(example = "7d")]
        window: Option<String>,
    }
}

/// Campaigns, ranked
///
/// By one measure, over the workspace's last 7 or 30 days.
///
/// Only primary sources count, and derived measures come from sums over the sources that state both sides, as in reports.
/// The leaderboard is refreshed now and then: `meta.as_of` and `meta.position` say what it is true of, and `Data-Position`,
/// `Data-Freshness` and `meta.freshness` speak of that state. A refresh is not waited for. Campaigns without a value are not in it.
#[utoipa::path(
    get,
    path = "/v1/leaderboard",
    operation_id = "get_leaderboard",
    tag = "numbers",
    params(LeaderboardParams),
    responses(
        (status = 200, description = "A page of campaigns, best first.", content(
            (LeaderboardAnswer<'static> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        ListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<LeaderboardParams>,
) -> Result<Response, ApiError> {
    let request = LeaderboardRequest {
        measure: params.measure.clone(),
        window: params.window.clone(),
        limit: params.limit,
        cursor: params.cursor.clone(),
    };
    caller.list(Query::Leaderboard(request), &params, "leaderboard".to_owned()).await
}
