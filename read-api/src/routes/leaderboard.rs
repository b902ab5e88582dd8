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
        /// The measure to rank by, largest first: one of `GET /v1/measures`, additive or derived.
        #[param(required = true, value_type = String, example = "clicks")]
        measure: Option<String>,
        /// `7d` (the default) or `30d`: the workspace's last local days, including today.
        #[param(example = "7d")]
        window: Option<String>,
    }
}

/// List campaigns, ranked
///
/// Ranked by one measure over the workspace's last 7 or 30 days.
///
/// Only primary sources count, and derived measures come from sums over the sources that state both sides, as in
/// reports. The leaderboard is refreshed on a schedule: `meta.as_of` and `meta.position` say when, and at which
/// position of the log. `Data-Position`, `Data-Freshness` and `meta.freshness` describe that state. A request does not
/// wait for a refresh. Campaigns without a value are not listed.
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
