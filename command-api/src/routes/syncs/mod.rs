//! Syncs: reports of a source on its runs.

use axum::extract::State;
use chrono::{DateTime, Utc};
use commands::CommandError;
use domain::bucket::Grain;
use domain::sync::SyncReport;
use http::StatusCode;
use http_edge::path::ApiPath;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::command::JsonCommand;
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
    /// It failed.
    Failed,
}

/// What a source reports of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "completed", "complete_through": "2026-11-21T22:00:00Z", "grain": "hour"}))]
pub(crate) struct ReportSync {
    /// The status of the run.
    status: SyncStatus,
    /// With `completed`: everything before this instant is there.
    #[serde(default)]
    complete_through: Option<DateTime<Utc>>,
    /// With `completed`: the steps in which completeness moves, `15m` (if left out), `hour` or `day`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    grain: Option<Grain>,
    /// With `failed`: why, in 1 to 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

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
        let strays = [
            ("complete_through", self.complete_through.is_some(), SyncStatus::Completed, "completed"),
            ("grain", self.grain.is_some(), SyncStatus::Completed, "completed"),
            ("reason", self.reason.is_some(), SyncStatus::Failed, "failed"),
        ];
        for (field, is_given, status, name) in strays {
            if is_given && self.status != status {
                return reject(field, format!("belongs to status {name}"));
            }
        }
        match (self.status, self.complete_through, self.reason) {
            (SyncStatus::Started, ..) => Ok(SyncReport::Started),
            (SyncStatus::Completed, Some(complete_through), _) => {
                Ok(SyncReport::Completed { complete_through, grain: self.grain.unwrap_or(Grain::QuarterHour) })
            }
            (SyncStatus::Failed, _, Some(reason)) => Ok(SyncReport::Failed { reason }),
            (SyncStatus::Completed, None, _) => {
                reject("complete_through", "is needed with status completed".to_owned())
            }
            (SyncStatus::Failed, _, None) => reject("reason", "is needed with status failed".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
