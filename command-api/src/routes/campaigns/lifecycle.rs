//! The steps of a campaign's lifecycle. Each has its own path, and its body only gives a reason.

use axum::extract::State;
use domain::campaign::CampaignCommand;
use http_edge::path::ApiPath;
use uuid::Uuid;

use super::{CampaignResponse, change};
use crate::command::{Note, StepCommand};
use crate::openapi::CampaignHeaders;
use crate::problems::RouteError;
use crate::problems::kinds::LifecycleProblems;
use crate::response::CommandResponse;
use crate::state::ApiState;

macro_rules! lifecycle_routes {
    ($($(#[doc = $doc:literal])+ $name:ident $path:literal $command:ident;)+) => {$(
        $(#[doc = $doc])+
        #[utoipa::path(
            post,
            path = $path,
            operation_id = concat!(stringify!($name), "_campaign"),
            tag = "campaigns",
            request_body(
                content = Option<Note>,
                example = json!({
                    "reason": "Stock is gone until 12 December",
                    "note_url": "https://tracker.example/T-17"
                }),
            ),
            params(
                ("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"),
                CampaignHeaders,
            ),
            responses(
                (status = 200, description = "The campaign is in the requested state", body = CampaignResponse, headers(
                    ("ETag" = String, description = "The version, which `If-Match` takes"),
                )),
                LifecycleProblems,
            )
        )]
        pub(crate) async fn $name(
            State(state): State<ApiState>,
            ApiPath(id): ApiPath<Uuid>,
            StepCommand { context, if_match }: StepCommand,
        ) -> Result<CommandResponse, RouteError> {
            let command = CampaignCommand::$command { at: context.received_at };
            change(&state, &context, if_match, id, command).await
        }
    )+};
}

lifecycle_routes! {
    /// Launch a campaign
    ///
    /// The campaign must be a draft. It is scheduled until its first day begins in its time zone, and active from then
    /// on.
    launch "/v1/campaigns/{id}/launch" Launch;
    /// Pause a campaign
    pause "/v1/campaigns/{id}/pause" Pause;
    /// Resume a paused campaign
    resume "/v1/campaigns/{id}/resume" Resume;
    /// Complete a campaign
    complete "/v1/campaigns/{id}/complete" Complete;
    /// Archive a campaign
    ///
    /// An archived campaign takes no change until it is unarchived. Its observations, statements and corrections are
    /// recorded as before.
    archive "/v1/campaigns/{id}/archive" Archive;
    /// Unarchive a campaign
    ///
    /// The campaign is again what it was before it was archived: a draft, paused or completed.
    unarchive "/v1/campaigns/{id}/unarchive" Unarchive;
}
