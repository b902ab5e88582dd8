//! Syncs: reports of a source on its runs.

use axum::extract::State;
use chrono::{DateTime, Utc};
use commands::CommandError;
use domain::bucket::Grain;
use domain::json_objects;
use domain::sync::{CompletedRun, Coverage, FinalThrough, SyncReport};
use http::StatusCode;
use http_edge::path::ApiPath;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::command::JsonCommand;
use crate::moment;
use crate::problems::RouteError;
use crate::problems::kinds::SyncProblems;
use crate::response::CommandResponse;
use crate::state::ApiState;

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SyncStatus {
    /// It has started.
    Started,
    /// It ended well.
    Completed,
    /// Completeness is taken back to an instant.
    Reopened,
    /// It failed.
    Failed,
}

/// What a source reports of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"status": "completed", "complete_through": "2026-11-21T22:00:00Z", "grain": "hour"}))]
pub(crate) struct ReportSync {
    /// The status of the run.
    status: SyncStatus,
    /// With `completed`: everything before this instant is there. It never moves back. With `reopened`: everything
    /// before this instant is still there, and nothing after it.
    #[serde(default, deserialize_with = "moment::instant_or_null")]
    complete_through: Option<DateTime<Utc>>,
    /// With `completed`: the steps in which completeness moves, `15m` (if left out), `hour` or `day`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    grain: Option<Grain>,
    /// With `completed`: the range that the run read again. If left out: from what was complete before it, less the
    /// longest horizon. Without `complete_through`, the run moves no completeness.
    #[serde(default)]
    covers: Option<CoverageBody>,
    /// With `completed`: up to where the source itself calls its numbers final, for all measures or by group.
    #[serde(default)]
    final_through: Option<FinalThroughBody>,
    /// With `failed`: why, in 1 to 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

json_objects!(read: ReportSync);

/// A range that a run read again.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Coverage, example = json!({"from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}))]
pub(crate) struct CoverageBody {
    /// Its first instant.
    #[serde(deserialize_with = "moment::instant")]
    from: DateTime<Utc>,
    /// The first instant after it.
    #[serde(deserialize_with = "moment::instant")]
    to: DateTime<Utc>,
}

json_objects!(read: CoverageBody);

/// Up to where a source calls its numbers final.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(untagged, expecting = "is neither an instant, 2026-11-20T09:00:00Z, nor an object of delivery and conversions")]
#[schema(as = FinalThrough)]
pub(crate) enum FinalThroughBody {
    /// Of every measure.
    All(#[serde(deserialize_with = "moment::instant")] DateTime<Utc>),
    /// By group.
    ByGroup(FinalThroughGroups),
}

/// Up to where a source calls its numbers final, by group.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct FinalThroughGroups {
    /// Impressions, clicks, spend, video views and sends.
    #[serde(default, deserialize_with = "moment::instant_or_null")]
    delivery: Option<DateTime<Utc>>,
    /// Every other measure.
    #[serde(default, deserialize_with = "moment::instant_or_null")]
    conversions: Option<DateTime<Utc>>,
}

json_objects!(read: FinalThroughGroups);

/// A sync that is recorded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"position": 18342}))]
pub(crate) struct SyncResponse {
    /// The position of the log that covers the sync.
    position: i64,
}

/// Report a run of a source
#[utoipa::path(
    post,
    path = "/v1/sources/{name}/syncs",
    operation_id = "report_sync",
    tag = "sources",
    request_body = ReportSync,
    params(("name" = String, Path, description = "The source", example = "google_ads")),
    responses(
        (status = 200, description = "The sync was recorded", body = SyncResponse),
        SyncProblems,
    )
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let body: ReportSync = command.body()?;
    let recorded = state.commands.record_sync(&command.context, &name, &body.into_report()?).await?;
    let body = SyncResponse { position: recorded.position };
    Ok(CommandResponse::new(StatusCode::OK, &command.context, &recorded, &body))
}

impl ReportSync {
    /// The report, whose members must belong to its status.
    fn into_report(self) -> Result<SyncReport, CommandError> {
        let reject = |field, detail: String| Err(CommandError::Invalid { field, detail });
        let Self { status, complete_through, grain, covers, final_through, reason } = self;
        let moves = [SyncStatus::Completed, SyncStatus::Reopened];
        let strays: [(_, _, &[SyncStatus], _); 5] = [
            ("complete_through", complete_through.is_some(), &moves, "completed or reopened"),
            ("grain", grain.is_some(), &moves[..1], "completed"),
            ("covers", covers.is_some(), &moves[..1], "completed"),
            ("final_through", final_through.is_some(), &moves[..1], "completed"),
            ("reason", reason.is_some(), &[SyncStatus::Failed], "failed"),
        ];
        for (field, is_given, statuses, names) in strays {
            if is_given && !statuses.contains(&status) {
                return reject(field, format!("belongs to status {names}"));
            }
        }
        match (status, complete_through, reason) {
            (SyncStatus::Started, ..) => Ok(SyncReport::Started),
            (SyncStatus::Completed, None, _) if covers.is_none() => {
                reject("complete_through", "is needed with status completed, unless covers is given".to_owned())
            }
            (SyncStatus::Completed, complete_through, _) => Ok(SyncReport::Completed(CompletedRun {
                complete_through,
                grain: grain.unwrap_or(Grain::QuarterHour),
                covers: covers.map(|CoverageBody { from, to }| Coverage { from, to }),
                final_through: final_through.map(FinalThroughBody::into_groups).unwrap_or_default(),
            })),
            (SyncStatus::Reopened, Some(complete_through), _) => Ok(SyncReport::Reopened { complete_through }),
            (SyncStatus::Reopened, None, _) => reject("complete_through", "is needed with status reopened".to_owned()),
            (SyncStatus::Failed, _, Some(reason)) => Ok(SyncReport::Failed { reason }),
            (SyncStatus::Failed, _, None) => reject("reason", "is needed with status failed".to_owned()),
        }
    }
}

impl FinalThroughBody {
    fn into_groups(self) -> FinalThrough {
        match self {
            Self::All(instant) => FinalThrough { delivery: Some(instant), conversions: Some(instant) },
            Self::ByGroup(FinalThroughGroups { delivery, conversions }) => FinalThrough { delivery, conversions },
        }
    }
}

#[cfg(test)]
mod tests;
